"""Softmax: the exponentials of numbers, divided by their sum.

All of these see an array as `(outer, k, inner)` and work along the axis in the middle. They take it
in blocks. Long rows (inner is 1), and many columns side by side, are computed where they lie. What
is in between is laid out as `(k, columns)` first, in scratch space: NumPy has a cost per row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import numpy as np

from actorflow.ops.blocks import (
    BLOCK as SMALL_BLOCK,
    Notes,
    all_floating,
    at_once,
    blocks,
    working_type,
)
from actorflow.ops.operator import Operator, call_each
from actorflow.ops.parameters import choice, data_type, flag, integer, number, optional
from actorflow.ops.reduce import normalize_axis
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.ops.blocks import Do
    from actorflow.ops.operator import Apply, Call, Handles
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


def _laid_out(do: Do, room: Memory, array: Memory, part: tuple[slice, slice]) -> Memory:
    """A block of an array, as `(k, columns)` in `room`."""
    block = array[part[0], :, part[1]]
    outer, k, inner = block.shape
    laid = room[: block.size].reshape(k, outer, inner)
    do(np.copyto, laid, block.transpose(1, 0, 2), "same_kind")
    return laid.reshape(k, outer * inner)


def _put_back(do: Do, laid: Memory, array: Memory, part: tuple[slice, slice]) -> None:
    block = array[part[0], :, part[1]]
    outer, k, inner = block.shape
    do(np.copyto, block.transpose(1, 0, 2), laid.reshape(k, outer, inner), "same_kind")


def _block(array: Memory, part: tuple[slice, slice]) -> Memory:
    """A block as it lies, `(outer, k)` or `(outer, k, inner)`."""
    return array[part[0], :, 0] if array.shape[2] == 1 else array[part[0], :, part[1]]


def _converted(do: Do, room: Memory, block: Memory) -> Memory:
    converted = room[: block.size].reshape(block.shape)
    do(np.copyto, converted, block)
    return converted


def _normalise(do: Do, data: Memory, output: Memory, axis: int, scale: float) -> None:
    """Softmax of a block along an axis; `data` may be `output`."""
    column = _shift(do, data, output, axis, scale)
    do(np.exp, output, output)
    do(np.add.reduce, output, axis, None, column, True)
    do(np.divide, output, column, output)


def _log_normalise(
    do: Do, data: Memory, output: Memory, axis: int, scale: float, room: Memory
) -> None:
    """The logarithm of the softmax; `data` may be `output`."""
    column = _shift(do, data, output, axis, scale)
    do(np.exp, output, room)
    do(np.add.reduce, room, axis, None, column, True)
    do(np.log, column, column)
    do(np.subtract, output, column, output)


def _shift(do: Do, data: Memory, output: Memory, axis: int, scale: float) -> Memory:
    """Make the largest number of each column 0, so that no exponential overflows.

    Returns:
      A number for each column, to work in.
    """
    shape = (
        (1, data.shape[1], *data.shape[2:]) if axis == 0 else (data.shape[0], 1, *data.shape[2:])
    )
    column = np.empty(shape, output.dtype)
    do(np.maximum.reduce, data, axis, None, column, True)
    do(np.subtract, data, column, output)
    if scale != 1:
        do(np.multiply, output, scale, output)
    return column


def softmax(
    data: Memory,
    output: Memory,
    view: View,
    room: Memory,
    *,
    do: Do,
    scale: float = 1,
    log: bool = False,
) -> None:
    """Fill `output` with the softmax of `data * scale`, or with its logarithm.

    `data` may be `output`.

    Args:
      data: of `view`'s size.
      output: likewise.
      view: how to see them.
      room: scratch space for two arrays, with `log` or float16, or for one.
      do: calls NumPy's functions, or notes the calls.
      scale: positive.
      log: give the logarithm.
    """
    data, output = data.reshape(view), output.reshape(view)
    columns, staged = _as_columns(view), output.dtype != room.dtype
    for part in _parts(view):
        if columns:
            source = target = _laid_out(do, room[0], data, part)
        else:
            source, target = _block(data, part), _block(output, part)
            if staged:
                source = target = _converted(do, room[0], source)
        axis = 0 if columns else 1
        if log:
            more = room[-1][: source.size].reshape(source.shape)
            _log_normalise(do, source, target, axis, scale, more)
        else:
            _normalise(do, source, target, axis, scale)
        if columns:
            _put_back(do, target, output, part)
        elif staged:
            do(np.copyto, _block(output, part), target, "same_kind")


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
            y, g = (
                _laid_out(at_once, room[index], array, part) for index, array in enumerate(arrays)
            )
        else:
            y, g = (_block(array, part) for array in arrays)
            if staged:
                y, g = _converted(at_once, room[0], y), _converted(at_once, room[1], g)
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
            _put_back(at_once, work, data_grad, part)
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

    def calls(self, arrays: list[Any]) -> list[Call]:
        data, output, room = arrays
        notes = Notes()
        view = self.view(data.shape)
        softmax(data, output, view, room, scale=self.scale, log=self.log, do=notes)
        return notes.calls

    def forward(self, *arrays: Memory) -> None:
        call_each(self.calls(list(arrays)))

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
