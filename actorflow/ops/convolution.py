"""Convolutions over one, two or three axes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import ParameterError
from actorflow.ops import half, tiling, unroll
from actorflow.ops.layer import LayerGradient
from actorflow.ops.operator import MULTIPLY_US, Operator
from actorflow.ops.parameters import choice, flag, integer, optional, sizes
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Convolution", "ConvolutionGradient", "each_axis"]

LAYOUTS: Final = ("NCW", "NCHW", "NCDHW")
TUNING: Final = ("off", "limited_workspace", "fastest")


def each_axis(operator: Operator, name: str, given: Shape, axes: int, default: int) -> Shape:
    """A parameter that has a number per axis: the default for each if none is given.

    Raises:
      ParameterError: it has another number of them than the kernel has.
    """
    if given and len(given) != axes:
        raise ParameterError(
            f"{operator.name}: {name} is {given}, but the kernel has {axes} axes, so it needs "
            f"as many numbers"
        )
    return given or (default,) * axes


def axes_wanted(kernel: Shape, data: Shape) -> str:
    """What a kernel of so many axes needs, and which kernel such data would need."""
    axes, own = len(kernel), len(data) - 2
    told = f"kernel={kernel} needs (n, channels) and {axes} more axes"
    if 1 <= own <= len(LAYOUTS):
        told += f"; such data needs a kernel of {own}, as kernel={(kernel[0],) * own}"
    return told


def check_layout(operator: Operator, layout: str | None, axes: int) -> None:
    """Refuse the name of a layout that has another number of axes.

    Raises:
      ParameterError: it has.
    """
    if layout is not None and layout != LAYOUTS[axes - 1]:
        raise ParameterError(
            f"{operator.name}: layout is {layout!r}, but a kernel with {axes} axes needs "
            f"{LAYOUTS[axes - 1]!r}"
        )


@attrs.frozen
class Convolution(Operator):
    """A convolution (a cross-correlation, as everywhere in deep learning), plus `bias`.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, `weight` is
    `(num_filter, channels / num_group, *kernel)`, `bias` `(num_filter,)`, and the output is
    `(n, num_filter, *out)` with `out = (size + 2 pad - dilate (kernel - 1) - 1) // stride + 1`:

        output[n, f, y] = bias[f] + sum of weight[f, c, i] data[n, c, y stride + i dilate - pad]

    over all c and i, where the data is 0 outside. With several groups each sees its own share of
    the channels. It is computed as matrix products; float16 is computed in float32.
    """

    kernel: tuple[int, ...] = sizes(least=1, doc="the size of the kernel: w, (h, w) or (d, h, w)")
    num_filter: int = integer(least=1, doc="the number of channels of the output")
    stride: tuple[int, ...] = sizes((), least=1, doc="the step of the kernel; 1 if not given")
    dilate: tuple[int, ...] = sizes(
        (), least=1, doc="the distance between the kernel's points; 1 if not given"
    )
    pad: tuple[int, ...] = sizes((), doc="zeros put on each side; none if not given")
    num_group: int = integer(1, least=1, doc="the number of groups of channels")
    workspace: int = integer(1024, least=0, doc="taken for MXNet's sake, and not used")
    no_bias: bool = flag(False, doc="leave the bias out")
    cudnn_tune: str | None = optional(choice(*TUNING, doc="taken for MXNet's sake, and not used"))
    cudnn_off: bool = flag(False, doc="taken for MXNet's sake, and not used")
    layout: str | None = optional(
        choice(*LAYOUTS, doc="how the data lies; only the channels before the sizes")
    )

    name = "Convolution"
    costly = True

    def __attrs_post_init__(self) -> None:
        axes = len(self.kernel)
        if not 1 <= axes <= len(LAYOUTS):
            raise ParameterError(f"{self.name}: kernel is {self.kernel}, but needs 1 to 3 axes")
        for name in ("stride", "dilate", "pad"):
            each_axis(self, name, getattr(self, name), axes, 0)
        check_layout(self, self.layout, axes)
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
        out = self._out(data)
        if min(out) < 1:
            self.refuse("data", data, f"it is smaller than the kernel: the output would be {out}")
        weight = (self.num_filter, data[1] // self.num_group, *self.kernel)
        needed: tuple[Shape, ...] = (data, weight, (self.num_filter,))
        for name, got, needs in zip(self.inputs, shapes, needed, strict=False):
            if got is not None and got != needs:
                self.refuse(name, got, f"data {data} with {self._told()} needs {needs}")
        return needed[: len(shapes)], ((data[0], self.num_filter, *out),)

    def _told(self) -> str:
        groups = f", num_group={self.num_group}" if self.num_group > 1 else ""
        return f"kernel={self.kernel}, num_filter={self.num_filter}{groups}"

    def _out(self, data: Shape) -> Shape:
        kernel, stride, dilate, pad = _window(self)
        return tuple(
            (size + 2 * around - apart * (points - 1) - 1) // step + 1
            for size, points, step, apart, around in zip(
                data[2:], kernel, stride, dilate, pad, strict=True
            )
        )

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return self.one_type(dtypes)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return _as_scratch(planned(self, shapes[0]).work("convolve"), dtypes[0])

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        # The products of matrices take about as long again to be laid out.
        return 2 * MULTIPLY_US * prod(outputs[0]) * prod(inputs[1][1:])

    def forward(self, *arrays: Memory, after: Callable[[Memory], None] | None = None) -> None:
        count = len(self.inputs)
        data, weight, *bias = (half.wide(array) for array in arrays[:count])
        output, *work = arrays[count:]
        target = half.target(output)
        how = planned(self, data.shape)
        shift = bias[0] if bias else None
        unroll.convolve(how, data, weight, shift, target, tuple(work), after)
        half.deliver(target, output)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ConvolutionGradient(self), *inputs[:2], *out_grads)


@attrs.frozen
class ConvolutionGradient(LayerGradient):
    """The gradients of a `Convolution`.

    That of the data is the transposed convolution of `grad`, that of the weights the correlation
    of `data` with `grad`, that of the bias a sum.
    """

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        how = planned(self.layer, shapes[0])
        back = tiling.reverse(how)
        first = how.work("spread") if back is None else back.work("convolve")
        both = tuple(max(pair) for pair in zip(first, how.work("correlate"), strict=True))
        return _as_scratch((*both, (1 if back is None else prod(shapes[1]),)), dtypes[0])

    def forward(self, *arrays: Memory) -> None:
        data, weight, grad = (half.wide(array) for array in arrays[:3])
        wanted = arrays[3 : 3 + len(self.outputs)]
        *work, turned = arrays[3 + len(self.outputs) :]
        how = planned(self.layer, data.shape)
        back = tiling.reverse(how)
        for name, output in zip(self.layer.inputs, wanted, strict=True):
            if output is None:
                continue
            target = half.target(output)
            if name == "data" and back is not None:
                weights = unroll.flipped(how, weight, turned)
                unroll.convolve(back, grad, weights, None, target, tuple(work))
            elif name == "data":
                unroll.spread(how, grad, weight, target, tuple(work))
            elif name == "weight":
                unroll.correlate(how, data, grad, target, tuple(work))
            else:
                count = prod(grad.shape[2:])
                np.add.reduce(grad.reshape(-1, self.layer.num_filter, count), (0, 2), out=target)
            half.deliver(target, output)


@functools.lru_cache(maxsize=1024)
def planned(layer: Convolution, data: Shape) -> tiling.Plan:
    """How a layer computes data of that shape."""
    _, (output,) = layer.infer_shape(data, *[None] * (len(layer.inputs) - 1))
    if output is None:
        raise AssertionError(layer)
    return tiling.plan_of(data, layer.num_filter, layer.num_group, output[2:], *_window(layer))


def _window(layer: Convolution) -> tuple[Shape, Shape, Shape, Shape]:
    axes = len(layer.kernel)
    return (
        layer.kernel,
        layer.stride or (1,) * axes,
        layer.dilate or (1,) * axes,
        layer.pad or (0,) * axes,
    )


def _as_scratch(
    work: tuple[Shape, ...], dtype: np.dtype[Any]
) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
    return tuple((shape, half.computed_in(dtype)) for shape in work)
