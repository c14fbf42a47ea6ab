"""Rectifiers that let a part of what is negative through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.ops.blocks import (
    BLOCK,
    all_floating,
    at_least_zero,
    at_most_zero,
    blocks,
    run,
    space,
    working_type,
)
from actorflow.ops.elementwise import ELEMENTWISE
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import choice, number
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["LeakyReLU", "LeakyReLUGradient", "LeakyReLUMean", "PReLUGradient"]


@attrs.frozen
class LeakyReLU(Operator):
    """`x` where it is positive, and elsewhere what `act_type` says.

    `data` and the output have one shape and one floating type.

    - leaky: `slope * x` (Maas et al. 2013)
    - elu: `slope * (exp(x) - 1)` (Clevert et al. 2015, arXiv 1511.07289)
    - prelu: `gamma * x`, where `gamma`, a second input, has a number for each channel, the second
      axis of `data`, or one for all (He et al. 2015, arXiv 1502.01852)
    - rrelu: a slope for each element, drawn evenly from `lower_bound` to `upper_bound`; at
      inference the mean of the two (Xu et al. 2015, arXiv 1505.00853). What each element was
      multiplied by is a hidden output.
    """

    act_type: str = choice("leaky", "elu", "prelu", "rrelu", default="leaky", doc="which of them")
    slope: float = number(0.25, doc="the slope of leaky, the depth of elu")
    lower_bound: float = number(0.125, doc="the least slope that rrelu draws")
    upper_bound: float = number(0.334, doc="the greatest slope that rrelu draws")

    name = "LeakyReLU"

    def __attrs_post_init__(self) -> None:
        if self.act_type == "elu" and self.slope < 0:
            raise ValueError(f"slope needs a number of at least 0 for elu, got {self.slope}")
        if self.lower_bound > self.upper_bound:
            raise ValueError(
                f"lower_bound {self.lower_bound} is greater than upper_bound {self.upper_bound}"
            )

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("data", "gamma") if self.act_type == "prelu" else ("data",)

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("output", "mask") if self.draws else ("output",)

    @property
    def hidden(self) -> int:  # type: ignore[override]
        return int(self.draws)

    @property
    def draws(self) -> bool:  # type: ignore[override]
        return self.act_type == "rrelu"

    @property
    def partial(self) -> bool:  # type: ignore[override]
        return self.draws

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        return self.act_type in ("leaky", "elu")

    @property
    def by_output(self) -> bool:
        """Whether the gradient needs no more than the output, whose sign is then that of `data`."""
        return self.act_type == "elu" or (self.act_type == "leaky" and self.slope >= 0)

    @property
    def inplace(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]
        return (("data", "output"),)

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        data = shapes[0]
        if data is None:
            return shapes, (None,) * len(self.outputs)
        if self.act_type == "prelu":
            needed = (data[1] if len(data) > 1 else 1,)
            gamma = shapes[1] or needed
            if gamma not in (needed, (1,)):
                self.refuse("gamma", gamma, f"data {data} needs {needed}, or (1,)")
            return (data, gamma), (data,)
        return shapes, (data,) * len(self.outputs)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        data = shapes[0]
        if self.act_type == "prelu":
            return (((_room(data),), working_type(dtypes[0])),)
        if self.act_type == "rrelu":
            return (((min(prod(data), BLOCK),), working_type(dtypes[0])),)
        return space(prod(data), (dtypes[0],) * 2, 1)

    def forward(self, *arrays: Any) -> None:
        if self.act_type == "prelu":
            _prelu(*arrays)
        elif self.act_type == "rrelu":
            self._rrelu(*arrays)
        else:
            data, output, *scratch = arrays
            run(self._elu if self.act_type == "elu" else self._leaky, [data], [output], scratch)

    def _leaky(self, data: Memory, output: Memory, room: Memory) -> None:
        np.multiply(data, self.slope, room)
        # x is above slope * x where it is positive, if the slope is not above 1.
        (np.maximum if self.slope <= 1 else np.minimum)(data, room, out=output)

    def _elu(self, data: Memory, output: Memory, room: Memory) -> None:
        at_most_zero(data, room)
        np.expm1(room, room)
        np.multiply(room, self.slope, room)
        at_least_zero(data, output)
        np.add(output, room, output)

    def _rrelu(
        self,
        data: Memory,
        output: Memory,
        mask: Memory | None,
        room: Memory,
        rng: np.random.Generator,
    ) -> None:
        flat, target = data.reshape(-1), output.reshape(-1)
        kept = None if mask is None else mask.reshape(-1)
        for part in blocks(flat.size):
            block = flat[part]
            slopes = room[: block.size]
            rng.random(dtype=slopes.dtype.type, out=slopes)
            np.multiply(slopes, self.upper_bound - self.lower_bound, slopes)
            np.add(slopes, self.lower_bound, slopes)
            np.copyto(slopes, 1, where=block > 0)
            if kept is not None:
                np.copyto(kept[part], slopes, casting="same_kind")
            np.multiply(block, slopes, target[part], casting="same_kind")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        (grad,) = out_grads
        if self.act_type == "prelu":
            return apply(PReLUGradient(), *inputs, grad)
        if self.act_type == "rrelu":
            return apply(ELEMENTWISE["multiply"], grad, outputs[1])
        by = outputs[0] if self.by_output else inputs[0]
        return apply(LeakyReLUGradient(self.act_type, self.slope), by, grad)

    def at_inference(self) -> Operator:
        if self.act_type != "rrelu":
            return self
        return LeakyReLUMean((self.lower_bound + self.upper_bound) / 2)


@attrs.frozen
class LeakyReLUMean(Operator):
    """What `LeakyReLU` with random slopes is at inference: one slope, and a mask that few want."""

    slope: float

    name = "LeakyReLU"
    inputs = ("data",)
    outputs = ("output", "mask")
    hidden = 1
    inplace = (("data", "output"),)
    partial = True

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return shapes, shapes * 2

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return LeakyReLU("leaky", self.slope).scratch(shapes, dtypes)

    def forward(self, data: Memory, output: Memory, mask: Memory | None, *scratch: Memory) -> None:
        if mask is not None:
            np.copyto(mask, self.slope, casting="same_kind")
            np.copyto(mask, 1, where=data > 0)
        LeakyReLU("leaky", self.slope).forward(data, output, *scratch)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ELEMENTWISE["multiply"], *out_grads, outputs[1])


@attrs.frozen
class LeakyReLUGradient(Operator):
    """The gradient of leaky and elu, `by` the output, or for leaky by `data` just as well."""

    act_type: str
    slope: float

    name = "LeakyReLU_gradient"
    elementwise = True
    inputs = ("by", "grad")
    outputs = ("data_grad",)
    inplace = (("grad", "data_grad"), ("by", "data_grad"))

    def output_shape(self, *shapes: Shape) -> Shape:
        by, grad = shapes
        if grad != by:
            self.refuse("grad", grad, f"the output has {by}")
        return by

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return space(prod(shapes[0]), (dtypes[0],) * 3, 2)

    def forward(self, by: Memory, grad: Memory, data_grad: Memory, *scratch: Memory) -> None:
        run(self._elu if self.act_type == "elu" else self._leaky, [by, grad], [data_grad], scratch)

    def _leaky(
        self, by: Memory, grad: Memory, data_grad: Memory, room: Memory, _more: Memory
    ) -> None:
        if 0 <= self.slope <= 1:
            np.greater(by, 0, room)
            room.clip(self.slope, 1, out=room)
        else:
            np.less_equal(by, 0, room)
            np.multiply(room, self.slope - 1, room)
            np.add(room, 1, room)
        np.multiply(grad, room, data_grad)

    def _elu(self, by: Memory, grad: Memory, data_grad: Memory, room: Memory, more: Memory) -> None:
        # slope * exp(x) is the output + slope where x is negative.
        np.greater(by, 0, more)
        np.multiply(more, 1 - self.slope, more)
        at_most_zero(by, room)
        np.add(room, self.slope, room)
        np.add(room, more, room)
        np.multiply(grad, room, data_grad)


@attrs.frozen
class PReLUGradient(Operator):
    """The gradients of prelu: of `data` and, summed over all but the channels, of `gamma`."""

    name = "LeakyReLU_gradient"
    inputs = ("data", "gamma", "grad")
    outputs = ("data_grad", "gamma_grad")
    inplace = (("grad", "data_grad"), ("data", "data_grad"))
    partial = True

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return shapes, shapes[:2]

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        found, outputs = all_floating(self, dtypes)
        return found, outputs

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        work = working_type(dtypes[0])
        return ((_room(shapes[0]),), work), (_by_channel(shapes[0])[1:2], work)

    def forward(
        self,
        data: Memory,
        gamma: Memory,
        grad: Memory,
        data_grad: Memory | None,
        gamma_grad: Memory | None,
        room: Memory,
        total: Memory,
    ) -> None:
        shape = _by_channel(data.shape)
        data, grad = data.reshape(shape), grad.reshape(shape)
        slopes = np.broadcast_to(gamma, shape[1:2])[:, np.newaxis]
        target = None if data_grad is None else data_grad.reshape(shape)
        total.fill(0)
        for samples, channels in _parts(shape):
            block, above = data[samples, channels], grad[samples, channels]
            work = room[: block.size].reshape(block.shape)
            if gamma_grad is not None:
                at_most_zero(block, work)
                np.multiply(work, above, work)
                total[channels] += np.add.reduce(work, (0, 2))
            if target is not None:
                slope = slopes[channels]
                np.greater(block, 0, work)
                np.multiply(work, 1 - slope, work)
                np.add(work, slope, work)
                np.multiply(above, work, target[samples, channels], casting="same_kind")
        if gamma_grad is not None:
            found = total if gamma_grad.size == total.size else total.sum()
            np.copyto(gamma_grad, found, casting="same_kind")


def _prelu(data: Memory, gamma: Memory, output: Memory, room: Memory) -> None:
    shape = _by_channel(data.shape)
    data, output = data.reshape(shape), output.reshape(shape)
    slopes = np.broadcast_to(gamma, shape[1:2])[:, np.newaxis]
    for samples, channels in _parts(shape):
        block, target = data[samples, channels], output[samples, channels]
        work = room[: block.size].reshape(block.shape)
        at_most_zero(block, work)
        np.multiply(work, slopes[channels], work)
        at_least_zero(block, target)
        np.add(target, work, target, casting="same_kind")


def _by_channel(shape: Shape) -> Shape:
    """The samples, the channels and all else of an array's shape."""
    return (shape[0], shape[1], prod(shape[2:])) if len(shape) > 1 else (shape[0], 1, 1)


def _room(shape: Shape) -> int:
    """The greatest number of elements that `_parts` gives at once."""
    _, channels, rest = _by_channel(shape)
    return min(prod(shape), max(BLOCK, rest)) if channels else 0


def _parts(shape: Shape) -> Iterator[tuple[slice, slice]]:
    """Blocks of an array by sample and channel: whole samples, or channels of one."""
    count, channels, rest = shape
    if not count * channels * rest:
        return
    step = max(1, BLOCK // (channels * rest))
    some = channels if channels * rest <= BLOCK else max(1, BLOCK // rest)
    for samples in blocks(count, step):
        for part in blocks(channels, some):
            yield samples, part
