"""Operators applied at once to NumPy arrays: without an engine, without a graph.

The oracle of graphs and executors, and what constants are folded with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.operator import Operator
    from actorflow.ops.types import Memory

__all__ = ["apply", "gradient"]


def apply(
    operator: Operator, *arrays: Memory, rng: np.random.Generator | None = None
) -> tuple[Memory, ...]:
    """Compute the outputs of an operator, the hidden ones too.

    Args:
      operator: the operator.
      arrays: its inputs, and then its states, which it may write.
      rng: what it draws from, if it draws; None for a generator that always begins the same way.

    Raises:
      ShapeError, DTypeError: it does not take such arrays.
    """
    shapes = [array.shape for array in arrays]
    dtypes = [array.dtype for array in arrays]
    found, output_shapes = operator.infer_shape(*shapes)
    _, output_types = operator.infer_type(*dtypes)
    if found != tuple(shapes) or None in output_shapes:
        message = f"{operator.name}: cannot tell its outputs' shapes from {shapes}"
        raise ShapeError(message)
    outputs = tuple(
        np.empty(shape or (), dtype)
        for shape, dtype in zip(output_shapes, output_types, strict=True)
    )
    work = [np.empty(shape, dtype) for shape, dtype in operator.scratch(shapes, dtypes)]
    drawn: list[Any] = []
    if operator.draws:
        drawn.append(np.random.Generator(np.random.Philox(0)) if rng is None else rng)
    inputs = (np.ascontiguousarray(array) for array in arrays[: len(operator.inputs)])
    states = arrays[len(operator.inputs) :]
    with np.errstate(all="ignore"):
        operator.forward(*inputs, *states, *outputs, *work, *drawn)
    return outputs


def gradient(
    operator: Operator,
    inputs: Sequence[Memory],
    outputs: Sequence[Memory],
    out_grads: Sequence[Memory | None],
) -> tuple[Memory | None, ...]:
    """Compute the gradients of an operator's inputs.

    Args:
      operator: the operator.
      inputs: what it took, without the states.
      outputs: what it gave, the hidden ones too.
      out_grads: the gradients of its visible outputs.
    """
    grads = operator.gradient(apply, tuple(inputs), tuple(outputs), tuple(out_grads))
    for name, array, grad in zip(operator.inputs, inputs, grads, strict=True):
        if grad is not None and grad.shape != array.shape:
            message = f"{operator.name}: the gradient of {name} is {grad.shape}, not {array.shape}"
            raise ShapeError(message)
    return grads
