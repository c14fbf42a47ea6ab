"""Operators that move elements without changing them, and the rule for new shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import ShapeError
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import integer, optional, sizes
from actorflow.ops.types import MATRIX, normalize_axis, prod

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Flip", "SwapAxis", "Transpose", "reshaped"]

_LARGE: Final = 1024  # rows and columns from which a matrix is transposed in strips


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


def _copy(output: Memory, moved: Memory) -> None:
    """Copy with the axes in another order.

    Column by column, a large matrix would need a line of the cache for each element, since a line
    that has just been read is gone before its next element's turn. So it is done in strips of
    columns, as wide as a line of 64 bytes.
    """
    if output.ndim != MATRIX or min(output.shape) < _LARGE or moved.flags.c_contiguous:
        np.copyto(output, moved)
        return
    step = max(1, 64 // output.itemsize)
    for start in range(0, output.shape[1], step):
        np.copyto(output[:, start : start + step], moved[:, start : start + step])


class _Moved(Operator):
    """What the operators share that move elements and, applied twice, put them back."""

    __slots__ = ()

    inputs = ("data",)

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(self, *out_grads)


@attrs.frozen
class Transpose(_Moved):
    """The axes in another order."""

    axes: tuple[int, ...] | None = optional(
        sizes(
            least=-1,
            doc="which input axis each output axis is; None, or none at all, reverses them",
        )
    )

    name = "transpose"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if not self.axes:
            return shape[::-1]
        if sorted(axis % len(shape) for axis in self.axes) != list(range(len(shape))):
            self.refuse("data", shape, f"axes {self.axes} do not name each of its axes once")
        return tuple(shape[axis] for axis in self.axes)

    def forward(self, data: Memory, output: Memory) -> None:
        _copy(output, data.transpose(self.axes or None))

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        if not self.axes:
            return apply(self, *out_grads)
        order = [axis % len(self.axes) for axis in self.axes]
        return apply(Transpose(tuple(map(order.index, range(len(order))))), *out_grads)


@attrs.frozen
class SwapAxis(_Moved):
    """Two axes in each other's place."""

    dim1: int = integer(0, doc="the one axis")
    dim2: int = integer(0, doc="the other axis")

    name = "SwapAxis"

    def output_shape(self, *shapes: Shape) -> Shape:
        found = list(shapes[0])
        one, other = (
            normalize_axis(self.name, each, len(found)) for each in (self.dim1, self.dim2)
        )
        found[one], found[other] = found[other], found[one]
        return tuple(found)

    def forward(self, data: Memory, output: Memory) -> None:
        _copy(output, data.swapaxes(self.dim1, self.dim2))


@attrs.frozen
class Flip(_Moved):
    """The elements in the opposite order along some axes."""

    axis: tuple[int, ...] = sizes(least=-1, doc="the axis or axes to turn round")

    name = "flip"

    def output_shape(self, *shapes: Shape) -> Shape:
        for each in self.axis:
            normalize_axis(self.name, each, len(shapes[0]))
        return shapes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, np.flip(data, self.axis))
