"""Passes that turn a graph into a better one that computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.graph.node import Entry, Node, rebuild
from actorflow.ops import Copy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorflow.ops import Shape

__all__ = ["drop_identities", "for_inference", "own_heads", "share_common"]


def for_inference(heads: Sequence[Entry]) -> list[Entry]:
    """Replace each operator by what it is when nothing is to be learnt."""

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        if node.operator is None:
            return None
        other = node.operator.at_inference()
        if other is node.operator:
            return None
        return Node(other, node.name, inputs, node.attributes, node.site).entries()

    return rebuild(heads, change)


def share_common(heads: Sequence[Entry]) -> list[Entry]:
    """Compute what is written down several times only once.

    Operators are values, so two nodes are the same if their operators are equal, their inputs are
    the same entries, and neither draws random numbers or updates a state.
    """
    known: dict[object, tuple[Entry, ...]] = {}

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if operator is None or operator.draws or operator.auxiliary:
            return None
        placed = node.attributes.get("ctx_group")
        try:
            found = known.get((operator, inputs, placed))
        except TypeError:  # a parameter that is no value, such as an array
            return None
        if found is None:
            made = Node(operator, node.name, inputs, node.attributes, node.site)
            found = known[(operator, inputs, placed)] = made.entries()
        return found

    return rebuild(heads, change)


def drop_identities(
    heads: Sequence[Entry],
    shape_of: Callable[[Entry], Shape],
) -> list[Entry]:
    """Leave out operators that give what they take, `Operator.is_identity`.

    Args:
      heads: the heads.
      shape_of: the shape of an entry of the graph that is given.
    """

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        given = [shape_of(entry) for entry in node.inputs]
        if operator is not None and operator.is_identity(*given):
            return (inputs[0],)
        return None

    return rebuild(heads, change)


def own_heads(heads: Sequence[Entry], taken: Mapping[Entry, object] | None = None) -> list[Entry]:
    """Copy heads that are variables, views, or there twice, so that each has memory of its own."""
    seen: set[Entry] = set(taken or ())
    found = []
    for head in heads:
        operator = head.node.operator
        if operator is None or operator.is_view or head in seen:
            head = Node(Copy(), f"{head.name}_copy", (head,)).entries()[0]  # noqa: PLW2901
        seen.add(head)
        found.append(head)
    return found
