"""Functions of one array, element by element.

Each takes the array and `out`, an array for the result instead of a new one; that may be the array
itself, or overlap it. Data types are as in NumPy 2: a function that needs floats gives, for
integers, floats wide enough (float64 for int32).

Each raises `DTypeError` if it does not take the data type or the result does not convert to that
of `out`, and `ShapeError` if `out` has another shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.ndarray.core import ArrayCore
from actorflow.ndarray.invoke import unary
from actorflow.ops import ELEMENTWISE

if TYPE_CHECKING:
    from actorflow.ndarray.array import NDArray

__all__ = [
    "abs",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "degrees",
    "exp",
    "expm1",
    "fix",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_not",
    "negative",
    "radians",
    "reciprocal",
    "relu",
    "rint",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softrelu",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]


def _call(name: str, data: NDArray, out: NDArray | None) -> NDArray:
    if not isinstance(data, ArrayCore):
        raise TypeError(f"{name}: takes an NDArray, got {type(data).__name__}")
    return unary(ELEMENTWISE[name], data, out)


def negative(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`-data`; for unsigned integers, modulo their range."""
    return _call("negative", data, out)


def abs(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The absolute value."""
    return _call("abs", data, out)


def sign(data: NDArray, out: NDArray | None = None) -> NDArray:
    """-1, 0 or 1."""
    return _call("sign", data, out)


def round(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The nearest integer; halves go away from zero, as in MXNet. `rint` takes them to even."""
    return _call("round", data, out)


def rint(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The nearest integer; halves go to the even one."""
    return _call("rint", data, out)


def ceil(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The least integer not below."""
    return _call("ceil", data, out)


def floor(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The greatest integer not above."""
    return _call("floor", data, out)


def trunc(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The integer next to it towards zero."""
    return _call("trunc", data, out)


def fix(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The same as `trunc`."""
    return _call("trunc", data, out)


def square(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`data * data`."""
    return _call("square", data, out)


def sqrt(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The square root."""
    return _call("sqrt", data, out)


def rsqrt(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`1 / sqrt(data)`."""
    return _call("rsqrt", data, out)


def cbrt(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The cube root."""
    return _call("cbrt", data, out)


def reciprocal(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`1 / data`, in floats."""
    return _call("reciprocal", data, out)


def exp(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`e ** data`."""
    return _call("exp", data, out)


def expm1(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`exp(data) - 1`, exact near 0."""
    return _call("expm1", data, out)


def log(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The natural logarithm."""
    return _call("log", data, out)


def log2(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The logarithm to base 2."""
    return _call("log2", data, out)


def log10(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The logarithm to base 10."""
    return _call("log10", data, out)


def log1p(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`log(1 + data)`, exact near 0."""
    return _call("log1p", data, out)


def sin(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The sine of an angle in radians."""
    return _call("sin", data, out)


def cos(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The cosine of an angle in radians."""
    return _call("cos", data, out)


def tan(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The tangent of an angle in radians."""
    return _call("tan", data, out)


def arcsin(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The angle in radians whose sine it is."""
    return _call("arcsin", data, out)


def arccos(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The angle in radians whose cosine it is."""
    return _call("arccos", data, out)


def arctan(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The angle in radians whose tangent it is."""
    return _call("arctan", data, out)


def sinh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The hyperbolic sine."""
    return _call("sinh", data, out)


def cosh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The hyperbolic cosine."""
    return _call("cosh", data, out)


def tanh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The hyperbolic tangent."""
    return _call("tanh", data, out)


def arcsinh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of `sinh`."""
    return _call("arcsinh", data, out)


def arccosh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of `cosh`."""
    return _call("arccosh", data, out)


def arctanh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of `tanh`."""
    return _call("arctanh", data, out)


def degrees(data: NDArray, out: NDArray | None = None) -> NDArray:
    """Radians as degrees."""
    return _call("degrees", data, out)


def radians(data: NDArray, out: NDArray | None = None) -> NDArray:
    """Degrees as radians."""
    return _call("radians", data, out)


def sigmoid(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`1 / (1 + exp(-data))`."""
    return _call("sigmoid", data, out)


def relu(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`max(data, 0)`."""
    return _call("relu", data, out)


def softrelu(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`log(1 + exp(data))`."""
    return _call("softrelu", data, out)


def logical_not(data: NDArray, out: NDArray | None = None) -> NDArray:
    """1 where it is 0, else 0, in its own data type."""
    return _call("logical_not", data, out)
