"""Operators that repeat axes, and the one that adds the copies up again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import optional, sizes
from actorflow.ops.types import normalize_axis

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["BroadcastAxis", "BroadcastLike", "BroadcastTo", "SumLike", "broadcast_shapes"]


def broadcast_shapes(name: str, inputs: tuple[str, ...], shapes: tuple[Shape, ...]) -> Shape:
    """The shape that all `shapes` broadcast to.

    Raises:
      ShapeError: they do not; the message names the operator and its inputs.
    """
    first = shapes[0]
    if shapes.count(first) == len(shapes):  # as nearly always
        return first
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        got = " and ".join(f"{each} {shape}" for each, shape in zip(inputs, shapes, strict=True))
        raise ShapeError(
            f"{name}: cannot broadcast {got}: counted from the last axis, sizes need to be equal "
            "or 1"
        ) from None


@attrs.frozen
class SumLike(Operator):
    """`data` added up over the axes along which `like` was repeated to get its shape.

    It undoes broadcasting: the gradient of what was broadcast is the sum over its copies. The
    output has the shape and the data type of `like`; float16 is added up in float32.
    """

    name = "sum_like"
    elementwise = True
    inputs = ("data", "like")
    inplace = (("data", "output"),)
    unread = ("like",)

    def output_shape(self, *shapes: Shape) -> Shape:
        data, like = shapes
        if data == like:  # as nearly always
            return like
        lead = len(data) - len(like)
        if lead < 0 or any(
            got not in (1, size) for got, size in zip(like, data[lead:], strict=True)
        ):
            self.refuse("data", data, f"like {like} does not broadcast to it")
        return like

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[1]

    def is_identity(self, *shapes: Shape) -> bool:
        return shapes[0] == shapes[1]

    def forward(self, data: Memory, like: Memory, output: Memory) -> None:
        if data.shape == output.shape:
            np.copyto(output, data, casting="unsafe")
            return
        lead = data.ndim - output.ndim
        kept = output.reshape((1,) * lead + output.shape)
        axes = tuple(axis for axis, size in enumerate(kept.shape) if size != data.shape[axis])
        axes = axes or tuple(range(lead))  # leading axes of size 1 alone
        if data.dtype == np.float16:
            kept[...] = np.add.reduce(data, axes, np.float32, keepdims=True)
        elif data.dtype != output.dtype:
            np.copyto(kept, np.add.reduce(data, axes, keepdims=True), casting="unsafe")
        else:
            np.add.reduce(data, axes, None, kept, keepdims=True)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (*apply(BroadcastLike(), *out_grads, inputs[0]), None)


class _Broadcast(Operator):
    """What the operators that repeat axes of size 1 share."""

    __slots__ = ()

    inputs: tuple[str, ...] = ("data",)
    elementwise = True
    overlap_safe = True

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def is_identity(self, *shapes: Shape) -> bool:
        return self.output_shape(*shapes) == shapes[0]

    def forward(self, *arrays: Memory) -> None:
        np.copyto(arrays[-1], arrays[0], casting="unsafe")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(SumLike(), *out_grads, inputs[0])


@attrs.frozen
class BroadcastTo(_Broadcast):
    """Axes of size 1 repeated, and new ones put in front."""

    shape: tuple[int, ...] = sizes(
        doc="the shape to give, with as many axes as the input or more; 0 keeps an axis's size"
    )

    name = "broadcast_to"

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


@attrs.frozen
class BroadcastAxis(_Broadcast):
    """Some axes of size 1 repeated."""

    axis: tuple[int, ...] = sizes((), least=-1, doc="the axes to repeat, each of size 1")
    size: tuple[int, ...] = sizes((), doc="how long each of them becomes")

    name = "broadcast_axis"

    def __attrs_post_init__(self) -> None:
        if len(self.axis) != len(self.size):
            raise ParameterError(
                f"{self.name}: axis {self.axis} and size {self.size} need to be equally many"
            )

    def output_shape(self, *shapes: Shape) -> Shape:
        found = list(shapes[0])
        for axis, size in zip(self.axis, self.size, strict=True):
            place = normalize_axis(self.name, axis, len(found))
            if found[place] != 1:
                self.refuse("data", shapes[0], f"only axes of size 1 can be repeated, not {axis}")
            found[place] = size
        return tuple(found)


@attrs.frozen
class BroadcastLike(_Broadcast):
    """`lhs` repeated to the shape of `rhs`, of which nothing else is used."""

    lhs_axes: tuple[int, ...] | None = optional(
        sizes(least=-1, doc="the axes of lhs to repeat, each of size 1; None for all that differ")
    )
    rhs_axes: tuple[int, ...] | None = optional(
        sizes(least=-1, doc="the axes of rhs whose sizes they get")
    )

    name = "broadcast_like"
    inputs = ("lhs", "rhs")
    unread = ("rhs",)

    def __attrs_post_init__(self) -> None:
        if len(self.lhs_axes or ()) != len(self.rhs_axes or ()):
            raise ParameterError(
                f"{self.name}: lhs_axes {self.lhs_axes} and rhs_axes {self.rhs_axes} need to be "
                "equally many"
            )

    def output_shape(self, *shapes: Shape) -> Shape:
        lhs, rhs = shapes
        if not self.lhs_axes or not self.rhs_axes:
            lead = len(rhs) - len(lhs)
            if lead < 0 or any(
                got not in (1, size) for got, size in zip(lhs, rhs[lead:], strict=True)
            ):
                self.refuse("lhs", lhs, f"only axes of size 1 can become those of rhs {rhs}")
            return rhs
        found = list(lhs)
        for left, right in zip(self.lhs_axes, self.rhs_axes, strict=True):
            place = normalize_axis(self.name, left, len(lhs))
            size = rhs[normalize_axis(self.name, right, len(rhs))]
            if lhs[place] not in (1, size):
                self.refuse("lhs", lhs, f"axis {left} needs size 1 or {size}, as rhs {rhs} has")
            found[place] = size
        return tuple(found)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (*apply(SumLike(), *out_grads, inputs[0]), None)
