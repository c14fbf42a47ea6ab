"""Sums of many, bounds, and arrays like another.

`out` is where the result goes instead of into a new array. It may be or overlap an input, but not
a state. What `is_train` chooses is what `Executor.forward` takes it for.

Each raises in the call: `ParameterError` if a parameter is not valid, `TypeError` if an array is
missing or superfluous or is none, `ShapeError`, `DTypeError` and `ContextError` if the arrays or
`out` do not fit, and `ValueError` if what is written is not writable or is memory of something
else that is written. Wrong values, such as an index, fail the operation, where it is waited for.
"""

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
    """
    operator = ops.Identity.of()
    return layer(operator, out, data)
