"""Policies: which ready operation a worker takes next.

A policy is a small object with three methods (`Policy`). Each device makes one of its own by
calling the factory that was given to the engine. The engine calls it only inside turns, one call
at a time, so it needs no lock; it must not wait for anything, and it must give back every
operation that it was given exactly once.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.engine.operation import Operation
    from actorflow.engine.worker import Worker

__all__ = ["FifoPolicy", "Policy", "PriorityPolicy", "make_policy"]


@runtime_checkable
class Policy(Protocol):
    """What the engine asks of a policy."""

    def push(self, operation: Operation) -> None:
        """Take an operation that has become ready.

        `operation.name`, `.priority`, `.nbytes`, `.reads`, `.writes` (what it updates included)
        and `.successors` (who waits for it directly so far) may be looked at.
        """
        ...

    def pop(self, worker: Worker | None) -> Operation | None:
        """Give the operation that `worker` runs next, or None if there is none.

        `worker` is None for a caller that lends its own thread. Giving None although
        operations are left is a bug of the policy; the engine reports it.
        """
        ...

    def __len__(self) -> int:
        """How many operations it holds."""
        ...


class FifoPolicy:
    """First ready, first run."""

    def __init__(self) -> None:
        queue: deque[Operation] = deque()
        self._queue = queue
        self.push = queue.append  # straight to the deque: this is the engine's hot path

    def pop(self, worker: Worker | None) -> Operation | None:  # noqa: ARG002
        """Give the one that became ready first."""
        return self._queue.popleft() if self._queue else None

    def __len__(self) -> int:
        return len(self._queue)


class PriorityPolicy:
    """Highest `priority` first; first ready first among equals."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Operation]] = []
        self._arrivals = 0

    def push(self, operation: Operation) -> None:
        """Take an operation that has become ready."""
        self._arrivals += 1
        heappush(self._heap, (-operation.priority, self._arrivals, operation))

    def pop(self, worker: Worker | None) -> Operation | None:  # noqa: ARG002
        """Give the one with the highest priority."""
        return heappop(self._heap)[2] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)


POLICIES: Final[dict[str, Callable[[], Policy]]] = {"fifo": FifoPolicy, "priority": PriorityPolicy}


def make_policy(policy: str | Callable[[], Policy]) -> Callable[[], Policy]:
    """Turn a policy's name, or a factory of one, into a factory.

    Raises:
      ValueError: no policy has that name.
      TypeError: what the factory makes lacks a method of `Policy`.
    """
    if isinstance(policy, str):
        if policy not in POLICIES:
            message = f"Engine: no policy is called {policy!r}; there are {', '.join(POLICIES)}"
            raise ValueError(message)
        return POLICIES[policy]
    if not callable(policy):
        message = f"Engine: policy must be a name or a factory of policies, got {policy!r}"
        raise TypeError(message)
    made = policy()
    if not isinstance(made, Policy):
        message = f"Engine: policy made {made!r}, which lacks push, pop or __len__"
        raise TypeError(message)
    return policy
