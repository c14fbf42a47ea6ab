"""The waits of a threaded engine.

A wait is a message, too: an operation that only reads what is waited for, so that it sees exactly
the writes pushed before it. A thread that waits first helps: it runs itself what its target needs.
"""

from __future__ import annotations

from sys import maxsize
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import ambient
from actorflow.engine.interrupt import call_open
from actorflow.engine.nap import Naps
from actorflow.engine.operation import DONE, ENDED, WAITING, Operation, make_operation
from actorflow.engine.resource import Region, Resource
from actorflow.engine.target import OperationEnd, OperationStart, Room
from actorflow.engine.turn import RESTS
from actorflow.engine.waiting import ThreadWaiter, checkpoint, make_waiter, refuse_to_block
from actorflow.engine.worker import CALLER, Runner
from actorflow.errors import DeadlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorflow.engine.resource import Accessible
    from actorflow.engine.target import Epoch, Target
    from actorflow.engine.waiting import AsyncWaiter

__all__ = ["Waits"]

# With no more than so many in flight a waiting thread runs them itself rather than wake a worker;
# otherwise one, since two threads that take turns at a long chain wake each other for every step.
_HELPS: Final = 3
_QUICK_HELPS: Final = 64  # quick operations that one await runs itself, at most
_LARGE_NBYTES: Final = 1 << 20  # reads of more than this are not made in an event loop's thread


