"""Segments: a graph in its order, cut into parts that are one message each.

A message costs some 10 to 20 microseconds and may run beside others, so a cut is worth its price
where both sides take long enough and somebody gains: another branch, or who waits for a gradient.
Every part is a range of the order, so parts cannot wait for one another in a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actorflow.ops import CrossDeviceCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet

    from actorflow.graph.node import Entry, Node

__all__ = ["Segment", "cut_segments"]


@attrs.frozen(eq=False)
class Segment:
    """A part of a graph's order.

    Attributes:
      number: its place among the segments.
      stage: the part of the run that it belongs to, such as 0 for forward and 1 for backward.
      nodes: its operators, in the order in which they run.
      context: where.
      before: the segments that have run whenever it runs, itself included, as bits of an integer.
    """

    number: int
    stage: int
    nodes: tuple[Node, ...]
    context: Any
    before: int


def cut_segments(
    order: Sequence[Node],
    ends: Sequence[int],
    heads: AbstractSet[Entry],
    work: Callable[[Node], float],
    contexts: Mapping[Node, Any] | None,
    default: Any,  # noqa: ANN401 -- a context
    least: float,
) -> list[Segment]:
    """Cut the order of a graph into segments.

    There is a cut between stages and between contexts, around copies between contexts, and behind
    what is copied, so that the copy need not wait for more. Else one is made only between parts
    that take `least` or longer, and only where it lets something begin earlier.

    Args:
      order: the operators in the order in which they run.
      ends: the end of each stage in it.
      heads: entries that somebody outside may wait for.
      work: how long an operator takes, in microseconds.
      contexts: where nodes are; None if all are in `default`.
      default: the context of all others.
      least: the work that is worth a message, in microseconds; 0 for a message for each operator.
    """
    walls = _walls(order, ends, contexts)
    if least <= 0:
        bounds = list(range(1, len(order) + 1))
    else:
        took = [work(node) for node in order]
        bounds = []
        begin = 0
        parts: _Parts | None = None
        for end in walls:
            if sum(took[begin:end]) < 2 * least:
                bounds.append(end)
            else:
                parts = parts or _Parts(order, ends, heads, took, least)
                bounds += parts.cut(begin, end)
            begin = end
    return _segments(order, ends, bounds, contexts, default)


def _walls(
    order: Sequence[Node], ends: Sequence[int], contexts: Mapping[Node, Any] | None
) -> list[int]:
    """Where there is a cut in any case: the ends of the parts between them, in order."""
    walls = {*ends, len(order)}
    if contexts is not None:
        copied = {
            entry.node
            for node in order
            if isinstance(node.operator, CrossDeviceCopy)
            for entry in node.inputs
        }
        for place, node in enumerate(order):
            if place and contexts[order[place - 1]] != contexts[node]:
                walls.add(place)
            if isinstance(node.operator, CrossDeviceCopy):
                walls |= {place, place + 1}
            if node in copied:
                walls.add(place + 1)
    return sorted(walls - {0})


@attrs.define
class _Part:
    """A range of the order that is not cut any more.

    Attributes:
      begin, end: the range.
      work: what it takes.
      own: the bits of its nodes' chains.
      needs: those of all that it needs, its own included.
      tail: how much was appended after the part that made it long enough.
    """

    begin: int
    end: int
    work: float
    own: int
    needs: int
    tail: float = 0.0


class _Parts:
    """Finds good cuts.

    First, chains: an operator stays with the next one if nobody else waits for its outputs, and
    the next one for nobody else. Then chains that follow each other are joined, until they are
    worth a message, as long as that makes nothing wait that takes long.
    """

    def __init__(
        self,
        order: Sequence[Node],
        ends: Sequence[int],
        heads: AbstractSet[Entry],
        took: Sequence[float],
        least: float,
    ) -> None:
        self.order = order
        self.took = took
        self.least = least
        self.stage: dict[Node, int] = {}
        begin = 0
        for stage, end in enumerate(ends):
            self.stage.update(dict.fromkeys(order[begin:end], stage))
            begin = end
        # Who waits for a node in the same stage; stages follow one another anyway.
        self.users: dict[Node, set[Node]] = {node: set() for node in order}
        for node in order:
            for entry in node.inputs:
                if self.stage.get(entry.node) == self.stage[node]:
                    self.users[entry.node].add(node)
        self.is_head = {head.node for head in heads}
        self.chain_of: dict[Node, int] = {}  # a bit for each
        self.needs_of: dict[int, int] = {}  # by those bits
        self.n_chains = 0
        self.done = 0  # how far chains have been made

    def cut(self, begin: int, end: int) -> list[int]:
        """The ends of the parts of a range."""
        self._make_chains(self.done, begin)
        bounds = []
        current: _Part | None = None
        for chain in self._make_chains(begin, end):
            if current is None:
                current = chain
            elif self._join(current, chain):
                current.end = chain.end
                current.tail += chain.work if current.work >= self.least else 0
                current.work += chain.work
                current.own |= chain.own
                current.needs |= chain.needs
            else:
                bounds.append(current.end)
                current = chain
        self.done = end
        return [*bounds, end]

    def _join(self, current: _Part, chain: _Part) -> bool:
        """Whether a chain goes with the part before it."""
        least = self.least
        outer = current.needs & ~current.own
        if current.work < least and chain.work < least:
            return True
        if current.work < least:
            # The long chain must not wait for more by that, nor others for the long chain.
            nodes = self.order[current.begin : chain.end]
            known = set(nodes)
            short = self.order[current.begin : current.end]
            return not outer & ~chain.needs and all(self.users[node] <= known for node in short)
        if chain.work >= least or current.tail + chain.work >= least:
            return False
        depends = chain.needs & current.own
        return bool(depends) and not chain.needs & ~chain.own & ~current.needs

    def _make_chains(self, begin: int, end: int) -> list[_Part]:
        chains: list[_Part] = []
        for place in range(begin, end):
            node = self.order[place]
            needs = 0
            for entry in node.inputs:
                before = self.chain_of.get(entry.node)
                if before is not None:
                    needs |= self.needs_of[before]
            last = self.order[place - 1] if place > begin else None
            alone = last is not None and last not in self.is_head and self.users[last] == {node}
            if alone and not needs & ~chains[-1].needs:
                chain = chains[-1]
                chain.end = place + 1
                chain.work += self.took[place]
            else:
                bit = 1 << self.n_chains
                self.n_chains += 1
                chain = _Part(place, place + 1, self.took[place], bit, needs | bit)
                chains.append(chain)
            self.chain_of[node] = chain.own
            self.needs_of[chain.own] = chain.needs
        return chains


def _segments(
    order: Sequence[Node],
    ends: Sequence[int],
    bounds: Sequence[int],
    contexts: Mapping[Node, Any] | None,
    default: Any,  # noqa: ANN401 -- a context
) -> list[Segment]:
    segments: list[Segment] = []
    segment_of: dict[Node, int] = {}
    # A few parts that follow each other, as in small graphs, need not be told apart.
    several = not set(bounds) <= set(ends)
    begin = stage = 0
    for number, end in enumerate(bounds):
        while end > ends[stage]:
            stage += 1
        nodes = tuple(order[begin:end])
        before = 1 << number
        if not several:
            before = (2 << number) - 1
        else:
            for node in nodes:
                segment_of[node] = number
            for source in {
                segment_of.get(entry.node, number) for node in nodes for entry in node.inputs
            } - {number}:
                before |= segments[source].before
        context = default if contexts is None else contexts[nodes[0]]
        segments.append(Segment(number, stage, nodes, context, before))
        begin = end
    return segments
