"""What the generated functions of one or two operands, element by element, are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from actorflow.ndarray.arithmetic import combine
from actorflow.ndarray.core import ArrayCore
from actorflow.ndarray.invoke import unary as apply_to_one
from actorflow.ops import ELEMENTWISE

if TYPE_CHECKING:
    from actorflow.ndarray.arithmetic import Operand
    from actorflow.ndarray.array import NDArray

__all__ = ["binary", "unary"]


def unary(name: str, data: NDArray, out: NDArray | None) -> NDArray:
    """Apply an operator of one input.

    Raises:
      TypeError: it is no array.
    """
    if not isinstance(data, ArrayCore):
        message = f"{name}: takes an NDArray, got {type(data).__name__}"
        raise TypeError(message)
    return apply_to_one(ELEMENTWISE[name], data, out)


def binary(name: str, lhs: Operand, rhs: Operand, out: NDArray | None) -> NDArray:
    """Apply an operator of two inputs, of which one may be a number.

    Raises:
      TypeError: neither is an array, or one is neither an array nor a number.
    """
    result: ArrayCore
    if isinstance(lhs, ArrayCore):
        result = combine(ELEMENTWISE[name], lhs, rhs, out)
        wrong = rhs
    elif isinstance(rhs, ArrayCore):
        result = combine(ELEMENTWISE[name], rhs, lhs, out, reverse=True)
        wrong = lhs
    else:
        got = f"{type(lhs).__name__} and {type(rhs).__name__}"
        message = f"{name}: needs at least one NDArray, got {got}"
        raise TypeError(message)
    if result is NotImplemented:
        message = f"{name}: takes arrays and numbers, got {type(wrong).__name__}"
        raise TypeError(message)
    return cast("NDArray", result)
