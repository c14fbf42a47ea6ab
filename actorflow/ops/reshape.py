"""Operators that give an array's elements another shape and leave them where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import flag, integer, sizes
from actorflow.ops.types import normalize_axis, prod

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "ExpandDims",
    "Flatten",
    "Reshape",
    "ReshapeLike",
    "coded_shape",
    "expanded_shape",
    "flattened_shape",
]

_INFER, _REST, _MERGE, _SPLIT = -1, -2, -3, -4


def flattened_shape(shape: Shape) -> Shape:
    """The first axis kept, the others merged into one."""
    return (shape[0], prod(shape[1:]))


def expanded_shape(shape: Shape, axis: int) -> Shape:
    """`shape` with an axis of size 1 put in at `axis`.

    Raises:
      ShapeError: there is no such place.
    """
    place = normalize_axis("expand_dims", axis, len(shape) + 1)
    return (*shape[:place], 1, *shape[place:])


def coded_shape(shape: Shape, codes: tuple[int, ...], *, reverse: bool = False) -> Shape:
    """The shape that `codes` asks for; `Reshape` says what they mean.

    Raises:
      ShapeError: they do not fit; the message has no name in front.
    """
    wanted = _parts(codes)
    if reverse:
        shape, wanted = shape[::-1], [part[::-1] for part in wanted[::-1]]
    found: list[int] = []
    place = 0

    def take(count: int, code: int) -> Shape:
        nonlocal place
        if place + count > len(shape):
            raise ShapeError(f"has no axis left for the {code} in {codes}")
        place += count
        return shape[place - count : place]

    for part in wanted:
        if len(part) == 2:
            (size,) = take(1, _SPLIT)
            found += _split(size, part)
        elif part[0] == 0:
            found += take(1, 0)
        elif part[0] == _REST:
            found += take(max(len(shape) - place, 0), _REST)
        elif part[0] == _MERGE:
            found.append(prod(take(2, _MERGE)))
        else:
            place += 1
            found.append(part[0])
    result = _filled(shape, tuple(found))
    return (result[::-1] if reverse else result) or (1,)


def _parts(codes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The codes one by one; what a -4 splits an axis into is a pair, without the -4."""
    parts: list[tuple[int, ...]] = []
    rest = list(codes)
    while rest:
        code = rest.pop(0)
        if code == _SPLIT:
            if len(rest) < 2 or min(rest[:2]) < _INFER or 0 in rest[:2]:
                raise ShapeError(f"needs two sizes behind the -4 in {codes}")
            parts.append((rest.pop(0), rest.pop(0)))
        else:
            parts.append((code,))
    return parts


def _split(size: int, pair: tuple[int, ...]) -> tuple[int, ...]:
    known = max(pair)
    found = tuple(size // known if each == _INFER else each for each in pair) if known > 0 else pair
    if prod(found) != size or min(found) < 0:
        raise ShapeError(f"has an axis of size {size}, which -4 cannot split into {pair}")
    return found


def _filled(shape: Shape, found: tuple[int, ...]) -> Shape:
    """`found` with its only -1 replaced, checked for the number of elements."""
    total = prod(shape)
    if found.count(_INFER) == 1:
        known = prod(tuple(size for size in found if size != _INFER))
        if known and total % known == 0:
            found = tuple(total // known if size == _INFER else size for size in found)
    if min(found, default=0) < 0 or prod(found) != total:
        raise ShapeError(f"has {total} elements, which cannot be {found}")
    return found


class _View(Operator):
    """What the operators share that change the shape alone."""

    __slots__ = ()

    inputs: tuple[str, ...] = ("data",)
    is_view = True

    @property
    def inplace(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]
        return ((self.inputs[0], "output"),)

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def is_identity(self, *shapes: Shape) -> bool:
        return self.output_shape(*shapes) == shapes[0]

    def forward(self, *arrays: Memory) -> None:
        output = arrays[-1]
        np.copyto(output, arrays[0].reshape(output.shape))

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (*apply(ReshapeLike(), *out_grads, inputs[0]), *(None for _ in inputs[1:]))


@attrs.frozen
class Flatten(_View):
    """All axes but the first as one."""

    name = "Flatten"

    def output_shape(self, *shapes: Shape) -> Shape:
        return flattened_shape(shapes[0])


@attrs.frozen
class ReshapeLike(_View):
    """The elements of `lhs` in the shape of `rhs`, of which nothing else is used."""

    name = "reshape_like"
    inputs = ("lhs", "rhs")
    unread = ("rhs",)

    def output_shape(self, *shapes: Shape) -> Shape:
        lhs, rhs = shapes
        if prod(lhs) != prod(rhs):
            self.refuse("lhs", lhs, f"rhs {rhs} has {prod(rhs)} elements, and it {prod(lhs)}")
        return rhs


@attrs.frozen
class ExpandDims(_View):
    """A new axis of size 1."""

    axis: int = integer(doc="where the new axis is in the output")

    name = "expand_dims"

    def output_shape(self, *shapes: Shape) -> Shape:
        return expanded_shape(shapes[0], self.axis)


@attrs.frozen
class Reshape(_View):
    """The same elements in another shape.

    `shape` is read from the left, with a place in the input that moves along:

    - a positive number is a size; the place moves by one axis
    - 0 is the size of the axis at the place
    - -1, once, is whatever is left of the elements; the place moves by one axis
    - -2 is all axes from the place on
    - -3 is two axes, merged into one
    - -4 is one axis, split into the two sizes that follow, one of which may be -1

    `target_shape` is the spelling of 0.x: there one 0 is what is left of the elements.
    """

    shape: tuple[int, ...] = sizes((), least=-1, doc="the shape to give, with codes")
    reverse: bool = flag(False, doc="read shape, and the input's axes, from the right")
    target_shape: tuple[int, ...] = sizes((), doc="the shape to give, if shape is not given")
    keep_highest: bool = flag(False, doc="in target_shape's place 0 keep the first axis's size")

    name = "Reshape"

    def __attrs_post_init__(self) -> None:
        if not self.shape and not self.target_shape:
            raise ParameterError(f"{self.name}: the parameter 'shape' is missing")
        if min(self.shape, default=0) < _SPLIT:
            raise ParameterError(f"{self.name}: shape {self.shape} has codes below -4")

    def output_shape(self, *shapes: Shape) -> Shape:
        codes = self.shape
        if not codes:
            codes = tuple(size or _INFER for size in self.target_shape)
            if self.keep_highest:
                codes = (0, *codes[1:])
        try:
            return coded_shape(shapes[0], codes, reverse=self.reverse and bool(self.shape))
        except ShapeError as error:
            raise ShapeError(f"{self.name}: data of shape {shapes[0]} {error}") from None
