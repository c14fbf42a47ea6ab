"""Updates that a program asks for again and again, on the same arrays with the same numbers.

A training loop does. To check eighteen arrays and to look up their memory takes longer than to
update a small weight, so what has been checked once, and was asked for twice, is kept as a list of
calls. The learning rates may be others each time: they lie in arrays that the calls read, and that
the operation fills before it makes them.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from actorflow.engine import current_engine
from actorflow.ndarray.kernels import quietly
from actorflow.ops import call_each, carve, room, working_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.engine import Accessible
    from actorflow.ndarray.array import NDArray
    from actorflow.ops import Call, Memory, WeightUpdate

__all__ = ["Plan", "find_plan"]

Key = tuple[object, ...]

# By the identity of the first weight. A plan goes when any array of it does: until then nothing
# else has the same identity.
_known: Final[dict[int, Plan]] = {}


def find_plan(data: Sequence[NDArray], out: Sequence[NDArray], asked: Key) -> Plan | None:
    """The plan of updates that were asked for before.

    Args:
      data: weight, grad, states, weight, and so on.
      out: where the weights go.
      asked: everything else that they depend on.
    """
    plan = _known.get(id(data[0])) if data else None
    return plan if plan is not None and plan.key == _key(data, out, asked) else None


def _key(data: Sequence[NDArray], out: Sequence[NDArray], asked: Key) -> Key:
    return (asked, *map(id, data), *map(id, out))


class Plan:
    """Updates in place that have been checked, as one operation.

    It keeps the memory of its arrays, which it touches only as an operation that was granted it,
    but not the arrays.

    Attributes:
      key: by what it is known again.
    """

    def __init__(
        self,
        asked: Key,
        name: str,
        steps: Sequence[tuple[WeightUpdate, tuple[NDArray, ...]]],
        reads: tuple[Accessible, ...],
        updates: tuple[Accessible, ...],
        *,
        quick: bool,
    ) -> None:
        """Remember what was asked for, for the next time.

        Args:
          asked: as for `find_plan`.
          name: the operation's.
          steps: for each weight the operator, and the weight, grad and states.
          reads, updates: what the operation declares.
          quick: whether it is.
        """
        data = [each for _, arrays in steps for each in arrays]
        self.key = _key(data, [arrays[0] for _, arrays in steps], asked)
        self._operators = [operator for operator, _ in steps]
        self._name = name
        self._reads, self._updates, self._quick = reads, updates, quick
        self._device = data[0]._block.context.name
        self._written: tuple[list[Call], list[Memory]] | None = None
        first = id(data[0])
        self._data = [weakref.ref(each, lambda _: _known.pop(first, None)) for each in data]
        _known[first] = self

    def push(self, data: Sequence[NDArray], lrs: Sequence[float]) -> bool:
        """Push the operation once more, unless a learning rate has to be looked at closely.

        Args:
          data: the arrays that it was made for.
          lrs: the learning rate of each weight.

        Returns:
          Whether it was pushed.
        """
        for lr in lrs:
            if not (lr.__class__ is float or lr.__class__ is int) or not lr >= 0:
                return False
        rates = [operator.rate(lr) for operator, lr in zip(self._operators, lrs, strict=True)]
        calls, cells = self._written or self._write_down(data)
        current_engine().push(
            partial(quietly, _run, calls, cells, rates),
            reads=self._reads,
            updates=self._updates,
            device=self._device,
            name=self._name,
            quick=self._quick,
        )
        return True

    def _write_down(self, data: Sequence[NDArray]) -> tuple[list[Call], list[Memory]]:
        """The calls, and where they read the rates.

        That and their working memory are their own: one operation runs after the other.
        """
        each = len(data) // len(self._operators)
        groups = [data[start : start + each] for start in range(0, len(data), each)]
        wanted = [
            operator.scratch([arrays[0]._shape] * each, [arrays[0]._block.dtype] * each)
            for operator, arrays in zip(self._operators, groups, strict=True)
        ]
        memory = np.empty(max(map(room, wanted)), np.uint8)
        calls: list[Call] = []
        cells: list[Memory] = []
        for operator, arrays, scratch in zip(self._operators, groups, wanted, strict=True):
            views = [array._view() for array in arrays]
            cells.append(np.zeros((), working_type(arrays[0]._block.dtype)))
            calls += operator.noted([*views, views[0], *carve(memory, scratch)], cells[-1])
        self._written = calls, cells  # at once, since other threads may push the same
        return calls, cells


def _run(calls: Sequence[Call], cells: Sequence[Memory], rates: Sequence[float]) -> None:
    for cell, rate in zip(cells, rates, strict=True):
        cell[()] = rate
    call_each(calls)
