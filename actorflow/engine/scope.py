"""The block of an engine: `with`, `async with`, and how it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, cast

from actorflow.engine import ambient
from actorflow.engine.waiting import is_asyncio_cancellation, running_loop, tell_asyncio
from actorflow.errors import EngineError, ForkedEngineError

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from actorflow.engine.asynchronous import Home
    from actorflow.engine.base import Engine
    from actorflow.engine.operation import Failure

__all__ = ["Scope"]


class Scope(ABC):
    """Gives an engine a beginning and an end."""

    _home: Home
    _stopped: Exception | None
    _told_stopped: bool
    _unseen: list[Failure]
    _token: Token[Any] | None = None
    _nursery_manager: Any = None
    _finished = False

    @abstractmethod
    def wait_all(self, timeout: float | None = None) -> None:
        """Wait, blocking, until everything that was pushed before is done, failed or not.

        Failures stay where they are: on the resources, and with `close`.

        Raises:
          WouldBlockError, TimeoutError: as with `wait`.
          DeadlockError: called inside an operation, which is among what it would wait for.
        """

    @abstractmethod
    async def wait_all_async(self) -> None:
        """Wait like `wait_all` in a trio or asyncio task."""

    @abstractmethod
    def cancel_all(self) -> None:
        """Skip everything that has not started by now; operations pushed later run again."""

    @abstractmethod
    def _set_closing(self, *, closing: bool) -> None:
        """See to it, or no more, that threads that push on do not keep it from closing."""

    @abstractmethod
    def _seal(self) -> bool:
        """Take nothing more, if nothing is in flight; say whether that is so."""

    @abstractmethod
    def _finish(self) -> None:
        """Stop; everything is done."""

    def _enter_trio(self) -> None:
        """The block is entered under trio."""
        return

    def _enter_block(self) -> None:
        if self._stopped is not None:
            raise self._stopped.with_traceback(None)
        if self._token is not None:
            message = "an engine can only be entered once at a time"
            raise EngineError(message)
        self._token = ambient.engine_here.set(cast("Engine", self))

    def _leave_block(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            ambient.engine_here.reset(token)

    def __enter__(self) -> Self:
        """Make this the current engine."""
        self._enter_block()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Wait for all work and close; after an exception skip what has not started."""
        try:
            if error is not None and self._stopped is None:
                self.cancel_all()
            self._close(error, timeout=None)
        finally:
            self._leave_block()

    async def __aenter__(self) -> Self:
        """Make this the current engine, at home in the event loop that runs."""
        loop = running_loop()
        if loop is None:
            message = "`async with` an engine takes a running trio or asyncio event loop"
            raise RuntimeError(message)
        self._enter_block()
        if loop == "trio":
            import trio  # noqa: PLC0415 -- running already

            self._enter_trio()
            self._nursery_manager = trio.open_nursery()
            self._home.enter_trio(await self._nursery_manager.__aenter__())
        else:
            self._home.enter_asyncio()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for all work and close; after an exception skip what has not started."""
        cancelled: BaseException | None = None
        try:
            if error is not None and self._stopped is None:
                self.cancel_all()
                self._home.cancel_tasks()
            self._set_closing(closing=True)
            while self._stopped is None and not self._seal():
                patient = error is None and cancelled is None
                cancelled = await self._wait_to_the_end(patient=patient) or cancelled
            if self._nursery_manager is not None:
                manager, self._nursery_manager = self._nursery_manager, None
                await manager.__aexit__(None, None, None)
        finally:
            self._leave_block()
            self._shut_down(error or cancelled)
        if cancelled is not None:
            if error is not None and type(error) is type(cancelled):
                return  # the first one is on its way
            if error is not None:
                message = "the block of an engine failed, and was then cancelled"
                raise BaseExceptionGroup(message, [error, cancelled])
            raise cancelled

    async def _wait_to_the_end(self, *, patient: bool) -> BaseException | None:
        """Wait until nothing is in flight; give the cancellation that came meanwhile, if any."""
        cancelled: BaseException | None = None
        if patient:
            try:
                await self.wait_all_async()
            except EngineError:
                return None  # broken: close tells
            except BaseException as error:  # noqa: BLE001 -- a cancellation, given back below
                cancelled = error
                self.cancel_all()
                self._home.cancel_tasks()
        if running_loop() == "trio":
            import trio  # noqa: PLC0415 -- running already

            with trio.CancelScope(shield=True):
                await self.wait_all_async()
            return cancelled
        while True:
            try:
                await self.wait_all_async()
            except BaseException as error:  # noqa: BLE001 -- asyncio cannot shield: note and go on
                cancelled = error
            else:
                return cancelled

    def close(self, timeout: float | None = None, *, cancel: bool = False) -> None:
        """Wait for all work, stop the workers, and raise what nobody was told.

        Closing twice does nothing.

        Args:
          timeout: wait at most so many seconds.
          cancel: skip what has not started.

        Raises:
          TimeoutError: the time is over; the engine stays open.
          ExceptionGroup: the failures of operations that no wait has raised.
          EngineError: the engine had stopped before, by a bug of ours or of a policy's.
        """
        if self._stopped is None and cancel:
            self.cancel_all()
        self._close(None, timeout)

    def _close(self, error: BaseException | None, timeout: float | None) -> None:
        deadline = None if timeout is None else monotonic() + timeout
        self._set_closing(closing=True)
        try:
            while self._stopped is None and not self._seal():
                self.wait_all(None if deadline is None else max(0.0, deadline - monotonic()))
        finally:
            self._set_closing(closing=False)  # it may stay open
        self._shut_down(error)

    def _shut_down(self, error: BaseException | None) -> None:
        """Stop the workers of an engine that is sealed or broken, and raise what nobody was told.

        Args:
          error: what is being raised already.
        """
        stopped = self._stopped
        if isinstance(stopped, ForkedEngineError):
            return
        if not self._finished:
            self._finished = True
            self._finish()
        unseen = [failure for failure in self._unseen if not failure.seen]
        self._unseen.clear()
        for failure in unseen:
            failure.seen = True
        problems: list[BaseException] = [failure.exception for failure in unseen]
        problems = [problem for problem in problems if problem is not error]
        count = "1 operation" if len(problems) == 1 else f"{len(problems)} operations"
        message = f"{count} failed and nobody awaited {'it' if len(problems) == 1 else 'them'}"
        if isinstance(stopped, EngineError) and not self._told_stopped:
            self._told_stopped = True
            if error is not stopped and (error is None or error is not stopped.__cause__):
                problems.insert(0, stopped)
                message = "the engine stopped before its work was done"
        if not problems:
            return
        if error is not None:
            if is_asyncio_cancellation(error):
                # asyncio knows a cancellation by its type only, so a group would undo it.
                tell_asyncio(problems)
                return
            problems.insert(0, error)
        raise BaseExceptionGroup(message, problems)
