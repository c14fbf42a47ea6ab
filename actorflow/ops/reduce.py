"""Operators that reduce axes: sums, extremes, their places, norms.

Where all axes are reduced and none is kept, the result has the shape `(1,)`: arrays have at least
one axis, as in MXNet. Sums and products of integers are int64, and means of integers float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from actorflow.errors import DTypeError, ShapeError
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import flag, integer, sizes
from actorflow.ops.reduce_gradient import ExtremeGradient, NormGradient, ProdGradient, Spread
from actorflow.ops.types import MATRIX, normalize_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "ArgMax",
    "ArgMaxChannel",
    "ArgMin",
    "Max",
    "Mean",
    "Min",
    "Norm",
    "Prod",
    "Reduction",
    "Sum",
    "normalize_axis",
]

Axis = int | tuple[int, ...] | None


_as_sizes: Callable[[Any], tuple[int, ...]] = sizes(least=-1).converter
_as_integer: Callable[[Any], int] = integer().converter


def _as_axis(axis: Any) -> Axis:  # noqa: ANN401
    if axis is None or axis == "None":
        return None
    return _as_sizes(axis) or None


def _as_order(order: Any) -> int:  # noqa: ANN401
    return _as_integer(order)


def _sum_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "f" else np.dtype(np.int64)


def _mean_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


@attrs.frozen
class Reduction(Operator):
    """What the reductions share."""

    axis: Axis = attrs.field(
        default=None,
        converter=_as_axis,
        metadata={
            "takes": "an integer, or integers, or None",
            "doc": "the axis or axes to reduce; None, or none at all, means all of them",
        },
    )
    keepdims: bool = flag(False, doc="keep the reduced axes, with size 1")

    exclude = False  # whether the axes are those to keep
    inputs = ("data",)
    needs_elements: ClassVar[bool] = False  # the reduction of nothing is undefined

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The reduced axes, counted from the front."""
        if self.axis is None:
            return tuple(range(ndim))
        given = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        axes = tuple(normalize_axis(self.name, axis, ndim) for axis in given)
        if len(set(axes)) < len(axes):
            raise ShapeError(f"{self.name}: axis {self.axis} names an axis twice")
        if self.exclude:
            return tuple(axis for axis in range(ndim) if axis not in axes)
        return axes

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        axes = self.axes(len(shape))
        if self.needs_elements and 0 in [shape[axis] for axis in axes]:
            self.refuse("data", shape, f"along axis {self.axis} it needs at least one element")
        if self.keepdims:
            return self.kept_shape(shape)
        return tuple(size for axis, size in enumerate(shape) if axis not in axes) or (1,)

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def _over(self, data: Memory) -> Axis:
        """The reduced axes as NumPy takes them."""
        return self.axes(data.ndim) if self.exclude else self.axis

    def _kept(self, data: Memory, output: Memory) -> Memory:
        """`output` with its reduced axes in place, so that every kernel may keep them."""
        if output.ndim == data.ndim:
            return output  # they are there, or the only axis is reduced and has the size 1
        axis = self.axis
        if isinstance(axis, int) and not self.exclude:
            shape = data.shape
            return output.reshape((*shape[:axis], 1, *shape[axis:][1:]))
        return output.reshape(self.kept_shape(data.shape))

    def kept_shape(self, shape: Shape) -> Shape:
        """The output's shape for an input of a shape, as if reduced axes stayed."""
        axes = self.axes(len(shape))
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


@attrs.frozen
class _Excluding(Reduction):
    """A reduction that can be told what to keep."""

    exclude: bool = flag(False, doc="reduce the axes that axis does not name")


@attrs.frozen
class Sum(_Excluding):
    """The sum; integers and bool are summed as int64."""

    name = "sum"

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return _sum_type(dtypes[0])

    def forward(self, data: Memory, output: Memory) -> None:
        kept = self._kept(data, output)
        np.add.reduce(data, self._over(data), output.dtype, kept, keepdims=True)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(Spread(self), *out_grads, *inputs)


@attrs.frozen
class Prod(_Excluding):
    """The product; integers and bool are multiplied as int64."""

    name = "prod"

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return _sum_type(dtypes[0])

    def forward(self, data: Memory, output: Memory) -> None:
        kept = self._kept(data, output)
        np.multiply.reduce(data, self._over(data), output.dtype, kept, keepdims=True)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ProdGradient(self), *inputs, *out_grads)


