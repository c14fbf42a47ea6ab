"""What is done to a graph, and in which order, before memory is planned for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.graph.fold import dropping_neutral, folding
from actorflow.graph.fuse import fuse_elementwise, fuse_layers
from actorflow.graph.node import Ordered, first_of, rebuild, topological
from actorflow.graph.rewrite import dropping_identities, own_heads, sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.graph.node import Entry

    Known = dict[Entry, Any]

__all__ = ["optimise"]


def optimise(
    heads: Sequence[Entry],
    stages: Sequence[int],
    shapes: dict[Entry, Any],
    types: dict[Entry, Any],
    *,
    fuse: bool = True,
) -> Ordered:
    """Make a graph one that computes the same with less.

    Args:
      heads: the heads of all stages, one stage after the other.
      stages: how many heads each stage has. A stage runs by itself, after those before it: what it
        computes is not put off to a later one.
      shapes, types: of all entries; those of new entries are noted there.
      fuse: whether to fold constants and to fuse operators. Without, each value that users know by
        name is still there.

    Returns:
      The new graph.
    """
    graph = Ordered.of(_simplified(heads, shapes, types, fold=fuse), stages)
    graph = own_heads(graph, shapes, types)
    if fuse:
        graph = fuse_layers(graph, shapes, types)
        graph = fuse_elementwise(graph, shapes, types)
    return graph


def _simplified(heads: Sequence[Entry], shapes: Known, types: Known, *, fold: bool) -> list[Entry]:
    """Apply the rules that look at one node at a time, all in one walk.

    To walk through a graph and to make nodes takes longer than the rules.
    """
    order = topological(heads)
    rules = [dropping_identities(shapes, types)]
    if fold:
        rules += [dropping_neutral(shapes, types), sharing(folding(order, shapes, types))]
    else:
        rules.append(sharing())
    return rebuild(heads, first_of(*rules), shapes, types, order)
