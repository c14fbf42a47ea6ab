"""Updates of weights by their gradients, as operations on arrays.

The functions of `actorflow.ndarray.updates` come here. Those called `multi_` update several weights
in one operation: a small weight's own operation takes longer to send than to compute. `lr` is the
learning rate, `wd` the weight decay; `grad` is multiplied by `rescale_grad` first, and then clipped
to `[-clip_gradient, clip_gradient]` if that is more than 0.
"""

from __future__ import annotations

import threading
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.engine import current_engine
from actorflow.errors import ContextError, DTypeError, ParameterError
from actorflow.ndarray.core import ArrayCore
from actorflow.ndarray.invoke import SMALL, check_out, make
from actorflow.ndarray.kernels import quietly
from actorflow.ndarray.random import stream
from actorflow.ndarray.update_plan import Plan, find_plan
from actorflow.ops import SGDMomUpdate, SGDUpdate, carve, described, room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ndarray.array import NDArray
    from actorflow.ndarray.kernels import Draw
    from actorflow.ops import Memory, Shape, WeightUpdate

__all__ = ["multi_sgd_mom_update", "multi_sgd_update"]

# A rule, its arrays, and where the weight goes.
Step = tuple["WeightUpdate", tuple["NDArray", ...], "NDArray"]


def update(
    kind: type[WeightUpdate],
    arrays: tuple[NDArray, ...],
    out: NDArray | None,
    lr: float,
    **more: float,
) -> NDArray:
    """One step of one weight, as one operation.

    Args:
      kind: the rule.
      arrays: weight, grad and the states.
      out: where the weight goes; None for a new array.
      lr, more: the rule's parameters.

    Raises:
      ShapeError, DTypeError, ContextError, ParameterError: they do not fit.
      TypeError: something is no array.
      ValueError: what is written is not writable, or the memory of something else.
    """
    asked = (kind, *more.items())
    if out is not None:
        plan = find_plan(arrays, (out,), asked)
        if plan is not None and plan.push(arrays, (lr,)):
            return out
    operator = _operator(kind, lr=lr, **more)
    out = _check(operator, arrays, out)
    _push(operator.name, [(operator, arrays, out)], asked)
    return out


def update_each(
    name: str,
    kind: type[WeightUpdate],
    data: Sequence[NDArray],
    lrs: Sequence[float],
    wds: Sequence[float],
    out: Sequence[NDArray] | None,
    more: dict[str, float],
) -> list[NDArray]:
    """One step of several weights in one context, as one operation.

    Args:
      name: what messages call it.
      kind: the rule.
      data: weight, grad and the states of one after the other.
      lrs, wds: of each weight.
      out: where each weight goes; None for new arrays.
      more: the rule's other parameters, of all.

    Raises:
      ParameterError: the numbers of arrays, of `lrs` and so on differ.
      ShapeError, DTypeError, ContextError: arrays do not fit.
      ValueError: something that is written has memory in common with something else.
    """
    return _multi(name, kind, data, lrs, wds, None, out, more)


