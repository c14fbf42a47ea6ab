"""What every engine offers, whatever it does inside."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import attrs

from actorflow import settings
from actorflow.engine import operation as operations
from actorflow.engine.asynchronous import Home
from actorflow.engine.instrument import Instrument, hooks_of
from actorflow.engine.resource import Region, Resource, add_up, not_a_resource
from actorflow.engine.scope import Scope
from actorflow.errors import EngineError, ForkedEngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actorflow.engine.operation import Failure, Operation
    from actorflow.engine.policy import Policy
    from actorflow.engine.resource import Accessible, Link

__all__ = ["Engine", "EngineStatistics"]

engines: Final[weakref.WeakSet[Engine]] = weakref.WeakSet()  # all there are, for fork and exit

Trace = Literal["off", "line", "stack"]
_CAPTURE: Final = {
    "off": None,
    "line": operations.capture_line,
    "stack": operations.capture_stack,
}


@attrs.frozen
class EngineStatistics:
    """An engine at one moment.

    Attributes:
      in_flight: operations pushed and not done.
      nbytes_in_flight: the bytes that they declared.
      ready: operations that wait for nothing but a worker.
      workers: threads started so far, all devices together.
    """

    in_flight: int
    nbytes_in_flight: int
    ready: int
    workers: int


class Engine(Scope):
    """Runs operations on resources, each as soon as its resources grant it.

    `Engine(...)` makes a threaded engine, or a naive one, which runs each operation in the caller
    at once, if `engine_type` or the environment's AF_ENGINE_TYPE says "naive".

    Use it as a context manager, with `async with` under trio or asyncio or with `with` in a
    script: inside the block it is the current engine, which arrays use; at the end of the block
    it waits for all work, and nothing of it is left after. If an exception or a cancellation ends
    the block, operations that have not started are skipped and those that run are waited for.

    Args:
      workers: operations that run at a time on each cpu context; default AF_CPU_WORKERS or the
        number of cores. 0 gives no thread at all: operations run in callers that wait and in
        `step()`, in the policy's order, which makes schedules repeatable.
      policy: "fifo", "priority", or a factory called once per device (`actorflow.engine.Policy`).
      engine_type: "threaded" or "naive". No deadline interrupts an operation of a naive engine: it
        runs inside the push, and timeouts and cancellations end waits only.
      io_workers: workers of the device "io", for what sleeps or waits for the outside.
      max_ops: operations in flight; a push past it waits. Default AF_MAX_OPS or 10,000.
      max_nbytes: bytes in flight, as operations declare them; a push that would pass it waits,
        but one operation alone may be larger. Default AF_MAX_NBYTES or a quarter of the memory.
        Both bounds may be passed by as many operations as threads push at the same moment, and
        operations pushed inside operations do not wait.
      trace: what is noted of the place of each push, to be shown with errors: "line" (about
        0.3 us), "stack" or "off". Default AF_ENGINE_TRACE or "line".
      verify: check that operations keep to the resources they declare. Default AF_ENGINE_VERIFY.
      instruments: `Instrument`s to begin with.
      blas_threads: threads of one BLAS call while the engine is open. The default is 1, because the
        bits of a result depend on it: more would make them depend on the machine.

    Raises:
      ValueError, TypeError: an argument is not of the kind given above.
    """

    def __new__(cls, *_: object, engine_type: str | None = None, **__: object) -> Engine:  # noqa: PYI034
        """Choose the class."""
        if cls is not Engine:
            return super().__new__(cls)
        choices = ("threaded", "naive")
        if engine_type is None:
            engine_type = settings.read_choice("AF_ENGINE_TYPE", choices)
        if engine_type not in choices:
            message = f"Engine: engine_type must be one of {choices}, got {engine_type!r}"
            raise ValueError(message)
        from actorflow.engine import naive, threaded  # noqa: PLC0415 -- they are its subclasses

        chosen = threaded.ThreadedEngine if engine_type == "threaded" else naive.NaiveEngine
        return super().__new__(chosen)

    def __init__(
        self,
        workers: int | None = None,
        policy: str | Callable[[], Policy] = "fifo",
        *,
        engine_type: str | None = None,  # noqa: ARG002 -- used by __new__
        io_workers: int = 8,
        max_ops: int | None = None,
        max_nbytes: int | None = None,
        trace: Trace | None = None,
        verify: bool | None = None,
        instruments: Iterable[Instrument] = (),
        blas_threads: int = 1,
    ) -> None:
        if workers is None:
            workers = settings.read_number("AF_CPU_WORKERS", settings.cores())
        if max_ops is None:
            max_ops = settings.read_number("AF_MAX_OPS", 10_000)
        if max_nbytes is None:
            max_nbytes = settings.read_number("AF_MAX_NBYTES", settings.memory_nbytes() // 4)
        if trace is None:
            trace = cast("Trace", settings.read_choice("AF_ENGINE_TRACE", ("line", "off", "stack")))
        for name, value, least in (
            ("workers", workers, 0),
            ("io_workers", io_workers, 1),
            ("max_ops", max_ops, 1),
            ("max_nbytes", max_nbytes, 1),
            ("blas_threads", blas_threads, 1),
        ):
            if not isinstance(value, int) or value < least:
                message = f"Engine: {name} must be an integer of at least {least}, got {value!r}"
                raise ValueError(message)
        if trace not in _CAPTURE:
            message = f"Engine: trace must be one of {', '.join(_CAPTURE)}, got {trace!r}"
            raise ValueError(message)
        self.workers = workers
        self.max_ops = max_ops
        self.max_nbytes = max_nbytes
        self.verify = settings.read_flag("AF_ENGINE_VERIFY") if verify is None else bool(verify)
        self._policy = policy
        self._io_workers = io_workers
        self._blas_threads = blas_threads
        self._capture = _CAPTURE[trace]
        self._stopped: Exception | None = None  # why nothing can be pushed any more
        self._told_stopped = False
        self._home = Home()
        self._unseen: list[Failure] = []
        self.instruments: tuple[Instrument, ...] = ()
        for instrument in instruments:
            self.install(instrument)
        self._set_hooks()
        engines.add(self)

    # -- To be written by each engine ---------------------------------------------------------

    @abstractmethod
    def push(
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
        """Send an operation to its resources; it runs once all have granted it.

        Returns at once, in any thread. For each resource, operations take effect in the order in
        which they were pushed. A resource that is named twice counts once; one that is both read
        and written counts as updated.

        Args:
          fn: what to run, called without arguments in a worker's thread.
          reads: resources, or regions of them, that it reads. If one of them holds an error
            instead of content, the operation is skipped and passes the error on.
          writes: resources that it writes whole; old content and an old error are discarded.
          updates: resources that it changes and whose old content it needs; an old error is
            passed on as with `reads`.
          uses: links that it uses, or a mapping of links to the capacity that it takes.
          device: where it runs: "cpu(0)" by default, "cpu(1)", "io", or what `add_device` made.
          priority: higher goes first where the engine's policy looks at it; 0 is that of the
            `prioritised` block around, if there is one.
          name: what to call it in errors and statistics; default the function's name.
          nbytes: bytes of memory that it will take, counted against `max_nbytes` until it is done.
          quick: `fn` takes some microseconds and never waits for anything. It may then run in the
            thread that pushes it, if its resources are free, or in a task that awaits it: waking
            a worker would take longer. The policy sees it only if it has to wait for a resource.

        Returns:
          Operation: await it, or `wait()` for it, to get what `fn` returned.

        Raises:
          TypeError: something that is not a resource.
          ValueError: an unknown device, or more of a link than its capacity.
          BackPressureError: too much is in flight, inside a running event loop.
          EngineClosedError, ForkedEngineError, EngineError: the engine cannot run it.
        """

    @abstractmethod
    def push_async(
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
    ) -> Operation:
        """Send an operation that ends later than its function returns.

        Args:
          fn: either an async function without arguments, run in the event loop that the engine's
            block was entered in (or in a trio loop of the engine's own if there is none), or a
            function of one argument, a `Completion`, that starts something in a worker's thread
            and calls `succeed` or `fail` when it is done. If it returns a
            `concurrent.futures.Future`, that completes the operation.
          reads, writes, updates, uses, device, priority, name, nbytes: as with `push`. The
            resources stay granted until the operation is completed.
        """

    @abstractmethod
    def wait(self, target: Operation | Accessible, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait, blocking, for an operation, or for all writes to a resource pushed so far.

        Args:
          target: what to wait for.
          timeout: at most so many seconds.

        Returns:
          What the operation's function returned; None for a resource.

        Raises:
          WouldBlockError: there is something to wait for, inside a running event loop.
          DeadlockError: called inside an operation that the target waits for; at once, also with a
            timeout, because nothing would come of it but a TimeoutError that does not say why.
          TimeoutError: the time is over; nothing is changed by that.
          Exception: the first cause why the operation, or the resource's last write, failed.
        """

    @abstractmethod
    async def wait_async(self, target: Operation | Accessible) -> Any:  # noqa: ANN401
        """Wait like `wait` in a trio or asyncio task; cancelling it only ends the wait."""

    @abstractmethod
    def read(self, fn: Callable[[], Any], reads: Iterable[Accessible], name: str = "read") -> Any:  # noqa: ANN401
        """Wait for the resources, and call `fn` in this thread while they are granted.

        Returns:
          What `fn` returns.

        Raises what `wait` raises, and what `fn` raises.
        """

    @abstractmethod
    async def read_async(
        self,
        fn: Callable[[], Any],
        reads: Iterable[Accessible],
        name: str = "read",
        nbytes: int = 0,
    ) -> Any:  # noqa: ANN401
        """Do like `read` in a trio or asyncio task.

        Args:
          fn: called in this thread, or by a worker if `nbytes` is more than 1 MB.
          reads: what it reads.
          name: what to call it.
          nbytes: how much `fn` touches.
        """

    @abstractmethod
    async def wait_room(self, nbytes: int = 0) -> None:
        """Wait until one more operation, of so many bytes, can be pushed within the budget."""

    @abstractmethod
    def step(self) -> Operation | None:
        """Run the one operation that the policy chooses next, in this thread.

        For engines without threads (`workers=0`), in tests.

        Returns:
          The operation, or None if none was ready.
        """

    def extend_last(
        self,
        operation: Operation,
        fn: Callable[[], object],
        target: Resource,
        name: str,
    ) -> bool:
        """Make the operation pushed last do more: call `fn` instead, and update `target`, too.

        It becomes what it would be had it been pushed as that, so it must not read `target` yet.
        That is refused if anything was pushed since, by whatever thread; if the operation waits for
        nothing any more; and while instruments watch, whom it would have been shown wrong.

        Returns:
          Whether it will. If not, nothing has changed.
        """
        del operation, fn, target, name  # what is done cannot do more
        return False

    @abstractmethod
    def cancel(self, operation: Operation) -> bool:
        """Skip an operation if it has not started; say whether it is skipped."""

    @abstractmethod
    def add_device(
        self, name: str, workers: int = 1, policy: str | Callable[[], Policy] | None = None
    ) -> None:
        """Make a device of your own.

        Raises:
          ValueError: there is one of that name already.
        """

    @abstractmethod
    def statistics(self) -> EngineStatistics:
        """Say what is in flight now."""

    @abstractmethod
    def explain(self, target: Operation | Accessible) -> str:
        """Say in words why a target is not ready: what it waits for, and who holds that."""

    @abstractmethod
    def _complete(
        self,
        operation: Operation,
        result: Any,  # noqa: ANN401
        exception: BaseException | None,
        *,
        seen: bool = False,
    ) -> None:
        """An asynchronous operation is done. In any thread."""

    # -- Shared ---------------------------------------------------------------------------------

    def install(self, instrument: Instrument) -> None:
        """Tell an instrument what happens from now on.

        Raises:
          TypeError: it is none.
        """
        if not isinstance(instrument, Instrument):
            message = f"install: an Instrument is needed, got {type(instrument).__name__}"
            raise TypeError(message)
        self.instruments = (*self.instruments, instrument)
        self._set_hooks()

    def remove(self, instrument: Instrument) -> None:
        """Tell an instrument nothing any more.

        Raises:
          ValueError: it is not installed.
        """
        rest = list(self.instruments)
        rest.remove(instrument)
        self.instruments = tuple(rest)
        self._set_hooks()

    def _after_fork_in_child(self) -> None:
        """Forget what another thread of the parent may have been in the middle of."""
        self._home = Home()

    def _set_hooks(self) -> None:
        self.pushed_hooks = hooks_of(self.instruments, "pushed")
        self.granted_hooks = hooks_of(self.instruments, "granted")
        self.started_hooks = hooks_of(self.instruments, "started")
        self.finished_hooks = hooks_of(self.instruments, "finished")

    def _refuse(self) -> None:
        """Raise if the engine takes nothing more."""
        stopped = self._stopped
        if stopped is not None:
            # One exception object, raised often: begin afresh, so that it does not grow.
            raise stopped.with_traceback(None)

    @property
    def closed(self) -> bool:
        """Whether it has been closed (or broke, or belongs to the parent of this process)."""
        return self._stopped is not None

    def _adopt(self, accessible: Accessible, role: str) -> None:
        """Take over a resource that another engine, or none, had.

        Raises:
          TypeError: it is none.
          ForkedEngineError: it was unfinished when this process was forked.
          EngineError: another engine still works on it.
        """
        if isinstance(accessible, Resource) and accessible.owner is None:
            accessible.owner = self
            return
        if not isinstance(accessible, (Resource, Region)):
            raise TypeError(not_a_resource(role, accessible))
        resource = accessible.resource
        owner = resource.owner
        if owner is not None and owner is not self and not resource.idle:
            if isinstance(owner._stopped, ForkedEngineError):
                message = (
                    f"{resource!r} was unfinished when this process was forked, and its workers "
                    "stayed in the parent: wait for it before forking, or start processes by spawn"
                )
                raise ForkedEngineError(message)
            message = f"{resource!r} is in use by another engine: wait for it there first"
            raise EngineError(message)
        resource.owner = self

    def _normalise_uses(
        self, uses: Iterable[Link] | Mapping[Link, int]
    ) -> tuple[tuple[Link, int], ...] | None:
        """Bring links into the one order in which all operations take them."""
        amounts = add_up(uses)
        for link, _ in amounts:
            if link.owner is not self:
                self._adopt(link, "uses")
        return amounts or None
