"""Functions of two operands, element by element.

Each takes two arrays, which broadcast as in NumPy, or an array and a number on either side, and
`out`, an array for the result instead of a new one; that may be one of the operands, or overlap it.
Data types are promoted as in NumPy 2: Python's own numbers adapt to the array. int8 with uint8 is
int32, because no array has NumPy's int16.

Each raises `ShapeError` if the operands do not broadcast or `out` has not the result's shape,
`DTypeError` if the function does not take their data types or the result does not convert to
`out`'s, `ContextError` if they live in different places, and `TypeError` for anything else.
"""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.ndarray.operands import binary

if TYPE_CHECKING:
    from actorflow.ndarray.arithmetic import Operand
    from actorflow.ndarray.array import NDArray

__all__ = [
    "add",
    "arctan2",
    "broadcast_add",
    "broadcast_div",
    "broadcast_equal",
    "broadcast_greater",
    "broadcast_greater_equal",
    "broadcast_hypot",
    "broadcast_lesser",
    "broadcast_lesser_equal",
    "broadcast_logical_and",
    "broadcast_logical_or",
    "broadcast_logical_xor",
    "broadcast_maximum",
    "broadcast_minimum",
    "broadcast_minus",
    "broadcast_mod",
    "broadcast_mul",
    "broadcast_not_equal",
    "broadcast_plus",
    "broadcast_power",
    "broadcast_sub",
    "divide",
    "elemwise_add",
    "elemwise_div",
    "elemwise_mul",
    "elemwise_sub",
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
    "pow",
    "power",
    "subtract",
]


def add(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs + rhs`."""
    return binary("add", lhs, rhs, out)


broadcast_add = add
broadcast_plus = add
elemwise_add = add


def arctan2(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The angle of the point `(rhs, lhs)` in radians, from -pi to pi."""
    return binary("arctan2", lhs, rhs, out)


def divide(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs / rhs`; of integers, float64."""
    return binary("divide", lhs, rhs, out)


broadcast_div = divide
elemwise_div = divide


def equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs == rhs`, else 0."""
    return binary("equal", lhs, rhs, out)


broadcast_equal = equal


def floor_divide(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs // rhs`, rounded down; symbol files have no name for it."""
    return binary("floor_divide", lhs, rhs, out)


def greater(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs > rhs`, else 0."""
    return binary("greater", lhs, rhs, out)


broadcast_greater = greater


def greater_equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs >= rhs`, else 0."""
    return binary("greater_equal", lhs, rhs, out)


broadcast_greater_equal = greater_equal


def hypot(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`sqrt(lhs * lhs + rhs * rhs)`."""
    return binary("hypot", lhs, rhs, out)


broadcast_hypot = hypot


def lesser(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs < rhs`, else 0."""
    return binary("lesser", lhs, rhs, out)


broadcast_lesser = lesser


def lesser_equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs <= rhs`, else 0."""
    return binary("lesser_equal", lhs, rhs, out)


broadcast_lesser_equal = lesser_equal


def logical_and(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where neither is 0, else 0."""
    return binary("logical_and", lhs, rhs, out)


broadcast_logical_and = logical_and


def logical_or(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """0 where both are 0, else 1."""
    return binary("logical_or", lhs, rhs, out)


broadcast_logical_or = logical_or


def logical_xor(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where one of them is 0, else 0."""
    return binary("logical_xor", lhs, rhs, out)


broadcast_logical_xor = logical_xor


def maximum(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The greater one of two elements; a NaN wins."""
    return binary("maximum", lhs, rhs, out)


broadcast_maximum = maximum


def minimum(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """The lesser one of two elements; a NaN wins."""
    return binary("minimum", lhs, rhs, out)


broadcast_minimum = minimum


def modulo(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs % rhs`, of the sign of `rhs`."""
    return binary("modulo", lhs, rhs, out)


broadcast_mod = modulo


def multiply(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs * rhs`."""
    return binary("multiply", lhs, rhs, out)


broadcast_mul = multiply
elemwise_mul = multiply


def not_equal(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """1 where `lhs != rhs`, else 0."""
    return binary("not_equal", lhs, rhs, out)


broadcast_not_equal = not_equal


def power(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs ** rhs`; integers have no negative integer powers."""
    return binary("power", lhs, rhs, out)


broadcast_power = power
pow = power


def subtract(lhs: Operand, rhs: Operand, out: NDArray | None = None) -> NDArray:
    """`lhs - rhs`."""
    return binary("subtract", lhs, rhs, out)


broadcast_minus = subtract
broadcast_sub = subtract
elemwise_sub = subtract
