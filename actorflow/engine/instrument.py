"""Instruments: what happens in an engine, told to whoever wants to know.

An engine without instruments pays one test of an empty tuple per event.
"""

from __future__ import annotations

import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from actorflow.engine.operation import Operation

__all__ = ["Instrument", "OperationStatistics", "Statistics", "StatisticsReport"]


class Instrument:
    """Override the hooks that you want; those you leave alone are never called.

    `granted` is called inside a turn, so it must be quick and must not wait for the engine. An
    exception that a hook raises breaks the engine: every wait then raises it.
    """

    def pushed(self, operation: Operation) -> None:
        """The operation was pushed, in this thread; its resources do not know yet."""

    def granted(self, operation: Operation) -> None:
        """Everything that it needs is granted: it goes into its device's queue."""

    def started(self, operation: Operation) -> None:
        """Its function is about to run, in this thread."""

    def finished(self, operation: Operation) -> None:
        """It ran, or (asynchronous) was completed, or is skipped without ever having started.

        `operation.failure` tells how it went.
        """


HOOKS = ("pushed", "granted", "started", "finished")


def hooks_of(instruments: tuple[Instrument, ...], hook: str) -> tuple[Instrument, ...]:
    """The instruments that override a hook."""
    return tuple(
        instrument
        for instrument in instruments
        if getattr(type(instrument), hook, None) is not getattr(Instrument, hook)
        or hook in getattr(instrument, "__dict__", ())
    )


@attrs.frozen
class OperationStatistics:
    """Times of all operations of one name, in seconds.

    Attributes:
      name: the operations' name.
      count: how many finished.
      queued: total from push to start: waiting for data, links and a worker.
      waiting: the part of `queued` before everything was granted: data and links.
      running: total from start to finish.
    """

    name: str
    count: int
    queued: float
    waiting: float
    running: float


@attrs.frozen
class StatisticsReport:
    """What a `Statistics` instrument saw.

    Attributes:
      operations: by name, the one that ran longest in total first.
      count: how many operations finished.
      wall: seconds from the first push to the last finish.
      busy: seconds in which at least one operation ran.
      running: seconds that operations ran, added up over workers.
    """

    operations: tuple[OperationStatistics, ...]
    count: int
    wall: float
    busy: float
    running: float

    @property
    def overlap(self) -> float:
        """How many operations ran at a time, on average, while any ran: 1.0 means one by one."""
        return self.running / self.busy if self.busy else 0.0

    def __str__(self) -> str:
        lines = [
            (
                f"{self.count} operations in {self.wall:.3f} s, "
                f"{self.busy:.3f} s of it busy, {self.overlap:.2f} at a time"
            ),
            f"{'operation':<24}{'count':>9}{'run us':>10}{'queued us':>12}{'total s':>10}",
        ]
        lines += [
            f"{row.name[:23]:<24}{row.count:>9}{row.running / row.count * 1e6:>10.1f}"
            f"{row.queued / row.count * 1e6:>12.1f}{row.running:>10.3f}"
            for row in self.operations
        ]
        return "\n".join(lines)


class Statistics(Instrument):
    """Counts operations and adds up their times; `report()` gives them at any moment.

    About 2 us per operation while it is installed.
    """

    def __init__(self) -> None:
        # What happened and has not been added up: a finalizer may end an operation anywhere, so
        # nobody may wait for the lock.
        self._events: deque[tuple[str, Operation, float]] = deque()
        self._lock = threading.Lock()
        self._times: dict[Operation, list[float]] = {}
        self._rows: dict[str, list[float]] = {}
        self._running = 0
        self._busy = 0.0
        self._busy_since = 0.0
        self._first: float | None = None
        self._last = 0.0

    def pushed(self, operation: Operation) -> None:
        """Note when."""
        self._note("pushed", operation)

    def granted(self, operation: Operation) -> None:
        """Note when."""
        self._note("granted", operation)

    def started(self, operation: Operation) -> None:
        """Note when."""
        self._note("started", operation)

    def finished(self, operation: Operation) -> None:
        """Note when."""
        self._note("finished", operation)

    def _note(self, event: str, operation: Operation) -> None:
        self._events.append((event, operation, perf_counter()))
        while self._events and self._lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self._lock.release()

    def _add_up(self) -> None:
        """Work through the events. With the lock."""
        while self._events:
            event, operation, now = self._events.popleft()
            if event == "pushed":
                if self._first is None:
                    self._first = now
                self._times[operation] = [now, now]
                continue
            times = self._times.get(operation)
            if times is None:  # pushed before this instrument was installed
                continue
            if event == "granted":
                times[1] = now
            elif event == "started":
                if self._running == 0:
                    self._busy_since = now
                self._running += 1
                times.append(now)
            else:
                self._finish(operation, self._times.pop(operation), now)

    def _finish(self, operation: Operation, times: list[float], now: float) -> None:
        if len(times) != 3:  # noqa: PLR2004 -- it was skipped
            return
        pushed, granted, started = times
        self._running -= 1
        if self._running == 0:
            self._busy += now - self._busy_since
        self._last = max(self._last, now)
        row = self._rows.setdefault(operation.name, [0, 0.0, 0.0, 0.0])
        row[0] += 1
        row[1] += started - pushed
        row[2] += granted - pushed
        row[3] += now - started

    def report(self) -> StatisticsReport:
        """What it has seen so far."""
        with self._lock:
            self._add_up()
            totals = {name: tuple(row) for name, row in self._rows.items()}
            busy = self._busy
            if self._running:
                busy += perf_counter() - self._busy_since
            last = self._last
        rows = [
            OperationStatistics(name, int(count), queued, waiting, running)
            for name, (count, queued, waiting, running) in totals.items()
        ]
        rows.sort(key=lambda row: -row.running)
        return StatisticsReport(
            operations=tuple(rows),
            count=sum(row.count for row in rows),
            wall=max(0.0, last - self._first) if self._first is not None else 0.0,
            busy=busy,
            running=sum(row.running for row in rows),
        )
