"""Functions of one array, element by element.

Each takes the array and `out`, an array for the result instead of a new one; that may be the array
itself, or overlap it. Data types are as in NumPy 2: a function that needs floats gives, for
integers, floats wide enough (float64 for int32).

Each raises `DTypeError` if it does not take the data type or the result does not convert to that
of `out`, and `ShapeError` if `out` has another shape.
"""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.ndarray.operands import unary

if TYPE_CHECKING:
    from actorflow.ndarray.array import NDArray

__all__ = [
    "abs",
    "cbrt",
    "ceil",
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
    "reciprocal",
    "relu",
    "rint",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "softrelu",
    "sqrt",
    "square",
    "trunc",
]


def abs(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The absolute value of each element."""
    return unary("abs", data, out)


def cbrt(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The cube root of each element."""
    return unary("cbrt", data, out)


def ceil(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The smallest integers that are not below."""
    return unary("ceil", data, out)


def exp(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The exponential function, e to the power of each element."""
    return unary("exp", data, out)


def expm1(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`exp(data) - 1`, exact near 0 too."""
    return unary("expm1", data, out)


def floor(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The largest integers that are not above."""
    return unary("floor", data, out)


def log(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The natural logarithm."""
    return unary("log", data, out)


def log1p(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`log(1 + data)`, exact near 0 too."""
    return unary("log1p", data, out)


def log2(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The logarithm to base 2."""
    return unary("log2", data, out)


def log10(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The logarithm to base 10."""
    return unary("log10", data, out)


def logical_not(data: NDArray, out: NDArray | None = None) -> NDArray:
    """1 where an element is 0, else 0, in its own data type."""
    return unary("logical_not", data, out)


def negative(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`-data`; for unsigned integers, modulo their range."""
    return unary("negative", data, out)


def reciprocal(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`1 / data`, in floats."""
    return unary("reciprocal", data, out)


def relu(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`max(data, 0)`."""
    return unary("relu", data, out)


def rint(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The nearest integers; halves go to the even one."""
    return unary("rint", data, out)


def round(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The nearest integers; halves go away from zero, as in MXNet."""
    return unary("round", data, out)


def rsqrt(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`1 / sqrt(data)`."""
    return unary("rsqrt", data, out)


def sigmoid(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`1 / (1 + exp(-data))`."""
    return unary("sigmoid", data, out)


def sign(data: NDArray, out: NDArray | None = None) -> NDArray:
    """-1, 0 or 1."""
    return unary("sign", data, out)


def softrelu(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`log(1 + exp(data))`."""
    return unary("softrelu", data, out)


def sqrt(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The square root of each element."""
    return unary("sqrt", data, out)


def square(data: NDArray, out: NDArray | None = None) -> NDArray:
    """`data * data`."""
    return unary("square", data, out)


def trunc(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The integers towards zero."""
    return unary("trunc", data, out)


fix = trunc
