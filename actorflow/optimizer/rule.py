"""Optimizers whose steps are operators: one operation for as many weights as fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs

from actorflow.errors import ParameterError
from actorflow.ndarray import NDArray, update_each, zeros
from actorflow.optimizer.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops import WeightUpdate
    from actorflow.optimizer.optimizer import Index, State

__all__ = ["RuleOptimizer", "alike", "in_state"]

MOST_ELEMENTS: Final = 1 << 20
"""Of the weights of one operation, unless it has only one: several keep more workers busy."""


@attrs.define
class _Group:
    """Weights that one operation updates."""

    kind: type[WeightUpdate]
    more: dict[str, float]
    indices: list[Index] = attrs.Factory(list)
    data: list[NDArray] = attrs.Factory(list)  # weight, grad, states, weight, ...
    out: list[NDArray] = attrs.Factory(list)
    lrs: list[float] = attrs.Factory(list)
    wds: list[float] = attrs.Factory(list)
    elements: int = 0


def alike(weight: NDArray) -> NDArray:
    """An array of zeros like a weight, where that is."""
    return zeros(weight.shape, ctx=weight.context, dtype=weight.dtype)


class RuleOptimizer(Optimizer):
    """An optimizer whose step is an operator. A subclass says which.

    Attributes:
      rules: the operators that it may be, and which of its arguments are their parameters.
    """

    rules: ClassVar[dict[type[WeightUpdate], tuple[str, ...]]]

    def rule(self, state: State) -> tuple[type[WeightUpdate], tuple[NDArray, ...]]:
        """The operator that updates a weight with such a state, and the arrays in the state."""
        (kind,) = self.rules
        return kind, in_state(state)

    def parameters(self, kind: type[WeightUpdate], count: int) -> dict[str, float]:
        """What the operator takes beside rates, at a weight's step of number `count`, from 1."""
        del count
        bound = self.clip_gradient
        found = {name: getattr(self, name) for name in self.rules[kind]}
        found["rescale_grad"] = self.rescale_grad
        found["clip_gradient"] = -1.0 if bound is None else bound
        return found

    def rate(self, lr: float, count: int) -> float:
        """What the operator takes for the learning rate `lr` at the step `count` of a weight."""
        del count
        return lr

    def update(self, index: Index, weight: NDArray, grad: NDArray, state: State) -> None:
        """Make a step, as one operation; see `Optimizer.update`."""
        self.update_all((index,), (weight,), (grad,), (state,))

    def update_all(
        self,
        indices: Sequence[Index],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[State],
    ) -> None:
        """Make a step of many weights; see `Optimizer.update_all`.

        Weights in one context are updated by one operation, as far as they have 2**20 elements
        together; a weight with more has its own.
        """
        self._require_as_many(indices, weights, grads, states)
        counted = dict(self._index_update_count), self.num_update
        done: list[Index] = []
        try:
            for group in self._groups(indices, weights, grads, states):
                who = type(self).__name__
                update_each(
                    who, group.kind, group.data, group.lrs, group.wds, group.out, group.more
                )
                done += group.indices
        except Exception:
            self._index_update_count, self.num_update = counted
            for index in done:
                self._update_count(index)
            raise

    def _groups(
        self,
        indices: Sequence[Index],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[State],
    ) -> list[_Group]:
        """Count the steps, and sort the weights by the operations that update them."""
        closed: list[_Group] = []
        groups: dict[Any, _Group] = {}
        known: dict[Any, dict[str, float]] = {}
        rate, at = self.learning_rate, self.num_update
        for index, weight, grad, state in zip(indices, weights, grads, states, strict=True):
            if not isinstance(weight, NDArray):
                message = f"{type(self).__name__}: weight {index!r} is no NDArray, got {weight!r}"
                raise TypeError(message)
            count = self._update_count(index)
            if at != self.num_update:
                rate, at = self.learning_rate, self.num_update
            kind, arrays = self._ruled(index, state)
            more = known.get((kind, count))
            if more is None:
                more = known[kind, count] = self.parameters(kind, count)
            key = weight.context, kind, *more.values()
            group = groups.get(key)
            if group is not None and group.elements + weight.size > MOST_ELEMENTS:
                closed.append(group)
                group = None
            if group is None:
                group = groups[key] = _Group(kind, more)
            group.indices.append(index)
            group.data += (weight, grad, *arrays)
            group.out.append(weight)
            group.lrs.append(self.rate(float(rate) * self._lr_factor(index), count))
            group.wds.append(self.wd * self._wd_factor(index))
            group.elements += weight.size
        return [*closed, *groups.values()]

    def _ruled(self, index: Index, state: State) -> tuple[type[WeightUpdate], tuple[NDArray, ...]]:
        kind, arrays = self.rule(state)
        if len(arrays) != len(kind.auxiliary):
            raise ParameterError(
                f"{type(self).__name__}: the state of {index!r} has {len(arrays)} arrays, but "
                f"{kind.name} needs {len(kind.auxiliary)}: {', '.join(kind.auxiliary) or 'none'}"
            )
        return kind, arrays


def in_state(state: State) -> tuple[NDArray, ...]:
    """The arrays of a state without parts of parts."""
    if state is None:
        return ()
    return state if isinstance(state, tuple) else (state,)
