"""Operators that pick, place and mark elements by index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import attrs
import numpy as np

from actorflow.errors import DTypeError, ShapeError
from actorflow.ops.basic import ZerosLike
from actorflow.ops.embedding import AddAt
from actorflow.ops.operator import Operator
from actorflow.ops.types import MATRIX

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "Assign",
    "ChooseElement0Index",
    "FillElement0Index",
    "GetItem",
    "GetItemGradient",
    "OneHotEncode",
    "SetItem",
    "Take",
    "check_value",
    "indexed_shape",
]

_BUFFERED: Final = 32 << 10  # bytes from which a copy takes longer than a look at the indices


def indexed_shape(shape: Shape, key: Any) -> Shape:  # noqa: ANN401 -- NumPy's keys
    """The shape of `array[key]` for any key of NumPy's, without the array.

    Raises:
      IndexError: there is no such element.
    """
    # One byte that pretends to be the array: its strides are 0.
    shadow: Memory = np.ndarray(shape, np.bool, b"\0", 0, (0,) * len(shape))
    picked: Memory | np.bool = shadow[key]
    return picked.shape


@attrs.frozen(eq=False)
class GetItem(Operator):
    """A copy of `data[key]`; a single element has the shape `(1,)`.

    Attributes:
      key: an index as NumPy takes it: integers, slices, `None`, `...`, arrays of either kind.
    """

    key: Any

    name = "getitem"
    inputs = ("data",)

    def output_shape(self, *shapes: Shape) -> Shape:
        return indexed_shape(shapes[0], self.key) or (1,)

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        output[...] = data[self.key]

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(GetItemGradient(self.key), *inputs, *out_grads)


@attrs.frozen(eq=False)
class GetItemGradient(Operator):
    """`grad` where `data[key]` is, 0 elsewhere; what the key names twice is added up.

    Attributes:
      key: an index as NumPy takes it.
    """

    key: Any

    name = "getitem_gradient"
    inputs = ("data", "grad")
    unread = ("data",)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[1]

    def forward(self, data: Memory, grad: Memory, output: Memory) -> None:
        output.fill(0)
        grad = grad.reshape(indexed_shape(output.shape, self.key))
        parts = self.key if isinstance(self.key, tuple) else (self.key,)
        if any(isinstance(part, np.ndarray | list) for part in parts):
            np.add.at(output, self.key, grad)
        else:
            output[self.key] = grad


@attrs.frozen(eq=False)
class SetItem(Operator):
    """`output[key] = value`: the rest of `output` is kept.

    Attributes:
      key: an index as NumPy takes it.
    """

    key: Any

    name = "setitem"
    inputs = ("value",)
    overlap_safe = True  # NumPy's assignment copies where it has to

    def forward(self, value: Memory, output: Memory) -> None:
        output[self.key] = value


def check_value(place: Shape, value: Shape) -> None:
    """Raise unless a value of a shape can be put in a place of a shape.

    Raises:
      ShapeError: the value does not broadcast.
    """
    if value == place or not value:
        return
    while len(value) > len(place) and value[0] == 1:
        value = value[1:]
    lead = len(place) - len(value)
    if lead < 0 or any(got not in (1, size) for got, size in zip(value, place[lead:], strict=True)):
        raise ShapeError(
            f"setitem: value has shape {value}, but the place that is set has shape {place}"
        )


@attrs.frozen(eq=False)
class Assign(Operator):
    """`output[key] = value` with a value that is known when the operation is made.

    Attributes:
      key: an index as NumPy takes it.
      value: a NumPy array that nobody changes.
    """

    key: Any
    value: Memory

    name = "setitem"
    inputs = ()

    def forward(self, output: Memory) -> None:
        output[self.key] = self.value


@attrs.frozen
class Take(Operator):
    """`data[indices]`: parts of the first axis, picked by another array.

    Indices of a floating data type, in which MXNet's programs hold them, are cut to integers; an
    index out of range fails the operation.
    """

    name = "take"
    inputs = ("data", "indices")

    def output_shape(self, *shapes: Shape) -> Shape:
        data, indices = shapes
        return (*indices, *data[1:])

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        if dtypes[1] == np.bool:
            raise DTypeError(
                "take: indices are bool, and how many are true is not known before they are "
                "there; wait for them and index with the NumPy array"
            )
        return dtypes[0]

    def forward(self, data: Memory, indices: Memory, output: Memory) -> None:
        places = indices.astype(np.intp)
        # To leave the output alone if an index is wrong, "raise" fills a copy of it first. As
        # unsigned numbers, negative indices are too large, so one pass tells whether all can be
        # taken as they are; "raise" deals with negative ones and with those that are wrong.
        mode: Literal["raise", "clip"] = "raise"
        if (
            output.nbytes >= _BUFFERED
            and output.size > places.size
            and np.maximum.reduce(places.view(np.uintp), axis=None) < len(data)
        ):
            mode = "clip"
        np.take(data, places, axis=0, out=output, mode=mode)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (*apply(AddAt(), *inputs, *out_grads), None)


@attrs.frozen
class _RowIndex(Operator):
    """What the operators on one element per row share: an index for each row."""

    vectors: ClassVar[tuple[int, ...]]  # which inputs hold one number per row

    def output_shape(self, *shapes: Shape) -> Shape:
        lhs = shapes[0]
        if len(lhs) != MATRIX:
            self.refuse("lhs", lhs, "it needs two axes")
        for index in self.vectors:
            if shapes[index] != lhs[:1]:
                self.refuse(
                    self.inputs[index], shapes[index], f"lhs {lhs} needs it to be {lhs[:1]}"
                )
        return lhs

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]


def _rows(name: str, indices: Memory, width: int) -> tuple[Memory, Memory]:
    """The rows and the columns that `indices` means, one column for each row."""
    columns = indices.astype(np.intp)
    if len(columns) and not (columns.min() >= 0 and columns.max() < width):
        raise IndexError(
            f"{name}: indices from {columns.min()} to {columns.max()} in rows of {width} elements"
        )
    return np.arange(len(columns)), columns


@attrs.frozen
class ChooseElement0Index(_RowIndex):
    """`output[i] = lhs[i, rhs[i]]`."""

    name = "choose_element_0index"
    inputs = ("lhs", "rhs")
    vectors = (1,)

    def output_shape(self, *shapes: Shape) -> Shape:
        return super().output_shape(*shapes)[:1]

    def forward(self, lhs: Memory, rhs: Memory, output: Memory) -> None:
        output[...] = lhs[_rows(self.name, rhs, lhs.shape[1])]

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        lhs, rhs = inputs
        return (*apply(FillElement0Index(), *apply(ZerosLike(), lhs), *out_grads, rhs), None)


@attrs.frozen
class FillElement0Index(_RowIndex):
    """`lhs` with `mhs[i]` at `[i, rhs[i]]`."""

    name = "fill_element_0index"
    inputs = ("lhs", "mhs", "rhs")
    inplace = (("lhs", "output"),)
    vectors = (1, 2)

    def forward(self, lhs: Memory, mhs: Memory, rhs: Memory, output: Memory) -> None:
        place = _rows(self.name, rhs, lhs.shape[1])
        np.copyto(output, lhs, casting="same_kind")
        output[place] = mhs

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        (grad,), (_, mhs, rhs) = out_grads, inputs
        return (
            *apply(FillElement0Index(), grad, *apply(ZerosLike(), mhs), rhs),
            *apply(ChooseElement0Index(), grad, rhs),
            None,
        )


@attrs.frozen
class OneHotEncode(Operator):
    """1 at `[i, indices[i]]`, 0 elsewhere. How long the rows are, only the output says."""

    name = "onehot_encode"
    inputs = ("indices",)

    def check(self, indices: Shape, output: Shape) -> None:
        """Raise unless `output` has a row for each index.

        Raises:
          ShapeError: it has not.
        """
        if len(indices) != 1:
            self.refuse("indices", indices, "it needs one axis")
        if len(output) != MATRIX or output[0] != indices[0]:
            raise ShapeError(
                f"{self.name}: out has shape {output}, but indices {indices} need "
                f"({indices[0]}, depth)"
            )

    def forward(self, indices: Memory, output: Memory) -> None:
        place = _rows(self.name, indices, output.shape[1])
        output.fill(0)
        output[place] = 1
