"""Operators that work element by element and have no parameters: one table.

An entry is a kernel, the NumPy ufunc whose rule says which data types it takes and gives, and a
formula for the gradient of each input. That rule is NumPy 2's: arrays of different data types are
promoted, Python's own numbers adapt to the array. So the quotient of two integer arrays is float64.
A comparison gives 0 or 1 in the data type that its operands are promoted to, as in MXNet. int8 with
uint8, which NumPy promotes to int16, is int32, because no array here has int16.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import numpy as np

from actorflow.ops.broadcast import broadcast_shapes
from actorflow.ops.scalar import WithScalar
from actorflow.ops.ufunc import Elementwise

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.ops.operator import Apply
    from actorflow.ops.types import Memory

__all__ = ["ELEMENTWISE", "Elementwise", "Term", "broadcast_shapes", "compute"]


# -- The language of formulas ------------------------------------------------------------------

Number: TypeAlias = bool | int | float


# These are made by the thousand while a deep graph is bound, and a frozen one takes twice as long
# to make.
@attrs.define(eq=False)
class Term:
    """A handle in a formula: arithmetic on it, also with Python's numbers, applies operators."""

    apply: Apply
    handle: Any

    def __neg__(self) -> Term:
        return compute("negative", self)

    def __add__(self, other: Term | Number) -> Term:
        return compute("add", self, other)

    def __radd__(self, other: Number) -> Term:
        return compute("add", other, self)

    def __sub__(self, other: Term | Number) -> Term:
        return compute("subtract", self, other)

    def __rsub__(self, other: Number) -> Term:
        return compute("subtract", other, self)

    def __mul__(self, other: Term | Number) -> Term:
        return compute("multiply", self, other)

    def __rmul__(self, other: Number) -> Term:
        return compute("multiply", other, self)

    def __truediv__(self, other: Term | Number) -> Term:
        return compute("divide", self, other)

    def __rtruediv__(self, other: Number) -> Term:
        return compute("divide", other, self)

    def __pow__(self, other: Term | Number) -> Term:
        # A general power costs several times as much as these.
        if isinstance(other, Term) or other not in _SHORT_POWERS:
            return compute("power", self, other)
        return compute(_SHORT_POWERS[other], self) if other != 1 else self

    def __rpow__(self, other: Number) -> Term:
        return compute("power", other, self)


_SHORT_POWERS: Final = {1: "", 2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}


def compute(name: str, *operands: Term | Number) -> Term:
    """Apply an element-wise operator to terms; one of two operands may be a number."""
    operator: Elementwise | WithScalar = ELEMENTWISE[name]
    terms = []
    for each in operands:
        if isinstance(each, Term):
            terms.append(each)
        else:
            operator = WithScalar(ELEMENTWISE[name], each, not terms)
    apply = terms[0].apply
    (found,) = apply(operator, *[each.handle for each in terms])
    return Term(apply, found)


@attrs.define(eq=False)
class _At:
    """What a formula may use: g, the output's gradient; the operands x and y; the output."""

    g: Term
    out: Term
    x: Any  # a term or a number
    y: Any = None


@attrs.frozen(eq=False)
class _Formula:
    """A formula of terms as a function of handles."""

    formula: Callable[[_At], Term]

    def __call__(self, apply: Apply, grad: Any, output: Any, *operands: Any) -> Any:  # noqa: ANN401
        terms = [each if isinstance(each, Number) else Term(apply, each) for each in operands]
        return self.formula(_At(Term(apply, grad), Term(apply, output), *terms)).handle


def _power_by_base(at: _At) -> Term:
    base: Term = at.x
    if isinstance(at.y, Term):
        # Where the exponent is 0, so is the gradient, also at 0, which has no power of -1.
        return at.g * (at.y * base ** (at.y - compute("not_equal", at.y, 0)))
    return at.g * base ** (at.y - 1) * at.y if at.y else at.g * 0


