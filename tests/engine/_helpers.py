"""What the tests of the engine share: policies, a guard against hanging, an error to raise."""

import random
import threading
from collections import deque

import pytest

from actorflow.engine import Engine

HANG_SECONDS = 5  # far beyond what anything here takes: who is not back by then never will be


class Boom(Exception):  # noqa: N818 -- an exception of a user's
    """What operations raise here."""


def boom(message="boom"):
    raise Boom(message)


def finishes(function):
    """Call it in a thread of its own and return what it returns; fail the test if it hangs."""
    outcome = []

    def call():
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 -- raised below
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(HANG_SECONDS)
    if not outcome:
        pytest.fail(f"{function.__name__} hangs")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def close(engine):
    """Close an engine whose operations were meant to fail."""
    try:
        engine.close()
    except BaseExceptionGroup as group:
        return [str(error) for error in group.exceptions]
    return []


class LifoPolicy:
    """Last ready, first run: an order that nobody relies on by accident."""

    def __init__(self):
        self._stack = []

    def push(self, operation):
        self._stack.append(operation)

    def pop(self, worker):
        return self._stack.pop() if self._stack else None

    def __len__(self):
        return len(self._stack)


class SeededPolicy:
    """Any ready operation, by seed: each seed explores one schedule, always the same."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._ready = []

    def push(self, operation):
        self._ready.append(operation)

    def pop(self, worker):
        if not self._ready:
            return None
        return self._ready.pop(self._random.randrange(len(self._ready)))

    def __len__(self):
        return len(self._ready)


def stepping(policy="fifo", **options):
    """Make an engine without threads, of that policy."""
    return Engine(workers=0, policy=policy, trace="off", **options)


def run_all(engine):
    """Step until nothing is ready; return the names in the order in which they ran."""
    names = deque()
    while (operation := engine.step()) is not None:
        names.append(operation.name)
    return list(names)