@attrs.frozen
class Mean(_Excluding):
    """The mean; of integers and bool in float64, of float16 added up in float32."""

    name = "mean"
    needs_elements = True

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return _mean_type(dtypes[0])

    def forward(self, data: Memory, output: Memory) -> None:
        kept, over = self._kept(data, output), self._over(data)
        if data.dtype == np.float16:
            # NumPy would add up in float32 by itself, but not where it is given an output.
            kept[...] = np.mean(data, over, np.float32, keepdims=True)
        else:
            np.mean(data, over, out=kept, keepdims=True)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(Spread(self, mean=True), *out_grads, *inputs)


@attrs.frozen
class Max(_Excluding):
    """The greatest element; a NaN wins. At a tie each of the greatest gets the whole gradient."""

    name = "max"
    needs_elements = True

    def forward(self, data: Memory, output: Memory) -> None:
        kept = self._kept(data, output)
        np.maximum.reduce(data, self._over(data), None, kept, keepdims=True)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ExtremeGradient(self), *inputs, *outputs, *out_grads)


@attrs.frozen
class Min(_Excluding):
    """The least element; a NaN wins. At a tie each of the least gets the whole gradient."""

    name = "min"
    needs_elements = True

    def forward(self, data: Memory, output: Memory) -> None:
        kept = self._kept(data, output)
        np.minimum.reduce(data, self._over(data), None, kept, keepdims=True)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ExtremeGradient(self), *inputs, *outputs, *out_grads)


@attrs.frozen
class Norm(Reduction):
    """The norm of the elements, seen as one vector.

    `ord` 2 is the Euclidean norm, 1 the sum of absolute values. Where the norm is 0, so is its
    gradient.
    """

    ord: int = attrs.field(
        default=2,
        converter=_as_order,
        validator=attrs.validators.in_((1, 2)),
        metadata={"takes": "1 or 2", "doc": "the order of the norm"},
    )

    name = "norm"

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return _mean_type(dtypes[0])

    def forward(self, data: Memory, output: Memory) -> None:
        # Squares of float16 overflow beyond 256.
        work = np.dtype(np.float32) if output.dtype == np.float16 else output.dtype
        power = np.absolute(data, dtype=work) if self.ord == 1 else np.square(data, dtype=work)
        total = np.add.reduce(power, self._over(data), keepdims=True)
        kept = self._kept(data, output)
        np.copyto(kept, total if self.ord == 1 else np.sqrt(total), casting="same_kind")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(NormGradient(self), *inputs, *outputs, *out_grads)


@attrs.frozen
class _Place(Reduction):
    """Where an extreme is: the first of several."""

    needs_elements = True

    @property
    def place(self) -> int | None:
        """The only axis."""
        if isinstance(self.axis, tuple):
            (axis,) = self.axis
            return axis
        return self.axis

    def axes(self, ndim: int) -> tuple[int, ...]:
        if isinstance(self.axis, tuple) and len(self.axis) > 1:
            raise ShapeError(f"{self.name}: takes one axis, or None for all, got {self.axis}")
        return super().axes(ndim)

    def output_type(self, *_dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(np.int64)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (None,)


@attrs.frozen
class ArgMax(_Place):
    """Where the greatest element is, as int64; without an axis, counted through all elements."""

    name = "argmax"

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(self._kept(data, output), np.argmax(data, self.place, keepdims=True))


@attrs.frozen
class ArgMin(_Place):
    """Where the least element is, as int64; without an axis, counted through all elements."""

    name = "argmin"

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(self._kept(data, output), np.argmin(data, self.place, keepdims=True))


@attrs.frozen
class ArgMaxChannel(Operator):
    """Where the greatest element of each row is, in the data type of `data`, as labels are held."""

    name = "argmax_channel"
    inputs = ("data",)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) != MATRIX or shape[1] == 0:
            self.refuse("data", shape, "it needs (batch, channels) with at least one channel")
        return shape[:1]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        if dtypes[0] == np.bool:
            raise DTypeError("argmax_channel: a place cannot be held as bool; use argmax")
        return dtypes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, np.argmax(data, axis=1), casting="unsafe")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (None,)
