"""Symbols in other shapes, cut and put together."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.symbol.kit import layer, variadic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops import DTypeLike
    from actorflow.symbol.kit import Sizes
    from actorflow.symbol.symbol import Symbol

__all__ = [
    "Cast",
    "Concat",
    "Flatten",
    "Reshape",
    "SliceChannel",
    "SwapAxis",
    "broadcast_axes",
    "broadcast_axis",
    "broadcast_like",
    "broadcast_to",
    "cast",
    "concat",
    "crop",
    "expand_dims",
    "flatten",
    "flip",
    "reshape",
    "reshape_like",
    "reverse",
    "slice",
    "slice_axis",
    "split",
    "swapaxes",
    "transpose",
]


def broadcast_axis(
    data: Symbol | None = None,
    axis: Sizes = (),
    size: Sizes = (),
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Some axes of size 1 repeated.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axes to repeat, each of size 1; integers.
      size: how long each of them becomes; integers.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.BroadcastAxis.of(axis=axis, size=size)
    return layer("broadcast_axis", operator, name, attr, data)


broadcast_axes = broadcast_axis


def broadcast_like(
    lhs: Symbol | None = None,
    rhs: Symbol | None = None,
    lhs_axes: Sizes | None = None,
    rhs_axes: Sizes | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs` repeated to the shape of `rhs`, of which nothing else is used.

    Args:
      lhs, rhs: symbols of one output; variables are made for those that are missing.
      lhs_axes: the axes of lhs to repeat, each of size 1; None for all that differ; integers.
      rhs_axes: the axes of rhs whose sizes they get; integers.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.BroadcastLike.of(lhs_axes=lhs_axes, rhs_axes=rhs_axes)
    return layer("broadcast_like", operator, name, attr, lhs, rhs)


def broadcast_to(
    data: Symbol | None,
    shape: Sizes,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Axes of size 1 repeated, and new ones put in front.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      shape: the shape to give, with as many axes as the input or more; 0 keeps an axis's size;
        integers.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.BroadcastTo.of(shape=shape)
    return layer("broadcast_to", operator, name, attr, data)


def Cast(
    data: Symbol | None,
    dtype: DTypeLike,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`data` converted to another data type, as NumPy converts: floats lose their fraction.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      dtype: the data type to convert to; 'float32', 'float64', 'float16', 'uint8', 'int32', 'int8',
        'int64' or 'bool'.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Cast.of(dtype=dtype)
    return layer("cast", operator, name, attr, data)


cast = Cast


def Concat(
    *args: Symbol,
    num_args: int | None = None,
    dim: int = 1,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Arrays one behind the other along an axis; different data types are promoted.

    All sizes but those along the axis need to be equal.

    Args:
      args: symbols of one output each.
      num_args: how many there are, for those who say so; without args, variables are made.
      dim: the axis, as symbols spell it; an integer.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    return variadic("concat", ops.Concat, args, num_args, name, attr, dim=dim)


concat = Concat


def expand_dims(
    data: Symbol | None,
    axis: int,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """A new axis of size 1.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: where the new axis is in the output; an integer.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.ExpandDims.of(axis=axis)
    return layer("expand_dims", operator, name, attr, data)


def Flatten(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """All axes but the first as one.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Flatten.of()
    return layer("flatten", operator, name, attr, data)


flatten = Flatten


def flip(
    data: Symbol | None,
    axis: Sizes,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The elements in the opposite order along some axes.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to turn round; integers.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Flip.of(axis=axis)
    return layer("flip", operator, name, attr, data)


reverse = flip


def Reshape(
    data: Symbol | None = None,
    shape: Sizes = (),
    *,
    reverse: bool = False,
    target_shape: Sizes = (),
    keep_highest: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The same elements in another shape.

    `shape` is read from the left, with a place in the input that moves along:

    - a positive number is a size; the place moves by one axis
    - 0 is the size of the axis at the place
    - -1, once, is whatever is left of the elements; the place moves by one axis
    - -2 is all axes from the place on
    - -3 is two axes, merged into one
    - -4 is one axis, split into the two sizes that follow, one of which may be -1

    `target_shape` is the spelling of 0.x: there one 0 is what is left of the elements.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      shape: the shape to give, with codes; integers.
      reverse: read shape, and the input's axes, from the right.
      target_shape: the shape to give, if shape is not given; integers.
      keep_highest: in target_shape's place 0 keep the first axis's size.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Reshape.of(
        shape=shape,
        reverse=reverse,
        target_shape=target_shape,
        keep_highest=keep_highest,
    )
    return layer("reshape", operator, name, attr, data)


reshape = Reshape


def reshape_like(
    lhs: Symbol | None = None,
    rhs: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The elements of `lhs` in the shape of `rhs`, of which nothing else is used.

    Args:
      lhs, rhs: symbols of one output; variables are made for those that are missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.ReshapeLike.of()
    return layer("reshape_like", operator, name, attr, lhs, rhs)


def slice(
    data: Symbol | None,
    begin: int | Sequence[int | None] | None,
    end: int | Sequence[int | None] | None,
    step: int | Sequence[int | None] | None = (),
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The part of an array from `begin` to `end`, exclusive, by `step`, along the first axes.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      begin: where the part begins; None for the start of an axis; integers, or None, one for each
        axis.
      end: where the part ends; None for the end of an axis; integers, or None, one for each axis.
      step: the distances; 1 where there is none; integers, or None, one for each axis.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Slice.of(begin=begin, end=end, step=step)
    return layer("slice", operator, name, attr, data)


crop = slice


def slice_axis(
    data: Symbol | None,
    axis: int,
    begin: int,
    end: int | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The part of one axis from `begin` to `end`, exclusive.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis; an integer.
      begin: where the part begins; negative: counted from the end; an integer.
      end: where it ends; None for the end of the axis; an integer.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.SliceAxis.of(axis=axis, begin=begin, end=end)
    return layer("slice_axis", operator, name, attr, data)


def SliceChannel(
    data: Symbol | None = None,
    *,
    num_outputs: int,
    axis: int = 1,
    squeeze_axis: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """An axis cut into parts of equal length, each an output.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      num_outputs: how many parts there are; an integer of at least 1.
      axis: the axis that is cut; an integer.
      squeeze_axis: leave the axis out; each part then needs length 1.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.SliceChannel.of(num_outputs=num_outputs, axis=axis, squeeze_axis=squeeze_axis)
    return layer("slicechannel", operator, name, attr, data)


split = SliceChannel


def SwapAxis(
    data: Symbol | None = None,
    dim1: int = 0,
    dim2: int = 0,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Two axes in each other's place.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      dim1: the one axis; an integer.
      dim2: the other axis; an integer.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.SwapAxis.of(dim1=dim1, dim2=dim2)
    return layer("swapaxis", operator, name, attr, data)


swapaxes = SwapAxis


def transpose(
    data: Symbol | None = None,
    axes: Sizes | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The axes in another order.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axes: which input axis each output axis is; None, or none at all, reverses them; integers.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Transpose.of(axes=axes)
    return layer("transpose", operator, name, attr, data)
