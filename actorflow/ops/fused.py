"""Several operators as one, block by block, so that what lies between them never leaves the cache.

Each block takes the same calls that the operators would make on whole arrays, in the same order, so
the results have the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.ops.blocks import BLOCK as SMALL_BLOCK, blocks
from actorflow.ops.convolution import Convolution
from actorflow.ops.operator import ELEMENT_US, Call, Operator, call_each
from actorflow.ops.types import carve, prod, room

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.ops.dense import FullyConnected
    from actorflow.ops.types import Memory, Shape

__all__ = ["Activated", "Fused", "Step"]

BLOCK: Final = 2 * SMALL_BLOCK  # one or two arrays take part in a call, and each call costs
_BYTE: Final = np.dtype(np.uint8)
_SHOWN: Final = 6  # operators that are named one by one


@attrs.frozen
class Step:
    """One operator of several.

    Attributes:
      operator: an element-wise one.
      takes: the numbers of the values that it takes. First come the inputs of all, from 0, then
        what each step gives.
    """

    operator: Operator
    takes: tuple[int, ...]


@attrs.frozen
class _Layout:
    """Where the values are that are no inputs and no outputs.

    Attributes:
      types: the data types of all values.
      rows: the data types of the rows of working memory.
      row_of: for each value that lies in one, which.
    """

    types: tuple[np.dtype[Any], ...]
    rows: tuple[np.dtype[Any], ...]
    row_of: dict[int, int]


@attrs.frozen(repr=False)
class Fused(Operator):
    """Element-wise operators on arrays of one shape, computed block by block.

    Values in between lie in working memory of a block's size. An array of one block at most takes
    exactly the calls that its operators would; a larger one takes them for each block.

    Attributes:
      n_inputs: how many inputs there are.
      single: the numbers of those of one element, which every block takes whole.
      steps: what is computed, in order.
      kept: the numbers of the values that are outputs.
    """

    n_inputs: int
    single: frozenset[int]
    steps: tuple[Step, ...]
    kept: tuple[int, ...]

    inputs: tuple[str, ...] = attrs.field(init=False, eq=False)
    outputs: tuple[str, ...] = attrs.field(init=False, eq=False)
    inplace: tuple[tuple[str, str], ...] = attrs.field(init=False, eq=False)
    _last: dict[int, int] = attrs.field(init=False, eq=False)
    _layouts: dict[Any, _Layout] = attrs.field(init=False, eq=False, factory=dict)

    name = "fused"

    @inputs.default
    def _input_names(self) -> tuple[str, ...]:
        return tuple(f"arg{index}" for index in range(self.n_inputs))

    @outputs.default
    def _output_names(self) -> tuple[str, ...]:
        count = len(self.kept)
        return ("output",) if count == 1 else tuple(f"output{index}" for index in range(count))

    @_last.default
    def _last_uses(self) -> dict[int, int]:
        """For each value the step that takes it last."""
        return {value: place for place, step in enumerate(self.steps) for value in step.takes}

    @inplace.default
    def _pairs(self) -> tuple[tuple[str, str], ...]:
        """An output may lie where an input is that no later step takes."""
        last = self._last_uses()
        found = []
        for output, value in zip(self.outputs, self.kept, strict=True):
            place = value - self.n_inputs
            found += [
                (f"arg{source}", output)
                for source in range(self.n_inputs)
                if source not in self.single
                and (last[source] < place or (last[source] == place and self._fits(place, source)))
            ]
        return tuple(found)

    def _fits(self, place: int, source: int) -> bool:
        """Whether a step may write its output where a value is that it takes."""
        operator, takes = self.steps[place].operator, self.steps[place].takes
        names = [
            name for name, value in zip(operator.inputs, takes, strict=True) if value == source
        ]
        return all((name, operator.outputs[0]) in operator.inplace for name in names)

    def __repr__(self) -> str:
        names = [step.operator.name for step in self.steps]
        if len(names) > _SHOWN:
            names[_SHOWN - 1 :] = [f"{len(names) - _SHOWN + 1} more"]
        return f"<operator 'fused' of {', '.join(names)}>"

    # -- Inference ---------------------------------------------------------------------------------

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        values: list[Shape | None] = list(shapes)
        for step in self.steps:
            _, found = step.operator.infer_shape(*(values[each] for each in step.takes))
            values += found
        return shapes, tuple(values[each] for each in self.kept)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        values: list[np.dtype[Any] | None] = list(dtypes)
        for step in self.steps:
            _, found = step.operator.infer_type(*(values[each] for each in step.takes))
            values += found
        return dtypes, tuple(values[each] for each in self.kept)

    # -- Computing ---------------------------------------------------------------------------------

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        size = max(map(prod, (*inputs, *outputs)))
        return ELEMENT_US * 2 * size * len(self.steps)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        _, (shape, *_) = self.infer_shape(*shapes)
        size = min(prod(shape or ()), BLOCK)
        layout = self._layout(dtypes)
        raw = max(room(self._wants(step, layout, size)) for step in self.steps)
        return (*(((size,), dtype) for dtype in layout.rows), ((raw,), _BYTE))

    def _wants(
        self, step: Step, layout: _Layout, size: int
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        """The working memory of one step for a block."""
        shapes = [(1,) if each in self.single else (size,) for each in step.takes]
        return step.operator.scratch(shapes, [layout.types[each] for each in step.takes])

    def _layout(self, dtypes: Sequence[np.dtype[Any]]) -> _Layout:
        key = tuple(dtypes)
        if key not in self._layouts:
            self._layouts[key] = self._lay_out(key)
        return self._layouts[key]

    def _lay_out(self, dtypes: tuple[np.dtype[Any], ...]) -> _Layout:
        """Give each value in between a row, that of a value that nobody takes any more if it can.

        Where a step may write over what it takes it does: NumPy then need not look whether the two
        overlap.
        """
        types: list[Any] = list(dtypes)
        rows: list[Any] = []
        row_of: dict[int, int] = {}
        free: list[int] = []
        for place, step in enumerate(self.steps):
            _, (dtype,) = step.operator.infer_type(*(types[each] for each in step.takes))
            types.append(dtype)
            ending = {v for v in step.takes if v in row_of and self._last[v] == place}
            mine = [row_of[value] for value in sorted(ending) if self._fits(place, value)]
            value = self.n_inputs + place
            if value not in self.kept:
                fitting = (row for row in (*mine, *free) if rows[row] == dtype)
                row = next(fitting, len(rows))
                if row == len(rows):
                    rows.append(dtype)
                elif row in free:
                    free.remove(row)
                row_of[value] = row
            free += [row_of[each] for each in ending if row_of[each] != row_of.get(value)]
        return _Layout(tuple(types), tuple(rows), row_of)

    def calls(self, arrays: list[Any]) -> list[Call]:
        return list(self._calls(arrays))

    def _calls(self, arrays: list[Any]) -> Iterator[Call]:
        first, end = self.n_inputs, self.n_inputs + len(self.kept)
        layout = self._layout([array.dtype for array in arrays[:first]])
        whole = dict(enumerate(arrays[:first])) | dict(
            zip(self.kept, arrays[first:end], strict=True)
        )
        *rows, raw = arrays[end:]
        for part in blocks(arrays[first].size, BLOCK):
            size = part.stop - part.start
            # Values in the same place stay one object, as `Program` has them.
            views: dict[int, Memory] = {}
            values: dict[int, Memory] = {}
            for value, array in whole.items():
                if id(array) not in views:
                    flat = array.reshape(-1)
                    views[id(array)] = flat if value in self.single else flat[part]
                values[value] = views[id(array)]
            cut = [row[:size] for row in rows]
            values |= {value: cut[row] for value, row in layout.row_of.items()}
            for place, step in enumerate(self.steps):
                given = [values[each] for each in (*step.takes, first + place)]
                given += carve(raw, self._wants(step, layout, size))
                yield from step.operator.calls(given)

    def forward(self, *arrays: Memory) -> None:
        call_each(self._calls(list(arrays)))


@attrs.frozen(repr=False)
class Activated(Operator):
    """A layer and a function of its output's elements, which follows while a part is in the cache.

    The bias is added, and the function applied, in one pass.

    Attributes:
      layer: the layer.
      function: an element-wise operator on one input that may take the place of it.
    """

    layer: FullyConnected | Convolution
    function: Operator

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}+{self.function.name}"

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.layer.inputs

    def __repr__(self) -> str:
        return f"{self.layer!r} and {self.function!r}"

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return self.layer.infer_shape(*shapes)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return self.layer.infer_type(*dtypes)

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        return self.layer.work(inputs, outputs) + ELEMENT_US * 2 * prod(outputs[0])

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        _, (shape, *_) = self.layer.infer_shape(*shapes)
        raw = room(self.function.scratch([(min(prod(shape or ()), BLOCK),)], dtypes[:1]))
        return (*self.layer.scratch(shapes, dtypes), ((raw,), _BYTE))

    def calls(self, arrays: list[Any]) -> list[Call]:
        if isinstance(self.layer, Convolution):  # which goes through its images by itself
            return super().calls(arrays)
        *own, raw = arrays
        return self.layer.calls(own, lambda part: self._after(part, raw))

    def forward(self, *arrays: Memory) -> None:
        if isinstance(self.layer, Convolution):
            *own, raw = arrays
            self.layer.forward(*own, after=lambda part: call_each(self._after(part, raw)))
        else:
            call_each(self.calls(list(arrays)))

    def _after(self, part: Memory, raw: Memory) -> Iterator[Call]:
        """The calls that compute the function of a part of the layer's output."""
        flat = part.reshape(-1)
        for block in blocks(flat.size, BLOCK):
            data = flat[block]
            work = carve(raw, self.function.scratch([data.shape], [data.dtype]))
            yield from self.function.calls([data, data, *work])
