"""Reading ahead: a bounded number of operations, each of which makes the next item of a source."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from actorflow.engine import Resource, current_engine
from actorflow.errors import ActorflowError, EngineClosedError, OperationCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from actorflow.engine import Accessible, Engine, Operation

__all__ = ["Ahead", "Ended", "Job", "Step", "quiet_after"]

T = TypeVar("T")


@attrs.frozen
class Step:
    """An operation without which the item's cannot do: what `run` raises comes instead of the item.

    If several steps of an item fail, the first one in the item's order counts, whichever ended
    first.
    """

    run: Callable[[], object]
    reads: Sequence[Accessible] = ()
    writes: Sequence[Accessible] = ()
    device: str = "io"
    nbytes: int = 0


@attrs.frozen
class Job(Generic[T]):
    """What one operation is to do: `make` gives the item, or raises StopIteration at the end.

    Before it come the `steps`, in this order. What each reads and writes says which of them may run
    side by side.
    """

    make: Callable[[], T]
    reads: Sequence[Accessible] = ()
    writes: Sequence[Accessible] = ()
    device: str = "io"
    nbytes: int = 0
    quick: bool = False
    steps: Sequence[Step] = ()


class Ended(Exception):  # noqa: N818 -- nothing is wrong
    """The source has no further item."""


@attrs.frozen
class _Outcome(Generic[T]):
    item: T | None = None
    error: Exception | None = None
    traceback: TracebackType | None = None


@attrs.define
class _Item(Generic[T]):
    """One item under way.

    Attributes:
      job: how it is made.
      operations: what was pushed for it: its steps so far, at last what gives it.
      failed: by the number of the step, what went wrong; each is written by its own operation.
    """

    job: Job[T]
    operations: list[Operation] = attrs.Factory(list)
    failed: dict[int, Exception] = attrs.Factory(dict)

    @property
    def next(self) -> Step | Job[T]:
        """What is to be pushed next."""
        done = len(self.operations)
        return self.job.steps[done] if done < len(self.job.steps) else self.job

    @property
    def whole(self) -> bool:
        """Whether all of it was pushed."""
        return len(self.operations) > len(self.job.steps)


class Ahead(Generic[T]):
    """The items of a source, in order, of which up to `depth` are made before they are asked for.

    Operations that give items follow each other: each writes `chain`, which the source keeps for
    all its life, so that one that still runs when the source is reset ends before the next begins.
    Their steps keep what order they declare.
    A source that fails does not fail the operation: an item that nobody comes to ask for has to
    fail silently, and the engine would report it.

    One thread or task at a time may ask; any may drop it.

    Args:
      who: the iterator's name.
      next_job: called by the consumer; what to do for the next item, or None if there is none.
      chain: what all operations of the source write.
      depth: how many items may be ready that nobody has taken.
    """

    def __init__(
        self, who: str, next_job: Callable[[], Job[T] | None], chain: Resource, depth: int
    ) -> None:
        self._who = who
        self._next_job = next_job
        self._chain = chain
        self._depth = depth
        self._lock = threading.RLock()  # between asking and dropping
        self._queue: deque[_Item[T]] = deque()  # only the last one may be pushed in part
        self._over = False  # no further job is to be made
        self._stopped = False  # no further item is to be made; written by operations
        self._dropped = False

    def ready(self) -> T:
        """Wait, blocking, for the next item, and leave it where it is.

        Raises:
          Ended: there is none.
          ActorflowError: another task or thread has dropped everything meanwhile.
          WouldBlockError: it is not ready, inside a running event loop.
          Exception: what the source raised; again each time.
        """
        return self._ready()[1]

    async def ready_async(self) -> T:
        """Do like `ready` in a task. A cancellation ends the wait, and the item stays."""
        return (await self._ready_async())[1]

    def pop(self) -> None:
        """Remove the item that `ready` gave.

        Raises:
          ActorflowError: another task or thread has dropped everything meanwhile.
        """
        with self._lock:
            if not self._queue:
                raise self._lost()
            self._queue.popleft()

    def take(self) -> T:
        """Wait, blocking, for the next item and remove it; raises what `ready` raises.

        And an ActorflowError if another task or thread has taken the item meanwhile.
        """
        return self._taken(*self._ready())

    async def take_async(self) -> T:
        """Do like `take` in a task."""
        return self._taken(*await self._ready_async())

    def _ready(self) -> tuple[_Item[T], T]:
        while self._wanted() is not None:
            self._push()
        first = self._first()
        try:
            outcome: _Outcome[T] = first.operations[-1].wait()
        except OperationCancelled as error:
            raise self._lost() from error
        return first, self._item(outcome)

    async def _ready_async(self) -> tuple[_Item[T], T]:
        while (job := self._wanted()) is not None:
            await current_engine().wait_room(job.nbytes)
            self._push()
        first = self._first()
        try:
            outcome: _Outcome[T] = await first.operations[-1]
        except OperationCancelled as error:
            raise self._lost() from error
        return first, self._item(outcome)

    def _taken(self, first: _Item[T], item: T) -> T:
        with self._lock:
            if self._dropped:
                raise self._lost()
            if not self._queue or self._queue[0] is not first:
                raise ActorflowError(
                    f"{self._who}: another task or thread has taken the batch that this one waited "
                    "for; one at a time may ask"
                )
            self._queue.popleft()
        return item

    def _lost(self) -> ActorflowError:
        return ActorflowError(
            f"{self._who}: it was reset or closed while its next batch was waited for"
        )

    @property
    def holds(self) -> bool:
        """Whether an item was asked for, or made ahead, that nobody has taken."""
        return bool(self._queue)

    def drop(self) -> None:
        """Take back what has not started, and forget the rest."""
        with self._lock:
            self._stopped = self._over = self._dropped = True
            for item in self._queue:
                for operation in reversed(item.operations):
                    operation.cancel()
            self._queue.clear()

    def _wanted(self) -> Step | Job[T] | None:
        """What to push next, if one more item is to be made or the last one is not whole."""
        with self._lock:
            if self._queue and not self._queue[-1].whole:
                return self._queue[-1].next
            if self._over or len(self._queue) > self._depth:
                return None
            job = self._next_job()
            if job is None:
                self._over = True
                return None
            self._queue.append(_Item(job))
            return self._queue[-1].next

    def _push(self) -> None:
        with self._lock:
            if not self._queue or self._queue[-1].whole:
                return  # another task has pushed it
            item = self._queue[-1]
            wanted = item.next
            if isinstance(wanted, Step):
                operation = current_engine().push(
                    partial(self._run_step, item, len(item.operations), wanted),
                    reads=wanted.reads,
                    writes=wanted.writes,
                    device=wanted.device,
                    name=self._who,
                    nbytes=wanted.nbytes,
                )
            else:
                operation = current_engine().push(
                    partial(self._run, item),
                    reads=wanted.reads,
                    writes=(self._chain, *wanted.writes),
                    device=wanted.device,
                    name=self._who,
                    nbytes=wanted.nbytes,
                    quick=wanted.quick,
                )
            item.operations.append(operation)

    def _run_step(self, item: _Item[T], number: int, step: Step) -> None:
        """As an operation: a step, unless the item is no longer wanted."""
        if self._stopped:
            return
        try:
            step.run()
        except Exception as error:  # noqa: BLE001 -- user code ends here; `ready` raises it
            item.failed[number] = error

    def _run(self, item: _Item[T]) -> _Outcome[T]:
        """As an operation: the next item, the end, or why there is none."""
        if self._stopped:
            return _Outcome(error=Ended())
        if item.failed:
            self._stopped = True
            failed = item.failed[min(item.failed)]
            return _Outcome(error=failed, traceback=failed.__traceback__)
        try:
            return _Outcome(item.job.make())
        except StopIteration:
            self._stopped = True
            return _Outcome(error=Ended())
        except Exception as error:  # noqa: BLE001 -- user code ends here; `ready` raises it
            self._stopped = True
            return _Outcome(error=error, traceback=error.__traceback__)

    def _first(self) -> _Item[T]:
        with self._lock:
            if self._dropped:
                raise self._lost()
            if not self._queue:
                raise Ended
            return self._queue[0]

    def _item(self, outcome: _Outcome[T]) -> T:
        if outcome.error is not None:
            if self._dropped:  # what ended the item is not the source's end
                raise self._lost()
            # The same exception may be raised often: its traceback must not grow.
            raise outcome.error.with_traceback(outcome.traceback)
        return outcome.item  # type: ignore[return-value]  # there is one if there is no error


def quiet_after(chain: Resource, last: Callable[[], Any], who: str) -> None:
    """Call `last` behind all operations of a source that were pushed so far, without waiting."""
    engine: Engine | None = chain.owner
    if engine is None or chain.idle:
        last()
        return
    try:
        engine.push(last, writes=[chain], device="io", name=f"{who}.close")
    except EngineClosedError:
        last()  # a closed engine has nothing in flight
    except ActorflowError as error:
        error.add_note(f"{who}: what it read from could not be closed")
        raise
