"""How the naive engine runs operations: one inside another, one after another.

Everything here is called with the engine's lock.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import ambient, asynchronous, base
from actorflow.engine.blas import BlasLimit
from actorflow.engine.interrupt import OPEN
from actorflow.engine.operation import DONE, ENDED, RUNNING, Failure, Operation
from actorflow.engine.parts import END
from actorflow.engine.resource import Region, Resource
from actorflow.engine.worker import Runner
from actorflow.errors import DeadlockError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NaiveRuns", "conflict"]

_POLL: Final = 0.05  # seconds after which who waits looks again: for a completion, or for a signal

_Interval = tuple[Resource, int, int, bool]


def _intervals(operation: Operation) -> list[_Interval]:
    """What an operation touches: resource, start, stop, whether it writes."""
    found = []
    for touched, writes in ((operation.reads, False), (operation.writes, True)):
        for accessible in touched:
            if isinstance(accessible, Region):
                found.append((accessible.resource, accessible.start, accessible.stop, writes))
            else:
                found.append((accessible, 0, END, writes))
    return found


def conflict(first: Operation, second: Operation) -> bool:
    """Whether two operations have to keep their order."""
    return any(
        a[0] is b[0] and a[1] < b[2] and b[1] < a[2] and (a[3] or b[3])
        for a in _intervals(first)
        for b in _intervals(second)
    )


class NaiveRuns(base.Engine):
    """What runs, what runs later, and who waits inside for whom."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Held while operations run; asynchronous ones let go of it until they are completed.
        self._lock = threading.Condition(threading.RLock())
        self._stack: list[Operation] = []  # running, the innermost last
        self._deferred: list[Operation] = []  # in order of arrival
        # For each that is running: inside which other one.
        self._parents: dict[Operation, Operation | None] = {}
        # Who waits inside itself, and for whom; more than once, if it has many tasks.
        self._waits: list[tuple[Operation | None, list[Operation]]] = []
        self._interrupt: Failure | None = None
        self._blas = BlasLimit(self._blas_threads)

    def current_operation(self) -> Operation | None:
        """The operation of this engine inside which this code runs, or None."""
        operation = ambient.current_operation()
        return operation if operation is not None and operation.engine is self else None

    def _run_all(self, operation: Operation) -> None:
        """Run an operation, and then the deferred ones that can run.

        Raises:
          KeyboardInterrupt: one of them was interrupted.
        """
        following: Operation | None = operation
        try:
            while following is not None:
                self._run(following)
                following = self._next_deferred()
        except BaseException as error:
            self._break(error)
            raise
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            interrupt.raise_()  # it was meant for this thread

    def _run(self, operation: Operation) -> None:
        self._hold(operation)
        for accessible in operation.inherits:
            if operation.failure is None:
                operation.failure = accessible._failure
        for hook in self.granted_hooks:
            hook.granted(operation)
        if operation.failure is None:
            self._call(operation)
        for hook in self.finished_hooks:
            hook.finished(operation)
        self._release(operation)

    def _hold(self, operation: Operation) -> None:
        """Take the resources, which tells other engines that they are in use; nobody waits here."""
        for accessible in operation.writes:
            accessible._write(operation)
        for accessible in operation.reads:
            accessible._read(operation)

    def _release(self, operation: Operation) -> None:
        operation.state = DONE
        for accessible in operation.reads:
            accessible._end_read(operation)
        for accessible in operation.writes:
            accessible._end_write(operation, operation.failure)
        operation.fn = None
        operation.reads = operation.writes = operation.inherits = ()
        self._lock.notify_all()

    def _call(self, operation: Operation) -> None:
        for hook in self.started_hooks:
            hook.started(operation)
        self._blas.apply()
        with self._inside(operation):
            try:
                operation.result = self._perform(operation)
            except BaseException as error:  # noqa: BLE001 -- whoever waits gets it
                self._fail(operation, error)
        failure = operation.failure
        if failure is not None and isinstance(failure.exception, KeyboardInterrupt):
            self._interrupt = failure

    def _perform(self, operation: Operation) -> Any:  # noqa: ANN401
        """Call an operation's function. What the user interrupts is this, and `_sleep`."""
        if not isinstance(operation.fn, asynchronous.Start):
            return operation.fn()
        operation.fn(operation)
        while operation.state == RUNNING:
            self._lock.wait(_POLL)
        return operation.result

    def _sleep(self, seconds: float | None) -> None:
        """Let other threads go on; the caller looks again afterwards."""
        self._lock.wait(_POLL if seconds is None else min(seconds, _POLL))

    @contextmanager
    def _inside(self, operation: Operation) -> Iterator[None]:
        """Let code run as an operation's."""
        operation.state = RUNNING
        caller = Runner(operation.device, "the caller")
        caller.operation = operation
        self._parents[operation] = self.current_operation()
        self._stack.append(operation)
        before, ambient.here.worker = ambient.here.worker, caller
        token = ambient.engine_here.set(self)
        try:
            yield
        finally:
            ambient.engine_here.reset(token)
            ambient.here.worker = before
            self._stack.remove(operation)
            del self._parents[operation]

    def _fail(self, operation: Operation, error: BaseException, *, seen: bool = False) -> None:
        operation.failure = Failure(error, operation)
        operation.failure.seen = seen
        self._unseen.append(operation.failure)

    def _next_deferred(self) -> Operation | None:
        """Take the first deferred operation that nothing before it keeps from running."""
        for index, operation in enumerate(self._deferred):
            before = chain(self._stack, islice(self._deferred, index))
            if not any(conflict(other, operation) for other in before):
                del self._deferred[index]
                return operation
        return None

    def _break(self, error: BaseException) -> None:
        """An instrument raised: what was in flight is lost."""
        if self._stopped is None:
            message = f"the engine stopped: {type(error).__name__} in an instrument ({error})"
            self._stopped = EngineError(message)
            self._stopped.__cause__ = error
        self._lock.notify_all()

    def _complete(
        self,
        operation: Operation,
        result: Any,  # noqa: ANN401
        exception: BaseException | None,
        *,
        seen: bool = False,
    ) -> None:
        if operation.state != RUNNING:
            return  # its caller was interrupted and has given it up
        if exception is None:
            operation.result = result
        else:
            self._fail(operation, exception, seen=seen)
        operation.state = ENDED
        # Perhaps in a finalizer, which must not wait: if it cannot tell, its caller looks again.
        if self._lock.acquire(blocking=False):
            self._lock.notify_all()
            self._lock.release()

    def _is_open(self, operations: list[Operation]) -> bool:
        """Whether one of them is not done, after running what can run. With the lock.

        Raises:
          DeadlockError: it never will be, if an operation waits for it here.
        """
        while left := [operation for operation in operations if operation.state != DONE]:
            following = self._next_deferred()
            if following is None:
                self._refuse()
                inside = self.current_operation()
                if inside is not None and self._need(left, inside):
                    message = (
                        f"operation {inside.name!r} waits inside itself for {left[0].name!r}, "
                        "which can only come after it"
                    )
                    raise DeadlockError(message)
                return True
            self._run_all(following)
        return False

    def _need(self, operations: list[Operation], inside: Operation) -> bool:
        """Whether operations cannot end before a certain one has."""
        seen: set[Operation] = set()
        stack = list(operations)
        while stack:
            operation = stack.pop()
            if operation is inside:
                return True
            if operation in seen or operation.state == DONE:
                continue
            seen.add(operation)
            waits = list(self._waits)  # tasks change it without the lock
            stack += [other for waiter, left in waits if waiter is operation for other in left]
            stack += [child for child, parent in self._parents.items() if parent is operation]
            if operation in self._deferred:
                before = islice(self._deferred, self._deferred.index(operation))
                stack += [o for o in chain(self._stack, before) if conflict(o, operation)]
        return False

    def _after_fork_in_child(self) -> None:
        super()._after_fork_in_child()
        self._lock = threading.Condition(threading.RLock())


OPEN.update((NaiveRuns._perform.__code__, NaiveRuns._sleep.__code__))
