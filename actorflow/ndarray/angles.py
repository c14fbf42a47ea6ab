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
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "cos",
    "cosh",
    "degrees",
    "radians",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


def arccos(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of the cosine, in radians."""
    return unary("arccos", data, out)


def arccosh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of the hyperbolic cosine."""
    return unary("arccosh", data, out)


def arcsin(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of the sine, in radians."""
    return unary("arcsin", data, out)


def arcsinh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of the hyperbolic sine."""
    return unary("arcsinh", data, out)


def arctan(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of the tangent, in radians."""
    return unary("arctan", data, out)


def arctanh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The inverse of the hyperbolic tangent."""
    return unary("arctanh", data, out)


def cos(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The cosine of angles in radians."""
    return unary("cos", data, out)


def cosh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The hyperbolic cosine."""
    return unary("cosh", data, out)


def degrees(data: NDArray, out: NDArray | None = None) -> NDArray:
    """Angles in degrees, from radians."""
    return unary("degrees", data, out)


def radians(data: NDArray, out: NDArray | None = None) -> NDArray:
    """Angles in radians, from degrees."""
    return unary("radians", data, out)


def sin(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The sine of angles in radians."""
    return unary("sin", data, out)


def sinh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The hyperbolic sine."""
    return unary("sinh", data, out)


def tan(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The tangent of angles in radians."""
    return unary("tan", data, out)


def tanh(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The hyperbolic tangent."""
    return unary("tanh", data, out)
