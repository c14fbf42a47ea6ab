"""Passes that turn a graph into a better one that computes the same.

Those that are given the shapes and data types of all entries note those of the entries that they
make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.engine import describe_site
from actorflow.graph.node import Entry, Node, rebuild, topological
from actorflow.ops import Copy, Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    Known = dict[Entry, Any]

__all__ = ["drop_identities", "for_binding", "for_inference", "own_heads", "share_common"]


def for_binding(
    heads: Sequence[Entry],
    shapes: Known,
    types: Known,
    context: Any,  # noqa: ANN401 -- graphs do not know contexts
) -> list[Entry]:
    """Give each node whose operator `has_instances` an operator of its own."""

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if operator is None or not operator.has_instances:
            return None
        bound = operator.at_bind(
            f"{node.name!r}{describe_site(node.site, verb='made')}",
            context,
            [shapes[entry] for entry in node.inputs],
            [types[entry] for entry in node.inputs],
            [entry.node.operator for entry in inputs],
        )
        return Node(bound, node.name, inputs, node.attributes, node.site).entries()

    return rebuild(heads, change)


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


def share_common(heads: Sequence[Entry], shapes: Known, types: Known) -> list[Entry]:
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
            made = node
            if inputs != node.inputs:
                made = Node(operator, node.name, inputs, node.attributes, node.site)
            found = known[(operator, inputs, placed)] = made.entries()
        return found

    return rebuild(heads, change, shapes, types)


def drop_identities(heads: Sequence[Entry], shapes: Known, types: Known) -> list[Entry]:
    """Leave out operators that give what they take, `Operator.is_identity`."""
    found = {node for node in topological(heads) if _is_identity(node, shapes, types)}
    if not found:
        return list(heads)

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        return (inputs[0],) if node in found else None

    return rebuild(heads, change, shapes, types)


def _is_identity(node: Node, shapes: Known, types: Known) -> bool:
    operator = node.operator
    if operator is None or type(operator).is_identity is Operator.is_identity:  # never
        return False
    if not operator.is_identity(*[shapes[entry] for entry in node.inputs]):
        return False
    return bool(types[node.inputs[0]] == types[Entry(node, 0)])


def own_heads(heads: Sequence[Entry], shapes: Known, types: Known) -> list[Entry]:
    """Copy heads that are variables, views, or there twice, so that each has memory of its own."""
    seen: set[Entry] = set()
    found = []
    for head in heads:
        own = head
        operator = head.node.operator
        if operator is None or operator.is_view or head in seen:
            own = Node(Copy(), f"{head.name}_copy", (head,)).entries()[0]
            shapes[own], types[own] = shapes[head], types[head]
        seen.add(own)
        found.append(own)
    return found
