"""Mirroring: values that the backward half computes again instead of having them kept.

What is cheap to compute and needed for gradients alone holds memory from its place in the forward
half to its place in the backward half. A copy of its node in the backward half lets go of it: the
trade of Chen and others, Training deep nets with sublinear memory cost (2016), section 3, with the
nodes named by attributes or, as in MXNet, all cheap ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.engine import describe_site
from actorflow.errors import ParameterError
from actorflow.graph.node import Entry, Node, topological
from actorflow.ops import After

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.ops import Operator

__all__ = ["Mirror"]

_NAMES: Final = ("force_mirroring", "__force_mirroring__", "__mirror__")
_SAID: Final = {"true": True, "1": True, "false": False, "0": False}


class Mirror:
    """What the gradients of a graph take in the place of values of its forward half.

    Nodes with the attribute `force_mirroring` (or `__force_mirroring__`, `__mirror__`) are computed
    again if it is "true", and kept if it is "false". What gives a head is always kept, as a head
    has memory of its own. What draws random numbers or updates a state does not run twice: if it
    can, another operator gives the same from its hidden outputs, which are kept then
    (`Operator.again`).
    """

    def __init__(
        self,
        heads: Sequence[Entry],
        order: Sequence[Node] | None = None,
        *,
        everything: bool = False,
        step: int = 100,
    ) -> None:
        """Choose what to compute again.

        Args:
          heads: the forward half.
          order: its nodes as `topological` gives them, if somebody has them.
          everything: whether nodes without the attribute are computed again, too, unless that
            takes long (`Operator.costly`) or they end a network.
          step: of those without the attribute every one of this number is kept, so that what is
            computed again at a time does not get too long.

        Raises:
          ParameterError: an attribute says neither; the message names the node.
        """
        order = topological(heads) if order is None else order
        chosen = _chosen(order, everything=everything, step=step)
        chosen.difference_update(head.node for head in heads)
        # Where each stands in the forward half.
        self._chosen = {node: index for index, node in enumerate(order) if node in chosen}
        self._copies: dict[Node, Node] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is computed again."""
        return not self._chosen

    def again(self, entry: Entry, above: Entry) -> Entry:
        """What a gradient takes in the place of a value.

        Args:
          entry: the value.
          above: a gradient from above of the node that the gradient belongs to. A copy waits for
            it: one that ran before would be held for as long as the original.
        """
        node = entry.node
        if node not in self._chosen or (_runs_once(node) and entry.output >= node.n_visible):
            return entry
        if entry.node not in self._copies:
            self._copy(entry.node, above)
        return self._copied(entry)

    def _copied(self, entry: Entry) -> Entry:
        made = self._copies.get(entry.node)
        return entry if made is None else made.entries()[entry.output]

    def _copy(self, node: Node, above: Entry) -> None:
        """Copy a node, and first what it takes that is to be computed again and was not, yet."""
        missing = set()
        stack = [node]
        while stack:
            node = stack.pop()
            if node in self._chosen and node not in self._copies and node not in missing:
                missing.add(node)
                stack.extend(entry.node for entry in node.inputs)
        fresh: set[Node] = set()
        for each in sorted(missing, key=self._chosen.__getitem__):
            operator, taken = _repeated(each)
            inputs = tuple(self._copied(entry) for entry in taken)
            if fresh.isdisjoint(entry.node for entry in inputs):  # else it waits for those
                late = Node(
                    After(),
                    f"{each.name}_mirror_after",
                    (inputs[0], above),
                    each.attributes,
                    each.site,
                )
                inputs = (*late.entries(), *inputs[1:])
            made = Node(operator, f"{each.name}_mirror", inputs, each.attributes, each.site)
            self._copies[each] = made
            fresh.add(made)


def _chosen(order: Iterable[Node], *, everything: bool, step: int) -> set[Node]:
    """The nodes to compute again, heads or not."""
    found = set()
    count = 0
    for node in order:
        said = _asked(node)
        operator = node.operator
        # What takes nothing could not be held back until the backward half.
        if operator is None or not node.inputs:
            continue
        if _runs_once(node) and operator.again() is None:
            continue
        if said is None and everything and not (operator.costly or operator.is_loss):
            count += 1
            said = count % step != 0
        if said:
            found.add(node)
    return found


def _runs_once(node: Node) -> bool:
    """Whether an operator may give something else, or do something else, the second time."""
    operator = node.operator
    if operator is None:
        return False
    return operator.draws or operator.has_instances or bool(operator.auxiliary)


def _repeated(node: Node) -> tuple[Operator | None, tuple[Entry, ...]]:
    """The operator that computes a node again, and what it takes."""
    operator = node.operator
    if operator is None or not _runs_once(node):
        return operator, node.inputs
    inputs = node.inputs[: len(operator.inputs)]
    return operator.again(), (*inputs, *node.entries()[node.n_visible :])


def _asked(node: Node) -> bool | None:
    """What a node's attribute says, if it has it."""
    attributes = node.attributes
    if not attributes:
        return None
    name = next((name for name in _NAMES if name in attributes), None)
    if name is None:
        return None
    text = attributes[name]
    said = _SAID.get(text.lower())
    if said is None:
        message = f"{node.name}: {name} has to be 'true' or 'false', got {text!r}"
        error = ParameterError(message)
        error.add_note(f"actorflow: in {node!r}{describe_site(node.site, verb='made')}")
        raise error
    return said
