"""What a run waits for, and who waits: a script that blocks, or a task.

A run is a generator that never waits itself. It gives requests, each of which says what it needs
next, and is sent the answer; where the numbers of a batch or of an epoch are known it gives a
`Report`. `drive` answers by blocking, and `Driven` by awaiting.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar

import attrs

from actorflow.engine import current_engine
from actorflow.training.report import Report

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from actorflow.engine import Operation
    from actorflow.io import DataBatch, DataIter
    from actorflow.ndarray import NDArray
    from actorflow.training.evaluation import EvalMetric

__all__ = [
    "Arrays",
    "Call",
    "Counted",
    "Done",
    "Driven",
    "NextBatch",
    "Request",
    "Seen",
    "Steps",
    "drive",
]

T = TypeVar("T")


@attrs.frozen
class NextBatch:
    """The next batch of an iterator; None at the end of its epoch."""

    iterator: DataIter

    def wait(self) -> DataBatch | None:
        """Wait, blocking."""
        return next(self.iterator, None)

    async def wait_async(self) -> DataBatch | None:
        """Wait in a task, until there is room for one more batch, too."""
        await current_engine().wait_room()
        try:
            return await anext(self.iterator)
        except StopAsyncIteration:
            return None


@attrs.frozen
class Done:
    """The end of an operation; the answer is what it returned."""

    operation: Operation

    def wait(self) -> Any:  # noqa: ANN401
        """Wait, blocking."""
        return self.operation.wait()

    async def wait_async(self) -> Any:  # noqa: ANN401
        """Wait in a task."""
        return await self.operation


@attrs.frozen
class Counted:
    """That a metric has counted all batches so far. A script need not wait: `get` does."""

    metric: EvalMetric

    def wait(self) -> None:
        """Do nothing."""

    async def wait_async(self) -> None:
        """Wait in a task."""
        await self.metric.wait_async()


@attrs.frozen
class Arrays:
    """That arrays are computed. A script need not wait: who reads them does."""

    arrays: Sequence[NDArray]

    def wait(self) -> None:
        """Do nothing."""

    async def wait_async(self) -> None:
        """Wait in a task."""
        engine = current_engine()
        for each in self.arrays:
            await engine.wait_async(each.resource)


@attrs.frozen
class Call:
    """That a callback is called, which may wait: by its `call_async` in a task, if it has one.

    Attributes:
      needs: what a callback without may look at, so that it need not wait.
    """

    callback: Callable[..., object]
    args: tuple[Any, ...]
    needs: tuple[Counted | Arrays, ...] = ()

    def wait(self) -> None:
        """Call it."""
        self.callback(*self.args)

    async def wait_async(self) -> None:
        """Call it in a task."""
        call_async = getattr(self.callback, "call_async", None)
        if call_async is not None:
            await call_async(*self.args)
            return
        for each in self.needs:
            await each.wait_async()
        self.callback(*self.args)


@attrs.frozen
class Seen:
    """That what a monitor saw of a batch is logged."""

    monitor: Any
    logger: logging.Logger

    def wait(self) -> None:
        """Wait for it, blocking, and log it."""
        self.monitor.toc_print()

    async def wait_async(self) -> None:
        """Wait for it in a task, and log it."""
        for step, name, text in await self.monitor.toc_async():
            self.logger.info("Batch: %7d %30s %s", step, name, text)


Request: TypeAlias = NextBatch | Done | Counted | Arrays | Call | Seen
Steps: TypeAlias = Generator[Request | Report, Any, T]


def drive(steps: Steps[T]) -> T:
    """Go through a run, blocking; return what it returns. Nobody looks at its reports."""
    answer: Any = None
    error: Exception | None = None
    while True:
        try:
            request = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result
        answer, error = None, None
        if isinstance(request, Report):
            continue
        try:
            answer = request.wait()
        except Exception as raised:  # noqa: BLE001 -- the run says where it was
            error = raised


class Driven(Generic[T]):
    """A run as an asynchronous iterator of its reports, under trio or asyncio.

    A cancellation ends a wait, and nothing else: what has been sent goes on, and whoever asks for
    the next report goes on where the run was.

    Attributes:
      result: what the run returned, once it is over.
    """

    result: T

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self._request: Request | None = None  # what is waited for, or was when it was cancelled
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Report:
        """The next report.

        Raises:
          TrainingError: the run has failed.
          StopAsyncIteration: it is over.
        """
        answer: Any = None
        error: Exception | None = None
        while not self._over:
            if self._request is not None:
                try:
                    answer = await self._request.wait_async()
                except Exception as raised:  # noqa: BLE001 -- the run says where it was
                    error = raised
                self._request = None
            try:
                found = self._steps.send(answer) if error is None else self._steps.throw(error)
            except StopIteration as stop:
                self.result = stop.value
                self._over = True
                break
            except BaseException:
                self._over = True
                raise
            answer, error = None, None
            if isinstance(found, Report):
                return found
            self._request = found
        raise StopAsyncIteration

    async def finish(self) -> T:
        """Go on to the end; return what the run returns."""
        async for _ in self:
            continue
        return self.result

    async def aclose(self) -> None:
        """End the run where it is."""
        self._over = True
        self._steps.close()
