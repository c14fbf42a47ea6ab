"""The graphs that an executor compiles: for prediction, and for training with its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow import settings
from actorflow.engine import describe_site
from actorflow.errors import DTypeError, GradientError, ShapeError
from actorflow.graph import (
    Entry,
    Mirror,
    Node,
    Ordered,
    gradient,
    infer_shapes,
    infer_types,
    topological,
)
from actorflow.graph.rewrite import for_binding, for_inference, log_of_softmax
from actorflow.ops import ELEMENTWISE, ZerosLike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.device import Context
    from actorflow.ndarray import NDArray

__all__ = [
    "backward_heads",
    "bound_heads",
    "inference_heads",
    "needed_grads",
    "refuse_gradients",
    "training_heads",
]


def bound_heads(
    heads: Sequence[Entry],
    arrays: Mapping[Node, NDArray],
    groups: Mapping[str, Context],
    context: Context,
) -> Sequence[Entry]:
    """The heads of a graph for one executor, whose operators share no instance with others.

    Args:
      heads: the heads of the symbol.
      arrays: the arrays of all variables.
      groups: the context of each group.
      context: where all else will be computed.
    """
    order = topological(heads)
    if not any(node.operator is not None and node.operator.has_instances for node in order):
        return heads
    shapes = infer_shapes(order, {node: each.shape for node, each in arrays.items()})
    types = infer_types(order, {node: each._block.dtype for node, each in arrays.items()})
    for node in order:
        for entry in node.inputs:
            if entry not in shapes or entry not in types:
                message = (
                    f"bind: the shape or the data type of {entry.name!r}, which {node!r} takes, "
                    "cannot be told from the arguments"
                )
                raise ShapeError(message)
    return for_binding(heads, shapes, types, groups, context)


def inference_heads(heads: Sequence[Entry], *, fuse: bool = True) -> list[Entry]:
    """The heads for prediction; `fuse` as in `training_heads`."""
    heads = for_inference(heads)
    return log_of_softmax(heads) if fuse else heads


def training_heads(
    heads: Sequence[Entry], *, fuse: bool = True
) -> tuple[list[Entry], dict[Node, int]]:
    """The heads for training, and variables for the gradients of those that are no losses.

    Args:
      heads: the heads.
      fuse: whether operators may be fused that have another gradient then.

    Returns:
      The heads, and for each variable the number of the head whose gradient it is.
    """
    heads = log_of_softmax(heads) if fuse else list(heads)
    variables = {}
    for index, head in enumerate(heads):
        operator = head.node.operator
        if operator is None or not operator.is_loss:
            variables[Node(None, head.name)] = index
    return heads, variables


def backward_heads(
    heads: Sequence[Entry],
    head_grads: Mapping[Node, int],
    wanted: Mapping[Node, tuple[str, Any]],
    groups: Mapping[str, Context] | None = None,
) -> tuple[list[Entry], dict[Node, Node]]:
    """The gradients of arguments.

    Args:
      heads: the heads.
      head_grads: which variable is the gradient of which head.
      wanted: for each argument its `grad_req`, "write" or "add", and the array of its gradient.
      groups: the context of each group.

    Returns:
      A gradient for each, and for those that are added up, variables for what was there before,
      with the argument that each belongs to.

    Raises:
      GradientError: an operator on the way has no gradient.
      ParameterError: what a node's attribute says of mirroring is not valid.
      ValueError: a setting for mirroring is not valid.
    """
    above: list[Entry | None] = [None] * len(heads)
    for node, index in head_grads.items():
        above[index] = Entry(node, 0)
    everything = settings.read_flag("AF_BACKWARD_DO_MIRROR")
    step = settings.read_number("AF_BACKWARD_MIRROR_STEP", 100)
    order = topological(heads)
    mirror = Mirror(heads, order, everything=everything, step=step)
    found = gradient(heads, above, list(wanted), mirror, order)
    grads = []
    sums = {}
    for node, (req, grad) in wanted.items():
        entry = found[node]
        if entry is None:
            # Folded, it is a constant without inputs, which only its group tells where it is.
            names = [name for name, each in (groups or {}).items() if each == grad.context]
            group = {"ctx_group": names[0]} if names else {}
            zeros = Node(ZerosLike(), f"{node.name}_no_grad", (Entry(node, 0),), group)
            entry = zeros.entries()[0]
        if req == "add":
            before = Node(None, f"{node.name}_grad_before")
            sums[before] = node
            added = Node(ELEMENTWISE["add"], f"{node.name}_grad", (Entry(before, 0), entry))
            entry = added.entries()[0]
        grads.append(entry)
    return grads, sums


def refuse_gradients(
    who: str,
    heads: Sequence[Entry],
    types: Mapping[Node, np.dtype[Any]],
    wanted: Mapping[Node, tuple[str, Any]],
) -> None:
    """Raise if the gradient of an argument is of a data type that its array cannot hold.

    That is a gradient with a fraction of an argument of integers; among floating types gradients
    are converted.

    Args:
      who: the function that was asked to bind.
      heads: the heads of the graph.
      types: the data types of all variables.
      wanted: as with `backward_heads`.

    Raises:
      DTypeError: it is so; the message names the argument and the operator.
    """
    if all(types[node].kind == "f" for node in wanted):
        return
    heads, head_grads = training_heads(heads, fuse=False)
    try:
        grads, sums = backward_heads(heads, head_grads, wanted)
    except GradientError:
        return  # forward(is_train=True) says so, and to predict is no mistake
    order = topological(heads)
    found = infer_types(order, types)
    known = {**types, **{node: found[heads[head]] for node, head in head_grads.items()}}
    known.update({node: types[of] for node, of in sums.items()})
    found.update(infer_types(topological([*heads, *grads]), known))
    for node, grad in zip(wanted, grads, strict=True):
        own = types[node]
        if own.kind != "f" and not _holds(own, found[grad]):
            through = _widening(node, order, found)
            what = "" if through is None else f" of {through.name!r} ({_told(through)})"
            message = (
                f"{who}: the gradient{what} for {node.name} is {found[grad].name}, which "
                f"{node.name}, of {own.name}, cannot hold: make {node.name} of a floating type, or "
                f"give it grad_req 'null'"
            )
            raise DTypeError(message)


def _holds(own: np.dtype[Any], other: np.dtype[Any]) -> bool:
    return np.can_cast(other, own, "same_kind")


def _widening(
    argument: Node, order: Sequence[Node], types: Mapping[Entry, np.dtype[Any]]
) -> Node | None:
    """The first operator that gives something else than the integers of an argument.

    Or else the first one that takes it.
    """
    first: Node | None = None
    reached = {argument}
    for node in order:
        taken = [entry for entry in node.inputs if entry.node in reached]
        if not taken:
            continue
        reached.add(node)
        first = first or node
        for entry in taken:
            if not all(_holds(types[entry], types[each]) for each in node.entries()):
                return node
    return first


def _told(node: Node) -> str:
    name = "" if node.operator is None else node.operator.name
    return name + describe_site(node.site, verb="made")


def needed_grads(head_grads: Mapping[Node, int], graph: Ordered) -> dict[Node, int]:
    """Those gradients of heads that the gradients of arguments depend on.

    Through other heads none comes: what leads to them stops it, or leads to no argument that is
    to have one.
    """
    taken = set(graph.order)
    return {node: head for node, head in head_grads.items() if node in taken}
