"""Operators that work element by element and have no parameters: one table.

An entry is a kernel and the NumPy ufunc whose rule says which data types it takes and gives. That
rule is NumPy 2's: arrays of different data types are promoted, Python's own numbers adapt to the
array. So the quotient of two integer arrays is float64. A comparison gives 0 or 1 in the data type
that its operands are promoted to, as in MXNet. int8 with uint8, which NumPy promotes to int16, is
int32, because no array here has int16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError, ShapeError
from actorflow.ops.operator import Operator
from actorflow.ops.types import DTYPES, supported

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.ops.types import Memory, Shape

__all__ = [
    "ELEMENTWISE",
    "Elementwise",
    "broadcast_shapes",
]


_INT32: Final = np.dtype(np.int32)


@attrs.frozen(eq=False, repr=False)
class Elementwise(Operator):
    """An operator on one or two inputs, with NumPy's broadcasting, that has no parameters.

    Attributes:
      kernel: a NumPy ufunc, or a function called as one, `kernel(*inputs, out=output)`. Who has no
        time to lose calls it instead of `forward`.
      typed_like: the ufunc whose rule gives the data types.
      same: the output's data type for inputs that all have one data type, where it takes that.
      direct: whether the kernel, called without an output, makes one of the right data type.
    """

    name: str
    kernel: Callable[..., object]
    typed_like: np.ufunc
    inputs: tuple[str, ...]
    direct: bool = attrs.field(init=False)
    overlap_safe: bool = attrs.field(init=False)
    inplace: tuple[tuple[str, str], ...] = attrs.field(init=False)
    # What the rule said before: asking NumPy takes longer than the rest of a call.
    _types: dict[Any, tuple[np.dtype[Any], ...]] = attrs.field(init=False, factory=dict)
    same: dict[np.dtype[Any], np.dtype[Any]] = attrs.field(init=False)

    @direct.default
    def _is_direct(self) -> bool:
        return self.kernel is self.typed_like

    @overlap_safe.default
    def _is_overlap_safe(self) -> bool:
        return isinstance(self.kernel, np.ufunc)

    @inplace.default
    def _all_inputs(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, "output") for name in self.inputs)

    @same.default
    def _rule_for_one_type(self) -> dict[np.dtype[Any], np.dtype[Any]]:
        table = {}
        for dtype in DTYPES:
            try:
                table[dtype] = self._resolve((dtype,) * len(self.inputs))[-1]
            except TypeError:
                continue
        return table

    def __repr__(self) -> str:
        return f"<operator {self.name!r}>"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0] if len(shapes) == 1 else broadcast_shapes(self.name, self.inputs, shapes)

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return self.loop_types(*dtypes)[-1]

    def forward(self, *arrays: Memory) -> None:
        *inputs, output = arrays
        if self.direct and output.dtype == _INT32:
            # NumPy would compute int8 with uint8 in int16, where a power wraps around sooner.
            self.kernel(*inputs, out=output, dtype=output.dtype)
        else:
            self.kernel(*inputs, out=output)

    def loop_types(self, *dtypes: np.dtype[Any] | type) -> tuple[np.dtype[Any], ...]:
        """The data types that the inputs are converted to, and last the output's.

        Args:
          dtypes: the inputs'; `int` and `float` stand for Python's own numbers.

        Raises:
          DTypeError: the operator does not take them.
        """
        found = self._types.get(dtypes)
        if found is None:
            try:
                found = self._types[dtypes] = self._resolve(dtypes)
            except TypeError:
                got = " and ".join(np.dtype(dtype).name for dtype in dtypes)
                takes = ", ".join(dtype.name for dtype in self.same)
                raise DTypeError(f"{self.name}: got {got}, but it takes {takes}") from None
        return found

    def _resolve(self, dtypes: tuple[Any, ...]) -> tuple[np.dtype[Any], ...]:
        return tuple(map(supported, self.typed_like.resolve_dtypes((*dtypes, None))))


def broadcast_shapes(name: str, inputs: tuple[str, ...], shapes: tuple[Shape, ...]) -> Shape:
    """The shape that all `shapes` broadcast to.

    Raises:
      ShapeError: they do not; the message names the operator and its inputs.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        got = " and ".join(f"{each} {shape}" for each, shape in zip(inputs, shapes, strict=True))
        raise ShapeError(
            f"{name}: cannot broadcast {got}: counted from the last axis, sizes need to be equal "
            "or 1"
        ) from None


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


def _unary(name: str, kernel: Callable[..., object], like: np.ufunc | None = None) -> Elementwise:
    return Elementwise(name, kernel, like or _ufunc(kernel), ("data",))


def _binary(name: str, kernel: Callable[..., object], like: np.ufunc | None = None) -> Elementwise:
    return Elementwise(name, kernel, like or _ufunc(kernel), ("lhs", "rhs"))


def _ufunc(kernel: Callable[..., object]) -> np.ufunc:
    if not isinstance(kernel, np.ufunc):
        raise TypeError(f"{kernel!r} needs a ufunc that gives its data types")
    return kernel


ELEMENTWISE: Final[dict[str, Elementwise]] = {
    operator.name: operator
    for operator in (
        _binary("add", np.add),
        _binary("subtract", np.subtract),
        _binary("multiply", np.multiply),
        _binary("divide", np.true_divide),
        _binary("floor_divide", np.floor_divide),
        _binary("modulo", np.remainder),
        _binary("power", np.power),
        _binary("maximum", np.maximum),
        _binary("minimum", np.minimum),
        _binary("hypot", np.hypot),
        _binary("arctan2", np.arctan2),
        _binary("equal", np.equal, np.add),
        _binary("not_equal", np.not_equal, np.add),
        _binary("greater", np.greater, np.add),
        _binary("greater_equal", np.greater_equal, np.add),
        _binary("lesser", np.less, np.add),
        _binary("lesser_equal", np.less_equal, np.add),
        _binary("logical_and", np.logical_and, np.add),
        _binary("logical_or", np.logical_or, np.add),
        _binary("logical_xor", np.logical_xor, np.add),
        _unary("negative", np.negative),
        _unary("abs", np.absolute),
        _unary("sign", np.sign),
        _unary("round", _round_half_away, np.positive),
        _unary("rint", np.rint),
        _unary("ceil", np.ceil),
        _unary("floor", np.floor),
        _unary("trunc", np.trunc),
        _unary("square", np.square),
        _unary("sqrt", np.sqrt),
        _unary("rsqrt", _rsqrt, np.sqrt),
        _unary("cbrt", np.cbrt),
        _unary("reciprocal", _reciprocal, np.sqrt),
        _unary("exp", np.exp),
        _unary("expm1", np.expm1),
        _unary("log", np.log),
        _unary("log2", np.log2),
        _unary("log10", np.log10),
        _unary("log1p", np.log1p),
        _unary("sin", np.sin),
        _unary("cos", np.cos),
        _unary("tan", np.tan),
        _unary("arcsin", np.arcsin),
        _unary("arccos", np.arccos),
        _unary("arctan", np.arctan),
        _unary("sinh", np.sinh),
        _unary("cosh", np.cosh),
        _unary("tanh", np.tanh),
        _unary("arcsinh", np.arcsinh),
        _unary("arccosh", np.arccosh),
        _unary("arctanh", np.arctanh),
        _unary("degrees", np.degrees),
        _unary("radians", np.radians),
        _unary("sigmoid", _sigmoid, np.exp),
        _unary("relu", _relu, np.positive),
        _unary("softrelu", _softrelu, np.exp),
        _unary("logical_not", _logical_not, np.absolute),
    )
}
"""Every element-wise operator without parameters, by name."""
