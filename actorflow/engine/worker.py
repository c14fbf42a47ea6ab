"""Devices and their workers: where operations run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from actorflow.engine.policy import FifoPolicy

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from actorflow.engine.operation import Operation
    from actorflow.engine.policy import Policy

__all__ = ["CALLER", "Device", "Runner", "Worker"]


class Device:
    """A named place with workers and a queue of ready operations.

    Its *seats* are how many operations may run on it at a time. A worker that is awake or idle has
    one; a worker whose operation waits inside itself has given its seat up.

    Attributes:
      name: such as "cpu(0)" or "io".
      n_workers: its seats.
      policy: which ready operation goes next.
      fifo: the policy's queue if it is the plain one, else None.
      n_ready: ready operations; the policy's queue may hold others that were taken past it.
      idle: workers that have a seat and nothing to do, the last one to fall idle at the end.
      spare: workers without a seat, kept for the next time that one is needed.
      free_seats: seats that no worker has; below zero after an operation that waited inside itself
        has gone on, until some worker notices and steps back.
      waking: idle workers that were woken and have not arrived yet.
      stirred: whether it has got ready work in this turn.
      n_started, threads: how many workers were started, and their threads.
    """

    __slots__ = (
        "fifo",
        "free_seats",
        "idle",
        "n_ready",
        "n_started",
        "n_workers",
        "name",
        "policy",
        "spare",
        "stirred",
        "threads",
        "waking",
    )

    def __init__(self, name: str, n_workers: int, policy: Callable[[], Policy]) -> None:
        self.name = name
        self.n_workers = n_workers
        self.policy = policy()
        self.fifo: deque[Operation] | None = None
        if isinstance(self.policy, FifoPolicy) and type(self.policy) is FifoPolicy:
            self.fifo = self.policy._queue
        self.n_ready = 0
        self.idle: list[Worker] = []
        self.spare: list[Worker] = []
        self.free_seats = n_workers or 1  # without threads, callers may always
        self.waking = 0
        self.stirred = False
        self.n_started = 0
        self.threads: list[threading.Thread] = []

    def __repr__(self) -> str:
        return f"<Device {self.name} with {self.n_workers} workers>"


class Runner:
    """Runs one operation at a time: a worker, or a caller that lends its own thread.

    Attributes:
      operation: what it runs now.
      depth: how many operations run inside waits of others in its thread.
      handed: what another thread has picked for it, or a caller has taken and not yet handed in.
    """

    __slots__ = ("depth", "device", "handed", "name", "operation")

    def __init__(
        self, device: Device, name: str, operation: Operation | None = None, depth: int = 0
    ) -> None:
        self.device = device
        self.name = name
        self.operation = operation
        self.depth = depth
        self.handed: Operation | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Worker(Runner):
    """A thread of the engine's.

    Attributes:
      wake: a lock that is released once for each time it is to wake up.
      woken: whether it is on its way, counted in the device's `waking`.
      stop: whether it is to end.
    """

    __slots__ = ("stop", "thread", "wake", "woken")

    def __init__(self, device: Device, name: str) -> None:
        super().__init__(device, name)
        self.wake = threading.Lock()
        self.wake.acquire()
        self.woken = False
        self.stop = False
        self.thread: threading.Thread | None = None


# Where an operation runs that its caller runs himself, such as a wait.
CALLER: Final = Device("its caller", 0, FifoPolicy)
