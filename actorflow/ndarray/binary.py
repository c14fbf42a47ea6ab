"""Functions of two operands, element by element.

Each takes two arrays, which broadcast as in NumPy, or an array and a number on either side, and
`out`, an array for the result instead of a new one; that may be one of the operands, or overlap it.
Data types are promoted as in NumPy 2: Python's own numbers adapt to the array. int8 with uint8 is
int32, because no array has NumPy's int16.

Each raises `ShapeError` if the operands do not broadcast or `out` has not the result's shape,
`DTypeError` if the function does not take their data types or the result does not convert to
`out`'s, `ContextError` if they live in different places, and `TypeError` for anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from actorflow.ndarray.arithmetic import combine
from actorflow.ndarray.core import ArrayCore
from actorflow.ops import ELEMENTWISE

if TYPE_CHECKING:
    from actorflow.ndarray.arithmetic import Operand
    from actorflow.ndarray.array import NDArray

__all__ = [
    "add",
    "arctan2",
    "divide",
    "equal",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "lesser",
    "lesser_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "modulo",
    "multiply",
    "not_equal",
    "power",
    "subtract",
]


def _call(name: str, lhs: Operand, rhs: Operand, out: NDArray | None) -> NDArray:
    result: ArrayCore
    if isinstance(lhs, ArrayCore):
        result = combine(ELEMENTWISE[name], lhs, rhs, out)
        wrong = rhs
    elif isinstance(rhs, ArrayCore):
        result = combine(ELEMENTWISE[name], rhs, lhs, out, reverse=True)
        wrong = lhs
    else:
        raise TypeError(
            f"{name}: needs at least one NDArray, got {type(lhs).__name__} and {type(rhs).__name__}"
        )
    if result is NotImplemented:
        raise TypeError(f"{name}: takes arrays and numbers, got {type(wrong).__name__}")
    return cast("NDArray", result)


def add(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The sum `lhs + rhs`."""
    return _call("add", lhs, rhs, out)


def subtract(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The difference `lhs - rhs`."""
    return _call("subtract", lhs, rhs, out)


def multiply(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The product `lhs * rhs`, element by element."""
    return _call("multiply", lhs, rhs, out)


def divide(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The quotient `lhs / rhs`; of integers, float64."""
    return _call("divide", lhs, rhs, out)


def floor_divide(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The quotient rounded down, `lhs // rhs`."""
    return _call("floor_divide", lhs, rhs, out)


def modulo(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The remainder `lhs % rhs`, with the sign of `rhs`."""
    return _call("modulo", lhs, rhs, out)


def power(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs` to the power `rhs`; integers have no negative integer powers."""
    return _call("power", lhs, rhs, out)


def maximum(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The greater of two elements; a NaN wins."""
    return _call("maximum", lhs, rhs, out)


def minimum(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The lesser of two elements; a NaN wins."""
    return _call("minimum", lhs, rhs, out)


def hypot(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The length `sqrt(lhs**2 + rhs**2)`."""
    return _call("hypot", lhs, rhs, out)


def arctan2(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The angle of the point `(rhs, lhs)` in radians, from -pi to pi."""
    return _call("arctan2", lhs, rhs, out)


def equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs == rhs`, else 0, in their common data type."""
    return _call("equal", lhs, rhs, out)


def not_equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs != rhs`, else 0, in their common data type."""
    return _call("not_equal", lhs, rhs, out)


def greater(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs > rhs`, else 0, in their common data type."""
    return _call("greater", lhs, rhs, out)


def greater_equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs >= rhs`, else 0, in their common data type."""
    return _call("greater_equal", lhs, rhs, out)


def lesser(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs < rhs`, else 0, in their common data type."""
    return _call("lesser", lhs, rhs, out)


def lesser_equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs <= rhs`, else 0, in their common data type."""
    return _call("lesser_equal", lhs, rhs, out)


def logical_and(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where both are not 0, else 0, in their common data type."""
    return _call("logical_and", lhs, rhs, out)


def logical_or(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where at least one is not 0, else 0, in their common data type."""
    return _call("logical_or", lhs, rhs, out)


def logical_xor(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where exactly one is not 0, else 0, in their common data type."""
    return _call("logical_xor", lhs, rhs, out)
