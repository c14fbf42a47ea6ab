"""What is done to a graph, and in which order, before memory is planned for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.graph.fold import dropping_neutral, folding
from actorflow.graph.fuse import fuse_elementwise, fuse_layers
from actorflow.graph.node import Ordered, first_of, rebuild
from actorflow.graph.rewrite import dropping_identities, own_heads, sharing

if TYPE_CHECKING:
    from actorflow.graph.node import Entry

    Known = dict[Entry, Any]

__all__ = ["optimise"]


def optimise(
    graph: Ordered,
    shapes: Known,
    types: Known,
    *,
    fuse: bool = True,
) -> Ordered:
    """Make a graph one that computes the same with less.

    Args:
      graph: the graph. What one of its stages computes is not put off to a later one.
      shapes, types: of all entries; those of new entries are noted there.
      fuse: whether to fold constants and to fuse operators. Without, each value that users know by
        name is still there.

    Returns:
      The new graph.
    """
    graph = _simplified(graph, shapes, types, fold=fuse)
    graph = own_heads(graph, shapes, types)
    if fuse:
        graph = fuse_layers(graph, shapes, types)
        graph = fuse_elementwise(graph, shapes, types)
    return graph


def _simplified(graph: Ordered, shapes: Known, types: Known, *, fold: bool) -> Ordered:
    """Apply the rules that look at one node at a time, all in one walk.

    To walk through a graph and to make nodes takes longer than the rules.
    """
    rules = [dropping_identities(shapes, types)]
    if fold:
        rules += [dropping_neutral(shapes, types), sharing(folding(graph.order, shapes, types))]
    else:
        rules.append(sharing())
    heads = rebuild(graph.heads, first_of(*rules), shapes, types, graph.order)
    return Ordered.of(heads, graph.stages)