class Waits(Naps):
    """The waits of a threaded engine."""

    # -- What is waited for -------------------------------------------------------------------

    def _fence(self, target: Accessible) -> Operation:
        """Send an operation that reads the target and does nothing: it ends when that is there."""
        fence = make_operation(
            self, None, (target,), (), (target,), CALLER, 0, f"wait for {target.name}", 0
        )
        self._mailbox.append(fence)
        self._turn()
        return fence

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
        with self._in_turn():
            readable = self._all_readable((target,))
            failure = target._failure
        if not readable:
            self._refuse_if_broken()
            return False
        if failure is not None:
            failure.raise_()
        return True

    def _all_readable(self, reads: tuple[Accessible, ...]) -> bool:
        for accessible in reads:
            for access in accessible._accesses():
                if access._writer is not None:
                    return False
        return True

    def _owner_elsewhere(self, reads: tuple[Accessible, ...]) -> Waits | None:
        """The open engine that has one of the resources, if that is not this one."""
        for accessible in reads:
            owner = accessible.owner
            if owner is not self:
                if owner is not None and owner._stopped is None and not accessible.resource.idle:
                    return owner  # type: ignore[return-value]  # any engine: it can read
                self._adopt(accessible, "reads")
        return None

    def _room(self, nbytes: int) -> Room:
        # A bit more than is needed, so that the next pushes need not wait again.
        max_nbytes = max(0, min(self.max_nbytes // 2, self.max_nbytes - nbytes))
        return Room(self, self.max_ops // 4, max_nbytes)

    def _epoch_to_wait_for(self, what: str) -> Epoch | None:
        inside = self.current_operation()
        if inside is not None:
            message = f"{what} inside operation {inside.name!r} would wait for itself"
            raise DeadlockError(message)
        self._refuse_if_broken()
        with self._in_turn():
            return self.close_epoch()

    # -- Blocking -------------------------------------------------------------------------------

    def wait(self, target: Operation | Accessible, timeout: float | None = None) -> Any:  # noqa: ANN401, D102
        if isinstance(target, Operation):
            if target.engine is not self:
                return target.engine.wait(target, timeout)
            operation = target
            if operation.state != DONE:
                refuse_to_block(f"waiting for {operation.name!r}", "await operation")
        else:
            if self._is_readable(target):
                return None
            owner = target.resource.owner
            if owner is not None and owner is not self:
                return owner.wait(target, timeout)
            refuse_to_block(f"waiting for {target.name!r}", "await array")
            operation = self._fence(target)
        if operation.state != DONE:
            self._block_on(OperationEnd(operation, timed=timeout is not None), timeout)
        if operation.failure is not None:
            operation.failure.raise_()
        return operation.result

    def read(self, fn: Callable[[], Any], reads: Iterable[Accessible], name: str = "read") -> Any:  # noqa: ANN401, D102
        reads = tuple(reads)
        other = self._owner_elsewhere(reads)
        if other is not None:
            return other.read(fn, reads, name)
        operation = make_operation(self, fn, reads, (), reads, CALLER, 0, name, 0)
        try:
            with self._in_turn():
                ready = self._all_readable(reads)
                if ready:
                    self.admit(operation)
            if not ready:
                self._refuse_if_broken()
                refuse_to_block(f"{name} of unfinished work", "await array")
                self._mailbox.append(operation)
                self._turn()
                self._block_on(OperationStart(operation), None)
        except BaseException:
            self._abandon(operation)
            raise
        return self._run_granted(operation)

    def _abandon(self, operation: Operation) -> None:
        """Nobody will run an operation that was to run in its caller."""
        self._mailbox.append(lambda: self.abandon(operation))
        self._turn()

    def _run_granted(self, operation: Operation) -> Any:  # noqa: ANN401
        """Run, in this thread, an operation that was granted to its caller, and end it."""
        if operation.failure is not None:
            operation.failure.raise_()
        here = ambient.here
        before = here.worker
        outer = self.current_operation()
        if outer is not None:
            return self._run_granted_inside(operation, outer)
        here.worker = Runner(CALLER, "a caller that reads", operation)
        try:
            return call_open(operation.fn)
        finally:
            here.worker = before
            self._end_granted(operation)

    def _run_granted_inside(self, operation: Operation, outer: Operation) -> Any:  # noqa: ANN401
        """Do the same inside another operation, which by that waits for this one."""
        before = ambient.here.worker
        device, depth = (CALLER, 0) if before is None else (before.device, before.depth)
        end = OperationEnd(operation)
        self._note_blocked(outer, end)
        ambient.here.worker = Runner(device, "a caller that reads", operation, depth)
        try:
            return call_open(operation.fn)
        finally:
            ambient.here.worker = before
            self._end_granted(operation)
            self._note_unblocked(outer, end)

    def _end_granted(self, operation: Operation) -> None:
        operation.fn = None
        operation.state = ENDED
        self._mailbox.append(operation)
        self._turn()

    def wait_all(self, timeout: float | None = None) -> None:  # noqa: D102
        epoch = self._epoch_to_wait_for("wait_all")
        if epoch is not None:
            refuse_to_block("wait_all", "await engine.wait_all_async()")
            self._block_on(epoch, timeout)

    def _wait_room(self, nbytes: int) -> None:
        """Block until a push of so many bytes fits."""
        self._block_on(self._room(nbytes), None)

    def _block_on(self, target: Target, timeout: float | None) -> None:
        """Block until the target is over; meanwhile run what it waits for, where one may."""
        deadline = None if timeout is None else monotonic() + timeout
        inside = self.current_operation()
        worker = ambient.here.worker
        helps = 0
        if timeout is None and target.few:
            helps = _HELPS if self.in_flight <= _HELPS else 1
        if inside is not None:
            self._note_blocked(inside, target)
        elif worker is not None:
            self._refuse_between_operations(target)
            worker = None
        try:
            while not target.over:
                self._refuse_if_broken()
                self._refuse_if_doomed(target)
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    message = f"{target.name} was not over after {timeout:g} seconds"
                    raise TimeoutError(message)
                # Without threads nobody else would run anything, whatever the time.
                if not (self._threadless or helps) or self._help(target, worker) is None:
                    self._park(target, worker, left)
                # In the end the workers do it, unless none has started yet.
                if inside is None and helps and not (helps == 1 and self._lacks_workers()):
                    helps -= 1
        finally:
            if inside is not None:
                self._note_unblocked(inside, target)

    def _park(self, target: Target, worker: Runner | None, timeout: float | None) -> None:
        """Sleep until the target is over, the time is, or there is something to run again."""
        waiter = ThreadWaiter()
        with self._in_turn():
            if target.over or self._could_help(worker):
                return
            target.attach(waiter)
            self._stepping.append(waiter.notify)
            if worker is not None:
                self._leave_seat(worker.device)
        self._parked[waiter] = None
        try:
            self._refuse_if_broken()
            self._refuse_if_doomed(target)  # perhaps nobody knew yet whom to tell
            waiter.wait(timeout)
        finally:
            self._parked.pop(waiter, None)
            if not self._broken:
                with self._in_turn():
                    self._stepping.remove(waiter.notify)
                    if not target.over:
                        target.detach(waiter)
                    if worker is not None:
                        self._retake_seat(worker.device)

    def step(self) -> Operation | None:
        """Run the one operation that the policy chooses next, in this thread.

        For engines without threads (`workers=0`), in tests.

        Returns:
          The operation, or None if none was ready.
        """
        refuse_to_block("step", "await ...")
        return self._help(None, None)

    # -- Awaiting -------------------------------------------------------------------------------

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
        await self._await_target(OperationEnd(operation))
        if operation.failure is not None:
            operation.failure.raise_()
        return operation.result

    async def _await_target(self, target: Target) -> None:
        """Wait in a task until the target is over."""
        threads = self.workers > 0
        operation = target.operation
        # With threads it runs itself only what is quick, and naps while a worker runs the rest.
        helps = _QUICK_HELPS if threads else maxsize
        if threads and (operation is None or not (operation.quick or operation.state == WAITING)):
            helps = 0
        while not target.over and helps > 0:
            self._refuse_if_broken()
            if self._help(target, None, quick=threads) is None:
                break
            helps -= 1
        inside = self.current_operation()
        naps = threads and operation is not None and inside is None
        if target.over or (naps and self._nap(target)):
            await checkpoint()
            return
        worker = ambient.here.worker if inside is not None else None
        if worker is not None and worker.operation is not inside:
            worker = None  # a task of an asynchronous operation keeps no worker busy
        waiter = make_waiter()
        if inside is not None:
            self._note_blocked(inside, target)
        try:
            await self._sleep(target, waiter, worker)
            if not target.over:
                self._refuse_if_broken()
                self._refuse_if_doomed(target)
        finally:
            if inside is not None:
                self._note_unblocked(inside, target)
        if not target.over:
            # Without threads it is told when there is something to run, too.
            await self._await_target(target)

    async def _sleep(self, target: Target, waiter: AsyncWaiter, worker: Runner | None) -> None:
        """Wait in a task until the waiter is told."""

        def attach() -> None:
            if target.over or self._could_help(worker):
                self.outbox.append(waiter)
            else:
                target.attach(waiter)
                self._stepping.append(waiter.notify)
            if worker is not None:
                self._leave_seat(worker.device)

        def detach() -> None:
            if waiter.notify in self._stepping:
                self._stepping.remove(waiter.notify)
            if not target.over:
                target.detach(waiter)
            if worker is not None:
                self._retake_seat(worker.device)

        self._parked[waiter] = None
        self._mailbox.append(attach)
        self._turn()
        try:
            self._refuse_if_broken()
            self._refuse_if_doomed(target)
            await waiter.wait()
        finally:
            self._parked.pop(waiter, None)
            self._mailbox.append(detach)
            self._turn()

    async def wait_all_async(self) -> None:  # noqa: D102
        epoch = self._epoch_to_wait_for("wait_all_async")
        if epoch is None:
            await checkpoint()
        else:
            await self._await_target(epoch)

    async def wait_room(self, nbytes: int = 0) -> None:  # noqa: D102
        await checkpoint()
        if self.current_operation() is not None:
            return  # who waited here would hold up what it waits for
        while not self._fits(nbytes):
            await self._await_target(self._room(nbytes))

    def _fits(self, nbytes: int) -> bool:
        """Whether an operation of so many bytes may be pushed now."""
        if self.in_flight >= self.max_ops:
            return False
        # One alone may be larger than the budget.
        return self.nbytes_in_flight == 0 or self.nbytes_in_flight + nbytes <= self.max_nbytes

    async def read_async(  # noqa: D102
        self,
        fn: Callable[[], Any],
        reads: Iterable[Accessible],
        name: str = "read",
        nbytes: int = 0,
    ) -> Any:  # noqa: ANN401
        reads = tuple(reads)
        other = self._owner_elsewhere(reads)
        if other is not None:
            return await other.read_async(fn, reads, name, nbytes)
        if nbytes > _LARGE_NBYTES and self._stopped is None:
            return await self.push(fn, reads=reads, name=name)
        self._refuse_if_broken()
        operation = make_operation(self, fn, reads, (), reads, CALLER, 0, name, 0)
        self._mailbox.append(operation)
        self._turn()
        try:
            await self._await_target(OperationStart(operation))
        except BaseException:
            self._abandon(operation)
            raise
        return self._run_granted(operation)


RESTS.update((Waits._block_on.__code__, Waits._park.__code__))
