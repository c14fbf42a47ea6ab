"""Where a metric's operations add up what they find."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from actorflow.engine import Resource, current_engine
from actorflow.ndarray import quietly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ndarray import NDArray
    from actorflow.training.evaluation import EvalMetric

__all__ = ["Part", "Sums", "Tally", "push"]

Sums: TypeAlias = tuple[Any, Any, Any, Any]

# Predictions of less than this many bytes: to count them takes as long as to wake a worker.
_SMALL = 4 << 10


class Tally(Resource):
    """Sums and counts, which operations add to.

    Attributes:
      total: what `measure` gave, added up; a list of these for metrics of several values.
      count: of how many.
      past_total, past_count: what was there before `reset_local`.
    """

    __slots__ = ("count", "past_count", "past_total", "total")

    def __init__(self, name: str, num: int | None) -> None:
        super().__init__(name)
        self.total: Any = 0.0
        self.count: Any = 0
        if num is not None:
            self.total, self.count = [0.0] * num, [0] * num
        self.past_total, self.past_count = self.total, self.count

    def add(self, total: Any, count: Any) -> None:  # noqa: ANN401
        """Add to both."""
        self.total = _added(self.total, total)
        self.count = _added(self.count, count)

    def sums(self) -> Sums:
        """All of it."""
        return (self.total, self.count, self.past_total, self.past_count)

    def put(self, sums: Sums) -> None:
        """Have other sums from now on."""
        self.total, self.count, self.past_total, self.past_count = sums

    def begin(self, num: int | None) -> None:
        """Keep what there is as the past, and begin again."""
        self.past_total, self.past_count = self.everything()
        fresh = Tally(self.name, num)
        self.total, self.count = fresh.total, fresh.count

    def everything(self) -> tuple[Any, Any]:
        """Total and count with those of the past."""
        return _added(self.past_total, self.total), _added(self.past_count, self.count)


def _added(one: Any, other: Any) -> Any:  # noqa: ANN401
    if isinstance(one, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other


@attrs.frozen
class Part:
    """What one metric does with one batch."""

    metric: EvalMetric
    tally: Tally
    labels: Sequence[NDArray]
    preds: Sequence[NDArray]

    def run(self) -> None:
        """Add to the tally. As an operation that was granted the arrays and the tally."""
        labels = [each._data() for each in self.labels]
        preds = [each._data() for each in self.preds]
        self.tally.add(*self.metric.measure(labels, preds))


def _run(parts: Sequence[Part]) -> None:
    for part in parts:
        quietly(part.run)


def push(parts: Sequence[Part], name: str, *, quick: bool) -> None:
    """Push one operation for several metrics.

    Args:
      parts: what each does.
      name: of the operation.
      quick: none of them calls a user's code.
    """
    arrays = [each for part in parts for each in (*part.labels, *part.preds)]
    current_engine().push(
        partial(_run, parts),
        reads=[each.resource for each in arrays],
        updates=[part.tally for part in parts],
        device=arrays[-1].context.name if arrays else None,
        name=name,
        quick=quick and sum(each.nbytes for each in arrays) < _SMALL,
    )
