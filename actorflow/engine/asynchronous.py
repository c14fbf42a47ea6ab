"""Operations that end later than their function returns: callbacks, futures, async functions."""

from __future__ import annotations

import concurrent.futures
import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any

from actorflow.engine.ambient import engine_here, operation_of_task
from actorflow.engine.operation import Completion, Failure
from actorflow.errors import OperationCancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actorflow.engine.operation import Operation

__all__ = ["Home", "Start"]


class Start:
    """What a worker runs of such an operation: it starts it and does not wait."""

    __slots__ = ("__name__", "_fn", "_home")

    def __init__(self, fn: Callable[..., Any], home: Home) -> None:
        if not callable(fn):
            message = f"push_async: fn must be callable, got {fn!r}"
            raise TypeError(message)
        self._fn = fn
        self._home = home
        self.__name__ = getattr(fn, "__name__", "operation")

    def __call__(self, operation: Operation) -> None:
        """Start it; its completion ends the operation."""
        completion = Completion(operation)
        fn = self._fn
        try:
            if inspect.iscoroutinefunction(fn):
                self._home.spawn(fn, completion, operation)
                return
            started = fn(completion)
            if isinstance(started, concurrent.futures.Future):
                started.add_done_callback(lambda future: _complete_from(future, completion))
            elif inspect.iscoroutine(started):
                started.close()
                message = f"push_async: {self.__name__} gave a coroutine: push an async function"
                raise TypeError(message)  # noqa: TRY301 -- the completion gets it
        except BaseException as error:  # noqa: BLE001 -- whoever waits for it gets it
            if completion.done:
                # It was completed before it raised: nobody waits, so closing the engine tells.
                operation.engine._unseen.append(Failure(error, operation))
            else:
                completion.fail(error)


def _complete_from(future: concurrent.futures.Future[Any], completion: Completion) -> None:
    if future.cancelled():
        completion.fail(concurrent.futures.CancelledError())
    elif (error := future.exception()) is not None:
        completion.fail(error)
    else:
        completion.succeed(future.result())


async def _run_to_completion(
    fn: Callable[[], Awaitable[Any]], completion: Completion, operation: Operation
) -> None:
    """Run an async function in its own task and complete its operation by its outcome."""
    operation_of_task.set(operation)
    engine_here.set(operation.engine)
    try:
        result = await fn()
    except BaseException as error:
        if not _is_cancellation(error):
            completion.fail(error)  # whoever waits for the operation gets it
            if isinstance(error, KeyboardInterrupt):
                raise
            return
        message = f"the task of operation {operation.name!r} was cancelled"
        completion.fail(OperationCancelled(message), seen=True)
        raise  # it belongs to the loop
    else:
        completion.succeed(result)


def _is_cancellation(error: BaseException) -> bool:
    """Whether an event loop cancels a task by this exception."""
    for name, attribute in (("trio", "Cancelled"), ("asyncio", "CancelledError")):
        kind = getattr(sys.modules.get(name), attribute, None)
        if kind is not None and isinstance(error, kind):
            return True
    return False


def _nothing() -> None:
    """Do nothing."""


class Home:
    """The event loop in which an engine's async functions run.

    That is the loop in which the engine's block was entered; a trio loop in a thread of its own,
    started when it is first needed, if there is none.
    """

    def __init__(self) -> None:
        self._spawn: Callable[..., None] | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._leave: Callable[[], None] | None = None
        self._stays = False
        # Cancels the async functions that run; called in the loop that is the home.
        self.cancel_tasks: Callable[[], None] = _nothing

    def spawn(
        self, fn: Callable[[], Awaitable[Any]], completion: Completion, operation: Operation
    ) -> None:
        """Run an async function there. In any thread."""
        with self._lock:
            if self._spawn is None:
                self._start_thread()
            spawn = self._spawn
        if spawn is not None:
            spawn(fn, completion, operation)
        else:
            # Python starts no more threads, since the script has ended: run it here.
            import trio  # noqa: PLC0415 -- only those who push async functions need it

            trio.run(_run_to_completion, fn, completion, operation)

    def stay(self) -> None:
        """Never be at home in a caller's loop: it would block while it waits for itself."""
        self._stays = True

    def enter_trio(self, nursery: Any) -> None:  # noqa: ANN401 -- trio.Nursery, not imported here
        """Make a running trio loop the home."""
        if self._stays and threading.current_thread() is not self._thread:
            return
        import trio  # noqa: PLC0415 -- running already

        token = trio.lowlevel.current_trio_token()

        def start(*args: Any) -> None:
            try:
                nursery.start_soon(_run_to_completion, *args)
            except RuntimeError as error:  # the nursery is closed
                args[1].fail(error)

        def spawn(*args: Any) -> None:
            token.run_sync_soon(start, *args)

        self._spawn = spawn
        self.cancel_tasks = nursery.cancel_scope.cancel

    def enter_asyncio(self) -> None:
        """Make the running asyncio loop the home."""
        if self._stays:
            return
        import asyncio  # noqa: PLC0415 -- running already

        loop = asyncio.get_running_loop()
        tasks = set()  # asyncio itself holds tasks weakly

        def start(args: Any) -> None:  # noqa: ANN401
            task = loop.create_task(_run_to_completion(*args))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def spawn(*args: Any) -> None:
            loop.call_soon_threadsafe(start, args)

        def cancel_tasks() -> None:
            for task in list(tasks):
                task.cancel()

        self._spawn = spawn
        self.cancel_tasks = cancel_tasks

    def leave(self) -> None:
        """There is no home any more: the engine is closed."""
        with self._lock:
            self._spawn = None
            leave, self._leave = self._leave, None
            thread, self._thread = self._thread, None
        if leave is not None:
            leave()
        if thread is not None:
            thread.join()

    def _start_thread(self) -> None:
        import trio  # noqa: PLC0415 -- only those who push async functions need it

        started = threading.Event()

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                self.enter_trio(nursery)
                over = trio.Event()
                token = trio.lowlevel.current_trio_token()
                self._leave = lambda: token.run_sync_soon(over.set)
                started.set()
                await over.wait()

        self._thread = threading.Thread(
            target=trio.run, args=(main,), name="actorflow event loop", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None  # `spawn` says what then
            return
        started.wait()
