"""Operators that move elements without changing them, and the rules for new shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.errors import ShapeError
from actorflow.ops.operator import Operator
from actorflow.ops.reduce import normalize_axis
from actorflow.ops.types import prod, supported

if TYPE_CHECKING:
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "BroadcastTo",
    "Concat",
    "Copy",
    "Transpose",
    "expanded_shape",
    "flattened_shape",
    "reshaped",
]


def reshaped(shape: Shape, new: tuple[int, ...]) -> Shape:
    """The shape that `new` asks for: -1, once, is inferred, and 0 keeps the size at its place.

    A 0 is literally 0 where the array has no elements.

    Raises:
      ShapeError: the number of elements differs.
    """
    total = prod(shape)
    sizes = list(new)
    for axis, size in enumerate(sizes):
        if size == 0 and total:
            if axis >= len(shape):
                raise ShapeError(
                    f"reshape: 0 at axis {axis} of {new} keeps that axis's size, but the array "
                    f"{shape} has no such axis"
                )
            sizes[axis] = shape[axis]
    if sizes.count(-1) == 1 and min(sizes) == -1:
        known = prod(tuple(size for size in sizes if size != -1))
        if known and total % known == 0:
            sizes[sizes.index(-1)] = total // known
    if min(sizes, default=0) < 0 or prod(tuple(sizes)) != total:
        raise ShapeError(f"reshape: an array of shape {shape} ({total} elements) cannot be {new}")
    return tuple(sizes) or (1,)


def flattened_shape(shape: Shape) -> Shape:
    """The first axis kept, the others merged into one."""
    return (shape[0], prod(shape[1:]))


def expanded_shape(shape: Shape, axis: int) -> Shape:
    """`shape` with an axis of size 1 put in at `axis`.

    Raises:
      ShapeError: there is no such place.
    """
    place = normalize_axis("expand_dims", axis, len(shape) + 1)
    return (*shape[:place], 1, *shape[place:])


@attrs.frozen
class Copy(Operator):
    """The same elements in memory of their own."""

    name = "copy"
    inputs = ("data",)
    inplace = (("data", "output"),)
    overlap_safe = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data, casting="unsafe")


@attrs.frozen
class Transpose(Operator):
    """The axes in another order.

    Attributes:
      axes: which input axis each output axis is; None, or none at all, reverses them.
    """

    axes: tuple[int, ...] | None = None

    name = "transpose"
    inputs = ("data",)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if not self.axes:
            return shape[::-1]
        if sorted(axis % len(shape) for axis in self.axes) != list(range(len(shape))):
            self.refuse("data", shape, f"axes {self.axes} do not name each of its axes once")
        return tuple(shape[axis] for axis in self.axes)

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data.transpose(self.axes or None))


@attrs.frozen
class BroadcastTo(Operator):
    """Axes of size 1 repeated.

    Attributes:
      shape: the shape to give, with as many axes as the input or more; 0 keeps an axis's size.
    """

    shape: tuple[int, ...]

    name = "broadcast_to"
    inputs = ("data",)
    overlap_safe = True

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        lead = len(self.shape) - len(shape)
        target = tuple(
            shape[axis - lead] if size == 0 and axis >= lead else size
            for axis, size in enumerate(self.shape)
        )
        fits = lead >= 0 and all(
            got in (1, size) for got, size in zip(shape, target[lead:], strict=True)
        )
        if not fits:
            self.refuse("data", shape, f"only axes of size 1 can become those of {self.shape}")
        return target

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data, casting="unsafe")


@attrs.frozen
class Concat(Operator):
    """Arrays one behind the other along an axis; different data types are promoted.

    Attributes:
      num_args: how many.
      axis: the axis along which they follow each other; the other sizes need to be equal.
    """

    num_args: int = attrs.field(validator=attrs.validators.ge(1))
    axis: int = 0
    inputs: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    name = "concatenate"

    @inputs.default
    def _names(self) -> tuple[str, ...]:
        return tuple(f"arg{index}" for index in range(self.num_args))

    def output_shape(self, *shapes: Shape) -> Shape:
        first = shapes[0]
        axis = normalize_axis(self.name, self.axis, len(first))
        for index, shape in enumerate(shapes):
            if len(shape) != len(first) or any(
                size != first[each] for each, size in enumerate(shape) if each != axis
            ):
                self.refuse(
                    f"arg{index}", shape, f"it needs arg0's {first} in all axes but axis {axis}"
                )
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return supported(np.result_type(*dtypes))

    def forward(self, *arrays: Memory) -> None:
        np.concatenate(arrays[:-1], self.axis, arrays[-1], casting="same_kind")
