"""Cancellation, of operations and of waits, at each point of an operation's life."""

import functools
import threading

import pytest

from actorflow import Engine
from actorflow.engine import Link, Resource
from actorflow.errors import OperationCancelled
from tests.engine.helpers_faults import (
    KINDS,
    Gate,
    Stage,
    TurnHolder,
    in_threads,
    open_engine,
    within,
)


class Blocked:
    """A lock that tells when somebody blocks on it."""

    def __init__(self, lock):
        self._lock = lock
        self.release = lock.release
        self.locked = lock.locked
        self.waited_for = threading.Event()

    def acquire(self, blocking=True, timeout=-1):
        if blocking:
            self.waited_for.set()
        return self._lock.acquire(blocking, timeout)

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


NOT_STARTED = ("data", "link", "ready")


@pytest.mark.parametrize("point", NOT_STARTED)
def test_what_has_not_started_is_skipped(point):
    with Engine(1, engine_type="threaded") as engine:
        stage = Stage(engine, point)
        assert stage.target.cancel()
        stage.gate.open()
        for what in (stage.target, stage.reader):
            with pytest.raises(OperationCancelled, match="'target' was cancelled before"):
                within(what.wait)
        with pytest.raises(OperationCancelled):
            within(engine.wait, stage.resource)
        assert stage.calls == []
        assert within(stage.before.wait) == "gate"
        assert not stage.target.cancel()
        # A rewrite clears it, and what it held is free.
        rewrite = engine.push(lambda: 1, writes=(stage.resource,), uses=(stage.link,))
        assert within(rewrite.wait) == 1
        within(engine.wait, stage.resource)


@pytest.mark.parametrize(("point", "result"), [("running", "gate"), ("done", "ran")])
def test_what_has_started_is_not(point, result):
    with Engine(1, engine_type="threaded") as engine:
        stage = Stage(engine, point)
        assert not stage.target.cancel()
        stage.gate.open()
        assert within(stage.target.wait) == result
        within(stage.reader.wait)
        assert not stage.target.cancel()


def test_what_was_only_sent_is_skipped():
    holder = TurnHolder()
    with open_engine(1, instruments=[holder]) as engine:
        gate, resource, calls = Gate(), Resource("r"), []
        engine.push(gate, writes=(resource,))
        gate.wait_entered()
        holder.hold(engine)
        target = engine.push(lambda: calls.append(1), updates=(resource,))
        engine._lock = lock = Blocked(engine._lock)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(target.cancel()), daemon=True)
        thread.start()
        assert lock.waited_for.wait(10)
        holder.gate.open()
        thread.join(10)
        assert answers == [True]
        gate.open()
        with pytest.raises(OperationCancelled):
            within(target.wait)
        within(engine.wait_all)
        assert calls == []


def test_a_wait_for_what_was_only_sent_sends_it_once():
    """Another thread has the turn, so the operation still lies in the mailbox."""
    holder = TurnHolder()
    with open_engine(2, instruments=[holder]) as engine:
        before, resource = Gate(), Resource("r")
        engine.push(before, writes=(resource,))
        before.wait_entered()
        holder.hold(engine)
        target = engine.push(lambda: "ran", updates=(resource,))
        engine._lock = lock = Blocked(engine._lock)
        results = []
        thread = threading.Thread(target=lambda: results.append(target.wait()), daemon=True)
        thread.start()
        assert lock.waited_for.wait(10)
        holder.gate.open()
        before.open()
        thread.join(10)
        assert results == ["ran"]
        within(engine.wait_all)
        assert engine.statistics().in_flight == 0


@pytest.mark.parametrize("point", NOT_STARTED)
def test_cancel_all_skips_what_has_not_started(point):
    with Engine(1, engine_type="threaded") as engine:
        stage = Stage(engine, point)
        engine.cancel_all()
        stage.gate.open()
        with pytest.raises(OperationCancelled, match="its engine was cancelled"):
            within(stage.target.wait)
        assert within(stage.before.wait) == "gate"
        within(engine.wait_all)
        assert stage.calls == []
        later = engine.push(lambda: "later", writes=(stage.resource,), uses=(stage.link,))
        assert within(later.wait) == "later"


def test_cancel_all_lets_what_runs_end():
    with Engine(2, engine_type="threaded") as engine:
        gates = [Gate(number) for number in range(2)]
        operations = [engine.push(gate) for gate in gates]
        for gate in gates:
            gate.wait_entered()
        engine.cancel_all()
        for gate in gates:
            gate.open()
        assert [within(operation.wait) for operation in operations] == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_inside_is_cancelled_before_its_turn(kind):
    resource, calls = Resource("r"), []

    def outer(engine):
        inner = engine.push(lambda: calls.append("inner"), updates=(resource,))
        return inner, inner.cancel()

    with Engine(1, engine_type=kind) as engine:
        inner, answer = within(
            engine.push(lambda: outer(engine), writes=(resource,), name="outer").wait
        )
        assert answer
        with pytest.raises(OperationCancelled):
            within(inner.wait)
        assert calls == []


def test_a_cancelled_operation_gives_back_the_links_that_it_had():
    with Engine(1, engine_type="threaded") as engine:
        first, second, gate = Link(1, "first"), Link(1, "second"), Gate()
        for link in (first, second):
            engine.push(gate, uses=(link,), device="io")
        both = engine.push(lambda: None, uses=(first, second), device="io")
        assert both.cancel()
        gate.open()
        with pytest.raises(OperationCancelled):
            within(both.wait)
        again = engine.push(lambda: 1, uses=(first, second), device="io")
        assert within(again.wait) == 1


@pytest.mark.slow
def test_cancelled_or_run_but_never_both():
    count, ran = 2000, []
    with Engine(2, engine_type="threaded") as engine:
        resources = [Resource(f"r{i}") for i in range(3)]
        operations = []

        def push():
            for number in range(count):
                run = functools.partial(ran.append, number)
                operation = engine.push(run, writes=(resources[number % 3],))
                operations.append(operation)

        def cancel():
            cancelled, number = set(), 0
            while number < count:
                if number < len(operations):
                    if operations[number].cancel():
                        cancelled.add(number)
                    number += 1
            return cancelled

        _, cancelled = in_threads(push, cancel)
        within(engine.wait_all)
    assert sorted([*ran, *cancelled]) == list(range(count))
