"""The threaded engine: what programs send to it. Its floors below: `wait`, `device`, `turn`."""

from __future__ import annotations

import sys
from threading import current_thread, get_ident
from time import sleep
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import asynchronous, base, interrupt
from actorflow.engine.ambient import here
from actorflow.engine.explain import explain
from actorflow.engine.interrupt import PENDING
from actorflow.engine.operation import (
    DONE,
    ENDED,
    Operation,
    capture_line,
    make_operation,
    users_files,
)
from actorflow.engine.resource import as_tuple
from actorflow.engine.turn import HOLDS, IN_TURN, RESTS, Turns, may_hold
from actorflow.engine.wait import Waits
from actorflow.engine.waiting import running_loop
from actorflow.errors import BackPressureError, EngineClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actorflow.engine.resource import Accessible, Link, Resource

__all__ = ["ThreadedEngine"]


class ThreadedEngine(Waits):
    """Runs operations in worker threads; see `Engine`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        interrupt.install()
        # With so many in flight a push looks closer; less than 0 once the engine is being closed,
        # when it takes operations from outside up to a certain number.
        self._limit = self.max_ops
        self._last_call = 0
        # Whether quick operations may run in the turn in which they arrive.
        self._inline = False
        self._set_hooks()

    # -- Messages from outside --------------------------------------------------------------

    def push(  # noqa: C901, D102 -- base.Engine.push; one function because calls cost
        self,
        fn: Callable[..., Any],
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
            reads = as_tuple("reads", reads)
        if writes.__class__ is not tuple:
            writes = as_tuple("writes", writes)
        if updates.__class__ is not tuple:
            updates = as_tuple("updates", updates)
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
            for accessible in (*reads, *writes, *updates):
                self._adopt(accessible, "reads, writes and updates")  # says which one it is
            raise
        mailbox = self._mailbox
        if (
            self._n_arrived - self._n_done >= self._limit
            or nbytes
            or (mailbox and self._n_arrived - self._n_done + len(mailbox) >= self._limit)
        ):
            self._make_room(nbytes)
        if not callable(fn):
            message = f"push: fn must be callable, got {fn!r}"
            raise TypeError(message)
        if not priority:
            priority = here.priority
        if name is None:
            try:
                name = fn.__name__
            except AttributeError:
                name = "operation"
        operation = make_operation(
            self,
            fn,
            reads,
            writes,
            reads,
            self._cpu0
            if device is None
            else self._devices.get(device) or self._find_device(device),
            priority,
            name,
            nbytes,
        )
        if updates:
            operation.writes = writes + updates if writes else updates
            operation.inherits = reads + updates if reads else updates
        capture = self._capture
        if quick:
            operation.quick = True  # most of them are done at once, and need no site
        elif capture is capture_line:
            # What it does in most cases, without the call.
            frame = sys._getframe(1)
            code = frame.f_code
            if code.co_filename in users_files:
                # Two fields instead of a pair, which Python's collector would visit.
                operation._code = code
                operation._instruction = frame.f_lasti
            else:
                operation.site = capture()
        elif capture is not None:
            operation.site = capture()
        if uses:
            operation.uses = self._normalise_uses(uses)
            operation.next_link = 0
        if self.pushed_hooks:
            self._tell(self.pushed_hooks, "pushed", operation)
        if mailbox or not self._lock.acquire(False):  # noqa: FBT003 -- a keyword costs
            if quick and capture is not None:
                operation.site = capture()
            mailbox.append(operation)
            if not self._lock.locked():  # else whoever has it looks into the mailbox afterwards
                self._turn()
            if self._stopped is not None:
                self._refuse_unrun(operation)
            return operation
        try:
            # Nobody else is at it: spare the way through the mailbox.
            if self._stopped is not None:
                self._refuse()
            elif not (quick and self._inline and self._run_at_once(operation)):
                if quick and capture is not None:
                    operation.site = capture()
                self.admit(operation)
            if mailbox or self.stirred:
                self._drain()
        except BaseException as error:
            if operation.state != DONE and error is not self._stopped:
                self._break(error)
            raise
        finally:
            self._lock.release()
        if mailbox or self.outbox or self._to_start:
            self._turn()
        if PENDING:
            interrupt.raise_pending()
        return operation

    def extend_last(  # noqa: D102 -- base.Engine.extend_last
        self, operation: Operation, fn: Callable[[], object], target: Resource, name: str
    ) -> bool:
        if target.owner is not self:
            self._adopt(target, "updates")
        if (
            self._mailbox or self.instruments or not self._lock.acquire(False)  # noqa: FBT003 -- a keyword costs
        ):
            return False
        try:
            return self._stopped is None and self.extend(operation, fn, target, name)
        finally:
            self._lock.release()
            if self._mailbox or self.outbox or self._to_start:
                self._turn()

    def _refuse_unrun(self, operation: Operation) -> None:
        """Raise if the engine was closed before it took an operation out of the mailbox."""
        if self._turn_owner != get_ident() and not may_hold(sys._getframe(1)):
            with self._in_turn():
                pass  # whoever had the turn has come to it by now
        failure = operation.failure
        if failure is not None and isinstance(failure.exception, EngineClosedError):
            failure.raise_()

    def _run_at_once(self, operation: Operation) -> bool:
        """Run a quick operation in this very turn, if everything that it touches is free.

        Other threads leave their messages in the mailbox for so long.
        """
        for resource in operation.reads:
            if resource._writer is not None or resource._parts is not None:
                return False
        for resource in operation.writes:
            if resource._granted is not None or resource._parts is not None:
                return False
        for resource in operation.inherits:
            if resource._failure is not None:
                return False
        if operation.uses is not None:
            return False
        try:
            operation.result = operation.fn()
        except BaseException as error:
            if self._capture is not None:
                operation.site = self._capture()
            self._fail(operation, error)
            if isinstance(error, KeyboardInterrupt):
                raise  # it was meant for this thread
        finally:
            failure = operation.failure
            for resource in operation.writes:
                resource._failure = failure  # type: ignore[misc]  # no region comes here
            operation.state = DONE
            operation.fn = None
            operation.reads = operation.writes = operation.inherits = ()
        return True

    def _enter_trio(self) -> None:
        interrupt.protect_under_trio(TRIO_PROTECTS)

    def _set_hooks(self) -> None:
        super()._set_hooks()
        # Instruments see every operation go all its way.
        self._inline = self.workers > 0 and not self.verify and not self.instruments

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
        if self._limit < 0:
            self._refuse_after_last_call()
        sent = len(self._mailbox)  # what other threads have sent and nobody has admitted
        fits = self.nbytes_in_flight + nbytes <= self.max_nbytes
        if self.in_flight + sent < self.max_ops and fits:
            return
        if self.current_operation() is not None or self._between_operations():
            return  # who waited here would hold up what it waits for
        if self._turn_owner == get_ident() or may_hold(sys._getframe(2)):
            return  # a finalizer or a signal handler in the middle of a turn
        if self.in_flight + sent == 0:
            return  # a single operation may be larger than the budget
        if running_loop() is not None:
            message = (
                f"push: {self.in_flight} operations with {self.nbytes_in_flight} bytes are in "
                f"flight, and the engine's budget is max_ops={self.max_ops}, max_nbytes="
                f"{self.max_nbytes}: write `await engine.wait_room()` before pushing more"
            )
            raise BackPressureError(message)
        self._wait_room(nbytes)

    def _set_closing(self, *, closing: bool) -> None:
        if closing:
            self._last_call = self._n_arrived + self.max_ops
        self._limit = -1 if closing else self.max_ops

    def _refuse_after_last_call(self) -> None:
        """The engine is being closed: see that pushes come to an end.

        Raises:
          EngineClosedError: there were too many since closing has begun.
        """
        if self._n_arrived >= self._last_call and self.current_operation() is None:
            message = (
                f"push: this engine is being closed, and {self.max_ops} operations have been "
                "pushed since that began; only operations in flight may push more"
            )
            raise EngineClosedError(message)

    def _complete(
        self,
        operation: Operation,
        result: Any,  # noqa: ANN401
        exception: BaseException | None,
        *,
        seen: bool = False,
    ) -> None:
        if exception is None:
            operation.result = result
        else:
            self._fail(operation, exception, seen=seen)
        if self.finished_hooks:
            self._tell(self.finished_hooks, "finished", operation)
        operation.state = ENDED
        self._mailbox.append(operation)
        self._turn()

    def cancel(self, operation: Operation) -> bool:  # noqa: D102 -- base.Engine.cancel
        with self._in_turn():
            return self.skip(operation)

    def cancel_all(self) -> None:  # noqa: D102 -- base.Engine.cancel_all
        with self._in_turn():
            self.skip_all(list(self._devices.values()))

    def explain(self, target: Operation | Accessible) -> str:  # noqa: D102 -- base.Engine.explain
        self._enter()
        try:
            return explain(self, target)
        finally:
            self._leave()

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
        self._closing = True
        with self._in_turn():  # a worker on its way to being idle stops in `_seek`
            for device in self._devices.values():
                workers = [*device.idle, *device.spare]
                device.idle.clear()
                device.spare.clear()
                for worker in workers:
                    worker.stop = True
                    worker.wake.release()
        self._home.leave()
        self._blas.lift()
        if not self._broken:  # else whoever still runs does not know what to do next
            for device in list(self._devices.values()):
                for thread in list(device.threads):
                    while thread.ident is None:
                        sleep(0)  # another thread is starting it
                    if thread is not current_thread():  # a finalizer may close an engine there
                        thread.join()


IN_TURN.add(ThreadedEngine._run_at_once.__code__)
RESTS.add(ThreadedEngine._make_room.__code__)
HOLDS.update((ThreadedEngine._run_at_once.__code__, ThreadedEngine.push.__code__))
TRIO_PROTECTS: Final = (
    ThreadedEngine.push,
    ThreadedEngine.cancel,
    ThreadedEngine._finish,
    Turns._enter,
    Turns._leave,
    Turns._turn,
    Turns._seal,
    Waits._end_granted,
    Waits._epoch_to_wait_for,
    Waits._is_readable,
    Waits._note_blocked,
    Waits._help,
    Waits._hand_in,
)
