"""How a caller waits: a thread, a trio task or an asyncio task.

The engine knows only `Waiter.notify`, which may be called in any thread and more than once.
trio is imported only where it is running already: scripts do not pay for it.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorflow.engine.interrupt import OPEN
from actorflow.errors import WouldBlockError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    import trio

__all__ = [
    "AsyncioWaiter",
    "ThreadWaiter",
    "TrioWaiter",
    "Waiter",
    "make_waiter",
    "refuse_to_block",
    "running_loop",
]


# How often, in seconds, the main thread wakes from a wait to let Python look for signals. A signal
# that strikes between Python's last look and the system call that sleeps does not end the sleep.
_LOOK: Final = 0.5


class Waiter(Protocol):
    """Somebody who waits."""

    def notify(self) -> None:
        """What is waited for has come."""
        ...


class AsyncWaiter(Waiter, Protocol):
    """A task that waits."""

    async def wait(self) -> None:
        """Wait until `notify` has been called; may be cancelled."""
        ...


def _trio_here() -> Any:  # noqa: ANN401
    """`trio.lowlevel`, if trio runs in this thread, else None. An `import` would cost."""
    # Another thread may be in the middle of importing it.
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    in_trio_run = getattr(lowlevel, "in_trio_run", None)
    return lowlevel if in_trio_run is not None and in_trio_run() else None


def running_loop() -> str | None:
    """The event loop that runs in this thread: "trio", "asyncio" or None."""
    if _trio_here() is not None:
        return "trio"
    get_running_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    if get_running_loop is not None and get_running_loop() is not None:
        return "asyncio"
    return None


def refuse_to_block(what: str, instead: str) -> None:
    """Raise if blocking would freeze an event loop.

    Raises:
      WouldBlockError: an event loop runs in this thread.
    """
    loop = running_loop()
    if loop is not None:
        message = (
            f"{what} would block the {loop} event loop that runs in this thread until the work "
            f"is done: write `{instead}`"
        )
        raise WouldBlockError(message)


class ThreadWaiter:
    """A thread that blocks."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def notify(self) -> None:
        """Let the thread go on."""
        try:
            self._lock.release()
        except RuntimeError:
            return  # it was told before

    def wait(self, timeout: float | None = None) -> bool:
        """Block until `notify`, at most `timeout` seconds; say whether it was called."""
        if timeout is not None and timeout < _LOOK:
            return self._lock.acquire(timeout=timeout)
        if threading.get_ident() != threading.main_thread().ident:
            return self._lock.acquire(timeout=-1 if timeout is None else timeout)
        left = math.inf if timeout is None else timeout
        while not self._lock.acquire(timeout=min(left, _LOOK)):
            left -= _LOOK
            if left <= 0:
                return False
        return True


OPEN.add(ThreadWaiter.wait.__code__)


class _TrioHub:
    """Wakes the tasks of one trio run, many at a time: waking the loop is what costs."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self.token = token
        self.told: deque[TrioWaiter] = deque()
        self.scheduled = False

    def tell(self, waiter: TrioWaiter) -> None:
        self.told.append(waiter)
        if not self.scheduled:
            self.scheduled = True
            import trio  # noqa: PLC0415 -- running already

            try:
                self.token.run_sync_soon(self.drain)
            except trio.RunFinishedError:
                self.told.clear()  # and so are the tasks that waited

    def drain(self) -> None:
        # First the flag: who appends after the last look below then schedules another one.
        self.scheduled = False
        while self.told:
            self.told.popleft().wake()


class TrioWaiter:
    """A trio task that waits."""

    __slots__ = ("_hub", "_task", "_told")

    _hubs: Final[dict[str, Any]] = {}  # the RunVar, once trio is there

    def __init__(self) -> None:
        import trio  # noqa: PLC0415 -- running already

        hubs = self._hubs.get("hub")
        if hubs is None:
            hubs = self._hubs["hub"] = trio.lowlevel.RunVar("actorflow")
        hub = hubs.get(None)
        if hub is None:
            hub = _TrioHub(trio.lowlevel.current_trio_token())
            hubs.set(hub)
        self._hub: _TrioHub = hub
        self._task: trio.lowlevel.Task | None = None
        self._told = False

    def notify(self) -> None:
        """Let the task go on."""
        self._hub.tell(self)

    def wake(self) -> None:
        """In the loop's thread: reschedule the task, unless it was cancelled meanwhile."""
        import trio  # noqa: PLC0415 -- running already

        self._told = True
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        """Wait until `notify`. A checkpoint; cancelling it only ends the wait."""
        import trio  # noqa: PLC0415 -- running already

        if self._told:
            await trio.lowlevel.checkpoint()
            return
        self._task = trio.lowlevel.current_task()

        def abort(_: Any) -> trio.lowlevel.Abort:  # noqa: ANN401
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)


class AsyncioWaiter:
    """An asyncio task that waits."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        import asyncio  # noqa: PLC0415 -- running already

        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def notify(self) -> None:
        """Let the task go on."""
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        """Wait until `notify`; cancelling it only ends the wait."""
        await self._future


_WAITERS: Final[dict[str, Callable[[], AsyncWaiter]]] = {
    "trio": TrioWaiter,
    "asyncio": AsyncioWaiter,
}


def make_waiter() -> AsyncWaiter:
    """Make a waiter for the task that runs.

    Raises:
      RuntimeError: no trio or asyncio loop runs in this thread.
    """
    loop = running_loop()
    if loop is None:
        message = "to await the engine takes a running trio or asyncio event loop"
        raise RuntimeError(message)
    return _WAITERS[loop]()


def is_asyncio_cancellation(error: BaseException) -> bool:
    """Whether asyncio cancels a task by this exception."""
    kind = getattr(sys.modules.get("asyncio"), "CancelledError", None)
    return kind is not None and isinstance(error, kind)


def tell_asyncio(errors: list[BaseException]) -> None:
    """Give errors that cannot be raised to the running loop's exception handler."""
    import asyncio  # noqa: PLC0415 -- running already

    loop = asyncio.get_running_loop()
    for error in errors:
        message = "an operation failed and nobody awaited it; its engine's block was cancelled"
        loop.call_exception_handler({"message": message, "exception": error})


def checkpoint() -> Awaitable[None]:
    """What a task awaits to give others a turn, and to let a cancellation come through."""
    lowlevel = _trio_here()
    if lowlevel is not None:
        return lowlevel.checkpoint()  # type: ignore[no-any-return]
    return sys.modules["asyncio"].sleep(0)  # type: ignore[no-any-return]
