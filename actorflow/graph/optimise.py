"""What is done to a graph, and in which order, before memory is planned for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.graph.fold import drop_neutral, fold_constants
from actorflow.graph.fuse import fuse_elementwise, fuse_layers
from actorflow.graph.rewrite import drop_identities, own_heads, share_common

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.graph.node import Entry

__all__ = ["optimise"]


def optimise(
    heads: Sequence[Entry],
    stages: Sequence[int],
    shapes: dict[Entry, Any],
    types: dict[Entry, Any],
    *,
    fuse: bool = True,
) -> list[Entry]:
    """Make a graph one that computes the same with less.

    Args:
      heads: the heads of all stages, one stage after the other.
      stages: how many heads each stage has. A stage runs by itself, after those before it: what it
        computes is not put off to a later one.
      shapes, types: of all entries; those of new entries are noted there.
      fuse: whether to fold constants and to fuse operators. Without, each value that users know by
        name is still there.

    Returns:
      The new heads.
    """
    heads = share_common(heads, shapes, types)
    if fuse:
        heads = fold_constants(heads, shapes, types)
        heads = drop_neutral(heads, shapes, types)
    heads = drop_identities(heads, shapes, types)
    heads = own_heads(heads, shapes, types, stages)
    if fuse:
        heads = fuse_layers(heads, stages, shapes, types)
        heads = fuse_elementwise(heads, stages, shapes, types)
    return heads
