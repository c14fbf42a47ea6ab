"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.blocks import BLOCK, all_floating, blocks, select
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import choice, flag, number, sizes
from actorflow.ops.reduce import normalize_axis
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Dropout", "DropoutAtInference", "DropoutGradient"]

_BOOL: Final = np.dtype(np.bool)
_LEVELS: Final = 1 << 16  # how many values the 16 bits have that are drawn for an element
_PER_DRAW: Final = 4  # 16-bit numbers in the 64 bits that a generator gives at once


@attrs.frozen
class Dropout(Operator):
    """Elements replaced with 0, each with probability `p`; the others multiplied by `1 / (1 - p)`.

    So the mean stays what it was (Srivastava et al. 2014). `data` and the output have one shape and
    one floating type; at inference they are equal, unless `mode` is "always". The hidden output
    `mask` is True where an element was kept.
    """

    p: float = number(0.5, least=0, most=1, doc="the probability with which an element is dropped")
    mode: str = choice(
        "training", "always", default="training", doc="when to drop: always means at inference too"
    )
    axes: tuple[int, ...] = sizes(
        (),
        least=-1,
        doc="axes along which all elements share one draw, for dropping whole rows or maps",
    )
    cudnn_off: bool = flag(False, doc="for files that have it: no effect")

    name = "Dropout"
    inputs = ("data",)
    outputs = ("output", "mask")
    hidden = 1
    inplace = (("data", "output"),)
    draws = True
    partial = True

    @property
    def scale(self) -> float:
        """What the elements that are kept are multiplied by."""
        return 1 / (1 - self.p) if self.p < 1 else 0.0

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        (data,) = shapes
        return shapes, (data, None if data is None else self.mask_shape(data))

    def mask_shape(self, data: Shape) -> Shape:
        shared = {normalize_axis(self.name, axis, len(data)) for axis in self.axes}
        return tuple(1 if axis in shared else size for axis, size in enumerate(data))

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        found, (output, _) = all_floating(self, dtypes)
        return found, (output, None if output is None else _BOOL)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        if self.axes:
            return ((self.mask_shape(shapes[0]), _BOOL),)
        size = min(prod(shapes[0]), BLOCK)
        return ((size,), dtypes[0]), ((size,), _BOOL)

    def forward(self, data: Memory, output: Memory, mask: Memory | None, *rest: Any) -> None:
        *rooms, rng = rest
        if self.axes:
            kept = rooms[0] if mask is None else mask
            flat = kept.reshape(-1)
            for part in blocks(flat.size):
                self._draw(flat[part], rng)
            np.multiply(data, self.scale, output)
            np.multiply(output, kept, output)
            return
        room, spare = rooms
        flat, target = data.reshape(-1), output.reshape(-1)
        for part in blocks(flat.size):
            kept = spare[: part.stop - part.start] if mask is None else mask.reshape(-1)[part]
            self._draw(kept, rng)
            _masked(flat[part], kept, self.scale, target[part], room)

    def _draw(self, kept: Memory, rng: np.random.Generator) -> None:
        """Draw which elements are kept: 16 bits for each, and for one in 65536 more.

        The 16 bits are compared with the probability's first 16; where they are equal, which is
        rare, another draw decides by the rest of the probability. So it counts in full.
        """
        whole, rest = divmod((1 - self.p) * _LEVELS, 1)
        if whole >= _LEVELS:
            kept.fill(True)
            return
        drawn = rng.integers(0, 1 << 64, -(-kept.size // _PER_DRAW), np.uint64).view(np.uint16)
        drawn = drawn[: kept.size]
        np.less(drawn, np.uint16(whole), out=kept)
        if rest:
            equal = np.flatnonzero(drawn == np.uint16(whole))
            kept[equal] = rng.random(len(equal)) < rest

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(DropoutGradient(self), *out_grads, outputs[1])

    def again(self) -> Operator:
        # Elements are dropped and scaled alike on the way back.
        return DropoutGradient(self)

    def at_inference(self) -> Operator:
        return self if self.mode == "always" else DropoutAtInference(self)


@attrs.frozen
class DropoutAtInference(Operator):
    """What `Dropout` is at inference: nothing. The mask, if anybody wants it, says so."""

    layer: Dropout

    name = "Dropout"
    inputs = ("data",)
    outputs = ("output", "mask")
    hidden = 1
    inplace = (("data", "output"),)
    is_view = True
    partial = True

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return self.layer.infer_shape(*shapes)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return self.layer.infer_type(*dtypes)

    def forward(self, data: Memory, output: Memory, mask: Memory | None) -> None:
        np.copyto(output, data)
        if mask is not None:
            mask.fill(True)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return out_grads


@attrs.frozen
class DropoutGradient(Operator):
    """The gradient of a `Dropout`: dropped and scaled as the elements were."""

    layer: Dropout

    name = "Dropout_gradient"
    inputs = ("grad", "mask")
    outputs = ("data_grad",)
    inplace = (("grad", "data_grad"),)

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        return not self.layer.axes

    def output_shape(self, *shapes: Shape) -> Shape:
        grad, mask = shapes
        if mask != self.layer.mask_shape(grad):
            self.refuse("mask", mask, f"grad {grad} needs {self.layer.mask_shape(grad)}")
        return grad

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        if dtypes[1] != _BOOL:
            raise DTypeError(f"{self.name}: mask is {dtypes[1].name}, but needs bool")
        return dtypes[0]

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return () if self.layer.axes else (((min(prod(shapes[0]), BLOCK),), dtypes[0]),)

    def forward(self, grad: Memory, mask: Memory, data_grad: Memory, *rooms: Memory) -> None:
        scale = self.layer.scale
        if self.layer.axes:
            np.multiply(grad, scale, data_grad)
            np.multiply(data_grad, mask, data_grad)
            return
        flat, kept, target = grad.reshape(-1), mask.reshape(-1), data_grad.reshape(-1)
        for part in blocks(flat.size):
            _masked(flat[part], kept[part], scale, target[part], *rooms)


def _masked(data: Memory, kept: Memory, scale: float, output: Memory, room: Memory) -> None:
    """Fill `output` with `data * scale` where it is kept, and with 0 elsewhere."""
    np.multiply(data, scale, output)
    select(output, kept, output, room[: data.size])
