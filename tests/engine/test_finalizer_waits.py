"""Waits of finalizers and signal handlers that strike a thread which has an operation in hand."""

import gc
import signal
import threading

import pytest

from actorflow.engine import Engine, Resource
from actorflow.errors import DeadlockError
from tests.engine._helpers import close, finishes, stepping

# What a waiting caller goes through with an operation that it has taken: before it begins, and
# after its function has returned.
PLACES = ("_run", "_hand_in")


def strike(engine, place, action):
    """Have a finalizer do something, once, as a waiting caller comes to that place."""
    arrive, outcome = getattr(engine, place), []

    class Doomed:
        def __del__(self):
            try:
                outcome.append(action())
            except DeadlockError as error:
                outcome.append(error)

    def arrive_and_collect(*args, **options):
        setattr(engine, place, arrive)
        doomed = Doomed()
        doomed.itself = doomed
        del doomed
        gc.collect()
        return arrive(*args, **options)

    setattr(engine, place, arrive_and_collect)
    return outcome


@pytest.mark.parametrize("place", PLACES)
def test_a_wait_for_what_its_own_thread_has_taken_is_refused(place):
    engine = stepping()
    resource = Resource("r")
    taken = engine.push(lambda: "ran", writes=[resource], name="taken")
    follower = engine.push(lambda: "followed", updates=[resource])
    outcome = strike(engine, place, follower.wait)
    assert finishes(taken.wait) == "ran"
    assert "'taken' waits inside itself for what can only come after it" in str(outcome[0])
    assert finishes(follower.wait) == "followed"
    assert close(engine) == []


@pytest.mark.parametrize("place", PLACES)
def test_a_wait_for_all_is_refused_there(place):
    engine = stepping()
    taken = engine.push(lambda: "ran", name="taken")
    outcome = strike(engine, place, engine.wait_all)
    assert finishes(taken.wait) == "ran"
    assert "wait_all inside operation 'taken'" in str(outcome[0])
    close(engine)


@pytest.mark.parametrize("place", PLACES)
def test_a_wait_for_something_else_is_not(place):
    engine = stepping()
    taken = engine.push(lambda: "ran")
    outcome = strike(engine, place, engine.push(lambda: "other").wait)
    assert finishes(taken.wait) == "ran"
    assert outcome == ["other"]
    close(engine)


@pytest.mark.parametrize("place", PLACES)
def test_a_push_past_the_budget_does_not_wait_there(place):
    engine = stepping(max_ops=1)
    resource = Resource("r")
    taken = engine.push(lambda: "ran", writes=[resource])
    outcome = strike(engine, place, lambda: engine.push(lambda: "late", updates=[resource]))
    assert finishes(taken.wait) == "ran"
    assert finishes(outcome[0].wait) == "late"
    close(engine)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")
def test_a_signal_handler_that_waits_for_what_its_thread_has_taken():
    engine = stepping()
    taken = engine.push(lambda: "ran", name="taken")
    run, outcome = engine._run, []

    def handle(*_):
        try:
            taken.wait()
        except DeadlockError as error:
            outcome.append(str(error))

    def run_and_strike(operation, worker):
        engine._run = run
        signal.raise_signal(signal.SIGUSR1)
        return run(operation, worker)

    engine._run = run_and_strike
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert taken.wait() == "ran"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "'taken' waits inside itself" in outcome[0]
    close(engine)


def between(action):
    """Have the finalizer of a result do something in a worker's thread that has its next one."""
    engine, opened, outcome = Engine(1, max_ops=3), threading.Event(), []

    class Last:
        def __del__(self):
            try:
                outcome.append(action(engine, following))
            except DeadlockError as error:
                outcome.append(error)

    engine.push(lambda: opened.wait(10))
    engine.push(Last)  # nobody keeps it: it goes as the worker turns to what follows
    following = engine.push(lambda: "following")
    opened.set()
    assert finishes(following.wait) == "following"
    return engine, outcome[0]


def test_a_wait_in_a_worker_between_two_operations_is_refused():
    engine, outcome = between(lambda _, following: following.wait())
    assert isinstance(outcome, DeadlockError)
    close(engine)


def test_a_push_past_the_budget_in_a_worker_between_two_operations_does_not_wait():
    def push(engine, _):
        return [engine.push(lambda: "late") for _ in range(4)]

    engine, pushed = between(push)
    assert [finishes(operation.wait) for operation in pushed] == ["late"] * 4
    close(engine)
