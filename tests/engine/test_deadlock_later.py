"""A wait that becomes endless after it has begun."""

import threading

import pytest

from actorflow.engine import Engine, Link, Resource
from actorflow.errors import DeadlockError


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
