"""The gradient pass: from a graph to the entries that are its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.errors import GradientError
from actorflow.graph.node import Entry, Node, topological
from actorflow.ops import ElementWiseSum

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.graph.mirror import Mirror
    from actorflow.ops import Operator

__all__ = ["gradient"]


def gradient(
    heads: Sequence[Entry],
    head_grads: Sequence[Entry | None],
    wrt: Iterable[Node],
    mirror: Mirror | None = None,
    order: Sequence[Node] | None = None,
) -> dict[Node, Entry | None]:
    """Build the gradients of variables.

    Reverse accumulation over the graph (Griewank and Walther, Evaluating Derivatives, 2008,
    chapter 3): each node is visited once, after all that take its outputs.

    Args:
      heads: the outputs of the graph.
      head_grads: for each head the gradient from above; None if its node is a loss, or for no
        gradient through this head.
      wrt: the variables.
      mirror: what to compute again rather than to keep; None for nothing.
      order: the nodes as `topological` gives them, if somebody has them.

    Returns:
      For each variable the entry that is its gradient; None where no head depends on it.

    Raises:
      GradientError: an operator on the way has no gradient.
    """
    wrt = list(wrt)
    if mirror is not None and mirror.is_idle:
        mirror = None
    order = topological(heads) if order is None else order
    needed = _leads_to(order, set(wrt))
    grads: dict[Entry, list[Entry]] = {}
    roots = set()
    for head, grad in zip(heads, head_grads, strict=True):
        if grad is not None:
            grads.setdefault(head, []).append(grad)
        operator = head.node.operator
        if operator is not None and operator.is_loss:
            roots.add(head.node)
    for node in reversed(order):
        operator = node.operator
        if operator is None or node not in needed:
            continue
        above = tuple([_summed(grads, entry) for entry in node.entries()[: node.n_visible]])
        # Without a gradient from above the backward pass begins: nothing is won by a copy.
        late = None
        for grad in above:
            if grad is not None:
                late = grad
                break
        if late is None and node not in roots:
            continue
        _through(node, operator, above, needed, grads, late, mirror)
    return {node: _summed(grads, Entry(node, 0)) for node in wrt}


def _leads_to(order: Iterable[Node], targets: set[Node]) -> set[Node]:
    """The nodes whose value depends on one of the targets, other than through a state."""
    found = set(targets)
    for node in order:
        if node.operator is not None:
            inputs = node.inputs[: len(node.operator.inputs)]
            for entry in inputs:
                if entry.node in found:
                    found.add(node)
                    break
    return found


def _through(
    node: Node,
    operator: Operator,
    above: tuple[Entry | None, ...],
    needed: set[Node],
    grads: dict[Entry, list[Entry]],
    late: Entry | None,
    mirror: Mirror | None,
) -> None:
    """Add what one node passes on to its inputs; `late` is what copies of the mirror wait for."""
    count = 0

    def apply(operator: Operator, *inputs: Entry) -> tuple[Entry, ...]:
        nonlocal count
        if mirror is not None and late is not None:
            inputs = tuple([mirror.again(entry, late) for entry in inputs])
        made = Node(
            operator, f"{node.name}_backward{count or ''}", inputs, node.attributes, node.site
        )
        count += 1
        return made.entries()

    inputs = node.inputs[: len(operator.inputs)]
    try:
        below = operator.gradient(apply, inputs, node.entries(), above)
    except GradientError as error:
        error.add_note(f"actorflow: on the way back through {node!r}")
        raise
    for entry, grad in zip(inputs, below, strict=True):
        if grad is not None and entry.node in needed:
            grads.setdefault(entry, []).append(grad)


def _summed(grads: dict[Entry, list[Entry]], entry: Entry) -> Entry | None:
    """All gradients of an entry as one."""
    found = grads.get(entry)
    if not found:
        return None
    if len(found) > 1:
        # They are added up where the value is; see `placement`.
        group = entry.node.attributes.get("ctx_group")
        attributes = {} if group is None else {"ctx_group": group}
        made = Node(ElementWiseSum(len(found)), f"{entry.name}_grad_sum", tuple(found), attributes)
        found[:] = made.entries()
    return found[0]
