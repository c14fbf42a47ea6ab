"""Softmax: the exponentials of numbers, divided by their sum.

All of these see an array as `(outer, k, inner)` and work along the axis in the middle. They take it
in blocks. Long rows (inner is 1), and many columns side by side, are computed where they lie. What
is in between is laid out as `(k, columns)` first, in scratch space: NumPy has a cost per row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import numpy as np

from actorflow.ops.blocks import BLOCK as SMALL_BLOCK, all_floating, blocks, working_type
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import choice, data_type, flag, integer, number, optional
from actorflow.ops.reduce import normalize_axis
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "LogSoftmax",
    "Softmax",
    "SoftmaxActivation",
    "SoftmaxGradient",
    "SoftmaxLike",
    "softmax",
    "softmax_space",
    "split_at",
]

_BLOCK: Final = 2 * SMALL_BLOCK  # one array takes part here, or two
_WIDE: Final = 512  # as many elements behind the axis are columns enough, by measurement
_NARROW: Final = 40  # rows up to this long are faster as columns, by measurement

View: TypeAlias = tuple[int, int, int]
Space: TypeAlias = tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]


def split_at(shape: Shape, axis: int) -> View:
    """An array's shape as what is before an axis, the axis, and what is behind."""
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


# -- Kernels ------------------------------------------------------------------------------------


