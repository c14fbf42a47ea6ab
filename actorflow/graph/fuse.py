"""Fusion: operators whose values pass through memory once instead of once each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.graph.node import Entry, Node, Ordered, moved, rebuild, users
from actorflow.ops import Activated, Constant, Convolution, FullyConnected, Fused, Step, prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops import Operator, Shape

    Known = dict[Entry, Any]

__all__ = ["LEAST", "fuse_elementwise", "fuse_layers"]

_MOST: Final = 64
"""Operators of one group: the memory plan compares its inputs and outputs pair by pair."""

LEAST: Final = 4096
"""Elements of the arrays of a group. With fewer there is next to no memory to save, the calls are
the same anyway, and to look for groups takes as long as the rest of binding."""

_WAITING: Final = 4
"""Values of one stage that a group may take. It runs when all are there, so while it waits for one
the others keep their memory: a sum of a hundred products would need a hundred buffers."""

_NAMED: Final = 4  # operators that a group's name names

_LAYERS: Final = (FullyConnected, Convolution)

_FLOAT16: Final = np.dtype(np.float16)


def fuse_layers(graph: Ordered, shapes: Known, types: Known) -> Ordered:
    """Let a layer apply the function of its output that follows, where nobody else takes that.

    The function's gradient has to need the function's output alone, then; that of relu, sigmoid,
    tanh and softsign does. float16 stays out: layers compute it in float32, and the function would
    see what has not been rounded.
    """
    order = graph.order
    if not any(isinstance(node.operator, _LAYERS) for node in order):
        return graph
    taken = users(order)
    states = _states(order)
    headed = set(graph.heads)

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if operator is None or not operator.elementwise or operator.inputs != ("data",):
            return None
        before, out = node.inputs[0], Entry(node, 0)
        layer = inputs[0].node
        if (
            not isinstance(layer.operator, _LAYERS)
            or ("data", operator.outputs[0]) not in operator.inplace
            or len(taken[before]) > 1
            or before in headed
            or types[before] != types[out]
            or types[out] == _FLOAT16
            or not states.isdisjoint(before.node.inputs)
            or _group_name(layer) != _group_name(node)
        ):
            return None
        made = Activated(layer.operator, operator)
        name = f"{layer.name}+{node.name}"
        return Node(made, name, layer.inputs, node.attributes, node.site).entries()

    # Who alone takes something runs in the same stage.
    return Ordered.of(rebuild(graph.heads, change, shapes, types, order), graph.stages)


@attrs.define
class _Group:
    """Operators that are to be one.

    Attributes:
      members: the last one first.
      shape: of all of them.
      stage: the stage in which all of them run.
      waiting: values of this stage that it takes.
    """

    members: list[Node]
    shape: Shape
    stage: int
    waiting: set[Entry]


def fuse_elementwise(graph: Ordered, shapes: Known, types: Known) -> Ordered:
    """Make one operator of each group of element-wise ones on arrays of one shape.

    An operator joins the group of those that take its value in its own stage, if that is one group.
    So no way leads out of a group and back, and when its last member can run, all can. What heads
    and later stages take of the values inside are outputs of the group; the others have no memory
    of their own any more.

    Args:
      graph: the graph.
      shapes, types: of all entries.
    """
    order = graph.order
    # What has few elements is in no group.
    if all(prod(shape) < LEAST for shape in set(shapes.values())):
        return graph
    taken = users(order)
    states = _states(order)
    stage_of = graph.stage_of()
    group_of: dict[Node, _Group] = {}
    for node in reversed(order):
        operator = node.operator
        if operator is None or not _is_eligible(node, operator, shapes, states):
            continue
        entry, stage = Entry(node, 0), stage_of[node]
        waiting = {
            each
            for each in node.inputs
            if not isinstance(each.node.operator, Constant | None) and stage_of[each.node] == stage
        }
        takers = [user for user in taken.get(entry, ()) if stage_of[user] == stage]
        found = group_of.get(takers[0]) if takers else None
        if (
            found is None
            or any(group_of.get(user) is not found for user in takers)
            or found.shape != shapes[entry]
            or _group_name(found.members[0]) != _group_name(node)
            or len(found.members) == _MOST
            or len((found.waiting - {entry}) | waiting) > _WAITING
        ):
            found = _Group([], shapes[entry], stage, set())
        found.members.append(node)
        found.waiting = (found.waiting - {entry}) | waiting
        group_of[node] = found
    if all(len(group.members) == 1 for group in group_of.values()):
        return graph
    wanted = {
        entry
        for entry, takers in taken.items()
        if any(group_of.get(user) is not group_of.get(entry.node) for user in takers)
    }
    wanted.update(graph.heads)
    return Ordered.of(_rebuilt(graph, group_of, wanted, shapes, types), graph.stages)


def _group_name(node: Node) -> str | None:
    return node.attributes.get("ctx_group")


def _states(order: Sequence[Node]) -> set[Entry]:
    """What operators update by themselves: who reads it does so in its turn."""
    return {entry for node in order for entry in node.states()}


def _is_eligible(node: Node, operator: Operator, shapes: Known, states: set[Entry]) -> bool:
    if not operator.elementwise or operator.draws or operator.auxiliary or not node.inputs:
        return False
    # A view costs nothing by itself, and a copy in a group.
    if len(operator.outputs) > 1 or operator.is_view or not states.isdisjoint(node.inputs):
        return False
    shape = shapes[Entry(node, 0)]
    size = prod(shape)
    if size < LEAST:
        return False
    return all(
        shapes[entry] == shape or (size > 1 and prod(shapes[entry]) == 1) for entry in node.inputs
    )


def _rebuilt(
    graph: Ordered,
    group_of: dict[Node, _Group],
    wanted: set[Entry],
    shapes: Known,
    types: Known,
) -> list[Entry]:
    """The graph with a node for each group, in the place of its last member."""
    new: dict[Entry, Entry] = {}
    for node in graph.order:
        group = group_of.get(node)
        if group is None or len(group.members) == 1:
            inputs = tuple(new[entry] for entry in node.inputs)
            kept = node if inputs == node.inputs else moved(node, inputs)
            changed = dict(zip(node.entries(), kept.entries(), strict=True))
        elif node is group.members[0]:
            changed = _fused(group, new, wanted, shapes)
        else:
            continue
        new |= changed
        for before, after in changed.items():
            if before in shapes:
                shapes[after], types[after] = shapes[before], types[before]
    return [new[head] for head in graph.heads]


def _fused(
    group: _Group, new: dict[Entry, Entry], wanted: set[Entry], shapes: Known
) -> dict[Entry, Entry]:
    """One node for a group, and what stands for the values inside that others take."""
    members = group.members[::-1]
    inside = set(members)
    given = dict.fromkeys(e for node in members for e in node.inputs if e.node not in inside)
    # Two entries may have become one.
    inputs = list(dict.fromkeys(new[entry] for entry in given))
    number: dict[Entry, int] = {entry: inputs.index(new[entry]) for entry in given}
    for place, node in enumerate(members):
        number[Entry(node, 0)] = len(inputs) + place
    steps = tuple(
        Step(node.operator, tuple(number[entry] for entry in node.inputs))
        for node in members
        if node.operator is not None
    )
    outside = [Entry(node, 0) for node in members if Entry(node, 0) in wanted]
    single = frozenset(number[entry] for entry in given if shapes[entry] != group.shape)
    operator = Fused(len(inputs), single, steps, tuple(number[entry] for entry in outside))
    last = members[-1]
    made = Node(operator, _joined(members), tuple(inputs), last.attributes, last.site)
    return dict(zip(outside, made.entries(), strict=True))


def _joined(members: Sequence[Node]) -> str:
    """A name that tells of which operators a group is made."""
    names = [node.name for node in members]
    if len(names) > _NAMED:
        names[_NAMED - 1 : -1] = [f"({len(names) - _NAMED} more)"]
    return "+".join(names)
