"""Programs: a graph compiled into a flat list of calls on memory that stays where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.errors import ShapeError
from actorflow.graph import Entry, infer_shapes, infer_types, optimise, plan_memory, topological
from actorflow.ndarray import Block, empty, quietly
from actorflow.ops import Constant, carve, prod, room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorflow.device import Context
    from actorflow.graph import MemoryPlan, Node
    from actorflow.ndarray import NDArray
    from actorflow.ops import Memory, Shape

__all__ = ["Program"]

Call = tuple["Callable[..., object]", tuple[Any, ...]]


class Program:
    """A graph, compiled for certain arrays.

    Attributes:
      order: the operators in the order in which they run.
      plan: where values lie.
      n_draws: how many random generators one run needs.
    """

    def __init__(
        self,
        heads: Sequence[Entry],
        targets: Sequence[NDArray],
        bound: Mapping[Node, NDArray],
        context: Context,
        stages: Sequence[int],
        *,
        fuse: bool = True,
    ) -> None:
        """Compile.

        Args:
          heads: what is computed.
          targets: the array that each head is written to.
          bound: the arrays of all variables.
          context: where internal memory comes from.
          stages: how many of the heads each stage computes; a stage runs as one call of `run`.
          fuse: whether constants are folded and operators fused.
        """
        shapes, types = _infer(heads, bound)
        heads = optimise(heads, stages, shapes, types, fuse=fuse)
        self._shapes, self._types = shapes, types
        self._bound = dict(bound)
        self._targets = dict(zip(heads, targets, strict=True))
        self._context = context
        self.order: list[Node] = []
        self._ends: list[int] = []
        done = 0
        for count in stages:
            done += count
            self.order = [n for n in topological(heads[:done]) if n.operator is not None]
            self._ends.append(len(self.order))
        every = topological(heads)
        itemsizes = {entry: dtype.itemsize for entry, dtype in self._types.items()}
        self.plan: MemoryPlan = plan_memory(every, self._shapes, itemsizes, set(heads))
        # The operators that draw, numbered: each run has a generator for each of them.
        drawing = [node for node in self.order if node.operator is not None and node.operator.draws]
        self._drawing = {node: number for number, node in enumerate(drawing)}
        self.n_draws = len(drawing)
        self._draws: list[np.random.Generator] = []
        self._used = {entry for node in every for entry in node.inputs}
        self._calls: list[list[Call]] | None = None

    def run(
        self,
        stage: int,
        draws: Sequence[Callable[[], np.random.Generator]],
        taps: Mapping[Entry, NDArray] | None = None,
    ) -> None:
        """Compute the heads of one stage. As an operation that was granted all arrays.

        Args:
          stage: which.
          draws: makes the generators of all operators that draw, if it is the first stage.
          taps: arrays to copy values to, before others take their place.
        """
        if self._calls is None:
            self._calls = self._compile()
        if draws:
            self._draws[:] = [draw() for draw in draws]
        quietly(_run, self._calls[stage]) if not taps else quietly(self._run_tapped, stage, taps)

    def visible(self, stage: int) -> list[Entry]:
        """The visible outputs that the operators of one stage compute, in that order."""
        begin = self._ends[stage - 1] if stage else 0
        nodes = self.order[begin : self._ends[stage]]
        return [
            entry
            for node in nodes
            for entry in node.entries()[: node.n_visible]
            if self._is_wanted(entry)
        ]

    def _is_wanted(self, entry: Entry) -> bool:
        """Whether a value is computed: some operators leave out what nobody takes."""
        operator = entry.node.operator
        taken = entry in self._used or entry in self._targets
        return taken or operator is None or not operator.partial

    def array_for(self, entry: Entry) -> NDArray:
        """A new array that a value can be copied to."""
        return empty(self._shapes[entry], self._context, self._types[entry])

    def _run_tapped(self, stage: int, taps: Mapping[Entry, NDArray]) -> None:
        begin = self._ends[stage - 1] if stage else 0
        for node in self.order[begin : self._ends[stage]]:
            for function, arguments in self._calls_of[node]:
                function(*arguments)
            for entry in node.entries():
                if entry in taps:
                    np.copyto(taps[entry]._view(), self._memory[entry])

    # -- Compiling -----------------------------------------------------------------------------

    def _compile(self) -> list[list[Call]]:
        """Give memory to all values, and write down the calls."""
        buffers = []
        for nbytes in self.plan.nbytes:
            block = Block((max(nbytes, 1),), np.dtype(np.uint8), self._context)
            buffers.append(block.allocate())
        self._buffers = buffers
        self._memory: dict[Entry, Memory] = {}
        # Values in the same place share one array object: where an output is the very object that
        # an input is, NumPy need not look whether they overlap.
        self._arrays: dict[object, Memory] = {}
        for entry, place in self.plan.places.items():
            self._memory[entry] = self._locate(entry, place.buffer, place.owner)
        scratch = self._scratch()
        self._calls_of = {node: self._call(node, scratch) for node in self.order}
        calls: list[list[Call]] = []
        begin = 0
        for end in self._ends:
            calls.append([call for node in self.order[begin:end] for call in self._calls_of[node]])
            begin = end
        return calls

    def _locate(self, entry: Entry, buffer: int | None, owner: Entry | None) -> Memory:
        shape, dtype = self._shapes[entry], self._types[entry]
        if buffer is not None:
            key = (buffer, shape, dtype)
            if key not in self._arrays:
                raw = self._buffers[buffer][: prod(shape) * dtype.itemsize]
                self._arrays[key] = raw.view(dtype).reshape(shape)
            return self._arrays[key]
        assert owner is not None  # noqa: S101 -- the plan says so
        array = self._targets.get(owner)
        if array is None and isinstance(owner.node.operator, Constant):
            value: Memory = owner.node.operator.value.reshape(shape)
            return value
        if array is None:
            array = self._bound[owner.node]
        memory = array._view()
        return memory if memory.shape == shape else memory.reshape(shape)

    def _scratch(self) -> Memory:
        """Working memory for the operator that needs most; they run one at a time."""
        nbytes = max((room(self._wants(node)) for node in self.order), default=0)
        # The pool's memory begins where a line of cache does; that of `np.empty` need not.
        return Block((max(nbytes, 1),), np.dtype(np.uint8), self._context).allocate()

    def _wants(self, node: Node) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        assert node.operator is not None  # noqa: S101 -- only operators are in the order
        shapes = [self._shapes[entry] for entry in node.inputs]
        return node.operator.scratch(shapes, [self._types[entry] for entry in node.inputs])

    def _call(self, node: Node, scratch: Memory) -> list[Call]:
        operator = node.operator
        assert operator is not None  # noqa: S101 -- only operators are in the order
        memory = self._memory
        first = Entry(node, 0)
        if operator.is_view and self.plan.places[first].view:
            return []
        if isinstance(operator, Constant) and first not in self._targets:
            return []
        arrays: list[Any] = [memory[entry] for entry in node.inputs]
        arrays += [memory[entry] if self._is_wanted(entry) else None for entry in node.entries()]
        arrays += carve(scratch, self._wants(node))
        if operator.draws:
            return [(self._with_draw, (operator.forward, arrays, self._drawing[node]))]
        return operator.calls(arrays)

    def _with_draw(self, forward: Callable[..., object], arrays: list[Memory], index: int) -> None:
        forward(*arrays, self._draws[index])


def _run(calls: list[Call]) -> None:
    for function, arguments in calls:
        function(*arguments)


def _infer(
    heads: Sequence[Entry], bound: Mapping[Node, NDArray]
) -> tuple[dict[Entry, Shape], dict[Entry, np.dtype[Any]]]:
    order = topological(heads)
    shapes = infer_shapes(order, {node: each.shape for node, each in bound.items()})
    types = infer_types(order, {node: each._block.dtype for node, each in bound.items()})
    for node in order:
        for entry in node.entries():
            if entry not in shapes:
                message = f"bind: the shape of {entry.name!r} cannot be told from the arguments"
                raise ShapeError(message)
    return shapes, types