def softmax_space(view: View, dtype: np.dtype[Any], arrays: int) -> Space:
    """Scratch space: as many blocks as there are arrays, one after the other."""
    outer, k, inner = view
    columns = min(outer * inner, max(1, _BLOCK // max(k, 1)))
    return (((arrays, k * columns), working_type(dtype)),)


def _as_columns(view: View) -> bool:
    _, k, inner = view
    return k <= _NARROW if inner == 1 else inner < _WIDE


def _parts(view: View) -> Iterator[tuple[slice, slice]]:
    """Blocks of an array `(outer, k, inner)`, as slices of outer and inner, with whole k."""
    outer, k, inner = view
    if not outer * k * inner:
        return
    columns = max(1, _BLOCK // k)
    for some in blocks(outer, max(1, columns // inner)):
        for part in blocks(inner, columns):
            yield some, part


def _laid_out(room: Memory, array: Memory, part: tuple[slice, slice]) -> Memory:
    """A block of an array, as `(k, columns)` in `room`."""
    block = array[part[0], :, part[1]]
    outer, k, inner = block.shape
    laid = room[: block.size].reshape(k, outer, inner)
    np.copyto(laid, block.transpose(1, 0, 2), casting="same_kind")
    return laid.reshape(k, outer * inner)


def _put_back(laid: Memory, array: Memory, part: tuple[slice, slice]) -> None:
    block = array[part[0], :, part[1]]
    outer, k, inner = block.shape
    np.copyto(block.transpose(1, 0, 2), laid.reshape(k, outer, inner), casting="same_kind")


def _block(array: Memory, part: tuple[slice, slice]) -> Memory:
    """A block as it lies, `(outer, k)` or `(outer, k, inner)`."""
    return array[part[0], :, 0] if array.shape[2] == 1 else array[part[0], :, part[1]]


def _converted(room: Memory, block: Memory) -> Memory:
    converted = room[: block.size].reshape(block.shape)
    np.copyto(converted, block)
    return converted


def _normalise(data: Memory, output: Memory, axis: int, scale: float) -> None:
    """Softmax of a block along an axis; `data` may be `output`."""
    column = np.maximum.reduce(data, axis, keepdims=True)
    np.subtract(data, column, output)
    if scale != 1:
        np.multiply(output, scale, output)
    np.exp(output, output)
    np.add.reduce(output, axis, keepdims=True, out=column)
    np.divide(output, column, output)


def _log_normalise(data: Memory, output: Memory, axis: int, scale: float, room: Memory) -> None:
    """The logarithm of the softmax; `data` may be `output`."""
    column = np.maximum.reduce(data, axis, keepdims=True)
    np.subtract(data, column, output)
    if scale != 1:
        np.multiply(output, scale, output)
    np.exp(output, room)
    np.add.reduce(room, axis, keepdims=True, out=column)
    np.log(column, column)
    np.subtract(output, column, output)


def softmax(
    data: Memory, output: Memory, view: View, room: Memory, *, scale: float = 1, log: bool = False
) -> None:
    """Fill `output` with the softmax of `data * scale`, or with its logarithm.

    `data` may be `output`.

    Args:
      data: of `view`'s size.
      output: likewise.
      view: how to see them.
      room: scratch space for two arrays, with `log` or float16, or for one.
      scale: positive.
      log: give the logarithm.
    """
    data, output = data.reshape(view), output.reshape(view)
    columns, staged = _as_columns(view), output.dtype != room.dtype
    for part in _parts(view):
        if columns:
            source = target = _laid_out(room[0], data, part)
        else:
            source, target = _block(data, part), _block(output, part)
            if staged:
                source = target = _converted(room[0], source)
        axis = 0 if columns else 1
        if log:
            more = room[-1][: source.size].reshape(source.shape)
            _log_normalise(source, target, axis, scale, more)
        else:
            _normalise(source, target, axis, scale)
        if columns:
            _put_back(target, output, part)
        elif staged:
            np.copyto(_block(output, part), target, casting="same_kind")


def softmax_gradient(
    output: Memory,
    grad: Memory,
    data_grad: Memory,
    view: View,
    room: Memory,
    *,
    scale: float,
    log: bool,
) -> None:
    """Fill `data_grad` with the gradient of `softmax`; it may be either of the others.

    With y the output and g its gradient: `scale * y * (g - sum(y * g))`, and for the logarithm
    `scale * (g - exp(y) * sum(g))`.
    """
    arrays = [array.reshape(view) for array in (output, grad)]
    data_grad = data_grad.reshape(view)
    columns, staged = _as_columns(view), data_grad.dtype != room.dtype
    axis = 0 if columns else 1
    for part in _parts(view):
        if columns:
            y, g = (_laid_out(room[index], array, part) for index, array in enumerate(arrays))
        else:
            y, g = (_block(array, part) for array in arrays)
            if staged:
                y, g = _converted(room[0], y), _converted(room[1], g)
        work = room[2][: y.size].reshape(y.shape)
        if log:
            total = np.add.reduce(g, axis, keepdims=True)
            np.exp(y, work)
            np.multiply(work, total, work)
            np.subtract(g, work, work)
        else:
            np.multiply(y, g, work)
            total = np.add.reduce(work, axis, keepdims=True)
            np.subtract(g, total, work)
            np.multiply(work, y, work)
        if scale != 1:
            np.multiply(work, scale, work)
        if columns:
            _put_back(work, data_grad, part)
        else:
            np.copyto(_block(data_grad, part), work, casting="same_kind")


# -- Operators ----------------------------------------------------------------------------------


class SoftmaxLike(Operator):
    """What all softmaxes of one input share."""

    __slots__ = ()

    inputs = ("data",)
    inplace = (("data", "output"),)
    log = False
    scale = 1.0

    def view(self, shape: Shape) -> View:
        """Along what the sum is taken."""
        raise NotImplementedError

    def output_shape(self, *shapes: Shape) -> Shape:
        self.view(shapes[0])
        return shapes[0]

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def scratch(self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]) -> Space:
        return softmax_space(self.view(shapes[0]), dtypes[0], 2 if self.log else 1)

    def forward(self, data: Memory, output: Memory, room: Memory) -> None:
        softmax(data, output, self.view(data.shape), room, scale=self.scale, log=self.log)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(SoftmaxGradient(self), *outputs, *out_grads)


@attrs.frozen
class _AlongAxis(SoftmaxLike):
    axis: int = integer(-1, doc="the axis along which the sum is 1")
    temperature: float | None = optional(number(doc="what data is divided by first; positive"))
    dtype: np.dtype[Any] | None = optional(  # noqa: RUF009 -- a field, as the others
        data_type(doc="not supported but None: use Cast")
    )
    use_length: bool = flag(False, doc="not supported but False")

    def __attrs_post_init__(self) -> None:
        if self.temperature is not None and self.temperature <= 0:
            raise ValueError(f"temperature needs a number above 0, got {self.temperature}")
        for name, only in (("dtype", None), ("use_length", False)):
            if getattr(self, name) is not only:
                raise ValueError(f"{name} can only be {only}, got {getattr(self, name)}")

    @property
    def scale(self) -> float:  # type: ignore[override]
        return 1 if self.temperature is None else 1 / self.temperature

    def view(self, shape: Shape) -> View:
        return split_at(shape, normalize_axis(self.name, self.axis, len(shape)))


@attrs.frozen
class Softmax(_AlongAxis):
    """`exp(x / temperature)`, divided by its sum along an axis.

    `data` and the output have one shape and one floating type. The greatest number is subtracted
    first, so that nothing overflows.
    """

    name = "softmax"


@attrs.frozen
class LogSoftmax(_AlongAxis):
    """The logarithm of `softmax`, without loss of digits where that is near 0."""

    name = "log_softmax"
    log = True


@attrs.frozen
class SoftmaxActivation(SoftmaxLike):
    """Softmax of each sample, the first axis, or of the channels, the second, at each place.

    `data` and the output have one shape and one floating type.
    """

    mode: str = choice(
        "instance",
        "channel",
        default="instance",
        doc="instance: the sum over all of a sample is 1; channel: that over the channels",
    )

    name = "SoftmaxActivation"

    def view(self, shape: Shape) -> View:
        if self.mode == "instance":
            return shape[0], prod(shape[1:]), 1
        if len(shape) == 1:
            self.refuse("data", shape, "mode 'channel' needs (batch, channels, ...)")
        return split_at(shape, 1)


@attrs.frozen
class SoftmaxGradient(Operator):
    """The gradient of a softmax or its logarithm, from the output."""

    layer: SoftmaxLike

    inputs = ("output", "grad")
    outputs = ("data_grad",)
    inplace = (("grad", "data_grad"), ("output", "data_grad"))

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_gradient"

    def output_shape(self, *shapes: Shape) -> Shape:
        output, grad = shapes
        if grad != output:
            self.refuse("grad", grad, f"output has {output}")
        return output

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def scratch(self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]) -> Space:
        return softmax_space(self.layer.view(shapes[0]), dtypes[0], 3)

    def forward(self, output: Memory, grad: Memory, data_grad: Memory, room: Memory) -> None:
        layer = self.layer
        view = layer.view(output.shape)
        softmax_gradient(output, grad, data_grad, view, room, scale=layer.scale, log=layer.log)
