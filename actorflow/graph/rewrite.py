"""Passes that turn a graph into a better one that computes the same.

Those that are given the shapes and data types of all entries note those of the entries that they
make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.engine import describe_site
from actorflow.graph.node import Entry, Node, rebuild, stages_of, topological, users
from actorflow.ops import ELEMENTWISE, Copy, LogSoftmax, Operator, Softmax

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Known = dict[Entry, Any]

__all__ = [
    "drop_identities",
    "for_binding",
    "for_inference",
    "log_of_softmax",
    "own_heads",
    "share_common",
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
    taken = users(topological(heads))
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


def own_heads(
    heads: Sequence[Entry], shapes: Known, types: Known, stages: Sequence[int] = ()
) -> list[Entry]:
    """Copy heads so that each has memory of its own, which nobody but its own stage writes.

    These are heads that are variables, views, there twice, or computed in an earlier stage.

    Args:
      heads: all heads.
      shapes, types: of all entries.
      stages: how many heads each stage has; one stage if empty.
    """
    seen: set[Entry] = set()
    stage_of = stages_of(heads, stages or [len(heads)])
    own_stage = [stage for stage, count in enumerate(stages) for _ in range(count)]
    found = []
    for head, stage in zip(heads, own_stage or [0] * len(heads), strict=True):
        own = head
        operator = head.node.operator
        early = stage_of[head.node] < stage
        if operator is None or operator.is_view or head in seen or early:
            own = Node(Copy(), f"{head.name}_copy", (head,)).entries()[0]
            shapes[own], types[own] = shapes[head], types[head]
        seen.add(own)
        found.append(own)
    return found
