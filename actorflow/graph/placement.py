"""Placement: in which context each node of a graph is computed, and copies where that changes.

The user says of some nodes, by their attribute `ctx_group`, to which group they belong, and when
binding, where each group is computed. All others follow those that they are connected with, as in
MXNet. A context is anything that can be compared here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.errors import ContextError
from actorflow.graph.node import Entry, Node, rebuild, topological
from actorflow.ops import CrossDeviceCopy

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

__all__ = ["group_of", "insert_copies", "spread_groups"]

_COPY = CrossDeviceCopy()


def group_of(node: Node) -> str | None:
    """The group that a node's attributes name, in either of MXNet's spellings."""
    attributes = node.attributes
    return attributes.get("ctx_group", attributes.get("__ctx_group__"))


def spread_groups(
    heads: Sequence[Entry], contexts: Mapping[str, Hashable]
) -> tuple[list[Entry], dict[Node, str]]:
    """Give a group to each node.

    A node without a group gets that of the first of its inputs that has one; what is left then,
    mostly variables, that of a node that takes it.

    Args:
      heads: the heads of a graph, without gradients: those get the groups of what they belong to.
      contexts: the context of each group, and of "" for what has none. A group that is not in it
        is none.

    Returns:
      The heads of the graph whose operators all name their group in `ctx_group`, and the groups of
      its variables.

    Raises:
      ContextError: a state is to be in another context than the operator that updates it.
    """
    order = topological(heads)
    found = {node: name for node in order if (name := group_of(node)) in contexts and name}
    for node in order:
        if node not in found:
            for entry in node.inputs:
                if entry.node in found:
                    found[node] = found[entry.node]
                    break
    for node in reversed(order):
        name = found.get(node)
        if name is None:
            continue
        for entry in node.inputs:
            found.setdefault(entry.node, name)
    _check_states(order, found, contexts)

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        name = found.get(node, "")
        if node.is_variable or node.attributes.get("ctx_group") == name:
            return None
        attributes = {**node.attributes, "ctx_group": name}
        return Node(node.operator, node.name, inputs, attributes, node.site).entries()

    placed = rebuild(heads, change)
    return placed, {node: found.get(node, "") for node in order if node.is_variable}


def _check_states(
    order: Sequence[Node], found: Mapping[Node, str], contexts: Mapping[str, Hashable]
) -> None:
    """Raise unless all states are where the operators are that update them."""
    for node in order:
        for entry in node.states():
            state, own = contexts[found.get(entry.node, "")], contexts[found.get(node, "")]
            if state != own:
                message = (
                    f"{entry.node.name}: by its group it is in {state}, but {node.name!r}, which "
                    f"updates it, in {own}"
                )
                raise ContextError(message)


def insert_copies(
    heads: Sequence[Entry],
    targets: Sequence[Hashable],
    contexts: Mapping[str, Hashable],
    variables: Mapping[Node, Hashable],
    default: Hashable,
    shapes: dict[Entry, Any],
    types: dict[Entry, Any],
) -> tuple[list[Entry], dict[Node, Any]]:
    """Put a copy wherever a value goes to another context: one for each value and context.

    Args:
      heads: of a graph whose operators name their groups. One that does not, because it was made
        for a gradient or a head, is where its first input is.
      targets: the contexts in which the heads are wanted.
      contexts: the context of each group.
      variables: where the variables are.
      default: where operators without a group and without inputs are computed.
      shapes, types: of all entries; those of the copies are noted.

    Returns:
      The new heads, and where each node of the new graph is.
    """
    where: dict[Node, Any] = dict(variables)
    copies: dict[tuple[Entry, Hashable], Entry] = {}

    def carried(entry: Entry, here: Hashable) -> Entry:
        if where[entry.node] == here:
            return entry
        copy = copies.get((entry, here))
        if copy is None:
            node = entry.node
            made = Node(_COPY, f"{node.name}_{entry.output}_copynode", (entry,), {}, node.site)
            copy = copies[entry, here] = made.entries()[0]
            where[made] = here
            shapes[copy], types[copy] = shapes[entry], types[entry]
        return copy

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        if node.is_variable:
            return None
        group = node.attributes.get("ctx_group")
        if group is not None and group in contexts:
            here = contexts[group]
        else:
            here = where[inputs[0].node] if inputs else default
        moved = tuple(carried(entry, here) for entry in inputs)
        made = node
        if moved != node.inputs:
            made = Node(node.operator, node.name, moved, node.attributes, node.site)
        where[made] = here
        return made.entries()

    found = rebuild(heads, change, shapes, types)
    return [carried(head, there) for head, there in zip(found, targets, strict=True)], where
