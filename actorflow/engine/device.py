"""The devices of a threaded engine: seats, waking, and what a worker does all day."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import ambient
from actorflow.engine.asynchronous import Start
from actorflow.engine.blas import BlasLimit
from actorflow.engine.interrupt import OPEN
from actorflow.engine.operation import ENDED, Failure
from actorflow.engine.policy import make_policy
from actorflow.engine.turn import HOLDS, RESTS, Turns
from actorflow.engine.worker import Device, Runner, Worker
from actorflow.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.engine.instrument import Instrument
    from actorflow.engine.operation import Operation
    from actorflow.engine.policy import Policy

__all__ = ["Devices", "is_cpu"]

_CPU: Final = re.compile(r"cpu(_pinned)?\(\d+\)")


def is_cpu(name: object) -> bool:
    """Whether a device of that name is a cpu context's, made when it is first used."""
    return isinstance(name, str) and _CPU.fullmatch(name) is not None


class Devices(Turns):
    """The devices of a threaded engine: which thread runs which ready operation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._blas = BlasLimit(self._blas_threads)
        self._blas.apply()  # before anything runs: the bits of a result depend on it
        self._make_policy = make_policy(self._policy)
        self._devices: dict[str, Device] = {}
        self._stepping: list[
            Callable[[], None]
        ] = []  # callers that wait on devices without threads
        self._closing = False
        # Whether operations run in waiting callers only.
        self._threadless = self.workers == 0
        self._cpu0 = self._open_device("cpu(0)", self.workers, self._make_policy)
        self._open_device("io", self._io_workers if self.workers else 0, self._make_policy)

    def _open_device(self, name: str, workers: int, policy: Callable[[], Policy]) -> Device:
        # setdefault, so that two threads that name a new context get the same device.
        return self._devices.setdefault(name, Device(name, workers, policy))

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
        device = Device(name, workers, factory)
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
            if device.n_ready and not device.stirred:
                # It was woken for work that is still there: wake another one.
                device.stirred = True
                self.stirred.append(device)
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
            if "interpreter shutdown" not in str(error):
                self._break(error)
                raise
            # Python starts no more threads, since the script has ended. Whoever closes the engine
            # waits for its work, and so does it himself.
            self._threadless = True
            with self._in_turn():
                device.waking -= 1
                device.free_seats += 1
                for tell in self._stepping:
                    tell()

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

    def _exchange(self, worker: Worker, ended: Operation | None) -> Operation | None:
        """Hand in what the worker has run and get what it runs next, if anything is ready now.

        If None comes back, the worker has to wait for its `wake`; it may find `handed` filled then.
        """
        lock = self._lock
        mailbox = self._mailbox
        if lock.acquire(False):  # noqa: FBT003
            try:
                device = worker.device
                operation = None
                if ended is not None:
                    if device.n_ready or device.fifo is None or device.free_seats < 0:
                        self.end(ended)
                    else:
                        self._direct = device
                        self.end(ended)
                        self._direct = None
                        operation, self._direct_operation = self._direct_operation, None
                if operation is None:
                    if device.n_ready and not worker.woken and device.free_seats >= 0:
                        operation = self.pick(device, worker)
                    else:
                        operation = self._seek(worker)
                if mailbox or self.stirred:
                    self._drain()
            except BaseException as error:
                self._break(error)
                raise
            finally:
                lock.release()
            if mailbox or self.outbox or self._to_start:
                self._turn()
            return operation
        # Somebody else has the turn and will find both messages.
        if ended is not None:
            mailbox.append(ended)
        mailbox.append(worker)
        self._turn()
        return None

    def _run(self, operation: Operation, worker: Runner) -> bool:
        """Run an operation in this thread; say whether it has ended by that."""
        worker.operation = operation
        if self.started_hooks:
            self._tell(self.started_hooks, "started", operation)
        try:
            fn = operation.fn
            if fn.__class__ is Start:
                fn(operation)
                return False
            operation.result = fn()
        except BaseException as error:  # noqa: BLE001 -- whatever it is, whoever waits gets it
            self._fail(operation, error)
        finally:
            # Outside the turn, and still inside the operation: what the function holds may run
            # code of the user's as it goes.
            operation.fn = fn = None
            worker.operation = None
        if self.finished_hooks:
            self._tell(self.finished_hooks, "finished", operation)
        operation.state = ENDED
        return True

    def _tell(self, hooks: tuple[Instrument, ...], event: str, operation: Operation) -> None:
        """Tell instruments of an event; one that raises breaks the engine."""
        try:
            for hook in hooks:
                getattr(hook, event)(operation)
        except BaseException as error:
            self._break(error)
            raise

    def _fail(self, operation: Operation, exception: BaseException, *, seen: bool = False) -> None:
        operation.failure = failure = Failure(exception, operation)
        failure.seen = seen
        self._unseen.append(failure)


HOLDS.add(Devices._exchange.__code__)
RESTS.update((Devices._work.__code__, Devices._run.__code__))
OPEN.add(Devices._run.__code__)