def _power_by_exponent(at: _At) -> Term:
    if isinstance(at.x, Term):
        # 0 to the power y is 0 whatever y is, but log(0) is not finite.
        return at.g * at.out * compute("log", at.x + compute("equal", at.x, 0))
    if at.x == 0:
        return at.g * 0
    return at.g * at.out * (math.log(at.x) if at.x > 0 else math.nan)


# -- Kernels that are no ufuncs ----------------------------------------------------------------


def _sigmoid(data: Memory, out: Memory) -> None:
    np.negative(data, out, dtype=out.dtype)
    np.exp(out, out)
    np.add(out, 1, out)
    np.reciprocal(out, out)


def _relu(data: Memory, out: Memory) -> None:
    np.maximum(data, data.dtype.type(0), out=out)


def _softrelu(data: Memory, out: Memory) -> None:
    np.logaddexp(data, out.dtype.type(0), out)


def _rsqrt(data: Memory, out: Memory) -> None:
    np.sqrt(data, out)
    np.reciprocal(out, out)


def _reciprocal(data: Memory, out: Memory) -> None:
    np.true_divide(1, data, out)


def _round_half_away(data: Memory, out: Memory) -> None:
    if data.dtype.kind != "f":
        np.copyto(out, data)
        return
    half = data.dtype.type(0.5)
    # Adding a half and cutting would lift the largest number below a half to 1.
    away = np.abs(data - np.trunc(data)) >= half
    step = np.where(away, np.copysign(data.dtype.type(1), data), data.dtype.type(0))
    np.trunc(data, out)
    np.add(out, step, out)


def _logical_not(data: Memory, out: Memory) -> None:
    np.equal(data, data.dtype.type(0), out)


# -- The table ---------------------------------------------------------------------------------


def _operator(
    name: str,
    kernel: Callable[..., object],
    like: np.ufunc | None,
    formulas: dict[str, Callable[[_At], Term] | None],
) -> Elementwise:
    rule = like or kernel
    if not isinstance(rule, np.ufunc):
        raise TypeError(f"{kernel!r} needs a ufunc that gives its data types")
    derivatives = tuple(each and _Formula(each) for each in formulas.values())
    return Elementwise(name, kernel, rule, tuple(formulas), derivatives)


def _unary(
    name: str,
    kernel: Callable[..., object],
    grad: Callable[[_At], Term] | None,
    like: np.ufunc | None = None,
) -> Elementwise:
    return _operator(name, kernel, like, {"data": grad})


def _binary(
    name: str,
    kernel: Callable[..., object],
    lhs: Callable[[_At], Term] | None = None,
    rhs: Callable[[_At], Term] | None = None,
    like: np.ufunc | None = None,
) -> Elementwise:
    return _operator(name, kernel, like, {"lhs": lhs, "rhs": rhs})


