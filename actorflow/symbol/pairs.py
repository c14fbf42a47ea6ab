"""Functions of two symbols, or a symbol and a number."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.symbol.kit import binary

if TYPE_CHECKING:
    from actorflow.symbol.kit import Operand
    from actorflow.symbol.symbol import Symbol

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


def add(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs + rhs`."""
    return binary("add", lhs, rhs, name, attr)


broadcast_add = add
broadcast_plus = add
elemwise_add = add


def arctan2(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The angle of the point `(rhs, lhs)` in radians, from -pi to pi."""
    return binary("arctan2", lhs, rhs, name, attr)


def divide(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs / rhs`; of integers, float64."""
    return binary("divide", lhs, rhs, name, attr)


broadcast_div = divide
elemwise_div = divide


def equal(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where `lhs == rhs`, else 0."""
    return binary("equal", lhs, rhs, name, attr)


broadcast_equal = equal


def floor_divide(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs // rhs`, rounded down; symbol files have no name for it."""
    return binary("floor_divide", lhs, rhs, name, attr)


def greater(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where `lhs > rhs`, else 0."""
    return binary("greater", lhs, rhs, name, attr)


broadcast_greater = greater


def greater_equal(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where `lhs >= rhs`, else 0."""
    return binary("greater_equal", lhs, rhs, name, attr)


broadcast_greater_equal = greater_equal


def hypot(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`sqrt(lhs * lhs + rhs * rhs)`."""
    return binary("hypot", lhs, rhs, name, attr)


broadcast_hypot = hypot


def lesser(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where `lhs < rhs`, else 0."""
    return binary("lesser", lhs, rhs, name, attr)


broadcast_lesser = lesser


def lesser_equal(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where `lhs <= rhs`, else 0."""
    return binary("lesser_equal", lhs, rhs, name, attr)


broadcast_lesser_equal = lesser_equal


def logical_and(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where neither is 0, else 0."""
    return binary("logical_and", lhs, rhs, name, attr)


broadcast_logical_and = logical_and


def logical_or(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """0 where both are 0, else 1."""
    return binary("logical_or", lhs, rhs, name, attr)


broadcast_logical_or = logical_or


def logical_xor(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where one of them is 0, else 0."""
    return binary("logical_xor", lhs, rhs, name, attr)


broadcast_logical_xor = logical_xor


def maximum(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The greater one of two elements; a NaN wins."""
    return binary("maximum", lhs, rhs, name, attr)


broadcast_maximum = maximum


def minimum(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The lesser one of two elements; a NaN wins."""
    return binary("minimum", lhs, rhs, name, attr)


broadcast_minimum = minimum


def modulo(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs % rhs`, of the sign of `rhs`."""
    return binary("modulo", lhs, rhs, name, attr)


broadcast_mod = modulo


def multiply(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs * rhs`."""
    return binary("multiply", lhs, rhs, name, attr)


broadcast_mul = multiply
elemwise_mul = multiply


def not_equal(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where `lhs != rhs`, else 0."""
    return binary("not_equal", lhs, rhs, name, attr)


broadcast_not_equal = not_equal


def power(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs ** rhs`; integers have no negative integer powers."""
    return binary("power", lhs, rhs, name, attr)


broadcast_power = power
pow = power


def subtract(
    lhs: Operand,
    rhs: Operand,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs - rhs`."""
    return binary("subtract", lhs, rhs, name, attr)


broadcast_minus = subtract
broadcast_sub = subtract
elemwise_sub = subtract
