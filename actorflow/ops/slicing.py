"""Operators that cut arrays along their axes, and that put the parts together again."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import numpy as np

from actorflow.errors import ParameterError
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import flag, integer, optional
from actorflow.ops.types import normalize_axis, supported

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "Concat",
    "ConcatGradient",
    "Slice",
    "SliceAxis",
    "SliceChannel",
    "SliceChannelGradient",
    "SliceGradient",
]

Shapes: TypeAlias = "tuple[Shape | None, ...]"
Types: TypeAlias = "tuple[np.dtype[Any] | None, ...]"


def _bounds(value: Any) -> tuple[int | None, ...]:  # noqa: ANN401
    wrong = ValueError(f"needs integers, or None, one for each axis, got {value!r}")
    try:
        given = ast.literal_eval(value.strip()) if isinstance(value, str) else value
        given = (given,) if given is None or hasattr(given, "__index__") else given
        return tuple(None if each is None else each.__index__() for each in given)
    except (AttributeError, TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        raise wrong from None


def _bounds_field(doc: str, default: Any = attrs.NOTHING) -> Any:  # noqa: ANN401
    metadata = {"takes": "integers, or None, one for each axis", "doc": doc}
    return attrs.field(default=default, converter=_bounds, metadata=metadata)


class _Cut(Operator):
    """What the operators share whose output is a regular part of their input."""

    __slots__ = ()

    inputs = ("data",)

    def key(self, shape: Shape) -> tuple[slice, ...]:
        """The part of an input of a shape, as an index; raises as `infer_shape`."""
        raise NotImplementedError

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        lengths = [
            len(range(*part.indices(size)))
            for part, size in zip(self.key(shape), shape, strict=False)
        ]
        return (*lengths, *shape[len(lengths) :])

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data[self.key(data.shape)])

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(SliceGradient(self), *inputs, *out_grads)

    def part(
        self, shape: Shape, axis: int, begin: int | None, end: int | None, step: int | None = None
    ) -> slice:
        """The slice of an axis, its bounds counted from the front; raises as `infer_shape`."""
        size, step = shape[axis], step or 1
        least, most = (0, size) if step > 0 else (-1, size - 1)
        first, last = (least, most) if step > 0 else (most, least)
        if begin is not None:
            first = begin + size if begin < 0 else begin
        if end is not None:
            last = end + size if end < 0 else end
        low, high = (first, last) if step > 0 else (last, first)
        if not least <= low <= high <= most:
            self.refuse(
                "data", shape, f"axis {axis} has no part from {begin} to {end} by step {step}"
            )
        return slice(first, None if last < 0 else last, step)


@attrs.frozen
class SliceAxis(_Cut):
    """The part of one axis from `begin` to `end`, exclusive."""

    axis: int = integer(doc="the axis")
    begin: int = integer(doc="where the part begins; negative: counted from the end")
    end: int | None = optional(integer(doc="where it ends; None for the end of the axis"))

    name = "slice_axis"

    def key(self, shape: Shape) -> tuple[slice, ...]:
        axis = normalize_axis(self.name, self.axis, len(shape))
        return (slice(None),) * axis + (self.part(shape, axis, self.begin, self.end),)


@attrs.frozen
class Slice(_Cut):
    """The part of an array from `begin` to `end`, exclusive, by `step`, along the first axes."""

    begin: tuple[int | None, ...] = _bounds_field(
        "where the part begins; None for the start of an axis"
    )
    end: tuple[int | None, ...] = _bounds_field("where the part ends; None for the end of an axis")
    step: tuple[int | None, ...] = _bounds_field("the distances; 1 where there is none", ())

    name = "slice"

    def __attrs_post_init__(self) -> None:
        if len(self.begin) != len(self.end) or len(self.step) > len(self.begin):
            raise ParameterError(
                f"{self.name}: begin {self.begin}, end {self.end} and step {self.step} need to be "
                "equally many"
            )
        if 0 in self.step:
            raise ParameterError(f"{self.name}: step {self.step} has a 0")

    def key(self, shape: Shape) -> tuple[slice, ...]:
        if len(self.begin) > len(shape):
            self.refuse("data", shape, f"begin {self.begin} needs more axes")
        steps = self.step + (None,) * (len(self.begin) - len(self.step))
        bounds = zip(self.begin, self.end, steps, strict=True)
        return tuple(self.part(shape, axis, *each) for axis, each in enumerate(bounds))


@attrs.frozen
class SliceGradient(Operator):
    """`grad` where the part was cut from `data`, 0 elsewhere.

    Attributes:
      cut: the operator that cut it.
    """

    cut: _Cut

    inputs = ("data", "grad")
    unread = ("data",)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.cut.name}_gradient"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[1]

    def forward(self, data: Memory, grad: Memory, output: Memory) -> None:
        output.fill(0)
        output[self.cut.key(output.shape)] = grad

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (None, *apply(self.cut, *out_grads))


# -- Several parts -----------------------------------------------------------------------------


def _cuts(arrays: list[Memory | None], lengths: list[int], axis: int, whole: Memory) -> list[Any]:
    """Pairs of an array, None where nobody wants it, and its part of `whole` along an axis."""
    pairs, start = [], 0
    lead = (slice(None),) * axis
    for array, length in zip(arrays, lengths, strict=True):
        pairs.append((array, whole[(*lead, slice(start, start + length))]))
        start += length
    return pairs


@attrs.frozen
class SliceChannel(Operator):
    """An axis cut into parts of equal length, each an output."""

    num_outputs: int = integer(least=1, doc="how many parts there are")
    axis: int = integer(1, doc="the axis that is cut")
    squeeze_axis: bool = flag(False, doc="leave the axis out; each part then needs length 1")

    name = "SliceChannel"
    inputs = ("data",)
    partial = True

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"output{index}" for index in range(self.num_outputs))

    def infer_shape(self, *shapes: Shape | None) -> tuple[Shapes, Shapes]:
        (shape,) = shapes
        if shape is None:
            return shapes, (None,) * self.num_outputs
        axis = normalize_axis(self.name, self.axis, len(shape))
        length, rest = divmod(shape[axis], self.num_outputs)
        if rest:
            self.refuse("data", shape, f"axis {axis} cannot be cut into {self.num_outputs} parts")
        if self.squeeze_axis and length != 1:
            self.refuse("data", shape, f"axis {axis} needs size {self.num_outputs} to be left out")
        middle = () if self.squeeze_axis else (length,)
        part = (*shape[:axis], *middle, *shape[axis + 1 :]) or (1,)
        return shapes, (part,) * self.num_outputs

    def infer_type(self, *dtypes: np.dtype[Any] | None) -> tuple[Types, Types]:
        return self.one_type(dtypes)

    def pairs(self, parts: list[Memory | None], whole: Memory) -> list[tuple[Memory, Memory]]:
        """The parts that are there, each with the place in `whole` that it belongs to."""
        axis = self.axis % whole.ndim
        lengths = [whole.shape[axis] // self.num_outputs] * self.num_outputs
        return [
            (part.reshape(place.shape), place)
            for part, place in _cuts(parts, lengths, axis, whole)
            if part is not None
        ]

    def forward(self, data: Memory, *outputs: Memory | None) -> None:
        for output, place in self.pairs(list(outputs), data):
            np.copyto(output, place)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        present = tuple(grad is not None for grad in out_grads)
        grads = [grad for grad in out_grads if grad is not None]
        return apply(SliceChannelGradient(self, present), *inputs, *grads)


@attrs.frozen
class SliceChannelGradient(Operator):
    """The gradients of the parts side by side; 0 in the place of one that is not there.

    Attributes:
      cut: the operator that made the parts.
      present: for each part whether its gradient is there.
    """

    cut: SliceChannel
    present: tuple[bool, ...]

    name = "SliceChannel_gradient"
    unread = ("data",)

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        grads = (f"grad{index}" for index, there in enumerate(self.present) if there)
        return ("data", *grads)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, *arrays: Memory) -> None:
        *grads, output = arrays
        if not all(self.present):
            output.fill(0)
        given = iter(grads)
        parts = [next(given) if there else None for there in self.present]
        for grad, place in self.cut.pairs(parts, output):
            np.copyto(place, grad)


@attrs.frozen
class Concat(Operator):
    """Arrays one behind the other along an axis; different data types are promoted.

    All sizes but those along the axis need to be equal.
    """

    num_args: int = integer(least=1, doc="how many arrays there are")
    axis: int | None = optional(integer(doc="the axis; None for the one that dim says"))
    dim: int = integer(1, doc="the axis, as symbols spell it")
    inputs: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    costly = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return "Concat" if self.axis is None else "concatenate"

    @inputs.default
    def _names(self) -> tuple[str, ...]:
        return tuple(f"arg{index}" for index in range(self.num_args))

    @property
    def along(self) -> int:
        """The axis."""
        return self.dim if self.axis is None else self.axis

    def output_shape(self, *shapes: Shape) -> Shape:
        first = shapes[0]
        axis = normalize_axis(self.name, self.along, len(first))
        for index, shape in enumerate(shapes):
            if len(shape) != len(first) or any(
                size != first[each] for each, size in enumerate(shape) if each != axis
            ):
                self.refuse(
                    f"arg{index}", shape, f"it needs arg0's {first} in all axes but axis {axis}"
                )
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return supported(np.result_type(*dtypes))

    def forward(self, *arrays: Memory) -> None:
        np.concatenate(arrays[:-1], self.along, arrays[-1], casting="same_kind")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ConcatGradient(self), *inputs, *out_grads)


@attrs.frozen
class ConcatGradient(Operator):
    """The part of `grad` that belongs to each array.

    Attributes:
      concat: the operator that put them together.
    """

    concat: Concat

    name = "Concat_gradient"
    partial = True

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.concat.inputs, "grad")

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"{name}_grad" for name in self.concat.inputs)

    @property
    def unread(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.concat.inputs

    def infer_shape(self, *shapes: Shape | None) -> tuple[Shapes, Shapes]:
        return shapes, shapes[:-1]

    def infer_type(self, *dtypes: np.dtype[Any] | None) -> tuple[Types, Types]:
        return dtypes, dtypes[:-1]

    def forward(self, *arrays: Memory) -> None:
        count = self.concat.num_args
        args, grad, outputs = arrays[:count], arrays[count], arrays[count + 1 :]
        axis = self.concat.along % grad.ndim
        lengths = [each.shape[axis] for each in args]
        for output, place in _cuts(list(outputs), lengths, axis, grad):
            if output is not None:
                np.copyto(output, place, casting="unsafe")
