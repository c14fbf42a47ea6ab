"""Sums of many, bounds, and arrays like another."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.ndarray.kit import layer, variadic

if TYPE_CHECKING:
    from actorflow.ndarray.array import NDArray

__all__ = [
    "ElementWiseSum",
    "add_n",
    "identity",
]


def ElementWiseSum(
    *args: NDArray,
    num_args: int | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """The sum of arrays of one shape and data type; float16 is added up in float32.

    Args:
      args: the arrays.
      num_args: how many there are, for those who say so.
      out: where the result goes; it may be an input.

    Raises:
      TypeError, ShapeError, DTypeError, ContextError, ParameterError: they do not fit.
    """
    return variadic(ops.ElementWiseSum, args, num_args, out)


add_n = ElementWiseSum


def identity(
    data: NDArray,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """The same elements; it need not copy them.

    Args:
      data: the input.
      out: where the result goes; it may be an input.

    Raises:
      TypeError, ShapeError, DTypeError, ContextError, ParameterError: they do not fit.
    """
    operator = ops.Identity.of()
    return layer(operator, out, data)
