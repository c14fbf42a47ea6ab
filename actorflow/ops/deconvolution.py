"""Transposed convolutions over one, two or three axes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.errors import ParameterError
from actorflow.ops import half, tiling, unroll
from actorflow.ops.convolution import LAYOUTS, TUNING, axes_wanted, check_layout, each_axis
from actorflow.ops.layer import LayerGradient
from actorflow.ops.operator import MULTIPLY_US, Operator
from actorflow.ops.parameters import choice, flag, integer, optional, sizes
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Deconvolution", "DeconvolutionGradient"]


@attrs.frozen
class Deconvolution(Operator):
    """A transposed convolution, plus `bias`: what a convolution does to gradients.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, `weight` is
    `(channels, num_filter / num_group, *kernel)`, `bias` `(num_filter,)`, and the output
    `(n, num_filter, *out)` with `out = stride (size - 1) + dilate (kernel - 1) + 1 - 2 pad + adj`
    (M. Zeiler, D. Krishnan, G. Taylor, R. Fergus: Deconvolutional Networks, 2010). float16 is
    computed in float32.
    """

    kernel: tuple[int, ...] = sizes(least=1, doc="the size of the kernel: w, (h, w) or (d, h, w)")
    num_filter: int = integer(least=1, doc="the number of channels of the output")
    stride: tuple[int, ...] = sizes((), least=1, doc="how far apart the data is put; 1 by default")
    dilate: tuple[int, ...] = sizes(
        (), least=1, doc="the distance between the kernel's points; 1 if not given"
    )
    pad: tuple[int, ...] = sizes((), doc="how much to leave out on each side; 0 if not given")
    adj: tuple[int, ...] = sizes((), doc="how much to add at the end, less than the stride")
    target_shape: tuple[int, ...] = sizes(
        (), doc="the size of the output, in place of pad and adj, if not 0"
    )
    num_group: int = integer(1, least=1, doc="the number of groups of channels")
    workspace: int = integer(512, least=0, doc="taken for MXNet's sake, and not used")
    no_bias: bool = flag(True, doc="leave the bias out")
    cudnn_tune: str | None = optional(choice(*TUNING, doc="taken for MXNet's sake, and not used"))
    cudnn_off: bool = flag(False, doc="taken for MXNet's sake, and not used")
    layout: str | None = optional(
        choice(*LAYOUTS, doc="how the data lies; only the channels before the sizes")
    )

    name = "Deconvolution"
    costly = True

    def __attrs_post_init__(self) -> None:
        axes = len(self.kernel)
        if not 1 <= axes <= len(LAYOUTS):
            raise ParameterError(f"{self.name}: kernel is {self.kernel}, but needs 1 to 3 axes")
        for name in ("dilate", "pad", "target_shape"):
            each_axis(self, name, getattr(self, name), axes, 0)
        check_layout(self, self.layout, axes)
        strides = each_axis(self, "stride", self.stride, axes, 1)
        for adj, stride in zip(each_axis(self, "adj", self.adj, axes, 0), strides, strict=True):
            if adj >= stride:
                raise ParameterError(
                    f"{self.name}: adj is {self.adj}, but needs to be less than stride={strides}"
                )
        if self.num_filter % self.num_group:
            raise ParameterError(
                f"{self.name}: num_filter is {self.num_filter}, which num_group={self.num_group} "
                f"does not divide"
            )

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("data", "weight") if self.no_bias else ("data", "weight", "bias")

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        data = shapes[0]
        if data is None:
            return shapes, (None,)
        axes = len(self.kernel)
        if len(data) != axes + 2:
            self.refuse("data", data, axes_wanted(self.kernel, data))
        if data[1] % self.num_group or not data[1]:
            self.refuse("data", data, f"its {data[1]} channels need to be num_group times as many")
        weight = (data[1], self.num_filter // self.num_group, *self.kernel)
        needed: tuple[Shape, ...] = (data, weight, (self.num_filter,))
        for name, got, needs in zip(self.inputs, shapes, needed, strict=False):
            if got is not None and got != needs:
                told = f"kernel={self.kernel}, num_filter={self.num_filter}"
                self.refuse(name, got, f"data {data} with {told} needs {needs}")
        out, _ = self.sizes(data)
        return needed[: len(shapes)], ((data[0], self.num_filter, *out),)

    def sizes(self, data: Shape) -> tuple[Shape, Shape]:
        """The sizes of the output, and what is left out of each side."""
        axes = len(self.kernel)
        stride = each_axis(self, "stride", self.stride, axes, 1)
        dilate = each_axis(self, "dilate", self.dilate, axes, 1)
        whole = tuple(
            step * (size - 1) + apart * (points - 1) + 1
            for size, points, step, apart in zip(data[2:], self.kernel, stride, dilate, strict=True)
        )
        if any(self.target_shape):
            out = self.target_shape
            pad = tuple((full - size + 1) // 2 for full, size in zip(whole, out, strict=True))
            # Of an odd rest the end keeps one more, as with adj, for which there has to be room.
            rests = (full - size for full, size in zip(whole, out, strict=True))
            fits = all(rest >= 0 and rest % 2 < by for rest, by in zip(rests, stride, strict=True))
            if not fits:
                self.refuse("data", data, f"of its {whole} target_shape={out} cannot be made")
        else:
            pad = each_axis(self, "pad", self.pad, axes, 0)
            adj = each_axis(self, "adj", self.adj, axes, 0)
            out = tuple(
                full - 2 * side + more for full, side, more in zip(whole, pad, adj, strict=True)
            )
        if min(*out, *data[2:]) < 1:
            self.refuse("data", data, f"the output would be {out}")
        return out, pad

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return self.one_type(dtypes)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        computed = half.computed_in(dtypes[0])
        return tuple((shape, computed) for shape in planned(self, shapes[0]).work("spread"))

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        del outputs
        # The products of matrices take about as long again to be laid out.
        return 2 * MULTIPLY_US * prod(inputs[0]) * prod(inputs[1][1:])

    def forward(self, *arrays: Memory) -> None:
        count = len(self.inputs)
        data, weight, *bias = (half.wide(array) for array in arrays[:count])
        output, *work = arrays[count:]
        target = half.target(output)
        unroll.spread(planned(self, data.shape), data, weight, target, tuple(work))
        for each in bias:
            np.add(target, each.reshape(-1, *[1] * len(self.kernel)), out=target)
        half.deliver(target, output)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(DeconvolutionGradient(self), *inputs[:2], *out_grads)


@attrs.frozen
class DeconvolutionGradient(LayerGradient):
    """The gradients of a `Deconvolution`: that of the data is the convolution of `grad`."""

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        how = planned(self.layer, shapes[0])
        both = zip(how.work("convolve"), how.work("correlate"), strict=True)
        return tuple((max(pair), half.computed_in(dtypes[0])) for pair in both)

    def forward(self, *arrays: Memory) -> None:
        data, weight, grad = (half.wide(array) for array in arrays[:3])
        wanted = arrays[3 : 3 + len(self.outputs)]
        work = arrays[3 + len(self.outputs) :]
        how = planned(self.layer, data.shape)
        for name, output in zip(self.layer.inputs, wanted, strict=True):
            if output is None:
                continue
            target = half.target(output)
            if name == "data":
                unroll.convolve(how, grad, weight, None, target, work)
            elif name == "weight":
                unroll.correlate(how, grad, data, target, work)
            else:
                count = prod(grad.shape[2:])
                np.add.reduce(grad.reshape(-1, self.layer.num_filter, count), (0, 2), out=target)
            half.deliver(target, output)


@functools.lru_cache(maxsize=1024)
def planned(layer: Deconvolution, data: Shape) -> tiling.Plan:
    """How a layer computes data of that shape: as the convolution that it is the transposed of."""
    axes = len(layer.kernel)
    out, pad = layer.sizes(data)
    stride = each_axis(layer, "stride", layer.stride, axes, 1)
    dilate = each_axis(layer, "dilate", layer.dilate, axes, 1)
    above = (data[0], layer.num_filter, *out)
    return tiling.plan_of(
        above, data[1], layer.num_group, data[2:], layer.kernel, stride, dilate, pad
    )
