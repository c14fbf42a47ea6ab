"""Nodes and entries: what graphs are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from actorflow.ops import Operator

    Rule = Callable[["Node", tuple["Entry", ...]], tuple["Entry", ...] | None]

__all__ = [
    "Entry",
    "Node",
    "Ordered",
    "first_of",
    "moved",
    "rebuild",
    "topological",
    "users",
    "variables",
]


class Entry(NamedTuple):
    """One output of a node."""

    node: Node
    output: int

    @property
    def name(self) -> str:
        """What people call it: the variable, or the node and its output."""
        node = self.node
        if node.operator is None:
            return node.name
        return f"{node.name}_{node.operator.outputs[self.output]}"


@attrs.define(eq=False, repr=False)
class Node:
    """An operator with its inputs, or a variable.

    Nobody changes a node that others refer to: symbols share their nodes.

    Attributes:
      operator: what it computes; None for a variable.
      name: what people call it.
      inputs: what it takes, and then its auxiliary states.
      attributes: what the user noted about it, such as `ctx_group` or `__shape__`.
      site: where the user made it, as `operation.describe_site` reads it; None if not noted.
    """

    operator: Operator | None
    name: str
    inputs: tuple[Entry, ...] = ()
    attributes: dict[str, str] = attrs.field(factory=dict)
    site: tuple[Any, ...] | None = None
    _entries: tuple[Entry, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        operator = self.operator
        if operator is None or len(operator.outputs) == 1:  # as nearly all
            # This is `Entry(self, 0)` in half the time: binding makes thousands.
            self._entries = (tuple.__new__(Entry, (self, 0)),)
        else:
            self._entries = tuple([Entry(self, index) for index in range(len(operator.outputs))])

    def __repr__(self) -> str:
        kind = "variable" if self.operator is None else self.operator.name
        return f"<{kind} {self.name!r}>"

    @property
    def is_variable(self) -> bool:
        """Whether it stands for an array that somebody binds."""
        return self.operator is None

    @property
    def n_outputs(self) -> int:
        """How many entries it has, the hidden ones too."""
        return 1 if self.operator is None else len(self.operator.outputs)

    @property
    def n_visible(self) -> int:
        """How many entries users see."""
        return 1 if self.operator is None else len(self.operator.outputs) - self.operator.hidden

    def entries(self) -> tuple[Entry, ...]:
        """All its outputs."""
        return self._entries

    def states(self) -> tuple[Entry, ...]:
        """Those of its inputs that are auxiliary states."""
        if self.operator is None or not self.operator.auxiliary:
            return ()
        return self.inputs[len(self.operator.inputs) :]


def topological(heads: Iterable[Entry]) -> list[Node]:
    """All nodes that the heads need, each after its inputs, in the order of a depth-first walk."""
    order: list[Node] = []
    _walk(heads, set(), order)
    return order


def _walk(heads: Iterable[Entry], seen: set[Node], order: list[Node]) -> None:
    """Append the nodes that heads need and that have not been seen."""
    for head in heads:
        if head.node in seen:
            continue
        seen.add(head.node)
        # The stack holds a node and those of its inputs that are left: graphs are deeper than
        # Python's own stack.
        stack = [(head.node, iter(head.node.inputs))]
        while stack:
            node, left = stack[-1]
            for below, _ in left:
                if below not in seen:
                    seen.add(below)
                    if below.inputs:
                        stack.append((below, iter(below.inputs)))
                        break
                    order.append(below)
            else:
                stack.pop()
                order.append(node)


@attrs.frozen(eq=False)
class Ordered:
    """A graph in the order in which it runs, found once for all who need it.

    Attributes:
      heads: the heads of all stages, one stage after the other.
      stages: how many heads each stage has. A stage runs by itself, after those before it.
      order: the nodes as `topological` gives them; by that each stands in the first stage that
        needs it.
      ends: for each stage its end in the order.
    """

    heads: tuple[Entry, ...]
    stages: tuple[int, ...]
    order: tuple[Node, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, heads: Sequence[Entry], stages: Sequence[int]) -> Ordered:
        """Walk through a graph."""
        order: list[Node] = []
        seen: set[Node] = set()
        ends = []
        begin = 0
        for count in stages:
            _walk(heads[begin : begin + count], seen, order)
            ends.append(len(order))
            begin += count
        return cls(tuple(heads), tuple(stages), tuple(order), tuple(ends))

    def stage_of(self) -> dict[Node, int]:
        """The stage in which each node runs."""
        found: dict[Node, int] = {}
        begin = 0
        for stage, end in enumerate(self.ends):
            found.update(dict.fromkeys(self.order[begin:end], stage))
            begin = end
        return found


def variables(order: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """The arguments and the auxiliary states among nodes, in their order."""
    order = list(order)
    states = {entry.node for node in order for entry in node.states()}
    found = [node for node in order if node.is_variable]
    return [n for n in found if n not in states], [n for n in found if n in states]


def users(order: Iterable[Node]) -> dict[Entry, list[Node]]:
    """For each entry the nodes that take it, once for each time that they do."""
    found: dict[Entry, list[Node]] = {}
    for node in order:
        for entry in node.inputs:
            found.setdefault(entry, []).append(node)
    return found


def rebuild(
    heads: Iterable[Entry],
    change: Rule,
    known: dict[Entry, Any] | None = None,
    types: dict[Entry, Any] | None = None,
    order: Iterable[Node] | None = None,
) -> list[Entry]:
    """Make a graph anew.

    Args:
      heads: its heads.
      change: is called with each node and its new inputs, in topological order; it gives the
        entries that stand for the node's outputs from now on, or None to keep the node as it is
        (with its new inputs).
      known, types: what is known of entries, such as their shapes; what is known of an entry is
        noted for the one that stands for it, too.
      order: its nodes as `topological` gives them, if somebody has them.

    Returns:
      The new heads.
    """
    heads = list(heads)
    notes = [each for each in (known, types) if each is not None]
    new: dict[Node, tuple[Entry, ...]] = {}
    for node in topological(heads) if order is None else order:
        inputs = tuple([new[before][output] for before, output in node.inputs])
        own = node.entries()
        entries = change(node, inputs)
        if entries is None:
            entries = own if inputs == node.inputs else moved(node, inputs).entries()
        new[node] = entries
        if entries is not own:
            for before, after in zip(own, entries, strict=True):
                for each in notes:
                    value = each.get(before)
                    if value is not None:
                        each[after] = value
    return [new[head.node][head.output] for head in heads]


def moved(node: Node, inputs: tuple[Entry, ...]) -> Node:
    """A node like another one with other inputs."""
    return Node(node.operator, node.name, inputs, node.attributes, node.site)


def first_of(*rules: Rule) -> Rule:
    """Several rules for `rebuild` as one: what the first of them says that says something."""

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        for rule in rules:
            entries = rule(node, inputs)
            if entries is not None:
                return entries
        return None

    return change
