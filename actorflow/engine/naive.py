"""The naive engine: every operation runs at once, in its caller. For debugging, and as an oracle.

It shares no decision with the threaded engine: it has no ledger, no queue and no worker. Only what
a resource remembers of a failure is kept in the same place.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from actorflow.engine import ambient, asynchronous, base
from actorflow.engine.device import is_cpu
from actorflow.engine.operation import DONE, ENDED, RUNNING, WAITING, Failure, Operation
from actorflow.engine.parts import END
from actorflow.engine.policy import make_policy
from actorflow.engine.resource import Region, Resource
from actorflow.engine.waiting import checkpoint
from actorflow.engine.worker import CALLER, Device, Worker
from actorflow.errors import DeadlockError, EngineClosedError, OperationCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actorflow.engine.policy import Policy
    from actorflow.engine.resource import Accessible, Link

__all__ = ["NaiveEngine"]

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


def _conflict(first: Operation, second: Operation) -> bool:
    """Whether two operations have to keep their order."""
    return any(
        a[0] is b[0] and a[1] < b[2] and b[1] < a[2] and (a[3] or b[3])
        for a in _intervals(first)
        for b in _intervals(second)
    )


class NaiveEngine(base.Engine):
    """Runs each operation in the caller before `push` returns; see `Engine`.

    Only an operation that is pushed inside another one and conflicts with it runs later: when that
    one has ended. Links, policies and budgets have no meaning here. Pushes of several threads take
    turns for the whole of an operation.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._make_policy = make_policy(self._policy)
        # Held while operations run; asynchronous ones let go of it until they are completed.
        self._lock = threading.Condition(threading.RLock())
        self._stack: list[Operation] = []  # running, the innermost last
        self._deferred: list[Operation] = []  # in order of arrival
        self._devices = {name: Device(name, 1, self._make_policy) for name in ("cpu(0)", "io")}
        self._home = asynchronous.Home()
        self._home.stay()

    def push(  # noqa: D102 -- base.Engine.push
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
        quick: bool = False,  # noqa: ARG002 -- everything runs in the caller
    ) -> Operation:
        self._refuse()
        reads, writes, updates = tuple(reads), tuple(writes), tuple(updates)
        for role, touched in (("reads", reads), ("writes", writes), ("updates", updates)):
            for accessible in touched:
                self._adopt(accessible, role)
        self._normalise_uses(uses)
        if not callable(fn):
            message = f"push: fn must be callable, got {fn!r}"
            raise TypeError(message)
        if not isinstance(nbytes, int) or nbytes < 0:
            message = f"push: nbytes must be an integer of at least 0, got {nbytes!r}"
            raise ValueError(message)
        operation = Operation(
            self,
            fn,
            reads,
            writes + updates,
            reads + updates,
            self._find_device(device or "cpu(0)"),
            priority,
            name if name is not None else getattr(fn, "__name__", "operation"),
            nbytes,
            None if self._capture is None else self._capture(),
        )
        for hook in self.pushed_hooks:
            hook.pushed(operation)
        with self._lock:
            if any(_conflict(other, operation) for other in (*self._stack, *self._deferred)):
                operation.state = WAITING
                self._deferred.append(operation)
            else:
                self._run(operation)
        return operation

    def push_async(  # noqa: D102 -- base.Engine.push_async
        self, fn: Callable[..., Any], *, name: str | None = None, **options: Any
    ) -> Operation:
        self._refuse()
        start = asynchronous.Start(fn, self._home)
        return self.push(start, name=name or start.__name__, **options)

    def _find_device(self, name: str) -> Device:
        if name not in self._devices:
            if not is_cpu(name):
                message = f"no device is called {name!r}; there are {', '.join(self._devices)}"
                raise ValueError(message)
            self._devices[name] = Device(name, 1, self._make_policy)
        return self._devices[name]

    def add_device(  # noqa: D102 -- base.Engine.add_device
        self, name: str, workers: int = 1, policy: str | Callable[[], Policy] | None = None
    ) -> None:
        factory = self._make_policy if policy is None else make_policy(policy)
        if self._devices.setdefault(name, device := Device(name, workers, factory)) is not device:
            message = f"add_device: there is a device called {name!r} already"
            raise ValueError(message)

    def _run(self, operation: Operation) -> None:
        """Run an operation, and then the deferred ones that waited for it. With the lock."""
        for accessible in operation.inherits:
            if operation.failure is None:
                operation.failure = accessible._failure
        for hook in self.granted_hooks:
            hook.granted(operation)
        if operation.failure is None:
            self._call(operation)
        for hook in self.finished_hooks:
            hook.finished(operation)
        operation.state = DONE
        for accessible in operation.writes:
            accessible._end_write(operation, operation.failure)
        operation.fn = None
        operation.reads = operation.writes = operation.inherits = ()
        while (following := self._next_deferred()) is not None:
            self._run(following)

    def _call(self, operation: Operation) -> None:
        for hook in self.started_hooks:
            hook.started(operation)
        operation.state = RUNNING
        self._stack.append(operation)
        caller = Worker(operation.device, "the caller")
        caller.operation = operation
        before, ambient.here.worker = ambient.here.worker, caller
        token = ambient.engine_here.set(self)
        try:
            if isinstance(operation.fn, asynchronous.Start):
                operation.fn(operation)
                while operation.state == RUNNING:
                    self._lock.wait()
            else:
                operation.result = operation.fn()
        except BaseException as error:  # noqa: BLE001 -- whatever it is, whoever waits gets it
            self._fail(operation, error)
        finally:
            ambient.engine_here.reset(token)
            ambient.here.worker = before
            self._stack.remove(operation)

    def _fail(self, operation: Operation, error: BaseException, *, seen: bool = False) -> None:
        operation.failure = Failure(error, operation)
        operation.failure.seen = seen
        self._unseen.append(operation.failure)

    def _next_deferred(self) -> Operation | None:
        for index, operation in enumerate(self._deferred):
            before = (*self._stack, *self._deferred[:index])
            if not any(_conflict(other, operation) for other in before):
                del self._deferred[index]
                return operation
        return None

    def _complete(
        self,
        operation: Operation,
        result: Any,  # noqa: ANN401
        exception: BaseException | None,
        *,
        seen: bool = False,
    ) -> None:
        with self._lock:
            if exception is None:
                operation.result = result
            else:
                self._fail(operation, exception, seen=seen)
            operation.state = ENDED
            self._lock.notify_all()

    # -- Waiting: there is hardly anything to wait for -----------------------------------------

    def wait(self, target: Operation | Accessible, timeout: float | None = None) -> Any:  # noqa: ANN401, D102
        if isinstance(target, Operation):
            if target.engine is not self:
                return target.engine.wait(target, timeout)
            self._refuse_unfinished([target] if target.state != DONE else [])
            if target.failure is not None:
                target.failure.raise_()
            return target.result
        if not isinstance(target, (Resource, Region)):
            message = f"wait: what can be waited for is an operation or a resource, not {target!r}"
            raise TypeError(message)
        owner = target.resource.owner
        if owner is not self and owner is not None and owner._stopped is None:
            return owner.wait(target, timeout)
        self._adopt(target, "target")
        self._refuse_unfinished(self._writers(target))
        if (failure := target._failure) is not None:
            failure.raise_()
        return None

    def _writers(self, target: Accessible) -> list[Operation]:
        """The operations in flight that write the target."""
        reader = Operation(self, None, (target,), (), (target,), CALLER, 0, "wait", 0, None)
        return [o for o in (*self._stack, *self._deferred) if _conflict(o, reader)]

    def _refuse_unfinished(self, operations: list[Operation]) -> None:
        """Raise if an operation waits inside itself for something that comes after it."""
        if operations:
            inside = self._stack[-1].name if self._stack else "?"
            message = (
                f"operation {inside!r} waits inside itself for {operations[0].name!r}, which can "
                f"only come after it"
            )
            raise DeadlockError(message)

    async def wait_async(self, target: Operation | Accessible) -> Any:  # noqa: ANN401, D102
        await checkpoint()
        return self.wait(target)

    def read(self, fn: Callable[[], Any], reads: Iterable[Accessible], name: str = "read") -> Any:  # noqa: ANN401, ARG002, D102
        with self._lock:
            for accessible in reads:
                self.wait(accessible)
            return fn()

    async def read_async(  # noqa: D102
        self,
        fn: Callable[[], Any],
        reads: Iterable[Accessible],
        name: str = "read",
        nbytes: int = 0,  # noqa: ARG002
    ) -> Any:  # noqa: ANN401
        await checkpoint()
        return self.read(fn, reads, name)

    def wait_all(self, timeout: float | None = None) -> None:  # noqa: ARG002, D102
        inside = ambient.current_operation()
        if inside is not None and inside.engine is self:
            message = f"wait_all inside operation {inside.name!r} would wait for that itself"
            raise DeadlockError(message)
        with self._lock:
            pass  # whoever runs something holds it

    async def wait_all_async(self) -> None:  # noqa: D102
        self.wait_all()
        await checkpoint()

    async def wait_room(self, nbytes: int = 0) -> None:  # noqa: ARG002, D102
        await checkpoint()

    def step(self) -> Operation | None:
        """Run nothing: everything has run."""
        return None

    # -- The rest ----------------------------------------------------------------------------------

    def cancel(self, operation: Operation) -> bool:  # noqa: D102
        with self._lock:
            if operation not in self._deferred or operation.failure is not None:
                return False
            message = f"operation {operation.name!r} was cancelled before it started"
            operation.failure = Failure(OperationCancelled(message), operation)
            operation.failure.seen = True
            return True

    def cancel_all(self) -> None:  # noqa: D102
        with self._lock:
            for operation in self._deferred:
                self.cancel(operation)

    def current_operation(self) -> Operation | None:
        """The operation of this engine inside which this code runs, or None."""
        operation = ambient.current_operation()
        return operation if operation is not None and operation.engine is self else None

    def statistics(self) -> base.EngineStatistics:  # noqa: D102
        count = len(self._stack) + len(self._deferred)
        return base.EngineStatistics(
            in_flight=count,
            nbytes_in_flight=sum(o.nbytes for o in (*self._stack, *self._deferred)),
            ready=0,
            workers=0,
        )

    def explain(self, target: Operation | Accessible) -> str:  # noqa: D102
        if isinstance(target, Operation):
            waiting = [] if target.state == DONE else [target]
        else:
            waiting = self._writers(target)
        if not waiting:
            return f"{target.name} is ready: a naive engine runs everything at once"
        names = ", ".join(repr(o.name) for o in waiting)
        return f"{target.name} is not ready: it waits for {names}, inside which this code runs"

    def _seal(self) -> bool:
        with self._lock:  # whoever runs something holds it
            self._stopped = EngineClosedError("this engine has been closed")
            return True

    def _finish(self) -> None:
        self._home.leave()