def multi_sgd_update(
    *data: NDArray,
    lrs: Sequence[float],
    wds: Sequence[float],
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    num_weights: int | None = None,
    out: Sequence[NDArray] | None = None,
) -> list[NDArray]:
    """`sgd_update` of several weights, as one operation.

    Args:
      data: weight, grad, weight, grad, and so on.
      lrs, wds: of each weight.
      rescale_grad, clip_gradient: as said above, of all.
      num_weights: how many there are; None for as many as `lrs` has.
      out: where each result goes, usually the weights; None for new arrays.

    Raises:
      ParameterError: the numbers of arrays, of `lrs` and so on differ.
      ShapeError, DTypeError, ContextError: arrays do not fit.
      ValueError: something that is written has memory in common with something else.
    """
    more = {"rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _multi("multi_sgd_update", SGDUpdate, data, lrs, wds, num_weights, out, more)


def multi_sgd_mom_update(
    *data: NDArray,
    lrs: Sequence[float],
    wds: Sequence[float],
    momentum: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    num_weights: int | None = None,
    out: Sequence[NDArray] | None = None,
) -> list[NDArray]:
    """`sgd_mom_update` of several weights, as one operation.

    Args:
      data: weight, grad, mom, weight, grad, mom, and so on; each mom is updated.
      lrs, wds: of each weight.
      momentum, rescale_grad, clip_gradient: of all.
      num_weights: how many there are; None for as many as `lrs` has.
      out: where each result goes, usually the weights; None for new arrays.

    Raises:
      ParameterError: the numbers of arrays, of `lrs` and so on differ.
      ShapeError, DTypeError, ContextError: arrays do not fit.
      ValueError: something that is written has memory in common with something else.
    """
    more = {"momentum": momentum, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    return _multi("multi_sgd_mom_update", SGDMomUpdate, data, lrs, wds, num_weights, out, more)


def _operator(kind: type[WeightUpdate], **given: float) -> WeightUpdate:
    """The operator with these parameters. Most programs ask for the same at each step."""
    if all(each.__class__ is float or each.__class__ is int for each in given.values()):
        # mypy does not know that a class can be looked up.
        return _known(kind, *given.items())  # type: ignore[arg-type]
    return kind.of(**given)


@lru_cache(maxsize=256)
def _known(kind: type[WeightUpdate], *given: tuple[str, float]) -> WeightUpdate:
    return kind.of(**dict(given))


def _multi(
    name: str,
    kind: type[WeightUpdate],
    data: Sequence[NDArray],
    lrs: Sequence[float],
    wds: Sequence[float],
    num_weights: int | None,
    out: Sequence[NDArray] | None,
    more: dict[str, float],
) -> list[NDArray]:
    count = len(lrs) if num_weights is None else num_weights
    each = len(kind.inputs) + len(kind.auxiliary)
    for what, got, needs in (
        ("lrs", len(lrs), count),
        ("wds", len(wds), count),
        ("data", len(data), each * count),
        ("out", count if out is None else len(out), count),
    ):
        if got != needs:
            raise ParameterError(f"{name}: {what} has {got}, but {count} weights need {needs}")
    if not count:
        return []
    asked = (name, kind, *wds, *more.items())
    if out is not None:
        plan = find_plan(data, out, asked)
        if plan is not None and plan.push(data, lrs):
            return list(out)
    steps: list[Step] = []
    operators: dict[tuple[float, float], WeightUpdate] = {}
    for number, rates in enumerate(zip(lrs, wds, strict=True)):
        arrays = tuple(data[number * each : number * each + each])
        try:
            operator = operators.get(rates)
            if operator is None:
                operator = operators[rates] = _operator(kind, lr=rates[0], wd=rates[1], **more)
            target = _check(operator, arrays, None if out is None else out[number])
        except Exception as error:
            error.add_note(f"asked by {name}, for the weight of number {number}, from 0")
            raise
        steps.append((operator, arrays, target))
    targets = [target for _, _, target in steps]
    context = targets[0]._block.context
    for target in targets:
        if target._block.context is not context and target._block.context != context:
            message = f"{name}: one weight is in {target.context}, another in {context}"
            raise ContextError(message)
    _refuse_shared(name, steps)
    _push(name, steps, asked)
    return targets


def _check(operator: WeightUpdate, arrays: tuple[NDArray, ...], out: NDArray | None) -> NDArray:
    """Raise unless the arrays fit; give the array for the result."""
    if out is arrays[0] and _plain(arrays):
        return out
    names = (*operator.inputs, *operator.auxiliary)
    weight = arrays[0]
    for name, each in zip(names, arrays, strict=True):
        if not isinstance(each, ArrayCore):
            message = f"{operator.name}: {name} has to be an NDArray, got {described(each)}"
            raise TypeError(message)
        if each._block.context != weight._block.context:
            message = f"{operator.name}: {name} is in {each.context}, weight in {weight.context}"
            raise ContextError(message)
    shape, dtype = weight._shape, weight._block.dtype
    if dtype.kind != "f" or any(
        each._shape != shape or each._block.dtype is not dtype for each in arrays
    ):
        operator.infer_shape(*(each._shape for each in arrays))  # one of the two raises
        operator.infer_type(*(each._block.dtype for each in arrays))
    if out is None:
        out = make(weight.__class__, shape, dtype, weight.context, operator.name)
    else:
        check_out(operator.name, out, shape, dtype, weight._block.context)
    for each in (out, *arrays[len(operator.inputs) :]):
        check_out(operator.name, each, shape, dtype)
        if each._block.dtype is not dtype:
            message = (
                f"{operator.name}: got out of {each._block.dtype.name}, but needs {dtype.name}"
            )
            raise DTypeError(message)
    _refuse_overlaps(operator, arrays, out)
    return out


def _plain(arrays: tuple[NDArray, ...]) -> bool:
    """Whether it is seen at a glance that arrays fit: writable, alike, each with its own memory.

    What this leaves is looked at closely; an update is pushed often, and so is this one.
    """
    for each in arrays:
        if not isinstance(each, ArrayCore) or not each._writable:
            return False
    weight = arrays[0]
    shape, block = weight._shape, weight._block
    dtype, context = block.dtype, block.context
    for each in arrays:
        its = each._block
        if each._shape != shape or its.dtype is not dtype or its.context is not context:
            return False
    return dtype.kind == "f" and len({id(each._block) for each in arrays}) == len(arrays)


def _push(name: str, steps: Sequence[Step], asked: tuple[object, ...]) -> None:
    """Push one operation for some weights that have been checked.

    Args:
      name: the operation's.
      steps: the updates.
      asked: by what they are known again if the same is asked for next time.
    """
    reads: list[Any] = []
    writes: list[Any] = []
    updates: list[Any] = []
    touched = 0
    for operator, arrays, out in steps:
        weight, grad = arrays[:2]
        reads.append(grad._resource)
        if out is weight:
            updates.append(out._resource)
        else:
            reads.append(weight._resource)
            writes.append(out._resource)
        updates += [each._resource for each in arrays[len(operator.inputs) :]]
        touched += len(arrays) * out._size * out._block.dtype.itemsize
    quick = touched < SMALL
    engine = current_engine()
    draws = None
    if steps[0][0].draws:
        source = stream(steps[0][2]._block.context)
        draws = [source.draw() for _ in steps]
        reads.append(source.resource(engine))
    engine.push(
        partial(quietly, _run, steps, draws),
        reads=tuple(reads),
        writes=tuple(writes),
        updates=tuple(updates),
        device=steps[0][2]._block.context.name,
        name=name,
        quick=quick,
    )
    if draws is None and all(out is arrays[0] for _, arrays, out in steps):
        again = [(operator, arrays) for operator, arrays, _ in steps]
        Plan(asked, name, again, tuple(reads), tuple(updates), quick=quick)


def _refuse_overlaps(operator: WeightUpdate, arrays: tuple[NDArray, ...], out: NDArray) -> None:
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


def _refuse_shared(name: str, steps: Sequence[Step]) -> None:
    """Raise if a step writes to the memory of another."""
    blocks = [id(each._block) for _, arrays, _ in steps for each in arrays]
    if len(set(blocks)) == len(blocks) and all(out is arrays[0] for _, arrays, out in steps):
        return
    taken: dict[int, list[tuple[int, str, NDArray, bool]]] = {}
    for number, (operator, arrays, out) in enumerate(steps):
        inputs = len(operator.inputs)
        named = [("out", out, True)]
        for index, (what, each) in enumerate(
            zip((*operator.inputs, *operator.auxiliary), arrays, strict=True)
        ):
            if each is not out:
                named.append((what, each, index >= inputs))
        for what, each, written in named:
            beside = taken.setdefault(id(each._block), [])
            for its_number, its_name, other, its_written in beside:
                if its_number != number and (written or its_written) and each._overlaps(other):
                    message = (
                        f"{name}: {what} of number {number} and {its_name} of number {its_number} "
                        "have memory in common, and one is written"
                    )
                    raise ValueError(message)
            beside.append((number, what, each, written))


class _Scratch(threading.local):
    """Working memory of a thread: what it used last, since new memory costs more than an update."""

    def __init__(self) -> None:
        self.data: Memory = np.empty(0, np.uint8)
        self.known: dict[tuple[type, Shape, np.dtype[Any]], list[Memory]] = {}

    def arrays(self, operator: WeightUpdate, shape: Shape, dtype: np.dtype[Any]) -> list[Memory]:
        """What an update of such a weight works in, until the next call in this thread."""
        key = (operator.__class__, shape, dtype)
        found = self.known.get(key)
        if found is None:
            count = len(operator.inputs) + len(operator.auxiliary)
            wanted = operator.scratch([shape] * count, [dtype] * count)
            if self.data.nbytes < room(wanted) or len(self.known) > _KNOWN:
                self.data = np.empty(max(room(wanted), self.data.nbytes), np.uint8)
                self.known.clear()
            found = self.known[key] = carve(self.data, wanted)
        return found


_KNOWN = 1000  # shapes that a thread remembers

_scratch = _Scratch()


def _run(steps: Sequence[Step], draws: Sequence[Draw] | None) -> None:
    arrays_for = _scratch.arrays
    for number, (operator, arrays, out) in enumerate(steps):
        views = [each._view() for each in arrays]
        scratch = arrays_for(operator, out._shape, out._block.dtype)
        last = () if draws is None else (draws[number](),)
        operator.forward(*views, out._view(), *scratch, *last)
