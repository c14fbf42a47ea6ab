"""Rows of a table picked by number, and the gradient that finds its way back to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import data_type, flag, integer, optional
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["AddAt", "Embedding"]

_WIDE: Final = 64  # columns from which a row is worth an addition of its own
_OFTEN: Final = 8  # places from which a row's gradients are added up together
_BLOCK: Final = 1 << 16  # elements added at a time, so that copies of them stay in the cache


@attrs.frozen
class Embedding(Operator):
    """A row of `weight` for each number in `data`: the vectors that stand for words.

    `data` has any shape, `weight` is `(input_dim, output_dim)`, and the output is
    `(*data, output_dim)`. Numbers of a floating data type are cut to integers; one that is not in
    0 to `input_dim - 1` fails the operation.
    """

    input_dim: int = integer(least=1, doc="how many rows the table has")
    output_dim: int = integer(least=1, doc="how long they are")
    dtype: np.dtype[Any] | None = optional(  # noqa: RUF009 -- a field
        data_type(doc="the data type of the weight, where nothing else says it")
    )
    sparse_grad: bool = flag(False, doc="a sparse gradient, which there is not: needs False")

    name = "Embedding"
    inputs = ("data", "weight")

    def __attrs_post_init__(self) -> None:
        if self.sparse_grad:
            raise ValueError(f"{self.name}: sparse_grad needs False: there are no sparse arrays")

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        data, weight = shapes
        needed = (self.input_dim, self.output_dim)
        if weight is not None and weight != needed:
            self.refuse("weight", weight, f"input_dim and output_dim need {needed}")
        return (data, needed), (None if data is None else (*data, self.output_dim),)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        data, weight = dtypes
        if data is not None and data.kind == "b":
            raise DTypeError(f"{self.name}: data is bool, but needs numbers of rows")
        if weight is None:
            weight = self.dtype
        if weight is None and data is not None:
            weight = data if data.kind == "f" else np.dtype("float32")
        return (data, weight), (weight,)

    def forward(self, data: Memory, weight: Memory, output: Memory) -> None:
        rows = _rows_of(self.name, data, self.input_dim).reshape(data.shape)
        np.take(weight, rows, axis=0, out=output, mode="clip")  # "raise" would copy the output

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        data, weight = inputs
        return (None, *apply(AddAt(), weight, data, *out_grads))


@attrs.frozen
class AddAt(Operator):
    """The gradient of `data[indices]`: each part of `grad` added where it was picked, 0 elsewhere.

    Parts that were picked several times are added up, float16 in float32. Narrow rows are added
    element by element. For wide ones that would waste the time that an addition of whole rows
    saves, so the places are sorted, by row: a row with many of them is a sum of its own, and all
    rows with few are added up together, first all first places, then all second ones.
    """

    name = "add_at"
    inputs = ("data", "indices", "grad")
    unread = ("data",)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[2]

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return ((shapes[0], np.dtype(np.float32)),) if dtypes[2] == np.float16 else ()

    def forward(
        self, data: Memory, indices: Memory, grad: Memory, output: Memory, *wide: Memory
    ) -> None:
        total = wide[0] if wide else output
        total.fill(0)
        width = prod(total.shape[1:])
        if indices.size and width:
            rows = indices.astype(np.intp).reshape(-1)
            rows = np.where(rows < 0, rows + len(total), rows) if rows.min() < 0 else rows
            rows = _rows_of(self.name, rows, len(total))
            add = _add_rows if width >= _WIDE else _add_elements
            add(total.reshape(-1, width), rows, grad.reshape(-1, width))
        if wide:
            np.copyto(output, total, casting="same_kind")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        from actorflow.ops.index import Take  # noqa: PLC0415 -- each is the other's gradient

        return (None, None, *apply(Take(), *out_grads, inputs[1]))


def _rows_of(name: str, indices: Memory, count: int) -> Memory:
    """The indices as a vector of integers, if they are from 0 to `count - 1`.

    Raises:
      IndexError: one is not.
    """
    rows: Memory = indices.astype(np.intp, copy=False).reshape(-1)
    if rows.size and not (rows.min() >= 0 and rows.max() < count):
        raise IndexError(
            f"{name}: indices from {rows.min()} to {rows.max()} in an array of {count} rows"
        )
    return rows


def _add_elements(total: Memory, rows: Memory, grad: Memory) -> None:
    width = total.shape[1]
    flat = total.reshape(-1)
    columns = np.arange(width)
    step = max(1, _BLOCK // width)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        places = (rows[part] * width)[:, None] + columns
        np.add.at(flat, places.reshape(-1), grad[part].reshape(-1).astype(total.dtype, copy=False))


def _add_rows(total: Memory, rows: Memory, grad: Memory) -> None:
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(starts, append=len(rows))
    targets = ordered[starts]
    for each in np.flatnonzero(counts > _OFTEN):
        members = order[starts[each] : starts[each] + counts[each]]
        np.add.reduce(grad[members], 0, total.dtype, total[targets[each]])
    seldom = np.flatnonzero(counts <= _OFTEN)
    step = max(1, _BLOCK // total.shape[1])
    for first in range(0, len(seldom), step):
        left = seldom[first : first + step]
        total[targets[left]] = grad[order[starts[left]]]
        for place in range(1, _OFTEN):
            left = left[counts[left] > place]
            if not left.size:
                break
            total[targets[left]] += grad[order[starts[left] + place]]