# Where a formula can use the output it does, as then the input need not be kept for it. At a tie
# of maximum and minimum all of the gradient is the left operand's. A None is a derivative of 0.
ELEMENTWISE: Final[dict[str, Elementwise]] = {
    operator.name: operator
    for operator in (
        _binary("add", np.add, lambda at: at.g, lambda at: at.g),
        _binary("subtract", np.subtract, lambda at: at.g, lambda at: -at.g),
        _binary("multiply", np.multiply, lambda at: at.g * at.y, lambda at: at.g * at.x),
        _binary(
            "divide", np.true_divide, lambda at: at.g / at.y, lambda at: -(at.g * (at.out / at.y))
        ),
        _binary("floor_divide", np.floor_divide),
        _binary(
            "modulo",
            np.remainder,
            lambda at: at.g,
            lambda at: -(at.g * compute("floor", at.x / at.y)),
        ),
        _binary("power", np.power, _power_by_base, _power_by_exponent),
        _binary(
            "maximum",
            np.maximum,
            lambda at: at.g * compute("greater_equal", at.x, at.y),
            lambda at: at.g * compute("lesser", at.x, at.y),
        ),
        _binary(
            "minimum",
            np.minimum,
            lambda at: at.g * compute("lesser_equal", at.x, at.y),
            lambda at: at.g * compute("greater", at.x, at.y),
        ),
        _binary(
            "hypot", np.hypot, lambda at: at.g * (at.x / at.out), lambda at: at.g * (at.y / at.out)
        ),
        _binary(
            "arctan2",
            np.arctan2,
            lambda at: at.g * (at.y / (at.x * at.x + at.y * at.y)),
            lambda at: -(at.g * (at.x / (at.x * at.x + at.y * at.y))),
        ),
        _binary("equal", np.equal, like=np.add),
        _binary("not_equal", np.not_equal, like=np.add),
        _binary("greater", np.greater, like=np.add),
        _binary("greater_equal", np.greater_equal, like=np.add),
        _binary("lesser", np.less, like=np.add),
        _binary("lesser_equal", np.less_equal, like=np.add),
        _binary("logical_and", np.logical_and, like=np.add),
        _binary("logical_or", np.logical_or, like=np.add),
        _binary("logical_xor", np.logical_xor, like=np.add),
        _unary("negative", np.negative, lambda at: -at.g),
        _unary("abs", np.absolute, lambda at: at.g * compute("sign", at.x)),
        _unary("sign", np.sign, None),
        _unary("round", _round_half_away, None, np.positive),
        _unary("rint", np.rint, None),
        _unary("ceil", np.ceil, None),
        _unary("floor", np.floor, None),
        _unary("trunc", np.trunc, None),
        _unary("square", np.square, lambda at: at.g * (at.x * 2)),
        _unary("sqrt", np.sqrt, lambda at: at.g * 0.5 / at.out),
        _unary("rsqrt", _rsqrt, lambda at: at.g * (at.out / at.x) * -0.5, np.sqrt),
        _unary("cbrt", np.cbrt, lambda at: at.g / (at.out**2 * 3)),
        _unary("reciprocal", _reciprocal, lambda at: -(at.g * at.out**2), np.sqrt),
        _unary("exp", np.exp, lambda at: at.g * at.out),
        _unary("expm1", np.expm1, lambda at: at.g * (at.out + 1)),
        _unary("log", np.log, lambda at: at.g / at.x),
        _unary("log2", np.log2, lambda at: at.g / (at.x * math.log(2))),
        _unary("log10", np.log10, lambda at: at.g / (at.x * math.log(10))),
        _unary("log1p", np.log1p, lambda at: at.g / (at.x + 1)),
        _unary("sin", np.sin, lambda at: at.g * compute("cos", at.x)),
        _unary("cos", np.cos, lambda at: -(at.g * compute("sin", at.x))),
        _unary("tan", np.tan, lambda at: at.g * (at.out**2 + 1)),
        _unary("arcsin", np.arcsin, lambda at: at.g * (1 - at.x**2) ** -0.5),
        _unary("arccos", np.arccos, lambda at: -(at.g * (1 - at.x**2) ** -0.5)),
        _unary("arctan", np.arctan, lambda at: at.g / (at.x**2 + 1)),
        _unary("sinh", np.sinh, lambda at: at.g * compute("cosh", at.x)),
        _unary("cosh", np.cosh, lambda at: at.g * compute("sinh", at.x)),
        _unary("tanh", np.tanh, lambda at: at.g * (1 - at.out**2)),
        _unary("arcsinh", np.arcsinh, lambda at: at.g / compute("hypot", at.x, 1)),
        _unary("arccosh", np.arccosh, lambda at: at.g * (at.x - 1) ** -0.5 * (at.x + 1) ** -0.5),
        _unary("arctanh", np.arctanh, lambda at: at.g / (1 - at.x**2)),
        _unary("degrees", np.degrees, lambda at: at.g * (180 / math.pi)),
        _unary("radians", np.radians, lambda at: at.g * (math.pi / 180)),
        _unary("sigmoid", _sigmoid, lambda at: at.g * (at.out * (1 - at.out)), np.exp),
        _unary("relu", _relu, lambda at: at.g * compute("greater", at.out, 0), np.positive),
        _unary("softrelu", _softrelu, lambda at: -(at.g * compute("expm1", -at.out)), np.exp),
        _unary("logical_not", _logical_not, None, np.absolute),
    )
}
"""Every element-wise operator without parameters, by name."""
