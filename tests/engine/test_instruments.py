"""Instruments: what is told, in which order, and what it costs those who want nothing."""

import gc
import threading
import time

import numpy as np
import pytest
import trio

from actorflow import Engine, current_engine
from actorflow.engine import Instrument, Link, OperationStatistics, Resource, Statistics
from actorflow.engine.instrument import _LockWatch
from actorflow.errors import EngineError
from tests.engine.helpers_faults import KINDS, Gate, fail, in_threads, open_engine, within


class Log(Instrument):
    """Everything that happens, in order."""

    def __init__(self):
        self.events = []

    def pushed(self, operation):
        self.events.append(("pushed", operation.name))

    def granted(self, operation):
        self.events.append(("granted", operation.name))

    def started(self, operation):
        self.events.append(("started", operation.name))

    def finished(self, operation):
        self.events.append(("finished", operation.name))

    def of(self, name):
        return [event for event, who in self.events if who == name]


LIFE = ["pushed", "granted", "started", "finished"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_life_of_an_operation(kind):
    log = Log()
    with Engine(2, engine_type=kind, instruments=[log]) as engine:
        resource = Resource("r")
        first = engine.push(lambda: 1, writes=(resource,), name="first")
        second = engine.push(lambda: 2, updates=(resource,), name="second")
        within(engine.wait_all)
        assert first.done
        assert second.done
    assert log.of("first") == log.of("second") == LIFE
    events = log.events
    assert events.index(("finished", "first")) < events.index(("granted", "second"))


def test_what_waits_is_granted_later():
    log = Log()
    with open_engine(2, instruments=[log]) as engine:
        gate, link = Gate(), Link(1)
        engine.push(gate, uses=(link,), name="first")
        gate.wait_entered()
        engine.push(lambda: None, uses=(link,), name="second")
        assert log.of("second") == ["pushed"]
        gate.open()
        within(engine.wait_all)
        assert log.of("second") == LIFE


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_told(kind):
    failures = {}

    class Failures(Instrument):
        def finished(self, operation):
            failures[operation.name] = operation.failure and str(operation.failure.exception)

    with Engine(2, engine_type=kind, instruments=[Failures()]) as engine:
        resource = Resource("r")
        engine.push(fail, writes=(resource,), name="broken")
        engine.push(lambda: None, reads=(resource,), name="skipped")
        engine.push(lambda: None, name="good")
        with pytest.raises(ValueError, match="broken"):
            within(engine.wait, resource)
        within(engine.wait_all)
    assert failures["broken"] == failures["skipped"] == "broken"
    assert failures["good"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_skipped_never_starts(kind):
    log = Log()
    with Engine(2, engine_type=kind, instruments=[log]) as engine:
        resource = Resource("r")
        operation = engine.push(fail, writes=(resource,), name="broken")
        engine.push(lambda: None, reads=(resource,), name="skipped")
        within(engine.wait_all)
        with pytest.raises(ValueError, match="broken"):
            within(operation.wait)
    assert "started" not in log.of("skipped")
    assert log.of("skipped")[0] == "pushed"
    assert log.of("skipped")[-1] == "finished"


def test_a_cancelled_one_is_told_as_finished():
    log = Log()
    with open_engine(1, instruments=[log]) as engine:
        gate = Gate()
        engine.push(gate)
        gate.wait_entered()
        ready = engine.push(lambda: None, name="ready")
        assert ready.cancel()
        gate.open()
        within(engine.wait_all)
        assert log.of("ready") == ["pushed", "granted", "finished"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", [False, True])
def test_an_asynchronous_one_finishes_when_it_is_completed(kind, fails):
    log = Log()

    def start(completion):
        log.events.append(("runs", "later"))
        if fails:
            completion.fail(ValueError("broken"))
        else:
            completion.succeed()

    async def task():
        log.events.append(("runs", "task"))

    with Engine(1, engine_type=kind, instruments=[log]) as engine:
        later = within(engine.push_async, start, name="later")
        if fails:
            with pytest.raises(ValueError, match="broken"):
                within(later.wait)
        within(engine.push_async(task, name="task").wait)
        within(engine.wait_all)
    expected = ["pushed", "granted", "started", "runs", "finished"]
    assert log.of("later") == log.of("task") == expected


def test_hooks_are_called_where_they_say():
    threads = {}

    class Threads(Instrument):
        def pushed(self, operation):
            threads["pushed", operation.name] = threading.current_thread()

        def started(self, operation):
            threads["started", operation.name] = threading.current_thread()

    with Engine(1, engine_type="threaded", instruments=[Threads()]) as engine:
        where = engine.wait(engine.push(threading.current_thread, name="x"), timeout=10)
    assert threads == {
        ("pushed", "x"): threading.current_thread(),
        ("started", "x"): where,
    }
    assert where is not threading.current_thread()


@pytest.mark.parametrize("kind", KINDS)
def test_installed_and_removed(kind):
    log, other = Log(), Log()
    with Engine(1, engine_type=kind) as engine:
        within(engine.push(lambda: None, name="before").wait)
        engine.install(log)
        engine.install(other)
        assert engine.instruments == (log, other)
        within(engine.push(lambda: None, name="between").wait)
        within(engine.wait_all)
        engine.remove(log)
        within(engine.push(lambda: None, name="after").wait)
        within(engine.wait_all)
        assert engine.instruments == (other,)
        with pytest.raises(ValueError, match="not in"):
            engine.remove(log)
        assert {name for _, name in log.events} == {"between"}
        assert log.of("between") == LIFE
        assert {name for _, name in other.events} == {"between", "after"}


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_that_are_not_overridden_are_not_called(kind):
    class Starts(Instrument):
        def started(self, operation):
            pass

    with Engine(1, engine_type=kind, instruments=[Instrument(), Starts()]) as engine:
        assert engine.pushed_hooks == engine.granted_hooks == engine.finished_hooks == ()
        assert len(engine.started_hooks) == 1
        within(engine.push(lambda: None).wait)


# -- Statistics ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_count_by_name(kind):
    statistics = Statistics()
    with Engine(2, engine_type=kind, instruments=[statistics]) as engine:
        resource = Resource("r")
        for _ in range(10):
            engine.push(lambda: None, updates=(resource,), name="update")
        for _ in range(5):
            engine.push(lambda: None, reads=(resource,), name="read")
        within(engine.wait_all)
        report = statistics.report()
    rows = {row.name: row for row in report.operations}
    assert {name: row.count for name, row in rows.items()} == {"update": 10, "read": 5}
    assert report.count == 15
    for row in rows.values():
        assert 0 <= row.waiting <= row.queued
        assert row.running >= 0
    assert 0 < report.busy <= report.wall
    assert report.running == pytest.approx(sum(row.running for row in rows.values()))
    assert "15 operations" in str(report)
    assert "update" in str(report)


def test_statistics_split_waiting_queueing_and_running(monkeypatch):
    now = 0.0
    monkeypatch.setattr("actorflow.engine.instrument.perf_counter", lambda: now)
    statistics = Statistics()
    with Engine(0, engine_type="threaded", instruments=[statistics]) as engine:
        resource = Resource("r")

        def spend(seconds):
            nonlocal now
            now += seconds

        engine.push(lambda: spend(3.0), writes=(resource,), name="first")
        engine.push(lambda: spend(5.0), updates=(resource,), name="second")
        now += 1.0
        engine.step()
        now += 2.0
        engine.step()
        rows = {row.name: row for row in statistics.report().operations}
        report = statistics.report()
    assert (rows["first"].waiting, rows["first"].queued, rows["first"].running) == (0, 1, 3)
    assert (rows["second"].waiting, rows["second"].queued, rows["second"].running) == (4, 6, 5)
    assert (report.wall, report.busy, report.running, report.overlap) == (11, 8, 8, 1)
    assert [row.name for row in report.operations] == ["second", "first"]


def test_statistics_see_the_overlap():
    statistics = Statistics()
    barrier = threading.Barrier(2)

    def meet():
        barrier.wait(10)
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass
        barrier.wait(10)

    with Engine(2, engine_type="threaded", instruments=[statistics]) as engine:
        operations = [engine.push(meet, device="io") for _ in range(2)]
        for operation in operations:
            engine.wait(operation, timeout=10)
        engine.wait_all()
        assert statistics.report().overlap > 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_installed_in_the_middle(kind):
    statistics = Statistics()
    with Engine(2, engine_type=kind) as engine:
        gate = Gate()
        before = engine.push(gate if kind == "threaded" else lambda: None, name="before")
        engine.install(statistics)
        assert str(statistics.report()).startswith("0 operations")
        gate.open()
        within(before.wait)
        within(engine.push(lambda: None, name="after").wait)
        within(engine.wait_all)
        engine.remove(statistics)
        within(engine.push(lambda: None, name="later").wait)
        within(engine.wait_all)
    assert [row.name for row in statistics.report().operations] == ["after"]


def test_statistics_keep_nothing_of_what_is_done():
    statistics = Statistics()
    with Engine(2, engine_type="threaded", instruments=[statistics]) as engine:
        resource = Resource("r")
        failed = engine.push(fail, writes=(resource,))
        for _ in range(50):
            engine.push(lambda: None, reads=(resource,))
        within(engine.wait_all)
        with pytest.raises(ValueError, match="broken"):
            within(failed.wait)
        assert statistics._times == {}


def test_statistics_of_many_threads():
    statistics = Statistics()
    with Engine(2, engine_type="threaded", instruments=[statistics]) as engine:

        def push():
            for _ in range(200):
                engine.push(lambda: None, name="trivial")
            statistics.report()

        in_threads(*[push] * 4)
        within(engine.wait_all)
        (row,) = statistics.report().operations
        assert row.count == 800


def test_statistics_while_the_collector_ends_an_asynchronous_operation(monkeypatch):
    """A completion in garbage is found in the middle of `report`, and tells the same instrument."""
    statistics = Statistics()
    with open_engine(1, instruments=[statistics]) as engine:
        for number in range(5):
            engine.push(lambda: None, name=f"row {number}")
        within(engine.wait_all)
        started = threading.Event()

        def start(completion):
            knot = [completion]
            knot.append(knot)
            started.set()

        def collecting(*args):
            gc.collect()
            return original(*args)

        original = OperationStatistics
        monkeypatch.setattr("actorflow.engine.instrument.OperationStatistics", collecting)
        gc.disable()
        try:
            operation = engine.push_async(start)
            assert started.wait(10)
            assert within(statistics.report).count == 5
        finally:
            gc.enable()
        with pytest.raises(EngineError, match="dropped its completion"):
            within(operation.wait)


# -- Who holds Python's lock -----------------------------------------------------------------------

watches = pytest.mark.skipif(not _LockWatch._CAN_TELL, reason="this system cannot tell")


def wait_until(condition):
    while not condition():
        time.sleep(0)


SEEN = 0.08  # seconds; one look may err where others want the cores


class Spender:
    """Functions that spend processor time, with or without the lock, until that was seen."""

    def __init__(self, statistics):
        self.watch = statistics._watch

    def _seen(self, name):
        return sum(self.watch._seen.get(name, ())) > SEEN

    def with_lock(self):
        while not self._seen("with_lock"):
            pass

    def without_lock(self):
        data = np.ones(1_000_000)
        while not self._seen("without_lock"):
            np.exp(data, out=data)
            data.fill(1)

    def inside(self):
        current_engine().push(self.with_lock).wait(timeout=10)


@watches
@pytest.mark.parametrize("kind", KINDS)
def test_statistics_tell_who_holds_the_lock(kind):
    statistics = Statistics()
    spender = Spender(statistics)
    with Engine(1, engine_type=kind, instruments=[statistics]) as engine:
        for name in ("with_lock", "without_lock"):
            within(engine.push(getattr(spender, name), name=name).wait)
    report = statistics.report()
    rows = {row.name: row for row in report.operations}
    assert rows["with_lock"].cpu > SEEN
    assert rows["without_lock"].cpu > SEEN
    assert rows["with_lock"].lock_held > 0.5 * rows["with_lock"].cpu
    assert rows["without_lock"].lock_held < 0.5 * rows["without_lock"].cpu
    assert f"{rows['with_lock'].lock_held:.3f}" in str(report)


@watches
@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_inside_another_is_charged_alone(kind):
    statistics = Statistics()
    spender = Spender(statistics)
    with Engine(1, engine_type=kind, instruments=[statistics]) as engine:
        within(engine.push(spender.inside, name="outer").wait)
    rows = {row.name: row for row in statistics.report().operations}
    assert rows["with_lock"].cpu > SEEN
    assert rows["outer"].cpu < rows["with_lock"].cpu
    assert statistics._watch._runs == {}


@watches
def test_the_watch_ends_by_itself_and_begins_again():
    statistics = Statistics()
    watch = statistics._watch
    for _ in range(2):
        assert not watch._process
        with Engine(1, engine_type="threaded", instruments=[statistics]) as engine:
            gate = Gate()
            operation = engine.push(gate)
            gate.wait_entered()
            assert watch._process
            gate.open()
            within(operation.wait)
        within(wait_until, lambda: not watch._process)


@watches
def test_asynchronous_operations_take_no_processor_time():
    statistics = Statistics()
    with Engine(1, engine_type="threaded", instruments=[statistics]) as engine:
        within(engine.push_async(lambda completion: completion.succeed(), name="call").wait)
        assert statistics._watch._runs == {}
    (row,) = statistics.report().operations
    assert (row.cpu, row.lock_held) == (0, None)
    assert str(statistics.report()).endswith("?")


@watches
def test_an_end_that_was_not_told_is_forgotten():
    statistics = Statistics()
    with Engine(1, engine_type="threaded", instruments=[statistics]) as engine:
        gate = Gate()
        engine.push(gate, name="gate")
        gate.wait_entered()
        engine.remove(statistics)
        gate.open()
        within(engine.wait_all)
        assert len(statistics._watch._runs) == 1
        within(wait_until, lambda: not statistics._watch._process)
        engine.install(statistics)
        within(lambda: [engine.push(lambda: None, name="next").wait() for _ in range(9)])
    report = statistics.report()
    assert {row.name: row.count for row in report.operations} == {"next": 9}


def test_instruments_in_a_loop():
    log = Log()

    async def main():
        async with Engine(1, engine_type="threaded", instruments=[log]) as engine:
            await engine.push(lambda: None, name="x")

    within(trio.run, main)
    assert log.of("x") == LIFE
