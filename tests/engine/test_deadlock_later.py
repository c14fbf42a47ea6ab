"""A wait that becomes endless after it has begun."""

import threading

import pytest
import trio
import trio.testing

from actorflow.engine import Engine, Link, Resource
from actorflow.errors import DeadlockError
from tests.engine._helpers import finishes
from tests.engine.helpers_faults import open_engine


def test_a_wait_that_becomes_endless_at_a_link_is_refused():
    """The target queues at a link that the waiter holds, once its data is there."""
    link, data = Link(1, "the bus"), Resource("data")
    opened, waiting = threading.Event(), threading.Event()
    inner = []

    def outer():
        inner.append(engine.push(lambda: None, reads=(data,), uses=(link,), name="inner"))
        waiting.set()
        return inner[0].wait()

    with Engine(2) as engine:
        engine.push(lambda: opened.wait(10), writes=(data,))
        operation = engine.push(outer, uses=(link,))
        assert waiting.wait(10)
        opened.set()
        with pytest.raises(DeadlockError, match="the bus"):
            operation.wait(timeout=10)
        inner[0].wait(timeout=10)


class Parked(dict):
    """Who waits; does something just before somebody who falls asleep is entered."""

    def __init__(self, before, action):
        super().__init__(before)
        self.action = action

    def __setitem__(self, waiter, value):
        action, self.action = self.action, lambda: None
        action()
        super().__setitem__(waiter, value)


def test_a_wait_that_becomes_endless_as_its_thread_falls_asleep_is_refused():
    """What it waits for gets to the queue of a link behind one that needs all of it."""
    link, data = Link(2, "the bus"), Resource("data")
    started, over = threading.Event(), threading.Event()
    completions, outcome = [], []

    def start(completion):
        completions.append(completion)
        started.set()

    def outer():
        started.wait(10)
        engine.push(lambda: None, reads=(data,), uses={link: 2})
        inner = engine.push(lambda: None, reads=(data,), uses=(link,), name="inner")
        engine._parked = Parked(engine._parked, lambda: completions.pop().succeed())
        try:
            inner.wait()
        except DeadlockError as error:
            outcome.append(str(error))
            over.set()

    with open_engine(2) as engine:
        engine.push_async(start, writes=(data,))
        engine.push(outer, uses=(link,))
        assert over.wait(10)  # nobody else waits in the engine
    assert "the bus" in outcome[0]


def test_all_that_the_tasks_of_an_operation_wait_for_counts():
    """`second` cannot wait for an operation one task of which waits for `second`."""
    opened, known, waiting = threading.Event(), threading.Event(), threading.Event()
    handles, outcome = {}, []

    async def both():
        async with trio.open_nursery() as nursery:
            for name in ("second", "harmless"):
                nursery.start_soon(engine.wait_async, handles[name])
                await trio.testing.wait_all_tasks_blocked()
            waiting.set()

    def second():
        waiting.wait(10)
        known.wait(10)
        try:
            handles["both"].wait()
        except DeadlockError as error:
            outcome.append(str(error))
        finally:
            opened.set()
        return "second"

    with open_engine(2) as engine:
        handles["harmless"] = engine.push(lambda: opened.wait(10), device="io", name="harmless")
        handles["second"] = engine.push(second, name="second")
        handles["both"] = engine.push_async(both, name="both")
        known.set()
        assert finishes(handles["second"].wait) == "second"
        finishes(handles["both"].wait)
        assert engine._blocked == {}
    assert "'both'" in outcome[0]
    assert "waits inside for 'second'" in outcome[0]
