"""Other names of functions of two operands."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from actorflow.ndarray.binary import (
    add,
    divide,
    equal,
    greater,
    greater_equal,
    hypot,
    lesser,
    lesser_equal,
    logical_and,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    modulo,
    multiply,
    not_equal,
    power,
    subtract,
)

__all__ = [
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
    "elemwise_add",
    "elemwise_div",
    "elemwise_mul",
    "elemwise_sub",
    "pow",
]

broadcast_add = add
broadcast_plus = add
elemwise_add = add
broadcast_div = divide
elemwise_div = divide
broadcast_equal = equal
broadcast_greater = greater
broadcast_greater_equal = greater_equal
broadcast_hypot = hypot
broadcast_lesser = lesser
broadcast_lesser_equal = lesser_equal
broadcast_logical_and = logical_and
broadcast_logical_or = logical_or
broadcast_logical_xor = logical_xor
broadcast_maximum = maximum
broadcast_minimum = minimum
broadcast_mod = modulo
broadcast_mul = multiply
elemwise_mul = multiply
broadcast_not_equal = not_equal
broadcast_power = power
pow = power
broadcast_minus = subtract
broadcast_sub = subtract
elemwise_sub = subtract
