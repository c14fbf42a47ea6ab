"""The threaded engine: a mailbox, turns, and workers.

The one rule: the ledger, the devices and the resources change only in a turn, that is, while
`_lock` is held. Whoever has a message appends it to `_mailbox` and *tries* the lock; the holder looks
into the mailbox again after letting go, so that no message stays behind. Nobody waits for the
lock but a thread that is about to block anyway.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.engine import ambient, asynchronous, base
from actorflow.engine.blas import BlasLimit
from actorflow.engine.device import Devices
from actorflow.engine.explain import explain
from actorflow.engine.ledger import Ledger
from actorflow.engine.operation import ENDED, READY, SENT, Failure, Operation
from actorflow.engine.wait import Waits
from actorflow.engine.waiting import running_loop
from actorflow.engine.worker import Worker
from actorflow.errors import BackPressureError, EngineClosedError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actorflow.engine.resource import Accessible, Link
    from actorflow.engine.worker import Device

__all__ = ["ThreadedEngine"]


class ThreadedEngine(Waits, Devices, Ledger, base.Engine):
    """Runs operations in worker threads; see `Engine`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        Ledger.__init__(self)
        base.Engine.__init__(self, *args, **kwargs)
        self._mailbox: deque[Operation | Worker | Callable[[], object]] = deque()
        self._lock = threading.Lock()
        Devices.__init__(self)
        Waits.__init__(self)
        threads = self._blas_threads or max(1, base.settings.cores() // max(1, self.workers))
        self._blas = BlasLimit(threads)
        self._home = asynchronous.Home()

    # -- Turns --------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Carry out what is in the mailbox. In a turn."""
        mailbox = self._mailbox
        while mailbox:
            item = mailbox.popleft()
            if item.__class__ is Operation:
                if item.state == SENT:
                    self.admit(item)
                else:
                    self.end(item)
            elif item.__class__ is Worker:
                operation = self._seek(item)
                if operation is not None:
                    item.handed = operation
                    item.wake.release()
            else:
                item()
        if self.stirred:
            self._stir()

    def _turn(self) -> None:
        """Have the mailbox carried out, by this thread or by the one that is at it."""
        mailbox = self._mailbox
        lock = self._lock
        while mailbox and lock.acquire(False):  # noqa: FBT003 -- by keyword it is twice as slow
            try:
                self._drain()
            except BaseException as error:
                self._break(error)
                raise
            finally:
                lock.release()
        if self.outbox or self._to_start:
            self._after_turn()

    def _after_turn(self) -> None:
        """Do what a turn left to do without the lock."""
        outbox = self.outbox
        while outbox:
            try:
                waiter = outbox.popleft()
            except IndexError:
                break  # another thread was faster
            waiter.notify()
        while self._to_start:
            self._start_worker()

    def _break(self, error: BaseException) -> None:
        """A turn did not come to its end, so the ledger cannot be trusted any more."""
        if self._stopped is None:
            message = (
                f"the engine stopped: {type(error).__name__} in the middle of a turn ({error}); "
                "what was in flight is lost"
            )
            self._stopped = EngineError(message)
            self._stopped.__cause__ = error
        self._tell_everybody()

    # -- Messages from outside --------------------------------------------------------------

    def push(  # noqa: D102 -- base.Engine.push
        self,
        fn: Callable[[], Any],
        *,
        reads: Iterable[Accessible] = (),
        writes: Iterable[Accessible] = (),
        updates: Iterable[Accessible] = (),
        uses: Iterable[Link] | Mapping[Link, int] = (),
        device: str | None = None,
        priority: int = 0,
        name: str | None = None,
        nbytes: int = 0,
        quick: bool = False,
    ) -> Operation:
        if self._stopped is not None:
            self._refuse()
        if reads.__class__ is not tuple:
            reads = tuple(reads)
        if writes.__class__ is not tuple:
            writes = tuple(writes)
        if updates.__class__ is not tuple:
            updates = tuple(updates)
        try:
            for accessible in reads:
                if accessible.owner is not self:
                    self._adopt(accessible, "reads")
            for accessible in writes:
                if accessible.owner is not self:
                    self._adopt(accessible, "writes")
            for accessible in updates:
                if accessible.owner is not self:
                    self._adopt(accessible, "updates")
        except AttributeError:
            self._adopt(accessible, "reads, writes and updates")
            raise
        if self.in_flight >= self.max_ops or nbytes:
            self._make_room(nbytes)
        if not callable(fn):
            message = f"push: fn must be callable, got {fn!r}"
            raise TypeError(message)
        if name is None:
            try:
                name = fn.__name__
            except AttributeError:
                name = "operation"
        operation = Operation(
            self,
            fn,
            reads,
            writes,
            reads,
            self._cpu0 if device is None else self._find_device(device),
            priority,
            name,
            nbytes,
            None if self._capture is None else self._capture(),
        )
        if updates:
            operation.writes = writes + updates if writes else updates
            operation.inherits = reads + updates if reads else updates
        if quick:
            operation.quick = True
        if uses:
            operation.uses = self._normalise_uses(uses)
            operation.next_link = 0
        if self.pushed_hooks:
            for hook in self.pushed_hooks:
                hook.pushed(operation)
        mailbox = self._mailbox
        if mailbox or not self._lock.acquire(False):  # noqa: FBT003
            mailbox.append(operation)
            self._turn()
            return operation
        # Nobody else is at it: spare the way through the mailbox.
        try:
            self.admit(operation)
            if mailbox or self.stirred:
                self._drain()
        except BaseException as error:
            self._break(error)
            raise
        finally:
            self._lock.release()
        if mailbox or self.outbox or self._to_start:
            self._turn()
        return operation

    def push_async(  # noqa: D102 -- base.Engine.push_async
        self, fn: Callable[..., Any], *, name: str | None = None, **options: Any
    ) -> Operation:
        if self._stopped is not None:
            self._refuse()
        start = asynchronous.Start(fn, self._home)
        return self.push(start, name=name or start.__name__, **options)

    def _make_room(self, nbytes: int) -> None:
        """Wait until a push fits the budget.

        Raises:
          BackPressureError: inside a running event loop.
        """
        if not isinstance(nbytes, int) or nbytes < 0:
            message = f"push: nbytes must be an integer of at least 0, got {nbytes!r}"
            raise ValueError(message)
        if self.in_flight < self.max_ops and self.nbytes_in_flight + nbytes <= self.max_nbytes:
            return
        if self.current_operation() is not None:
            return  # who waited here would hold up what it waits for
        if self.in_flight == 0:
            return  # a single operation may be larger than the budget
        if running_loop() is not None:
            message = (
                f"push: {self.in_flight} operations with {self.nbytes_in_flight} bytes are in "
                f"flight, and the engine's budget is max_ops={self.max_ops}, max_nbytes="
                f"{self.max_nbytes}: write `await engine.wait_room()` before pushing more"
            )
            raise BackPressureError(message)
        self._wait_room(nbytes)

    def _complete(self, operation: Operation, result: Any, exception: BaseException | None) -> None:  # noqa: ANN401
        if exception is None:
            operation.result = result
        else:
            self._fail(operation, exception)
        if self.finished_hooks:
            for hook in self.finished_hooks:
                hook.finished(operation)
        operation.state = ENDED
        self._mailbox.append(operation)
        self._turn()

    def _fail(self, operation: Operation, exception: BaseException) -> None:
        operation.failure = failure = Failure(exception, operation)
        self._unseen.append(failure)

    def cancel(self, operation: Operation) -> bool:  # noqa: D102 -- base.Engine.cancel
        with self._in_turn():
            return Ledger.cancel(self, operation)

    def cancel_all(self) -> None:  # noqa: D102 -- base.Engine.cancel_all
        with self._in_turn():
            self.skip_all(list(self._devices.values()))

    def explain(self, target: Operation | Accessible) -> str:  # noqa: D102 -- base.Engine.explain
        with self._in_turn():
            return explain(self, target)

    def statistics(self) -> base.EngineStatistics:  # noqa: D102 -- base.Engine.statistics
        devices = list(self._devices.values())
        return base.EngineStatistics(
            in_flight=self.in_flight,
            nbytes_in_flight=self.nbytes_in_flight,
            ready=sum(device.n_ready for device in devices),
            workers=sum(len(device.threads) for device in devices),
        )

    def _finish(self) -> None:
        """Stop the workers, all of which are idle, or will be if a turn broke the engine."""
        self._home.leave()
        self._closing = True
        with self._lock:
            for device in self._devices.values():
                workers = [*device.idle, *device.spare]
                device.idle.clear()
                device.spare.clear()
                for worker in workers:
                    worker.stop = True
                    worker.wake.release()
        self._blas.lift()
        if self._stopped is None:
            for device in self._devices.values():
                for thread in device.threads:
                    thread.join()

    # -- Workers -------------------------------------------------------------------------------

    def _exchange(self, worker: Worker, ended: Operation | None) -> Operation | None:
        """Hand in what the worker has run and get what it runs next, if anything is ready now.

        If None comes back, the worker has to wait for its `wake`; it may find `handed` filled then.
        """
        lock = self._lock
        mailbox = self._mailbox
        if lock.acquire(False):  # noqa: FBT003
            try:
                if ended is not None:
                    self.end(ended)
                device = worker.device
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

    def _run(self, operation: Operation, worker: Worker) -> bool:
        """Run an operation in this thread; say whether it has ended by that."""
        worker.operation = operation
        if self.started_hooks:
            for hook in self.started_hooks:
                hook.started(operation)
        try:
            fn = operation.fn
            if fn.__class__ is asynchronous.Start:
                fn(operation)
                return False
            operation.result = fn()
        except BaseException as error:  # noqa: BLE001 -- whatever it is, whoever waits gets it
            self._fail(operation, error)
        finally:
            worker.operation = None
            # Outside the turn: what the function holds may run code of the user's as it goes.
            operation.fn = fn = None
        if self.finished_hooks:
            for hook in self.finished_hooks:
                hook.finished(operation)
        operation.state = ENDED
        return True
