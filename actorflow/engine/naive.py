"""The naive engine: every operation runs at once, in its caller. For debugging, and as an oracle.

It shares no decision with the threaded engine: it has no ledger, no queue and no worker. Only what
a resource remembers of a failure is kept in the same place.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import asynchronous, base
from actorflow.engine.ambient import here
from actorflow.engine.device import is_cpu
from actorflow.engine.naive_runs import NaiveRuns, conflict
from actorflow.engine.operation import DONE, WAITING, Failure, Operation, make_operation
from actorflow.engine.policy import make_policy
from actorflow.engine.resource import Region, Resource, as_tuple
from actorflow.engine.waiting import checkpoint, refuse_to_block, running_loop
from actorflow.engine.worker import CALLER, Device
from actorflow.errors import DeadlockError, EngineClosedError, OperationCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from actorflow.engine.policy import Policy
    from actorflow.engine.resource import Accessible, Link

__all__ = ["NaiveEngine"]

_NAP: Final = 0.001  # seconds between two looks of a task that waits for another thread


async def _nap() -> None:
    if running_loop() == "trio":
        import trio  # noqa: PLC0415 -- running already

        await trio.sleep(_NAP)
    else:
        import asyncio  # noqa: PLC0415 -- running already

        await asyncio.sleep(_NAP)


class NaiveEngine(NaiveRuns):
    """Runs each operation in the caller before `push` returns; see `Engine`.

    Only an operation that is pushed inside another one and conflicts with it runs later: when that
    one has ended. Links, policies and budgets have no meaning here. Pushes of several threads take
    turns for the whole of an operation.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._make_policy = make_policy(self._policy)
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
        reads = as_tuple("reads", reads)
        writes = as_tuple("writes", writes)
        updates = as_tuple("updates", updates)
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
        operation = make_operation(
            self,
            fn,
            reads,
            writes + updates,
            reads + updates,
            self._find_device(device or "cpu(0)"),
            priority or here.priority,
            name if name is not None else getattr(fn, "__name__", "operation"),
            nbytes,
        )
        if self._capture is not None:
            operation.site = self._capture()
        for hook in self.pushed_hooks:
            hook.pushed(operation)
        with self._lock:
            self._refuse()
            operation.state = WAITING
            if any(conflict(other, operation) for other in chain(self._stack, self._deferred)):
                self._deferred.append(operation)
            else:
                self._run_all(operation)
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
        if not isinstance(workers, int) or workers < 0:
            message = f"add_device: workers must be an integer of at least 0, got {workers!r}"
            raise ValueError(message)
        factory = self._make_policy if policy is None else make_policy(policy)
        if self._devices.setdefault(name, device := Device(name, workers, factory)) is not device:
            message = f"add_device: there is a device called {name!r} already"
            raise ValueError(message)

    # -- Waiting: for what other threads run ---------------------------------------------------

    def _unfinished(self, target: Operation | Accessible | None) -> list[Operation]:
        """What is to be waited for; for None everything."""
        if target is None:
            return [*self._stack, *self._deferred]
        if isinstance(target, Operation):
            return [target]
        reader = make_operation(self, None, (target,), (), (target,), CALLER, 0, "wait", 0)
        return [o for o in (*self._stack, *self._deferred) if conflict(o, reader)]

    def _wait(
        self, target: Operation | Accessible | None, name: str, seconds: float | None
    ) -> None:
        """Block until the target is done."""
        deadline = None if seconds is None else monotonic() + seconds

        def left() -> float:
            return -1 if deadline is None else max(0.0, deadline - monotonic())

        late = f"{name} was not over after {seconds} seconds"
        if not self._lock.acquire(blocking=False):
            refuse_to_block(f"waiting for {name!r}", "await ...")
            if not self._lock.acquire(timeout=left()):
                raise TimeoutError(late)
        try:
            operations = self._unfinished(target)
            while self._is_open(operations):
                refuse_to_block(f"waiting for {name!r}", "await ...")
                if deadline is not None and left() == 0:
                    raise TimeoutError(late)
                with self._noted(operations if deadline is None else []):
                    self._sleep(None if deadline is None else left())
        finally:
            self._lock.release()

    @contextmanager
    def _noted(self, operations: list[Operation]) -> Iterator[None]:
        """Note that the current operation, if any, waits for some."""
        inside = self.current_operation()
        wait = (inside, operations)
        if inside is not None:
            self._waits.append(wait)
        try:
            yield
        finally:
            if inside is not None:
                self._waits.remove(wait)

    async def _wait_async(self, target: Operation | Accessible | None) -> None:
        operations: list[Operation] | None = None
        await checkpoint()
        while True:
            if self._lock.acquire(blocking=False):
                try:
                    if operations is None:
                        operations = self._unfinished(target)
                    if not self._is_open(operations):
                        return
                finally:
                    self._lock.release()
            with self._noted(operations or []):
                await _nap()

    def _owner_elsewhere(self, target: Operation | Accessible) -> base.Engine | None:
        """The other engine that has to do with the target.

        Raises:
          TypeError: it is nothing that can be waited for.
        """
        if isinstance(target, Operation):
            return None if target.engine is self else target.engine
        if not isinstance(target, (Resource, Region)):
            message = f"wait: what can be waited for is an operation or a resource, not {target!r}"
            raise TypeError(message)
        owner = target.resource.owner
        if owner is not self and owner is not None and owner._stopped is None:
            return owner
        self._adopt(target, "target")
        return None

    def _outcome(self, target: Operation | Accessible) -> Any:  # noqa: ANN401
        failure = target.failure if isinstance(target, Operation) else target._failure
        if failure is not None:
            failure.raise_()
        return target.result if isinstance(target, Operation) else None

    def wait(self, target: Operation | Accessible, timeout: float | None = None) -> Any:  # noqa: ANN401, D102
        other = self._owner_elsewhere(target)
        if other is not None:
            return other.wait(target, timeout)
        self._wait(target, target.name, timeout)
        return self._outcome(target)

    async def wait_async(self, target: Operation | Accessible) -> Any:  # noqa: ANN401, D102
        other = self._owner_elsewhere(target)
        if other is not None:
            return await other.wait_async(target)
        await self._wait_async(target)
        return self._outcome(target)

    def read(self, fn: Callable[[], Any], reads: Iterable[Accessible], name: str = "read") -> Any:  # noqa: ANN401, D102
        reads = tuple(reads)
        while True:
            for accessible in reads:
                self.wait(accessible)
            with self._lock:
                if not any(map(self._unfinished, reads)):
                    return self._read(fn, reads, name)

    async def read_async(  # noqa: D102
        self,
        fn: Callable[[], Any],
        reads: Iterable[Accessible],
        name: str = "read",
        nbytes: int = 0,  # noqa: ARG002
    ) -> Any:  # noqa: ANN401
        reads = tuple(reads)
        await checkpoint()
        while True:
            for accessible in reads:
                await self.wait_async(accessible)
            if self._lock.acquire(blocking=False):
                try:
                    if not any(map(self._unfinished, reads)):
                        return self._read(fn, reads, name)
                finally:
                    self._lock.release()

    def _read(self, fn: Callable[[], Any], reads: tuple[Accessible, ...], name: str) -> Any:  # noqa: ANN401
        """Call a function while nobody may write what it reads. With the lock."""
        operation = make_operation(self, fn, reads, (), reads, CALLER, 0, name, 0)
        self._hold(operation)
        try:
            with self._inside(operation):
                return self._perform(operation)
        finally:
            self._release(operation)
            following = self._next_deferred()
            if following is not None:
                self._run_all(following)

    def wait_all(self, timeout: float | None = None) -> None:  # noqa: D102
        self._refuse_inside("wait_all")
        self._wait(None, "all that was pushed before", timeout)

    async def wait_all_async(self) -> None:  # noqa: D102
        self._refuse_inside("wait_all_async")
        await self._wait_async(None)

    def _refuse_inside(self, what: str) -> None:
        inside = self.current_operation()
        if inside is not None:
            message = f"{what} inside operation {inside.name!r} would wait for that itself"
            raise DeadlockError(message)

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
            waiting = self._unfinished(target)
        if not waiting:
            return f"{target.name} is ready: a naive engine runs everything at once"
        names = ", ".join(repr(o.name) for o in waiting)
        return f"{target.name} is not ready: it waits for {names}, inside which this code runs"

    def _set_closing(self, *, closing: bool) -> None:
        """Do nothing: whoever pushes runs what he pushes first, so there are pauses."""

    def _seal(self) -> bool:
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if not self._stack and not self._deferred:
                self._stopped = EngineClosedError("this engine has been closed")
            return self._stopped is not None
        finally:
            self._lock.release()

    def _finish(self) -> None:
        self._home.leave()
        self._blas.lift()
