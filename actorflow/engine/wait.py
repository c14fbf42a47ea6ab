"""The waits of a threaded engine.

A wait is a message, too: an operation that only reads what is waited for, so that it sees exactly
the writes pushed before it. A thread that waits first helps: it runs itself what its target needs.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import ambient
from actorflow.engine.device import Devices
from actorflow.engine.explain import find_deadlock
from actorflow.engine.operation import (
    DONE,
    ENDED,
    READY,
    SENT,
    WAITING,
    Operation,
)
from actorflow.engine.resource import Region, Resource
from actorflow.engine.target import OperationEnd, OperationStart, Room
from actorflow.engine.waiting import ThreadWaiter, checkpoint, make_waiter, refuse_to_block
from actorflow.engine.worker import CALLER, Worker
from actorflow.errors import DeadlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorflow.engine.resource import Accessible
    from actorflow.engine.target import Target

__all__ = ["Waits"]

_HELP_SEARCH: Final = 64  # operations looked at for one that a waiting caller could run
_HELP_DEPTH: Final = 16  # operations inside waits of others in one thread; then spare workers
_QUICK_HELPS: Final = 64  # quick operations that one await runs itself, at most
_LARGE_NBYTES: Final = 1 << 20  # reads of more than this are not made in an event loop's thread


class Waits(Devices):
    """The waits of a threaded engine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Operations that wait inside themselves, and for what.
        self._blocked: dict[Operation, Operation] = {}

    # -- Blocking ----------------------------------------------------------------------------

    def wait(self, target: Operation | Accessible, timeout: float | None = None) -> Any:  # noqa: ANN401, D102
        if isinstance(target, Operation):
            if target.engine is not self:
                return target.engine.wait(target, timeout)
            operation = target
        else:
            if self._is_readable(target):
                return None
            owner = target.resource.owner
            if owner is not None and owner is not self:
                return owner.wait(target, timeout)
            operation = self._fence(target)
        if operation.state != DONE:
            refuse_to_block(f"waiting for {operation.name!r}", "await ...")
            if operation.state == SENT:
                self._mailbox.append(operation)
                self._turn()
            self._block_on(OperationEnd(operation), timeout)
        if operation.failure is not None:
            operation.failure.raise_()
        return operation.result

    def _fence(self, target: Accessible) -> Operation:
        """An operation that reads the target and does nothing: it ends when that is written."""
        return Operation(
            self, None, (target,), (), (target,), CALLER, 0, f"wait for {target.name}", 0, None
        )

    def _is_readable(self, target: Accessible) -> bool:
        """Whether no write to the target is in flight.

        Raises:
          TypeError: the target is none.
          Exception: its last write failed.
        """
        if not isinstance(target, (Resource, Region)):
            message = f"wait: what can be waited for is an operation or a resource, not {target!r}"
            raise TypeError(message)
        owner = target.resource.owner
        if owner is not self:
            if owner is not None and owner._stopped is None:
                return False
            self._adopt(target, "target")
        self._enter()
        try:
            readable = all(access._writer is None for access in target._accesses())
            failure = target._failure
        finally:
            self._leave()
        if not readable:
            self._refuse()
            return False
        if failure is not None:
            failure.raise_()
        return True

    def read(self, fn: Callable[[], Any], reads: Iterable[Accessible], name: str = "read") -> Any:  # noqa: ANN401, D102
        reads = tuple(reads)
        for accessible in reads:
            if accessible.owner is not self:
                owner = accessible.owner
                if owner is not None and owner._stopped is None:
                    return owner.read(fn, reads, name)
                self._adopt(accessible, "reads")
        operation = Operation(self, fn, reads, (), reads, CALLER, 0, name, 0, None)
        self._enter()
        try:
            ready = self._all_readable(reads)
            if ready:
                self.admit(operation)
        finally:
            self._leave()
        if not ready:
            self._refuse()
            refuse_to_block(f"{name} of unfinished work", "await ...")
            self._mailbox.append(operation)
            self._turn()
            self._block_on(OperationStart(operation), None)
        return self._run_granted(operation)

    def _all_readable(self, reads: tuple[Accessible, ...]) -> bool:
        for accessible in reads:
            for access in accessible._accesses():
                if access._writer is not None:
                    return False
        return True

    def _run_granted(self, operation: Operation) -> Any:  # noqa: ANN401
        """Run, in this thread, an operation that was granted to its caller, and end it."""
        if operation.state == DONE:
            if operation.failure is None:
                self._refuse()
            else:
                operation.failure.raise_()
        try:
            return operation.fn()
        finally:
            operation.fn = None
            operation.state = ENDED
            self._mailbox.append(operation)
            self._turn()

    def wait_all(self, timeout: float | None = None) -> None:  # noqa: D102
        inside = self.current_operation()
        if inside is not None:
            message = f"wait_all inside operation {inside.name!r} would wait for itself"
            raise DeadlockError(message)
        self._refuse_if_broken()
        with self._in_turn():
            epoch = self.close_epoch()
        if epoch is not None:
            refuse_to_block("wait_all", "await engine.wait_all_async()")
            self._block_on(epoch, timeout)

    def _wait_room(self, nbytes: int) -> None:
        """Block until a push of so many bytes fits."""
        self._block_on(self._room(nbytes), None)

    def _room(self, nbytes: int) -> Room:
        return Room(
            self,
            self.max_ops * 1 // 4,
            max(0, min(self.max_nbytes * 3 // 4, self.max_nbytes - nbytes)),
        )

    def _block_on(self, target: Target, timeout: float | None) -> None:
        """Block until the target is over; meanwhile run what it waits for, where one may."""
        inside = self.current_operation()
        worker = ambient.here.worker if inside is not None else None
        deadline = None if timeout is None else monotonic() + timeout
        if inside is not None:
            self._note_blocked(inside, target.operation)
        try:
            while not target.over:
                if timeout is None and self._help(target, worker) is not None:
                    continue
                left = None if deadline is None else max(0.0, deadline - monotonic())
                if not self._park(target, worker, left):
                    message = f"{target.name} was not over after {timeout} seconds"
                    raise TimeoutError(message)
        finally:
            if inside is not None:
                self._blocked.pop(inside, None)

    def _note_blocked(self, inside: Operation, target: Operation | None) -> None:
        """An operation is about to wait inside itself.

        Raises:
          DeadlockError: it would never end.
        """
        if target is None:
            return
        with self._in_turn():
            cycle = find_deadlock(target, inside, self._blocked)
            if cycle is None:
                self._blocked[inside] = target
        if cycle is not None:
            raise DeadlockError(cycle)

    def _park(self, target: Target, worker: Worker | None, timeout: float | None) -> bool:
        """Sleep until the target is over, or (without threads) there is something to run."""
        waiter = ThreadWaiter()
        with self._in_turn():
            if target.over:
                return True
            target.attach(waiter)
            if worker is not None:
                self._leave_seat(worker.device)
            self._stepping.append(waiter.notify)
        self._parked[waiter] = None
        try:
            self._refuse_if_broken()
            told = waiter.wait(timeout)
        finally:
            self._parked.pop(waiter, None)
            with self._in_turn():
                self._stepping.remove(waiter.notify)
                if worker is not None and worker.device.n_workers:
                    worker.device.free_seats -= 1
        if not target.over:
            self._refuse_if_broken()
        return told

    # -- Helping -----------------------------------------------------------------------------

    def _help(
        self, target: Target | None, worker: Worker | None, *, quick: bool = False
    ) -> Operation | None:
        """Run one operation that the target (or anybody) waits for in this thread, if there is one.

        With `quick`, only one that may run in an event loop's thread.
        """
        self._enter()
        try:
            operation = self._find_help(target, worker, quick=quick)
        finally:
            self._leave()
        if operation is None:
            return None
        seat = worker is None or operation.device is not worker.device
        caller = Worker(operation.device, "a waiting caller")
        caller.depth = 1 if worker is None else worker.depth + 1
        before, ambient.here.worker = ambient.here.worker, caller
        token = ambient.engine_here.set(self)
        try:
            ended = self._run(operation, caller)
        finally:
            ambient.engine_here.reset(token)
            ambient.here.worker = before
        self._enter()
        try:
            if ended:
                self.end(operation)
            if seat:
                self._leave_seat(operation.device)
        finally:
            self._leave()
        failure = operation.failure
        if failure is not None and isinstance(failure.exception, KeyboardInterrupt):
            failure.raise_()  # it was meant for this thread
        return operation

    def _find_help(
        self, target: Target | None, worker: Worker | None, *, quick: bool
    ) -> Operation | None:
        """Take a ready operation that the target waits for. In a turn."""
        wanted = None if target is None else target.operation
        if not quick and worker is None and (wanted is None or self.workers == 0):
            # Everything is waited for, or there is no thread but this: the policy chooses.
            for device in self._devices.values():
                if device.n_ready and self._take_seat(device):
                    return self.pick(device, None)
            return None
        if worker is not None and worker.depth >= _HELP_DEPTH and worker.device.n_workers:
            return None
        stack = [] if wanted is None else [wanted]
        seen = 0
        while stack and (seen < _HELP_SEARCH or self.workers == 0):
            operation = stack.pop()
            seen += 1
            if operation.state == READY and operation.failure is None:
                if quick and not operation.quick:
                    continue
                device = operation.device
                if (worker is not None and worker.device is device) or self._take_seat(device):
                    self.take(operation)
                    return operation
            elif operation.state == WAITING and operation.predecessors is not None:
                stack += [p for p in operation.predecessors or () if WAITING <= p.state <= READY]
        return None

    def step(self) -> Operation | None:
        """Run the one operation that the policy chooses next, in this thread.

        For engines without threads (`workers=0`), in tests.

        Returns:
          The operation, or None if none was ready.
        """
        refuse_to_block("step", "await ...")
        return self._help(None, None)

    # -- Awaiting ----------------------------------------------------------------------------

    async def wait_async(self, target: Operation | Accessible) -> Any:  # noqa: ANN401, D102
        if isinstance(target, Operation):
            if target.engine is not self:
                return await target.engine.wait_async(target)
            operation = target
        else:
            if self._is_readable(target):
                await checkpoint()
                return None
            owner = target.resource.owner
            if owner is not None and owner is not self:
                return await owner.wait_async(target)
            operation = self._fence(target)
        if operation.state == SENT and operation.fn is None:
            self._mailbox.append(operation)
            self._turn()
        await self._await_target(OperationEnd(operation))
        if operation.failure is not None:
            operation.failure.raise_()
        return operation.result

    async def _await_target(self, target: Target) -> None:
        """Wait in a task until the target is over."""
        for _ in range(_QUICK_HELPS):
            if target.over:
                await checkpoint()
                return
            if target.operation is None or self._help(target, None, quick=True) is None:
                break
        inside = self.current_operation()
        worker = ambient.here.worker if inside is not None else None
        if worker is not None and worker.operation is not inside:
            worker = None  # a task of an asynchronous operation keeps no worker busy
        waiter = make_waiter()
        if inside is not None:
            self._note_blocked(inside, target.operation)

        def attach() -> None:
            if target.over:
                self.outbox.append(waiter)
            else:
                target.attach(waiter)
            if worker is not None:
                self._leave_seat(worker.device)

        self._parked[waiter] = None
        self._mailbox.append(attach)
        self._turn()
        try:
            self._refuse_if_broken()
            await waiter.wait()
        finally:
            self._parked.pop(waiter, None)
            if inside is not None:
                self._blocked.pop(inside, None)
            if worker is not None and worker.device.n_workers:
                with self._in_turn():
                    worker.device.free_seats -= 1
        if not target.over:
            self._refuse_if_broken()

    async def wait_all_async(self) -> None:  # noqa: D102
        inside = self.current_operation()
        if inside is not None:
            message = f"wait_all_async inside operation {inside.name!r} would wait for itself"
            raise DeadlockError(message)
        self._refuse_if_broken()
        with self._in_turn():
            epoch = self.close_epoch()
        if epoch is None:
            await checkpoint()
        else:
            await self._await_target(epoch)

    async def wait_room(self, nbytes: int = 0) -> None:  # noqa: D102
        while (
            self.in_flight >= self.max_ops or self.nbytes_in_flight + nbytes > self.max_nbytes
        ) and self.in_flight:
            await self._await_target(self._room(nbytes))
        await checkpoint()

    async def read_async(  # noqa: D102
        self,
        fn: Callable[[], Any],
        reads: Iterable[Accessible],
        name: str = "read",
        nbytes: int = 0,
    ) -> Any:  # noqa: ANN401
        reads = tuple(reads)
        for accessible in reads:
            if accessible.owner is not self:
                owner = accessible.owner
                if owner is not None and owner._stopped is None:
                    return await owner.read_async(fn, reads, name, nbytes)
                self._adopt(accessible, "reads")
        if nbytes > _LARGE_NBYTES and self._stopped is None:
            return await self.push(fn, reads=reads, name=name)
        operation = Operation(self, fn, reads, (), reads, CALLER, 0, name, 0, None)
        self._mailbox.append(operation)
        self._turn()
        try:
            await self._await_target(OperationStart(operation))
        except BaseException:
            self._mailbox.append(lambda: self.abandon(operation))
            self._turn()
            raise
        return self._run_granted(operation)
