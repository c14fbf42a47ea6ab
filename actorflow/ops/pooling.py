"""Pooling over one, two or three axes."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError, ParameterError
from actorflow.ops import half
from actorflow.ops.convolution import axes_wanted, check_layout, each_axis
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import choice, flag, integer, optional, sizes
from actorflow.ops.types import is_floating, prod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Pooling", "PoolingGradient"]

_BLOCK: Final = 1 << 16  # elements of the data at a time: they and their results fit in a cache
_AXES: Final = 3  # at most


@attrs.frozen
class Axis:
    """The windows along one axis."""

    size: int
    kernel: int
    stride: int
    pad: int
    out: int

    @property
    def live(self) -> int:
        """How many windows, the first ones, hold any data; the others hold padding alone."""
        return min(self.out, (self.size - 1 + self.pad) // self.stride + 1)

    def seen(self, point: int) -> tuple[slice, slice]:
        """The windows whose element `point` is data and not padding, and these elements."""
        first = max(0, -((point - self.pad) // self.stride))
        end = min(self.out, (self.size - 1 + self.pad - point) // self.stride + 1)
        if end <= first:
            return slice(0, 0), slice(0, 0)
        start = first * self.stride + point - self.pad
        stop = (end - 1) * self.stride + point - self.pad + 1
        return slice(first, end), slice(start, stop, self.stride)

    def counts(self, *, padding: bool) -> Memory:
        """How many elements each window averages over, the padding too or not."""
        start = np.arange(self.out) * self.stride - self.pad
        end = np.minimum(start + self.kernel, self.size + self.pad)
        if not padding:
            start, end = np.maximum(start, 0), np.minimum(end, self.size)
        return np.maximum(end - start, 1)


@attrs.frozen
class Pooling(Operator):
    """The largest element, the sum or the mean of each window of `data`.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, and the output
    `(n, channels, *out)`, of a floating type. Along an axis `out` is
    `(size + 2 pad - kernel) // stride + 1` with the convention `'valid'`; with `'full'` it is
    rounded up, so that the last window may hang over. Padding never is the largest element. A mean
    is over the whole window, padding too, unless `count_include_pad` is False, but never over what
    hangs over the padding. With `global_pool` there is one window, which is everything.
    """

    kernel: tuple[int, ...] = sizes((), least=1, doc="the size of a window; w, (h, w) or (d, h, w)")
    pool_type: str = choice("max", "avg", "sum", default="max", doc="what is taken of a window")
    global_pool: bool = flag(False, doc="take one window, the size of the data")
    cudnn_off: bool = flag(False, doc="taken for MXNet's sake, and not used")
    pooling_convention: str = choice(
        "valid", "full", default="valid", doc="whether to round the size of the output down or up"
    )
    stride: tuple[int, ...] = sizes((), least=1, doc="the step of the window; 1 if not given")
    pad: tuple[int, ...] = sizes((), doc="padding on each side; none if not given")
    p_value: int | None = optional(integer(doc="of the pooling `lp`, which there is not"))
    count_include_pad: bool | None = optional(
        flag(doc="whether a mean counts the padding; it does if not given")
    )
    layout: str | None = optional(
        choice("NCW", "NCHW", "NCDHW", doc="how the data lies; only the channels before the sizes")
    )

    name = "Pooling"
    inputs = ("data",)

    def __attrs_post_init__(self) -> None:
        axes = len(self.kernel)
        if self.global_pool:
            return
        if not 1 <= axes <= _AXES:
            raise ParameterError(
                f"{self.name}: kernel is {self.kernel}, but needs 1 to 3 axes, or global_pool=True"
            )
        each_axis(self, "stride", self.stride, axes, 1)
        for pad, kernel in zip(each_axis(self, "pad", self.pad, axes, 0), self.kernel, strict=True):
            if pad >= kernel:
                raise ParameterError(
                    f"{self.name}: pad is {self.pad}, but needs to be less than "
                    f"kernel={self.kernel}"
                )
        check_layout(self, self.layout, axes)

    def output_shape(self, *shapes: Shape) -> Shape:
        (data,) = shapes
        return data[:2] + tuple(axis.out for axis in windows(self, data))

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        (dtype,) = dtypes
        if not is_floating(dtype):
            raise DTypeError(f"{self.name}: data is {dtype.name}, but needs a floating type")
        return dtype

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        axes = windows(self, shapes[0])
        return () if self.global_pool else _between(axes, shapes[0], dtypes[0])

    def forward(self, data: Memory, output: Memory, *work: Memory) -> None:
        axes = windows(self, data.shape)
        source, target = half.wide(data), half.target(output)
        ufunc = np.maximum if self.pool_type == "max" else np.add
        planes = source.reshape(-1, *data.shape[2:])
        pooled = target.reshape(-1, *output.shape[2:])
        if self.global_pool:
            ufunc.reduce(
                planes.reshape(len(planes), prod(data.shape[2:])), 1, out=pooled.reshape(-1)
            )
        else:
            for first, end in _blocks(planes):
                steps = [each[: end - first] for each in work]
                chain = (planes[first:end], *steps, pooled[first:end])
                for place, axis in enumerate(axes):
                    _reduce(ufunc, chain[place], chain[place + 1], place + 1, axis)
        if self.pool_type == "avg":
            np.divide(pooled, divisor(self, axes, target.dtype), out=pooled)
        elif self.pool_type == "max":
            for place, axis in enumerate(axes):
                dead = (slice(None),) * (place + 1) + (slice(axis.live, None),)
                pooled[dead] = np.finfo(pooled.dtype).min
        half.deliver(target, output)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        kept = outputs if self.pool_type == "max" else ()
        return apply(PoolingGradient(self), *inputs, *kept, *out_grads)


@attrs.frozen
class PoolingGradient(Operator):
    """The gradient of a `Pooling`.

    The gradient of a largest element goes to the first of its window, in the order of memory, that
    is as large. That place is looked for again here: to write it down before would take memory, and
    looking takes but half of the time.
    """

    layer: Pooling

    outputs = ("data_grad",)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_gradient"

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        kept = ("output",) if self.layer.pool_type == "max" else ()
        return ("data", *kept, "grad")

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        axes = windows(self.layer, shapes[0])
        if self.layer.global_pool:
            return ()
        if self.layer.pool_type != "max":
            shape = (_at_once(shapes[0]), *(axis.out for axis in axes))
            first = (shape, half.computed_in(dtypes[0]))
            return (first, *_between(axes, shapes[0], dtypes[0])[::-1])
        shape = (_at_once(shapes[0]), *(axis.live for axis in axes))
        points = prod(self.layer.kernel)
        kinds = (np.min_scalar_type(points), *[np.dtype(bool)] * 2, *[np.dtype(np.intp)] * 2)
        return tuple((shape, kind) for kind in kinds)

    def forward(self, data: Memory, *arrays: Memory) -> None:
        axes = windows(self.layer, data.shape)
        size = data.shape[2:]
        if self.layer.pool_type == "max":
            pooled, grad, data_grad, *work = arrays
            planes = [each.reshape(-1, *each.shape[2:]) for each in (data, pooled, grad, data_grad)]
            if self.layer.global_pool:
                _to_largest_of_all(planes[0], planes[2], planes[3])
                return
            _starts(axes, work[-1])
            for first, end in _blocks(planes[0]):
                _to_first_largest(axes, [each[first:end] for each in planes], work)
            return
        grad, data_grad, *work = arrays
        target = half.target(data_grad)
        above = half.wide(grad).reshape(-1, *grad.shape[2:])
        below = target.reshape(-1, *size)
        by = divisor(self.layer, axes, target.dtype) if self.layer.pool_type == "avg" else 1
        if self.layer.global_pool:
            np.divide(above, by, out=below)
        else:
            for first, end in _blocks(below):
                steps = [each[: end - first] for each in work]
                np.divide(above[first:end], by, out=steps[0])
                chain = (*steps, below[first:end])
                for step, (place, axis) in enumerate(reversed(list(enumerate(axes)))):
                    _spread(chain[step], chain[step + 1], place + 1, axis)
        half.deliver(target, data_grad)


@functools.lru_cache(maxsize=1024)
def windows(layer: Pooling, data: Shape) -> tuple[Axis, ...]:
    """The windows along each axis of sizes of data of that shape; raises as `infer_shape`."""
    size = data[2:]
    count = len(size) if layer.global_pool else len(layer.kernel)
    if len(size) != count or not 1 <= count <= _AXES:
        needs = "1 to 3" if layer.global_pool else f"{count}"
        told = f"it needs (n, channels) and {needs} axes more"
        if not layer.global_pool:
            told = axes_wanted(layer.kernel, data)
        layer.refuse("data", data, told)
    if layer.global_pool:
        if not prod(size):
            layer.refuse("data", data, "a window needs an element")
        return tuple(Axis(each, each, 1, 0, 1) for each in size)
    stride = each_axis(layer, "stride", layer.stride, count, 1)
    pad = each_axis(layer, "pad", layer.pad, count, 0)
    found = []
    for length, kernel, step, around in zip(size, layer.kernel, stride, pad, strict=True):
        room = length + 2 * around
        if not length or room < kernel:
            layer.refuse("data", data, f"its {length} is smaller than kernel={layer.kernel}")
        # No window begins behind the padding, also where the step is longer than the window.
        over = min(room - kernel + step - 1, room - 1)
        last = (over if layer.pooling_convention == "full" else room - kernel) // step
        found.append(Axis(length, kernel, step, around, last + 1))
    return tuple(found)


def divisor(layer: Pooling, axes: tuple[Axis, ...], dtype: np.dtype[Any]) -> Memory:
    """What the sum of each window is divided by for the mean: one number if it is one."""
    padding = layer.count_include_pad is not False
    counts = [axis.counts(padding=padding) for axis in axes]
    if all((each == each[0]).all() for each in counts):
        return np.array(prod(tuple(int(each[0]) for each in counts)), dtype)
    return functools.reduce(np.multiply.outer, counts).astype(dtype)


def _at_once(data: Shape) -> int:
    """How many planes make a block."""
    planes = max(1, data[0] * data[1])
    return min(planes, max(1, _BLOCK // max(1, prod(data[2:]))))


def _between(
    axes: tuple[Axis, ...], data: Shape, dtype: np.dtype[Any]
) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
    """Scratch space for a block of which the first axes are pooled, for each number of them."""
    out = tuple(axis.out for axis in axes)
    count = _at_once(data)
    return tuple(
        ((count, *out[:done], *data[2 + done :]), half.computed_in(dtype))
        for done in range(1, len(axes))
    )


def _blocks(planes: Memory) -> Iterator[tuple[int, int]]:
    count = _at_once((1, *planes.shape))
    for first in range(0, len(planes), count):
        yield first, min(first + count, len(planes))


def _along(place: int, part: slice) -> tuple[slice, ...]:
    return (slice(None),) * place + (part,)


def _reduce(ufunc: np.ufunc, source: Memory, target: Memory, place: int, axis: Axis) -> None:
    """Pool along one axis."""
    whole, parts = [], []
    for point in range(axis.kernel):
        here, there = axis.seen(point)
        views = target[_along(place, here)], source[_along(place, there)]
        if here == slice(0, axis.out):
            whole.append(views[1])
        else:
            parts.append(views)
    if not whole:
        target.fill(0 if ufunc is np.add else -np.inf)
    elif len(whole) == 1:
        np.copyto(target, whole.pop())
    else:
        ufunc(whole.pop(0), whole.pop(0), out=target)
    for view in whole:
        ufunc(target, view, out=target)
    for ours, view in parts:
        ufunc(ours, view, out=ours)


def _spread(source: Memory, target: Memory, place: int, axis: Axis) -> None:
    """Give each element of a window its gradient, along one axis."""
    target.fill(0)
    for point in range(axis.kernel):
        here, there = axis.seen(point)
        ours, theirs = target[_along(place, there)], source[_along(place, here)]
        if axis.kernel <= axis.stride:
            np.copyto(ours, theirs)
        else:
            np.add(ours, theirs, out=ours)


def _to_largest_of_all(planes: Memory, grad: Memory, data_grad: Memory) -> None:
    data_grad.fill(0)
    flat = (len(planes), prod(planes.shape[1:]))
    place = planes.reshape(flat).argmax(1)[:, None]
    np.put_along_axis(data_grad.reshape(flat), place, grad.reshape(-1, 1), 1)


def _starts(axes: tuple[Axis, ...], starts: Memory) -> None:
    """Where in a block of planes each window starts, the padding before it too."""
    step = 1
    starts.fill(0)
    for place, axis in reversed(list(enumerate(axes, 1))):
        each = (np.arange(axis.live) * axis.stride - axis.pad) * step
        np.add(starts, each.reshape(-1, *[1] * (len(axes) - place)), out=starts)
        step *= axis.size
    np.add(starts, np.arange(len(starts)).reshape(-1, *[1] * len(axes)) * step, out=starts)


def _to_first_largest(
    axes: tuple[Axis, ...], planes: Sequence[Memory], work: Sequence[Memory]
) -> None:
    """The gradient of the largest elements of a block.

    For each window the points of the kernel are counted, in order, until one is as large as what
    was found. Where NaN was found that is the first one that is data.
    """
    data, pooled, grad, data_grad = planes
    index, searching, smaller, place, starts = (each[: len(data)] for each in work)
    live = (slice(None), *(slice(axis.live) for axis in axes))
    pooled, grad = pooled[live], grad[live]
    size = data.shape[1:]
    points = list(itertools.product(*(range(axis.kernel) for axis in axes)))
    index.fill(0)
    searching.fill(1)
    smaller.fill(1)
    for point in points[:-1]:
        seen = [axis.seen(each) for axis, each in zip(axes, point, strict=True)]
        here = (slice(None), *(each for each, _ in seen))
        there = (slice(None), *(each for _, each in seen))
        ours = searching[here]
        np.less(data[there], pooled[here], out=smaller[here])
        np.logical_and(ours, smaller[here], out=ours)
        np.add(index, searching.view(np.uint8), out=index)
    strides = [prod(size[axis + 1 :]) for axis in range(len(size))]
    offsets = np.array([sum(map(int.__mul__, point, strides)) for point in points], np.intp)
    np.take(offsets, index, out=place, mode="clip")
    np.add(place, starts, out=place)
    data_grad.fill(0)
    np.add.at(data_grad.reshape(-1), place.reshape(-1), grad.reshape(-1))
