"""Symbols in other shapes, cut and put together.

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
from actorflow.ndarray.kit import layer, several, variadic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ndarray.array import NDArray
    from actorflow.ops import DTypeLike

    Sizes = int | Sequence[int]

__all__ = [
    "Cast",
    "Concat",
    "SliceChannel",
    "SwapAxis",
    "broadcast_axes",
    "broadcast_axis",
    "broadcast_like",
    "cast",
    "concat",
    "crop",
    "flip",
    "reshape_like",
    "reverse",
    "slice",
    "slice_axis",
    "split",
    "swapaxes",
]


def broadcast_axis(
    data: NDArray,
    axis: Sizes = (),
    size: Sizes = (),
    *,
    out: NDArray | None = None,
) -> NDArray:
    """Some axes of size 1 repeated.

    Args:
      data: the input.
      axis: the axes to repeat, each of size 1; integers.
      size: how long each of them becomes; integers.
      out: where the result goes; it may be an input.
    """
    operator = ops.BroadcastAxis.of(axis=axis, size=size)
    return layer(operator, out, data)


broadcast_axes = broadcast_axis


def broadcast_like(
    lhs: NDArray,
    rhs: NDArray,
    lhs_axes: Sizes | None = None,
    rhs_axes: Sizes | None = None,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """`lhs` repeated to the shape of `rhs`, of which nothing else is used.

    Args:
      lhs, rhs: the inputs.
      lhs_axes: the axes of lhs to repeat, each of size 1; None for all that differ; integers.
      rhs_axes: the axes of rhs whose sizes they get; integers.
      out: where the result goes; it may be an input.
    """
    operator = ops.BroadcastLike.of(lhs_axes=lhs_axes, rhs_axes=rhs_axes)
    return layer(operator, out, lhs, rhs)


def Cast(
    data: NDArray,
    dtype: DTypeLike,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """`data` converted to another data type, as NumPy converts: floats lose their fraction.

    Args:
      data: the input.
      dtype: the data type to convert to; 'float32', 'float64', 'float16', 'uint8', 'int32', 'int8',
        'int64' or 'bool'.
      out: where the result goes; it may be an input.
    """
    operator = ops.Cast.of(dtype=dtype)
    return layer(operator, out, data)


cast = Cast


def Concat(
    *args: NDArray,
    num_args: int | None = None,
    dim: int = 1,
    out: NDArray | None = None,
) -> NDArray:
    """Arrays one behind the other along an axis; different data types are promoted.

    All sizes but those along the axis need to be equal.

    Args:
      args: the arrays.
      num_args: how many there are, for those who say so.
      dim: the axis, as symbols spell it; an integer.
      out: where the result goes; it may be an input.
    """
    return variadic(ops.Concat, args, num_args, out, dim=dim)


concat = Concat


def flip(
    data: NDArray,
    axis: Sizes,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """The elements in the opposite order along some axes.

    Args:
      data: the input.
      axis: the axis or axes to turn round; integers.
      out: where the result goes; it may be an input.
    """
    operator = ops.Flip.of(axis=axis)
    return layer(operator, out, data)


reverse = flip


def reshape_like(
    lhs: NDArray,
    rhs: NDArray,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """The elements of `lhs` in the shape of `rhs`, of which nothing else is used.

    Args:
      lhs, rhs: the inputs.
      out: where the result goes; it may be an input.
    """
    operator = ops.ReshapeLike.of()
    return layer(operator, out, lhs, rhs)


def slice(
    data: NDArray,
    begin: int | Sequence[int | None] | None,
    end: int | Sequence[int | None] | None,
    step: int | Sequence[int | None] | None = (),
    *,
    out: NDArray | None = None,
) -> NDArray:
    """The part of an array from `begin` to `end`, exclusive, by `step`, along the first axes.

    Args:
      data: the input.
      begin: where the part begins; None for the start of an axis; integers, or None, one for each
        axis.
      end: where the part ends; None for the end of an axis; integers, or None, one for each axis.
      step: the distances; 1 where there is none; integers, or None, one for each axis.
      out: where the result goes; it may be an input.
    """
    operator = ops.Slice.of(begin=begin, end=end, step=step)
    return layer(operator, out, data)


crop = slice


def slice_axis(
    data: NDArray,
    axis: int,
    begin: int,
    end: int | None = None,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """The part of one axis from `begin` to `end`, exclusive.

    Args:
      data: the input.
      axis: the axis; an integer.
      begin: where the part begins; negative: counted from the end; an integer.
      end: where it ends; None for the end of the axis; an integer.
      out: where the result goes; it may be an input.
    """
    operator = ops.SliceAxis.of(axis=axis, begin=begin, end=end)
    return layer(operator, out, data)


def SliceChannel(
    data: NDArray,
    *,
    num_outputs: int,
    axis: int = 1,
    squeeze_axis: bool = False,
    out: NDArray | Sequence[NDArray] | None = None,
) -> NDArray | list[NDArray]:
    """An axis cut into parts of equal length, each an output.

    Args:
      data: the input.
      num_outputs: how many parts there are; an integer of at least 1.
      axis: the axis that is cut; an integer.
      squeeze_axis: leave the axis out; each part then needs length 1.
      out: where the results go, a list if there are several.
    """
    operator = ops.SliceChannel.of(num_outputs=num_outputs, axis=axis, squeeze_axis=squeeze_axis)
    return several(operator, out, data)


split = SliceChannel


def SwapAxis(
    data: NDArray,
    dim1: int = 0,
    dim2: int = 0,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """Two axes in each other's place.

    Args:
      data: the input.
      dim1: the one axis; an integer.
      dim2: the other axis; an integer.
      out: where the result goes; it may be an input.
    """
    operator = ops.SwapAxis.of(dim1=dim1, dim2=dim2)
    return layer(operator, out, data)


swapaxes = SwapAxis
