"""What a run says of a batch, of an epoch, and of itself: numbers, and where the time went."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from actorflow.engine import Operation

__all__ = ["Report", "Sent", "Times"]

Values = tuple[tuple[str, float], ...]


@attrs.frozen
class Report:
    """How a run goes.

    Attributes:
      what: "batch", "epoch" or "run": what has just ended.
      epoch: its number.
      nbatch: the number of the batch; of an epoch or a run, how many it had.
      metric: names and values of the metric, over the batches of the epoch so far.
      validation: names and values on the validation data, after an epoch that was validated.
      seconds: how long it took: of a batch, the epoch so far. Without validation and callbacks at
        the ends of epochs.
      examples: how many it learnt from in that time.
      data: the share of `seconds` in which the engine had nothing to compute because the next batch
        was not there: starved by data.
      communication: the share in which gradients were there, and the parameters still on their way
        through the store: what the backward pass did not hide.
      engine: the share in which the engine had nothing to compute because the loop had not sent it
        yet: its own time, with callbacks at the ends of batches.
    """

    what: str
    epoch: int
    nbatch: int
    metric: Values
    validation: Values
    seconds: float
    examples: int
    data: float
    communication: float
    engine: float

    @property
    def computing(self) -> float:
        """The share of `seconds` in which it was computed."""
        return 1.0 - self.data - self.communication - self.engine

    @property
    def speed(self) -> float:
        """Examples per second."""
        return self.examples / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        values = [f"{name}={value:.6g}" for name, value in self.metric]
        values += [f"validation {name}={value:.6g}" for name, value in self.validation]
        return (
            f"{self.what} {self.epoch if self.what != 'run' else ''}".rstrip()
            + f": {', '.join([*values, f'{self.nbatch} batches'])} in {self.seconds:.2f} s, "
            f"{self.speed:.0f} examples/s; starved by data {self.data:.0%}, by communication "
            f"{self.communication:.0%}, by the engine {self.engine:.0%}"
        )


@attrs.frozen
class Sent:
    """A batch that was sent to the engine.

    Attributes:
      nbatch: its number.
      asked, got: when it was asked for and when it was there, in seconds of `perf_counter`.
      pushed: when its first message was sent.
      computed: ends when its gradients are there, and gives when that was; None if it is not known.
      updated: likewise for the parameters.
    """

    nbatch: int
    asked: float
    got: float
    pushed: float
    computed: Operation | None
    updated: Operation


@attrs.define
class Times:
    """Where time goes, in seconds, as the engine sees it: when had it nothing to do, and why?

    Attributes:
      seconds: all of it.
      data, communication, engine: as in `Report`, in seconds.
      batches, examples: how many.
      idle_since: when the engine was done with the last batch.
      begin: when it began.
    """

    seconds: float = 0.0
    data: float = 0.0
    communication: float = 0.0
    engine: float = 0.0
    batches: int = 0
    examples: int = 0
    idle_since: float = attrs.field(factory=perf_counter)
    begin: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.begin = self.idle_since

    def end(self, sent: Sent) -> None:
        """A batch is done."""
        done: float = sent.updated.result
        computed: float = done if sent.computed is None else sent.computed.result
        idle = max(0.0, sent.pushed - self.idle_since)
        for_data = max(0.0, min(sent.got, sent.pushed) - max(sent.asked, self.idle_since))
        self.data += for_data
        self.engine += idle - for_data
        self.communication += max(0.0, done - max(computed, self.idle_since))
        self.idle_since = max(self.idle_since, done)
        self.seconds = max(self.seconds, self.idle_since - self.begin)

    def add(self, other: Times) -> None:
        """Add those of an epoch."""
        for name in ("seconds", "data", "communication", "engine", "batches", "examples"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def report(
        self, what: str, epoch: int, nbatch: int, metric: Values, validation: Values
    ) -> Report:
        """A report of these times."""
        seconds = self.seconds or 1.0
        return Report(
            what,
            epoch,
            nbatch,
            metric,
            validation,
            self.seconds,
            self.examples,
            self.data / seconds,
            self.communication / seconds,
            self.engine / seconds,
        )
