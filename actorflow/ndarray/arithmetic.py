"""Python's operators on arrays."""

from __future__ import annotations

from sys import getrefcount
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, cast

import numpy as np

from actorflow.ndarray.block import Block
from actorflow.ndarray.core import A, ArrayCore
from actorflow.ndarray.invoke import binary, unary, with_scalar
from actorflow.ndarray.joined import TEMPORARY, join
from actorflow.ops import ELEMENTWISE, Scalar, as_dtype

if TYPE_CHECKING:
    from actorflow.ops import Elementwise

__all__ = ["Arithmetic", "Operand", "combine"]

Operand: TypeAlias = ArrayCore | Scalar | np.ndarray[Any, Any]

_ADD: Final = ELEMENTWISE["add"]
_SUBTRACT: Final = ELEMENTWISE["subtract"]
_MULTIPLY: Final = ELEMENTWISE["multiply"]
_DIVIDE: Final = ELEMENTWISE["divide"]
_FLOOR_DIVIDE: Final = ELEMENTWISE["floor_divide"]
_MODULO: Final = ELEMENTWISE["modulo"]
_POWER: Final = ELEMENTWISE["power"]
_NEGATIVE: Final = ELEMENTWISE["negative"]
_ABS: Final = ELEMENTWISE["abs"]
_EQUAL: Final = ELEMENTWISE["equal"]
_NOT_EQUAL: Final = ELEMENTWISE["not_equal"]
_GREATER: Final = ELEMENTWISE["greater"]
_GREATER_EQUAL: Final = ELEMENTWISE["greater_equal"]
_LESSER: Final = ELEMENTWISE["lesser"]
_LESSER_EQUAL: Final = ELEMENTWISE["lesser_equal"]


def combine(
    operator: Elementwise,
    array: A,
    other: Operand,
    out: A | None = None,
    *,
    reverse: bool = False,
) -> A:
    """Apply a two-input operator to an array and whatever the other operand is.

    A NumPy array is copied as it is now.

    Args:
      reverse: `other` is the left operand.

    Returns:
      The result, or NotImplemented, for Python to try the other operand, if `other` is none of
      `Operand`.
    """
    if isinstance(other, int | float | np.generic):
        return with_scalar(operator, array, other, out, reverse=reverse)
    there: A
    if isinstance(other, ArrayCore):
        there = cast("A", other)
    elif isinstance(other, np.ndarray):
        dtype = as_dtype(other.dtype, operator.name)
        copied = np.array(other, dtype, order="C", ndmin=1)
        block = Block(copied.shape, dtype, array._block.context, copied)
        there = type(array)(block, copied.shape, copied.size)
    else:
        return NotImplemented
    return binary(operator, there, array, out) if reverse else binary(operator, array, there, out)


class Arithmetic(ArrayCore):
    """The special methods of arithmetic and comparison.

    The right operand may be an array, which broadcasts as in NumPy, a NumPy array or a number.
    A comparison gives 0 or 1 in the data type of its operands.
    """

    __slots__ = ()

    __array_priority__ = 1000.0  # NumPy's arrays and numbers on the left leave the work to us

    def __add__(self, other: Operand) -> Self:
        if other.__class__ is self.__class__:
            return binary(_ADD, self, other)
        return combine(_ADD, self, other)

    def __radd__(self, other: Operand) -> Self:
        return combine(_ADD, self, other, reverse=True)

    def __iadd__(self, other: Operand) -> Self:
        if getrefcount(other) == TEMPORARY and join(_ADD, self, other):
            return self
        return combine(_ADD, self, other, self)

    def __sub__(self, other: Operand) -> Self:
        if other.__class__ is self.__class__:
            return binary(_SUBTRACT, self, other)
        return combine(_SUBTRACT, self, other)

    def __rsub__(self, other: Operand) -> Self:
        return combine(_SUBTRACT, self, other, reverse=True)

    def __isub__(self, other: Operand) -> Self:
        if getrefcount(other) == TEMPORARY and join(_SUBTRACT, self, other):
            return self
        return combine(_SUBTRACT, self, other, self)

    def __mul__(self, other: Operand) -> Self:
        if other.__class__ is self.__class__:
            return binary(_MULTIPLY, self, other)
        return combine(_MULTIPLY, self, other)

    def __rmul__(self, other: Operand) -> Self:
        return combine(_MULTIPLY, self, other, reverse=True)

    def __imul__(self, other: Operand) -> Self:
        return combine(_MULTIPLY, self, other, self)

    def __truediv__(self, other: Operand) -> Self:
        if other.__class__ is self.__class__:
            return binary(_DIVIDE, self, other)
        return combine(_DIVIDE, self, other)

    def __rtruediv__(self, other: Operand) -> Self:
        return combine(_DIVIDE, self, other, reverse=True)

    def __itruediv__(self, other: Operand) -> Self:
        return combine(_DIVIDE, self, other, self)

    def __floordiv__(self, other: Operand) -> Self:
        return combine(_FLOOR_DIVIDE, self, other)

    def __rfloordiv__(self, other: Operand) -> Self:
        return combine(_FLOOR_DIVIDE, self, other, reverse=True)

    def __ifloordiv__(self, other: Operand) -> Self:
        return combine(_FLOOR_DIVIDE, self, other, self)

    def __mod__(self, other: Operand) -> Self:
        return combine(_MODULO, self, other)

    def __rmod__(self, other: Operand) -> Self:
        return combine(_MODULO, self, other, reverse=True)

    def __imod__(self, other: Operand) -> Self:
        return combine(_MODULO, self, other, self)

    def __pow__(self, other: Operand) -> Self:
        return combine(_POWER, self, other)

    def __rpow__(self, other: Operand) -> Self:
        return combine(_POWER, self, other, reverse=True)

    def __ipow__(self, other: Operand) -> Self:
        return combine(_POWER, self, other, self)

    def __neg__(self) -> Self:
        return unary(_NEGATIVE, self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return unary(_ABS, self)

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return combine(_EQUAL, self, other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return combine(_NOT_EQUAL, self, other)  # type: ignore[arg-type]

    def __gt__(self, other: Operand) -> Self:
        return combine(_GREATER, self, other)

    def __ge__(self, other: Operand) -> Self:
        return combine(_GREATER_EQUAL, self, other)

    def __lt__(self, other: Operand) -> Self:
        return combine(_LESSER, self, other)

    def __le__(self, other: Operand) -> Self:
        return combine(_LESSER_EQUAL, self, other)

    __hash__ = object.__hash__  # an array is equal to itself only; `==` compares elements
