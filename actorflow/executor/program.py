"""Programs: a graph compiled for certain arrays, cut into segments, with a plan of its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import Resource
from actorflow.errors import ShapeError
from actorflow.executor.message import STAGES, Message, draws
from actorflow.graph import (
    Entry,
    Node,
    Ordered,
    cut_segments,
    infer_shapes,
    infer_types,
    insert_copies,
    optimise,
    plan_memory,
    plan_scratch,
    rebuild,
)
from actorflow.ndarray import empty
from actorflow.ops import Constant, Copy, CrossDeviceCopy, Operator, room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from actorflow.device import Context
    from actorflow.engine import Accessible
    from actorflow.executor.pool import Pool
    from actorflow.graph import MemoryPlan, Place, Segment
    from actorflow.ndarray import NDArray
    from actorflow.ops import Shape

__all__ = ["Program"]

_DRAW: Final = "__draw__"  # the attribute with the number of an operator that draws


class Program:
    """A graph, compiled for certain arrays.

    Attributes:
      order: the operators in the order in which they run.
      segments: that order, cut into messages.
      shares: whether its messages read the pool's resource, and have others among themselves; else
        there is one for each stage, and they write the pool's.
      plan: where values lie.
      shapes, types: of all entries.
      wants: the working memory of operators that need some.
      drawing: the operators that draw, numbered by their order before anything was optimised.
      n_draws: how many there were then: each run has a generator for each of them.
    """

    def __init__(
        self,
        graph: Ordered,
        targets: Sequence[NDArray],
        bound: Mapping[Node, NDArray],
        context: Context,
        *,
        fuse: bool,
        groups: Mapping[str, Context],
        learns: bool,
        least: float,
    ) -> None:
        """Compile.

        Args:
          graph: what is computed: forward, and perhaps backward.
          targets: the array that each head is written to.
          bound: the arrays of all variables.
          context: where what belongs to no group is computed.
          fuse: whether constants are folded and operators fused.
          groups: the context of each group.
          learns: whether auxiliary states are updated.
          least: the work that is worth a message, in microseconds.
        """
        graph, self.n_draws = _number_draws(graph)
        shapes, types = _infer(graph.order, bound)
        graph = optimise(graph, shapes, types, fuse=fuse)
        self._bound = dict(bound)
        where: dict[Node, Any] | None = None
        if any(other != context for other in groups.values()):
            placed, where = self._place(graph.heads, targets, groups, context, shapes, types)
            graph = Ordered.of(placed, graph.stages)
        # Of what is still there: the others would keep nodes that nobody needs any more.
        live = [entry for node in graph.order for entry in node.entries()]
        self.shapes = shapes = {entry: shapes[entry] for entry in live}
        self.types = types = {entry: types[entry] for entry in live}
        self._targets = dict(zip(graph.heads, targets, strict=True))
        self._learns = learns
        every, owned = graph.order, set(graph.heads)
        self.order = [node for node in every if node.operator is not None]
        ends = [sum(node.operator is not None for node in every[:end]) for end in graph.ends]
        self.segments = cut_segments(self.order, ends, owned, self._work, where, context, least)
        # A stage may have none: with no gradient wanted there is nothing on the way back.
        self.shares = len(self.segments) > len({each.stage for each in self.segments})
        itemsizes = {entry: dtype.itemsize for entry, dtype in types.items()}
        self.plan: MemoryPlan = plan_memory(every, shapes, itemsizes, owned, self.segments)
        self.wants = {node: wants for node in self.order if (wants := self._wants(node))}
        needs = [
            max((room(self.wants[node]) for node in each.nodes if node in self.wants), default=0)
            for each in self.segments
        ]
        self._scratch = plan_scratch(self.segments, needs)
        self.drawing = {node: int(node.attributes[_DRAW]) for node in filter(draws, self.order)}
        self._used = {entry for node in every for entry in node.inputs}
        self._resources: dict[object, Accessible] = {}

    def _place(
        self,
        heads: Sequence[Entry],
        targets: Sequence[NDArray],
        groups: Mapping[str, Context],
        context: Context,
        shapes: dict[Entry, Shape],
        types: dict[Entry, np.dtype[Any]],
    ) -> tuple[list[Entry], dict[Node, Any]]:
        return insert_copies(
            heads,
            [each.context for each in targets],
            groups,
            {node: each.context for node, each in self._bound.items()},
            context,
            shapes,
            types,
        )

    # -- Values --------------------------------------------------------------------------------

    def tapped(self) -> dict[Entry, NDArray]:
        """New arrays for all visible outputs of the first stage, in the order of the operators."""
        return {
            entry: empty(self.shapes[entry], segment.context, self.types[entry])
            for segment in self.segments
            if segment.stage == 0
            for node in segment.nodes
            if not _is_inserted(node)
            for entry in node.entries()[: node.n_visible]
            if self.is_wanted(entry)
        }

    def array_of(self, place: Place) -> NDArray | None:
        """The bound array that a value lies in; None for a constant, which has its own."""
        owner = place.owner
        assert owner is not None  # noqa: S101 -- it is in no buffer
        array = self._targets.get(owner)
        if array is None and not isinstance(owner.node.operator, Constant):
            return self._bound[owner.node]
        return array

    def is_wanted(self, entry: Entry) -> bool:
        """Whether a value is computed: some operators leave out what nobody takes."""
        operator = entry.node.operator
        taken = entry in self._used or entry in self._targets
        return taken or operator is None or not operator.partial

    def _wants(self, node: Node) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        assert node.operator is not None  # noqa: S101 -- only operators are in the order
        if type(node.operator).scratch is Operator.scratch:  # none
            return ()
        shapes = [self.shapes[entry] for entry in node.inputs]
        return node.operator.scratch(shapes, [self.types[entry] for entry in node.inputs])

    def _work(self, node: Node) -> float:
        assert node.operator is not None  # noqa: S101 -- only operators are in the order
        shapes = self.shapes
        return node.operator.work(
            [shapes[entry] for entry in node.inputs], [shapes[entry] for entry in node.entries()]
        )

    # -- Messages ------------------------------------------------------------------------------

    def wire(self, pool: Pool, who: str) -> list[list[Message]]:
        """Its messages, stage by stage, with memory from a pool.

        Args:
          pool: the pool.
          who: what it computes, for people.
        """
        plan = self.plan
        taken, sizes, contexts = self._scratch
        blocks = pool.blocks(
            [*zip(plan.contexts, plan.nbytes, strict=True), *zip(contexts, sizes, strict=True)]
        )
        scratch = blocks[len(plan.nbytes) :]
        messages: list[list[Message]] = [[] for _ in STAGES]
        for segment, number in zip(self.segments, taken, strict=True):
            name = self.name_of(segment, who)
            made = Message(self, segment, name, blocks, scratch[number] if number >= 0 else None)
            messages[segment.stage].append(made)
        self._declare([each for stage in messages for each in stage], pool)
        return messages

    def name_of(self, segment: Segment, who: str) -> str:
        """What people call a message: the stage, and what it computes if there are several."""
        name = f"{STAGES[segment.stage]} of {who}"
        if not self.shares:
            return name
        first, last = segment.nodes[0].name, segment.nodes[-1].name
        return f"{name}: {first}" if first == last else f"{name}: {first} to {last}"

    def _declare(self, messages: list[Message], pool: Pool) -> None:
        """Say what each message touches."""
        found = [self._touches(each.segment) for each in messages]
        # Who does what with a buffer. Buffers that the same messages use in the same way need one
        # resource between them.
        used: dict[int, list[tuple[int, str]]] = {}
        for number, (touched, scratch) in enumerate(zip(found, self._scratch[0], strict=True)):
            for buffer, mode in touched.items():
                if isinstance(buffer, int):
                    used.setdefault(buffer, []).append((number, mode))
            if scratch >= 0:
                used.setdefault(-1 - scratch, []).append((number, "writes"))
        ways = set(map(tuple, used.values())) if self.shares else set()
        declared: list[dict[str, list[Accessible]]] = [
            {"reads": [], "writes": [], "updates": []} for _ in messages
        ]
        for way in sorted(ways):
            resource = Resource(f"values of {messages[way[0][0]].name}")
            for number, mode in way:
                declared[number][mode].append(resource)
        for number, (message, touched) in enumerate(zip(messages, found, strict=True)):
            own = declared[number]
            if self.shares:
                own["reads"].append(pool.resource)
            else:
                # What was there, be it an error, is of no use any more when forward begins.
                own["updates" if message.segment.stage else "writes"].append(pool.resource)
            for key, mode in touched.items():
                if not isinstance(key, int):
                    own[mode].append(self._resources[key])
            message.reads, message.writes, message.updates = map(tuple, own.values())

    def _touches(self, segment: Segment) -> dict[Any, str]:
        """What a segment does with which memory; buffers only where several messages have them."""
        reads: dict[Any, None] = {}
        writes: dict[Any, None] = {}
        places, shares = self.plan.places, self.shares
        seen: set[Entry] = set()  # a second look at a variable finds the same
        for node in segment.nodes:
            for entry in node.inputs:
                place = places[entry]
                if (shares or place.buffer is None) and entry not in seen:
                    seen.add(entry)
                    key = self._whose(place)
                    if key is not None and key not in writes:
                        reads[key] = None
            if self._learns:
                writes.update(dict.fromkeys(self._whose(places[each]) for each in node.states()))
            for entry in node.entries():
                place = places[entry]
                if (shares or place.buffer is None) and not place.view:
                    writes[self._whose(place)] = None
        writes.pop(None, None)  # constants
        modes = dict.fromkeys(reads, "reads")
        modes.update({key: "updates" if key in reads else "writes" for key in writes})
        return modes

    def _whose(self, place: Place) -> int | tuple[object, ...] | None:
        """The memory of a value: the number of a buffer, or what tells bound arrays apart.

        None for constants, which nobody writes.
        """
        if place.buffer is not None:
            return place.buffer
        array = self.array_of(place)
        if array is None:
            return None
        key = (array._block, array._offset, array._size)
        self._resources.setdefault(key, array._resource)
        return key


def _number_draws(graph: Ordered) -> tuple[Ordered, int]:
    """Note for each operator that draws which one it is, as passes change the order; and count.

    Some may be left out later, but who is left in draws the same.
    """
    drawing = list(filter(draws, graph.order))
    if not drawing:
        return graph, 0
    numbers = {node: str(number) for number, node in enumerate(drawing)}

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        if node not in numbers:
            return None
        attributes = {**node.attributes, _DRAW: numbers[node]}
        return Node(node.operator, node.name, inputs, attributes, node.site).entries()

    heads = rebuild(graph.heads, change, order=graph.order)
    return Ordered.of(heads, graph.stages), len(drawing)


def _infer(
    order: Sequence[Node], bound: Mapping[Node, NDArray]
) -> tuple[dict[Entry, Shape], dict[Entry, np.dtype[Any]]]:
    shapes = infer_shapes(order, {node: each.shape for node, each in bound.items()})
    types = infer_types(order, {node: each._block.dtype for node, each in bound.items()})
    for node in order:
        for entry in node.entries():
            if entry not in shapes:
                message = f"bind: the shape of {entry.name!r} cannot be told from the arguments"
                raise ShapeError(message)
    return shapes, types


def _is_inserted(node: Node) -> bool:
    """Whether a node copies a value for the executor alone, and is none of the user's."""
    if isinstance(node.operator, CrossDeviceCopy):
        return True
    return type(node.operator) is Copy and node.name == f"{node.inputs[0].name}_copy"
