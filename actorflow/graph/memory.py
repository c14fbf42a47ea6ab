"""The memory plan: which entries of a graph may share memory, by when they are used.

Walks the graph in the order in which it will run. A value's memory is free once the last node
that takes it has run; a free buffer goes to the next value that fits it. Where an operator allows
it, its output takes the place of an input that nobody needs any more, and a view takes no memory
at all. This is the plan of Chen and others, MXNet (2015), section 3.1, "inplace" and "co-share".
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from actorflow.graph.node import Entry
from actorflow.ops import Constant, prod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet

    from actorflow.graph.node import Node

__all__ = ["MemoryPlan", "Place", "plan_memory"]

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
    """

    places: dict[Entry, Place]
    nbytes: list[int]

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
        self.free: list[tuple[int, int]] = []  # sizes and numbers, in order
        self.uses = Counter(entry for node in order for entry in node.inputs)
        # How many uses of values in a buffer are still to come.
        self.pending: dict[int, int] = {}

    def run(self) -> MemoryPlan:
        for node in self.order:
            if node.is_variable:
                entry = Entry(node, 0)
                self.places[entry] = Place(None, entry)
                continue
            for entry in node.entries():
                self._place(node, entry)
            for entry in node.inputs:
                self._release(entry, 1)
            for entry in node.entries():
                if not self.uses[entry]:
                    self._release(entry, 0)
        return MemoryPlan(self.places, self.sizes)

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
            # One more than its uses, until its own node has run.
            self.pending[buffer] = self.pending.get(buffer, 0) + max(1, self.uses[entry])

    def _in_place(self, node: Node, entry: Entry, nbytes: int) -> int | None:
        """The buffer of an input that the output may take the place of."""
        operator = node.operator
        assert operator is not None  # noqa: S101 -- variables do not come here
        names = (*operator.inputs, *operator.auxiliary)
        for source, target in operator.inplace:
            if operator.outputs[entry.output] != target:
                continue
            given = node.inputs[names.index(source)]
            buffer = self.places[given].buffer
            # With one use left, that is this one, and no other output has taken the buffer, for
            # then there would be a use of that, too.
            if buffer is None or self.pending[buffer] != 1:
                continue
            if self.nbytes_of(given) == nbytes:
                return buffer
        return None

    def _take(self, nbytes: int) -> int:
        """A free buffer that fits, the smallest such one; or one that is not much too small."""
        if self.share and self.free:
            # In the order of their sizes, so that one look is enough however many there are.
            place = bisect_left(self.free, (nbytes, -1))
            if place < len(self.free) and self.free[place][0] <= _FIT * max(nbytes, 1):
                return self.free.pop(place)[1]
            if place and nbytes <= _FIT * self.free[place - 1][0]:
                _, best = self.free.pop(place - 1)
                self.sizes[best] = nbytes
                return best
        self.sizes.append(nbytes)
        self.inside.append(Place(len(self.inside)))
        return len(self.sizes) - 1

    def _release(self, entry: Entry, uses: int) -> None:
        place = self.places[entry]
        if place.buffer is None:
            return
        self.pending[place.buffer] -= max(1, uses)
        if self.pending[place.buffer] == 0:
            insort(self.free, (self.sizes[place.buffer], place.buffer))


def plan_memory(
    order: Sequence[Node],
    shapes: Mapping[Entry, tuple[int, ...]],
    itemsizes: Mapping[Entry, int],
    owned: AbstractSet[Entry],
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

    return _Planner(order, nbytes_of, owned, inplace=inplace, share=share).run()
