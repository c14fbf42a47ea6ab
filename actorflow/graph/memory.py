"""The memory plan: which entries of a graph may share memory, by when they are used.

Walks the graph in the order in which it will run. A value's memory is free once the last node
that takes it has run; a free buffer goes to the next value that fits it. Where an operator allows
it, its output takes the place of an input that nobody needs any more, and a view takes no memory
at all. This is the plan of Chen and others, MXNet (2015), section 3.1, "inplace" and "co-share".

Where the graph is cut into segments, which may run side by side, a buffer goes on only to a
segment that runs after all that have used it in any case. So to share memory makes nobody wait.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from actorflow.ops import Constant, prod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet

    from actorflow.graph.node import Entry, Node
    from actorflow.graph.segments import Segment

__all__ = ["MemoryPlan", "Place", "plan_memory", "plan_scratch"]

_FIT = 16  # how many times too large a free buffer may be


@attrs.frozen
class Place:
    """Where a value lies.

    Attributes:
      buffer: the number of a buffer of the plan; None for memory that somebody else owns.
      owner: with no buffer, the entry whose memory it is.
      view: whether it is another shape of memory that was filled before, so that nothing has to
        be computed.
    """

    buffer: int | None
    owner: Entry | None = None
    view: bool = False


@attrs.frozen
class MemoryPlan:
    """Where every entry lies.

    Attributes:
      places: for each entry that anybody uses.
      nbytes: the size of each buffer.
      contexts: the context of each buffer, as its segments name it; None without segments.
    """

    places: dict[Entry, Place]
    nbytes: list[int]
    contexts: list[Any]

    @property
    def total(self) -> int:
        """The bytes of all buffers."""
        return sum(self.nbytes)


class _Planner:
    def __init__(
        self,
        order: Sequence[Node],
        nbytes_of: Callable[[Entry], int],
        owned: AbstractSet[Entry],
        segments: Sequence[Segment],
        *,
        inplace: bool,
        share: bool,
    ) -> None:
        self.order = order
        self.nbytes_of = nbytes_of
        self.owned = owned
        self.inplace = inplace
        self.share = share
        self.places: dict[Entry, Place] = {}
        self.sizes: list[int] = []
        self.inside: list[Place] = []  # each buffer, as a place
        self.contexts: list[Any] = []
        self.touched: list[int] = []  # the segments that have used a buffer, as bits
        self.free: dict[Any, list[tuple[int, int]]] = {}  # by context: sizes and numbers, in order
        self.segment_of = {node: segment for segment in segments for node in segment.nodes}
        # Of the node that is looked at: its segment as a bit, those before it, and its context.
        self.bit, self.before, self.context = 1, 1, None
        self.uses = Counter(entry for node in order for entry in node.inputs)
        # How many uses of values in a buffer are still to come.
        self.pending: dict[int, int] = {}

    def run(self) -> MemoryPlan:
        for node in self.order:
            if node.operator is None:
                (entry,) = node.entries()
                self.places[entry] = Place(None, entry)
                continue
            segment = self.segment_of.get(node)
            if segment is not None:
                self.bit = 1 << segment.number
                self.before, self.context = segment.before, segment.context
            for entry in node.entries():
                self._place(node, entry)
            for entry in node.inputs:
                self._release(entry, 1)
            for entry in node.entries():
                if not self.uses[entry]:
                    self._release(entry, 0)
        return MemoryPlan(self.places, self.sizes, self.contexts)

    def _place(self, node: Node, entry: Entry) -> None:
        operator = node.operator
        if entry in self.owned or isinstance(operator, Constant):
            self.places[entry] = Place(None, entry)
            return
        assert operator is not None  # noqa: S101 -- variables do not come here
        if operator.is_view:
            first = self.places[node.inputs[0]]
            self.places[entry] = attrs.evolve(first, view=True)
            self._keep(first.buffer, entry)
            return
        nbytes = self.nbytes_of(entry)
        buffer = self._in_place(node, entry, nbytes) if self.inplace else None
        if buffer is None:
            buffer = self._take(nbytes)
        self.places[entry] = self.inside[buffer]
        self._keep(buffer, entry)

    def _keep(self, buffer: int | None, entry: Entry) -> None:
        if buffer is not None:
            self.touched[buffer] |= self.bit
            # One more than its uses, until its own node has run.
            self.pending[buffer] = self.pending.get(buffer, 0) + max(1, self.uses[entry])

    def _in_place(self, node: Node, entry: Entry, nbytes: int) -> int | None:
        """The buffer of an input that the output may take the place of."""
        operator = node.operator
        assert operator is not None  # noqa: S101 -- variables do not come here
        names: tuple[str, ...] = ()
        for source, target in operator.inplace:
            if operator.outputs[entry.output] != target:
                continue
            names = names or (*operator.inputs, *operator.auxiliary)
            given = node.inputs[names.index(source)]
            buffer = self.places[given].buffer
            # With one use left, that is this one, and no other output has taken the buffer, for
            # then there would be a use of that, too.
            if buffer is None or self.pending[buffer] != 1:
                continue
            if self.contexts[buffer] != self.context:  # the operator is a copy between contexts
                continue
            if self.nbytes_of(given) == nbytes and not self.touched[buffer] & ~self.before:
                return buffer
        return None

    def _take(self, nbytes: int) -> int:
        """A free buffer that fits, the smallest such one; or one that is not much too small."""
        free = self.free.get(self.context)
        if self.share and free:
            # In the order of their sizes, so that a look is enough however many there are, unless
            # segments that run side by side have used them.
            place = bisect_left(free, (nbytes, -1))
            for above in range(place, len(free)):
                size, found = free[above]
                if size > _FIT * max(nbytes, 1):
                    break
                if not self.touched[found] & ~self.before:
                    return free.pop(above)[1]
            for below in range(place - 1, -1, -1):
                size, found = free[below]
                if nbytes > _FIT * size:
                    break
                if not self.touched[found] & ~self.before:
                    del free[below]
                    self.sizes[found] = nbytes
                    return found
        self.sizes.append(nbytes)
        self.inside.append(Place(len(self.inside)))
        self.contexts.append(self.context)
        self.touched.append(0)
        return len(self.sizes) - 1

    def _release(self, entry: Entry, uses: int) -> None:
        place = self.places[entry]
        if place.buffer is None:
            return
        buffer = place.buffer
        self.touched[buffer] |= self.bit
        self.pending[buffer] -= max(1, uses)
        if self.pending[buffer] == 0:
            free = self.free.setdefault(self.contexts[buffer], [])
            insort(free, (self.sizes[buffer], buffer))


def plan_memory(
    order: Sequence[Node],
    shapes: Mapping[Entry, tuple[int, ...]],
    itemsizes: Mapping[Entry, int],
    owned: AbstractSet[Entry],
    segments: Sequence[Segment] = (),
    *,
    inplace: bool = True,
    share: bool = True,
) -> MemoryPlan:
    """Plan the memory of a graph.

    Args:
      order: its nodes, in the order in which they run.
      shapes: of all entries.
      itemsizes: the bytes of one element of each entry.
      owned: entries whose memory somebody else owns, such as the heads; variables always are.
      segments: what the order was cut into; none if its operators run one after the other.
      inplace: whether outputs may take the place of inputs.
      share: whether buffers are used again.

    Returns:
      The plan. The same graph gives the same plan.
    """
    known: dict[Entry, int] = {}

    def nbytes_of(entry: Entry) -> int:
        nbytes = known.get(entry)
        if nbytes is None:
            nbytes = known[entry] = prod(shapes[entry]) * itemsizes[entry]
        return nbytes

    return _Planner(order, nbytes_of, owned, segments, inplace=inplace, share=share).run()


def plan_scratch(
    segments: Sequence[Segment], needs: Sequence[int]
) -> tuple[list[int], list[int], list[Any]]:
    """Plan the working memory of segments: segments that cannot run side by side share it.

    Args:
      segments: in the order in which they run.
      needs: for each how many bytes the operator of it that needs most takes.

    Returns:
      For each segment the number of a buffer, -1 where none is needed, and the buffers' sizes and
      contexts.
    """
    taken: list[int] = []
    sizes: list[int] = []
    contexts: list[Any] = []
    touched: list[int] = []
    for segment, nbytes in zip(segments, needs, strict=True):
        if not nbytes:
            taken.append(-1)
            continue
        for number, context in enumerate(contexts):
            if context == segment.context and not touched[number] & ~segment.before:
                break
        else:
            number = len(sizes)
            sizes.append(0)
            contexts.append(segment.context)
            touched.append(0)
        sizes[number] = max(sizes[number], nbytes)
        touched[number] |= 1 << segment.number
        taken.append(number)
    return taken, sizes, contexts
