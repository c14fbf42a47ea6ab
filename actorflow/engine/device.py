"""The devices of a threaded engine: seats, waking, and what a worker does all day."""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from actorflow.engine import ambient
from actorflow.engine.policy import make_policy
from actorflow.engine.worker import Device, Worker
from actorflow.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.engine.operation import Operation
    from actorflow.engine.policy import Policy

__all__ = ["Devices", "is_cpu"]

_CPU: Final = re.compile(r"cpu(_pinned)?\(\d+\)")


def is_cpu(name: object) -> bool:
    """Whether a device of that name is a cpu context's, made when it is first used."""
    return isinstance(name, str) and _CPU.fullmatch(name) is not None


class Devices:
    """The part of `ThreadedEngine` that decides which thread runs ready operations."""

    def __init__(self) -> None:
        self._make_policy = make_policy(self._policy)
        self._devices: dict[str, Device] = {}
        self._to_start: deque[Device] = deque()  # devices that need one more worker's thread
        self._stepping: list[Callable[[], None]] = []  # callers that wait on devices without threads
        self._closing = False
        self._cpu0 = self._open_device("cpu(0)", self.workers, self._make_policy)
        self._open_device("io", self._io_workers, self._make_policy)

    def _open_device(self, name: str, workers: int, policy: Callable[[], Policy]) -> Device:
        # setdefault, so that two threads that name a new context get the same device.
        return self._devices.setdefault(name, Device(self, name, workers, policy))

    def _find_device(self, name: str) -> Device:
        device = self._devices.get(name)
        if device is None:
            if not is_cpu(name):
                message = f"no device is called {name!r}; there are {', '.join(self._devices)}"
                raise ValueError(message)
            device = self._open_device(name, self.workers, self._make_policy)
        return device

    def add_device(  # noqa: D102 -- base.Engine.add_device
        self, name: str, workers: int = 1, policy: str | Callable[[], Policy] | None = None
    ) -> None:
        if not isinstance(workers, int) or workers < 0:
            message = f"add_device: workers must be an integer of at least 0, got {workers!r}"
            raise ValueError(message)
        factory = self._make_policy if policy is None else make_policy(policy)
        device = Device(self, name, workers, factory)
        if self._devices.setdefault(name, device) is not device:
            message = f"add_device: there is a device called {name!r} already"
            raise ValueError(message)

    # -- In a turn ------------------------------------------------------------------------------

    def _seek(self, worker: Worker) -> Operation | None:
        """A worker looks for work: give it some, or note that it is idle."""
        device = worker.device
        if worker.woken:
            worker.woken = False
            device.waking -= 1
        if self._closing:
            worker.stop = True
            worker.wake.release()
            return None
        if device.free_seats < 0:
            # Somebody took its seat while it was on its way.
            device.free_seats += 1
            device.spare.append(worker)
            return None
        operation = self.pick(device, worker) if device.n_ready else None
        if operation is None:
            device.idle.append(worker)
        return operation

    def _stir(self) -> None:
        """Wake as many workers as there is ready work for."""
        for device in self.stirred:
            device.stirred = False
            if device.n_workers == 0:
                for tell in self._stepping:
                    tell()
                continue
            wanted = device.n_ready - device.waking
            while wanted > 0:
                wanted -= 1
                if device.idle:
                    worker = device.idle.pop()
                elif device.free_seats > 0:
                    device.free_seats -= 1
                    if not device.spare:
                        device.waking += 1
                        self._to_start.append(device)
                        continue
                    worker = device.spare.pop()
                else:
                    break
                device.waking += 1
                worker.woken = True
                worker.wake.release()
        self.stirred.clear()

    def _take_seat(self, device: Device) -> bool:
        """Let a caller run one of the device's operations, if that is not one too many."""
        if device.n_workers == 0:
            return True
        if device.free_seats > 0 or device.waking > 0:
            # In the second case a worker that is on its way will find its seat taken.
            device.free_seats -= 1
        elif device.idle:
            device.spare.append(device.idle.pop())
        else:
            return False
        return True

    def _leave_seat(self, device: Device) -> None:
        if device.n_workers:
            device.free_seats += 1
            if device.n_ready and not device.stirred:
                device.stirred = True
                self.stirred.append(device)

    # -- Threads --------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        """Start the thread of a worker that has been given a seat."""
        try:
            device = self._to_start.popleft()
        except IndexError:
            return  # another thread was faster
        device.n_started += 1
        worker = Worker(device, f"actorflow {device.name} worker {device.n_started}")
        worker.woken = True
        worker.thread = threading.Thread(
            target=self._work, args=(worker,), name=worker.name, daemon=True
        )
        device.threads.append(worker.thread)
        if device.n_started == 1:
            self._blas.apply()
        try:
            worker.thread.start()
        except BaseException as error:
            device.threads.remove(worker.thread)
            self._break(error)
            raise

    def _work(self, worker: Worker) -> None:
        """A worker's day."""
        ambient.enter_worker(self, worker)
        operation: Operation | None = None
        try:
            while True:
                operation = self._exchange(worker, operation)
                while operation is None:
                    worker.wake.acquire()
                    if worker.stop:
                        return
                    operation, worker.handed = worker.handed, None
                    if operation is None:
                        operation = self._exchange(worker, None)
                if not self._run(operation, worker):
                    operation = None
        except BaseException as error:  # noqa: BLE001 -- the thread dies, and nobody may miss it
            message = f"{worker.name} died of {type(error).__name__}: {error}"
            died = EngineError(message)
            died.__cause__ = error
            self._break(died)
