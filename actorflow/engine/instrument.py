"""Instruments: what happens in an engine, told to whoever wants to know.

An engine without instruments pays one test of an empty tuple per event.
"""

from __future__ import annotations

import _thread
import os
import threading
import time
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Final

import attrs

from actorflow.engine.asynchronous import Start
from actorflow.engine.operation import ENDED

try:
    import resource
except ImportError:  # it is not everywhere
    resource = None  # type: ignore[assignment]

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
      cpu: total processor time of the threads that ran them; none of asynchronous operations.
      lock_held: the part of `cpu` in which other threads had to wait for Python's lock, as far as a
        thread that asks for it every hundredth of a second could see: an estimate for operations
        that ran some tenths of a second in total. A loop in Python holds the lock all the time,
        NumPy's functions on large arrays do not. What gives it up by itself every few milliseconds
        counts as not holding it. While operations overlap, one that waits for the lock may be
        taken for the one that has it: to be sure, measure with one worker. None if nothing was
        seen, or on a system that cannot tell (all but Linux).
    """

    name: str
    count: int
    queued: float
    waiting: float
    running: float
    cpu: float = 0.0
    lock_held: float | None = None


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
            (
                f"{'operation':<24}{'count':>9}{'run us':>10}{'queued us':>12}{'total s':>10}"
                f"{'lock s':>10}"
            ),
        ]
        lines += [
            f"{row.name[:23]:<24}{row.count:>9}{row.running / row.count * 1e6:>10.1f}"
            f"{row.queued / row.count * 1e6:>12.1f}{row.running:>10.3f}"
            f"{'?' if row.lock_held is None else format(row.lock_held, '.3f'):>10}"
            for row in self.operations
        ]
        return "\n".join(lines)


class _Run:
    """An operation that runs in some thread.

    Attributes:
      operation: the operation.
      clock: the clock of its thread's processor time.
      since: what that showed at the start.
      mark: what it showed when the watch last looked; at first, at the start.
      inner: how much of the time since the start other operations took that ran inside this one.
    """

    __slots__ = ("clock", "inner", "mark", "operation", "since")

    def __init__(self, operation: Operation, clock: int, since: float) -> None:
        self.operation = operation
        self.clock = clock
        self.since = self.mark = since
        self.inner = 0.0


class _LockWatch:
    """Finds out which operations keep Python's lock from other threads.

    While operations run, a thread of its own sleeps and then needs the lock, like any thread. The
    system counts how often it gave up its core of its own will: once for the sleep, and again if
    the lock was not free. Then it has the lock, and looks at the clocks of the threads that run
    operations: one whose clock goes on computes without the lock.

    A thread's list in `_runs` is changed by that thread alone, and `_seen` by the watch.
    """

    _PERIOD: Final = 0.01  # seconds
    _LOOK: Final = 3e-5  # seconds in which who has lost the lock falls asleep, or a clock goes on
    _GOES_ON: Final = 1e-5  # seconds; to read the clock of a thread that waits takes less
    _WORTH: Final = 1e-4  # seconds of processor time; what ends with less tells little
    _IDLE: Final = 3  # beats without an operation after which the thread ends
    _CAN_TELL: Final = hasattr(resource, "RUSAGE_THREAD") and hasattr(time, "pthread_getcpuclockid")

    def __init__(self) -> None:
        self._runs: dict[int, list[_Run]] = {}
        self._ended: deque[tuple[str, float]] = deque()  # since the last look: name, seconds
        self._seen: dict[str, list[float]] = {}  # name -> processor seconds: held, free
        self._process = 0  # in which the thread lives

    def begin(self, operation: Operation) -> None:
        """The operation starts in this thread."""
        if not self._CAN_TELL or isinstance(operation.fn, Start):
            return
        ident = threading.get_ident()
        runs = self._runs.get(ident)
        if runs is None:
            runs = self._runs[ident] = []
        while runs and runs[-1].operation.state >= ENDED:
            runs.pop()  # it ended while the instrument was not installed
        clock = runs[0].clock if runs else time.pthread_getcpuclockid(ident)
        runs.append(_Run(operation, clock, time.thread_time()))
        if self._process != os.getpid():
            self._start()

    def end(self, operation: Operation) -> float:
        """The operation ends: its processor time in seconds. Asynchronous ones have none."""
        ident = threading.get_ident()
        runs = self._runs.get(ident)
        if not runs or runs[-1].operation is not operation:
            return 0.0
        run = runs.pop()
        now = time.thread_time()
        if now - run.mark > self._WORTH:
            self._ended.append((operation.name, now - run.mark))
        if runs:
            runs[-1].inner += now - run.since
            runs[-1].mark = now
        else:
            self._runs.pop(ident, None)
        return now - run.since - run.inner

    def held_share(self, name: str) -> float | None:
        """Of the processor time of all operations of a name, the part with the lock."""
        held, free = self._seen.get(name, (0.0, 0.0))
        return held / (held + free) if held + free else None

    def _start(self) -> None:
        self._process = os.getpid()
        try:
            # Not a `threading.Thread`, whose start waits: this may be a finalizer.
            _thread.start_new_thread(self._watch, ())
        except RuntimeError:  # Python starts no more threads, since the script has ended
            self._process = 0

    def _watch(self) -> None:
        idle = 0
        while idle < self._IDLE:
            before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
            time.sleep(self._PERIOD)
            waited = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before > 1
            idle = 0 if self._look(waited=waited) else idle + 1
        self._process = 0
        if self._running():  # one began in this moment and saw that the thread was there
            self._start()

    def _running(self) -> list[_Run]:
        """The operations that run, without those that wait inside themselves for another."""
        innermost = [run for each in list(self._runs.values()) for run in each[-1:]]
        return [run for run in innermost if run.operation.state < ENDED]

    def _look(self, *, waited: bool) -> bool:
        """See who goes on while this thread has the lock; say whether any operation ran."""
        spent: list[tuple[str, float]] = []
        while self._ended:
            spent.append(self._ended.popleft())
        without: set[int] = set()  # which of `spent` are operations that do not need the lock
        for run in self._running():
            now = _read(run.clock)
            if waited:
                self._pass_time()
                before = _read(run.clock)
                self._pass_time()
                if _read(run.clock) - before > self._GOES_ON:
                    without.add(len(spent))
            spent.append((run.operation.name, max(now - run.mark, 0.0)))
            run.mark = max(now, run.mark)
        for index, (name, seconds) in enumerate(spent):
            seen = self._seen.setdefault(name, [0.0, 0.0])
            seen[not waited or index in without] += seconds
        return bool(spent)

    def _pass_time(self) -> None:
        end = time.monotonic() + self._LOOK
        while time.monotonic() < end:
            pass


def _read(clock: int) -> float:
    """The processor time of a thread; 0 if that has ended."""
    try:
        return time.clock_gettime(clock)
    except OSError:
        return 0.0


class Statistics(Instrument):
    """Counts operations and adds up their times; `report()` gives them at any moment.

    About 6 us per operation while it is installed. Quick operations, such as those on arrays of a
    few kilobytes, then take the ordinary way through a queue and a worker instead of running in the
    push: the figures of small ones are higher than without it.

    On Linux a thread watches Python's lock while operations run; see `OperationStatistics`. It ends
    by itself some hundredths of a second after the last one.
    """

    def __init__(self) -> None:
        # What happened and has not been added up: a finalizer may end an operation anywhere, so
        # nobody may wait for the lock.
        self._events: deque[tuple[str, Operation, float, float]] = deque()
        self._lock = threading.Lock()
        self._times: dict[Operation, list[float]] = {}
        self._rows: dict[str, list[float]] = {}
        self._running = 0
        self._busy = 0.0
        self._busy_since = 0.0
        self._first: float | None = None
        self._last = 0.0
        self._watch = _LockWatch()

    def pushed(self, operation: Operation) -> None:
        """Note when."""
        self._note("pushed", operation)

    def granted(self, operation: Operation) -> None:
        """Note when."""
        self._note("granted", operation)

    def started(self, operation: Operation) -> None:
        """Note when, and begin to watch it."""
        self._watch.begin(operation)
        self._note("started", operation)

    def finished(self, operation: Operation) -> None:
        """Note when, and what it took."""
        self._note("finished", operation, self._watch.end(operation))

    def _note(self, event: str, operation: Operation, cpu: float = 0.0) -> None:
        self._events.append((event, operation, perf_counter(), cpu))
        while self._events and self._lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self._lock.release()

    def _add_up(self) -> None:
        """Work through the events. With the lock."""
        while self._events:
            event, operation, now, cpu = self._events.popleft()
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
                self._finish(operation, self._times.pop(operation), now, cpu)

    def _finish(self, operation: Operation, times: list[float], now: float, cpu: float) -> None:
        if len(times) != 3:  # noqa: PLR2004 -- it was skipped
            return
        pushed, granted, started = times
        self._running -= 1
        if self._running == 0:
            self._busy += now - self._busy_since
        self._last = max(self._last, now)
        row = self._rows.setdefault(operation.name, [0, 0.0, 0.0, 0.0, 0.0])
        row[0] += 1
        row[1] += started - pushed
        row[2] += granted - pushed
        row[3] += now - started
        row[4] += cpu

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
            OperationStatistics(
                name,
                int(count),
                queued,
                waiting,
                running,
                cpu,
                None if (share := self._watch.held_share(name)) is None else cpu * share,
            )
            for name, (count, queued, waiting, running, cpu) in totals.items()
        ]
        rows.sort(key=lambda row: -row.running)
        return StatisticsReport(
            operations=tuple(rows),
            count=sum(row.count for row in rows),
            wall=max(0.0, last - self._first) if self._first is not None else 0.0,
            busy=busy,
            running=sum(row.running for row in rows),
        )
