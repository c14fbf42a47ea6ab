"""Passes that turn a graph into a better one that computes the same.

Those that are given the shapes and data types of all entries note those of the entries that they
make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.engine import describe_site
from actorflow.graph.node import Entry, Node, Ordered, moved, rebuild, topological, users
from actorflow.ops import ELEMENTWISE, Copy, LogSoftmax, Operator, Softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.graph.node import Rule

    Known = dict[Entry, Any]

__all__ = [
    "dropping_identities",
    "for_binding",
    "for_inference",
    "log_of_softmax",
    "own_heads",
    "sharing",
]


def for_binding(
    heads: Sequence[Entry],
    shapes: Known,
    types: Known,
    groups: Mapping[str, Any],
    context: Any,  # noqa: ANN401 -- graphs do not know contexts
) -> list[Entry]:
    """Give each node whose operator `has_instances` an operator of its own.

    Args:
      heads: of a graph whose operators name their groups, if there are any.
      shapes, types: of all entries.
      groups: the context of each group.
      context: that of all others.
    """

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if operator is None or not operator.has_instances:
            return None
        bound = operator.at_bind(
            f"{node.name!r}{describe_site(node.site, verb='made')}",
            groups.get(node.attributes.get("ctx_group", ""), context),
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


def log_of_softmax(heads: Sequence[Entry]) -> list[Entry]:
    """Compute the logarithm of a softmax that nobody else takes as what it is, `log_softmax`.

    That is one kernel, so is its gradient, and neither loses digits where a probability is near 0.
    Nothing has the same bits as before.
    """
    order = topological(heads)
    if not any(isinstance(node.operator, Softmax) for node in order):
        return list(heads)
    taken = users(order)
    log = ELEMENTWISE["log"]

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        if node.operator is not log:
            return None
        inner, operator = inputs[0].node, inputs[0].node.operator
        if not isinstance(operator, Softmax):
            return None
        before = node.inputs[0]
        if len(taken[before]) > 1 or before in heads:
            return None
        made = LogSoftmax(operator.axis, operator.temperature)
        name = f"{inner.name}+{node.name}"
        return Node(made, name, inner.inputs, node.attributes, node.site).entries()

    return rebuild(heads, change, order=order)


def sharing(inner: Rule | None = None) -> Rule:
    """A rule for `rebuild`: what is written down several times becomes one.

    Operators are values, so two nodes are the same if their operators are equal, their inputs are
    the same entries, and neither draws random numbers or updates a state.

    Args:
      inner: a rule for those that are there the first time; the others become the same.
    """
    known: dict[object, tuple[Entry, ...]] = {}

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if operator is None or operator.draws or operator.auxiliary:
            return None
        key = (operator, inputs, node.attributes.get("ctx_group"))
        try:
            found = known.get(key)
        except TypeError:  # a parameter that is no value, such as an array
            return None if inner is None else inner(node, inputs)
        if found is None:
            found = None if inner is None else inner(node, inputs)
            if found is None:
                found = (node if inputs == node.inputs else moved(node, inputs)).entries()
            known[key] = found
        return found

    return change


def dropping_identities(shapes: Known, types: Known) -> Rule:
    """A rule for `rebuild`: leave out operators that give what they take, `is_identity`."""

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if operator is None or type(operator).is_identity is Operator.is_identity:  # never
            return None
        if not operator.is_identity(*[shapes[entry] for entry in node.inputs]):
            return None
        if types[node.inputs[0]] != types[node.entries()[0]]:
            return None
        return inputs[:1]

    return change


def own_heads(graph: Ordered, shapes: Known, types: Known) -> Ordered:
    """Copy heads so that each has memory of its own, which nobody but its own stage writes.

    These are heads that are variables, views, there twice, or computed in an earlier stage.

    Args:
      graph: the graph.
      shapes, types: of all entries.
    """
    seen: set[Entry] = set()
    found = []
    begin = end = 0  # of the stage in the heads
    early: set[Node] = set()  # the nodes of the stages before
    for stage, count in enumerate(graph.stages):
        begin, end = end, end + count
        if stage:
            early.update(graph.order[: graph.ends[stage - 1]])
        for head in graph.heads[begin:end]:
            own = head
            operator = head.node.operator
            if operator is None or operator.is_view or head in seen or head.node in early:
                own = Node(Copy(), f"{head.name}_copy", (head,)).entries()[0]
                shapes[own], types[own] = shapes[head], types[head]
            seen.add(own)
            found.append(own)
    return graph if tuple(found) == graph.heads else Ordered.of(found, graph.stages)
