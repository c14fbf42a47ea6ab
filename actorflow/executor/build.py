"""The graphs that an executor compiles: for prediction, and for training with its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow import settings
from actorflow.errors import ShapeError
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

__all__ = ["backward_heads", "bound_heads", "inference_heads", "needed_grads", "training_heads"]


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
) -> tuple[list[Entry], dict[Node, Node]]:
    """The gradients of arguments.

    Args:
      heads: the heads.
      head_grads: which variable is the gradient of which head.
      wanted: for each argument its `grad_req`, "write" or "add", first.

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
    for node, (req, _) in wanted.items():
        entry = found[node]
        if entry is None:
            zeros = Node(ZerosLike(), f"{node.name}_no_grad", (Entry(node, 0),))
            entry = zeros.entries()[0]
        if req == "add":
            before = Node(None, f"{node.name}_grad_before")
            sums[before] = node
            added = Node(ELEMENTWISE["add"], f"{node.name}_grad", (Entry(before, 0), entry))
            entry = added.entries()[0]
        grads.append(entry)
    return grads, sums


def needed_grads(head_grads: Mapping[Node, int], graph: Ordered) -> dict[Node, int]:
    """Those gradients of heads that the gradients of arguments depend on.

    Through other heads none comes: what leads to them stops it, or leads to no argument that is
    to have one.
    """
    taken = set(graph.order)
    return {node: head for node, head in head_grads.items() if node in taken}
