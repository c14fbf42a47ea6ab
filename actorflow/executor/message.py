"""Messages: segments of a program with their memory, ready to be sent as often as it runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.engine import describe_site
from actorflow.errors import AnomalyError
from actorflow.graph import Entry
from actorflow.ndarray import quietly
from actorflow.ops import Constant, call_each, carve, prod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorflow.engine import Accessible, Engine
    from actorflow.executor.program import Program
    from actorflow.graph import Node, Place, Segment
    from actorflow.ndarray import Block, NDArray
    from actorflow.ops import Call, Memory

__all__ = ["STAGES", "Message", "draws"]

STAGES = ("forward", "backward")


class Message:
    """A flat list of calls on memory that stays where it is, and what they touch.

    Attributes:
      segment: what it computes.
      name: what people call it.
      reads, writes, updates: what it declares.
      draws: the numbers of the operators in it that draw, among all of the program.
    """

    def __init__(
        self,
        program: Program,
        segment: Segment,
        name: str,
        buffers: Sequence[Block],
        scratch: Block | None,
    ) -> None:
        self.segment = segment
        self.name = name
        self.reads: tuple[Accessible, ...] = ()
        self.writes: tuple[Accessible, ...] = ()
        self.updates: tuple[Accessible, ...] = ()
        self.draws = tuple(program.drawing[node] for node in segment.nodes if draws(node))
        self._program = program
        self._buffers = buffers
        self._scratch = scratch
        self._generators: list[np.random.Generator] = []
        self._calls: list[Call] | None = None
        self._steps: list[tuple[Node, list[Call]]] = []
        self._memory: dict[Entry, Memory] = {}

    def send(
        self,
        engine: Engine,
        draws: Sequence[Callable[[], np.random.Generator]],
        source: Accessible | None,
        taps: Mapping[Entry, NDArray],
        *,
        checked: bool,
    ) -> None:
        """Push it.

        Args:
          engine: where.
          draws: makes the generators, one for each operator of the program that draws.
          source: what those read.
          taps: arrays to copy values to, before others take their place.
          checked: whether all values have to be finite.
        """
        reads, writes = self.reads, self.writes
        mine: Sequence[Callable[[], np.random.Generator]] = ()
        if self.draws and source is not None:
            mine = [draws[number] for number in self.draws]
            reads = (*reads, source)
        if taps:
            entries = [entry for node in self.segment.nodes for entry in node.entries()]
            taps = {entry: taps[entry] for entry in entries if entry in taps}
            writes = (*writes, *(each._resource for each in taps.values()))
        engine.push(
            partial(self._run, mine, taps, checked=checked),
            reads=reads,
            writes=writes,
            updates=self.updates,
            device=self.segment.context.name,
            name=self.name,
        )

    def _run(
        self,
        draws: Sequence[Callable[[], np.random.Generator]],
        taps: Mapping[Entry, NDArray],
        *,
        checked: bool,
    ) -> None:
        if self._calls is None:
            self._calls = self._compile()
        if draws:
            self._generators[:] = [draw() for draw in draws]
        if taps or checked:
            quietly(self._run_singly, taps, checked)
        else:
            quietly(call_each, self._calls)

    def _run_singly(self, taps: Mapping[Entry, NDArray], checked: bool) -> None:  # noqa: FBT001
        for node, calls in self._steps:
            call_each(calls)
            # A constant that was folded has no call and no memory here.
            if checked and not isinstance(node.operator, Constant):
                self._check(node)
            for entry in node.entries():
                if entry in taps:
                    np.copyto(taps[entry]._view(), self._memory[entry])

    def _check(self, node: Node) -> None:
        """Raise unless all outputs of an operator that has just run are finite."""
        operator = node.operator
        assert operator is not None  # noqa: S101 -- only operators are in segments
        for entry, output in zip(node.entries(), operator.outputs, strict=True):
            if not self._program.is_wanted(entry) or (found := _odd(self._memory[entry])) is None:
                continue
            # What operators gave before was finite, so only variables can have brought it.
            names = dict.fromkeys(each.name for each in node.inputs if each.node.is_variable)
            odd = {each.name: _odd(self._memory[each]) for each in node.inputs}
            brought = [f"{name} has {odd[name]}" for name in names if odd[name] is not None]
            message = (
                f"{STAGES[self.segment.stage]}: {operator.name} {node.name!r}"
                f"{describe_site(node.site, verb='made')}, gave {found} in its {output}; "
                + (f"of its inputs {' and '.join(brought)}" if brought else "its inputs are finite")
            )
            raise AnomalyError(message)

    # -- Compiling -----------------------------------------------------------------------------

    def _compile(self) -> list[Call]:
        """Write down the calls. As an operation that was granted all that they touch."""
        # Values in the same place share one array object: where an output is the very object that
        # an input is, NumPy need not look whether they overlap.
        known: dict[object, Memory] = {}
        scratch = np.empty(0, np.uint8) if self._scratch is None else self._scratch.allocate()
        self._steps = [(node, self._call(node, scratch, known)) for node in self.segment.nodes]
        return [call for _, calls in self._steps for call in calls]

    def _locate(self, entry: Entry, known: dict[object, Memory]) -> Memory:
        memory = self._memory.get(entry)
        if memory is None:
            memory = self._memory[entry] = self._find(entry, known)
        return memory

    def _find(self, entry: Entry, known: dict[object, Memory]) -> Memory:
        program = self._program
        shape, dtype = program.shapes[entry], program.types[entry]
        place = program.plan.places[entry]
        if place.buffer is not None:
            key = (place.buffer, shape, dtype)
            if key not in known:
                raw = self._buffers[place.buffer].allocate()[: prod(shape) * dtype.itemsize]
                known[key] = raw.view(dtype).reshape(shape)
            return known[key]
        array = program.array_of(place)
        if array is None:
            return _value_of(place).reshape(shape)
        memory = array._view()
        return memory if memory.shape == shape else memory.reshape(shape)

    def _call(self, node: Node, scratch: Memory, known: dict[object, Memory]) -> list[Call]:
        operator = node.operator
        assert operator is not None  # noqa: S101 -- only operators are in segments
        program, locate = self._program, self._locate
        first = Entry(node, 0)
        if isinstance(operator, Constant) and program.array_of(program.plan.places[first]) is None:
            return []
        inputs = [locate(entry, known) for entry in node.inputs]
        outputs = [locate(entry, known) for entry in node.entries()]
        if operator.is_view and program.plan.places[first].view:
            return []
        arrays: list[Any] = [*inputs, *outputs]
        if operator.partial:
            for place, entry in enumerate(node.entries(), len(inputs)):
                if not program.is_wanted(entry):
                    arrays[place] = None
        if node in program.wants:
            arrays += carve(scratch, program.wants[node])
        if operator.draws:
            number = self.draws.index(program.drawing[node])
            return [(_with_draw, (operator.forward, arrays, self._generators, number))]
        return operator.calls(arrays)


def _value_of(place: Place) -> Memory:
    """What a constant is."""
    operator = None if place.owner is None else place.owner.node.operator
    assert isinstance(operator, Constant)  # noqa: S101 -- the program says so
    return operator.value


def _odd(array: Memory) -> str | None:
    """How many elements are not finite, in words; None if all are."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    nan = int(np.isnan(array).sum())
    infinite = int(np.isinf(array).sum())
    counts = [f"{n} {what}" for n, what in ((nan, "NaN"), (infinite, "infinite")) if n]
    return f"{' and '.join(counts)} of {array.size} elements"


def draws(node: Node) -> bool:
    """Whether a node draws random numbers."""
    return node.operator is not None and node.operator.draws


def _with_draw(
    forward: Callable[..., object],
    arrays: list[Memory],
    generators: list[np.random.Generator],
    number: int,
) -> None:
    forward(*arrays, generators[number])
