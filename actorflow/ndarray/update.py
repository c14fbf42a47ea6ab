"""Updates of weights by their gradients, as operations on arrays.

Each reads `grad` and changes `weight`, or another array given as `out`, and its states in place, in
one pass over the memory. `lr` is the learning rate, `wd` the weight decay; `grad` is multiplied by
`rescale_grad` first, and then clipped to `[-clip_gradient, clip_gradient]` if that is more than 0.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.engine import current_engine
from actorflow.errors import ContextError, DTypeError
from actorflow.ndarray.core import ArrayCore
from actorflow.ndarray.invoke import check_out, make
from actorflow.ndarray.kernels import quietly
from actorflow.ops import AdamUpdate, SGDMomUpdate, SGDUpdate, carve, room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ndarray.array import NDArray
    from actorflow.ops import Memory, Operator, Shape

__all__ = ["adam_update", "sgd_mom_update", "sgd_update"]


def sgd_update(
    weight: NDArray,
    grad: NDArray,
    lr: float,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    out: NDArray | None = None,
) -> NDArray:
    """A step of gradient descent: `weight - lr * (grad + wd * weight)`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      lr, wd, rescale_grad, clip_gradient: as said above.
      out: where the result goes, usually `weight` itself; None for a new array.

    Raises:
      ShapeError, DTypeError, ContextError, ParameterError: they do not fit.
    """
    operator = SGDUpdate.of(lr=lr, wd=wd, rescale_grad=rescale_grad, clip_gradient=clip_gradient)
    return _update(operator, weight, grad, (), out)


def sgd_mom_update(
    weight: NDArray,
    grad: NDArray,
    mom: NDArray,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    out: NDArray | None = None,
) -> NDArray:
    """A step with momentum: `mom = momentum * mom - lr * (grad + wd * weight)`, `weight + mom`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      mom: the last step, of the same shape and data type; is updated.
      momentum: how much of it is taken again.
      lr, wd, rescale_grad, clip_gradient: as said above.
      out: where the result goes, usually `weight` itself; None for a new array.

    Raises:
      ShapeError, DTypeError, ContextError, ParameterError: they do not fit.
    """
    operator = SGDMomUpdate.of(
        lr=lr, wd=wd, rescale_grad=rescale_grad, clip_gradient=clip_gradient, momentum=momentum
    )
    return _update(operator, weight, grad, (mom,), out)


def adam_update(
    weight: NDArray,
    grad: NDArray,
    mean: NDArray,
    var: NDArray,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    out: NDArray | None = None,
) -> NDArray:
    """A step of Adam (Kingma and Ba 2015), whose bias is corrected in `lr`, if at all.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      mean, var: the moments, of the same shape and data type; are updated.
      beta1, beta2: how slowly they forget.
      epsilon: what is added to the root of `var`.
      lr, wd, rescale_grad, clip_gradient: as said above.
      out: where the result goes, usually `weight` itself; None for a new array.

    Raises:
      ShapeError, DTypeError, ContextError, ParameterError: they do not fit.
    """
    operator = AdamUpdate.of(
        lr=lr,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
    )
    return _update(operator, weight, grad, (mean, var), out)


def _update(
    operator: Operator,
    weight: NDArray,
    grad: NDArray,
    states: tuple[NDArray, ...],
    out: NDArray | None,
) -> NDArray:
    arrays = (weight, grad, *states)
    names = (*operator.inputs, *operator.auxiliary)
    for name, each in zip(names, arrays, strict=True):
        if not isinstance(each, ArrayCore):
            message = f"{operator.name}: {name} has to be an NDArray, got {each!r}"
            raise TypeError(message)
        if each.context != weight.context:
            message = f"{operator.name}: {name} is in {each.context}, weight in {weight.context}"
            raise ContextError(message)
    operator.infer_shape(*(each._shape for each in arrays))
    _, (dtype,) = operator.infer_type(*(each._block.dtype for each in arrays))
    assert dtype is not None  # noqa: S101 -- all are given
    if out is None:
        out = make(weight.__class__, weight._shape, dtype, weight.context, operator.name)
    else:
        check_out(operator.name, out, weight._shape, dtype, weight.context)
    for each in (out, *states):
        check_out(operator.name, each, weight._shape, dtype)
        if each._block.dtype is not dtype:
            message = (
                f"{operator.name}: got out of {each._block.dtype.name}, but needs {dtype.name}"
            )
            raise DTypeError(message)
    _refuse_overlaps(operator, arrays, out)
    changed = tuple(each._resource for each in states)
    reads = (grad._resource,) if out is weight else (weight._resource, grad._resource)
    current_engine().push(
        partial(_run, operator, arrays, out),
        reads=reads,
        writes=() if out is weight else (out._resource,),
        updates=(*changed, out._resource) if out is weight else changed,
        device=weight.context.name,
        name=operator.name,
    )
    return out


def _refuse_overlaps(operator: Operator, arrays: tuple[NDArray, ...], out: NDArray) -> None:
    """Raise if something that is written lies in the memory of something else.

    `out` may be the memory of `weight`, and `grad` that of both.
    """
    weight, grad, *states = arrays
    names = (*operator.inputs, *operator.auxiliary)
    for index, state in enumerate(states, 2):
        for other, each in zip(names, arrays, strict=True):
            if each is not state and state._overlaps(each):
                message = f"{operator.name}: {names[index]} and {other} have memory in common"
                raise ValueError(message)
        if any(each is state for each in arrays[:index]) or state._overlaps(out):
            message = f"{operator.name}: {names[index]} is given twice, or is out"
            raise ValueError(message)
    for name, each in (("weight", weight), ("grad", grad)):
        if each._overlaps(out) and not each._coincides(out):
            message = f"{operator.name}: out overlaps {name} without being the same"
            raise ValueError(message)
    if grad._coincides(out) and not weight._coincides(out):
        message = f"{operator.name}: out is grad, and not weight"
        raise ValueError(message)


class _Scratch(threading.local):
    """Working memory of a thread: what it used last, since new memory costs more than an update."""

    data: Memory | None = None

    def arrays(self, wanted: Sequence[tuple[Shape, np.dtype[Any]]]) -> list[Memory]:
        """Arrays of these shapes and data types, until the next call in this thread."""
        if self.data is None or self.data.nbytes < room(wanted):
            self.data = np.empty(room(wanted), np.uint8)
        return carve(self.data, wanted)


_scratch = _Scratch()


def _run(operator: Operator, arrays: tuple[ArrayCore, ...], out: ArrayCore) -> None:
    views = [each._view() for each in arrays]
    wanted = operator.scratch([each.shape for each in views], [each.dtype for each in views])
    quietly(operator.forward, *views, out._view(), *_scratch.arrays(wanted))
