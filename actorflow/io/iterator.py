"""What every iterator offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from actorflow.engine import Resource, current_engine
from actorflow.errors import ActorflowError
from actorflow.io.ahead import Ahead, Ended, Job
from actorflow.io.batch import DataBatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from actorflow.io.batch import DataDesc, Numbers
    from actorflow.io.state import State
    from actorflow.ndarray import NDArray

__all__ = ["BatchIter", "DataIter"]


class DataIter:
    """The base of iterators: MXNet's interface and Python's.

    A subclass writes `next`, or `iter_next` with `getdata`, `getlabel`, `getpad` and `getindex`,
    and the properties `provide_data` and `provide_label`. It can be used with `for`, with
    `async for` (then `next` runs as an operation on the engine's device "io", so that it may
    block), and in a `PrefetchingIter`. One that can be resumed also writes `state_dict` and
    `load_state_dict`.

    As a context manager, with `with` or `async with`, it is closed at the end of the block.

    Attributes:
      batch_size: examples of a batch.
    """

    batch_size: int
    default_bucket_key: Any
    _one: Ahead[DataBatch] | None = None
    _turns: Resource | None = None

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    @property
    def provide_data(self) -> list[DataDesc]:
        """The names, shapes and data types of a batch's data."""
        raise self._missing("provide_data")

    @property
    def provide_label(self) -> list[DataDesc]:
        """The names, shapes and data types of a batch's labels."""
        raise self._missing("provide_label")

    def reset(self) -> None:
        """Go to the beginning of the next epoch."""

    def iter_next(self) -> bool:
        """Go to the next batch; False if there is none."""
        raise self._missing("next, or iter_next and getdata,")

    def next(self) -> DataBatch:
        """The next batch.

        Raises:
          StopIteration: the epoch is over.
          WouldBlockError: it is not ready, inside a running event loop; use `async for` there.
          Exception: what the source raised.
        """
        if not self.iter_next():
            raise StopIteration
        return DataBatch(
            data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex()
        )

    def getdata(self) -> Sequence[NDArray] | None:
        """The data of the batch to which `iter_next` went."""
        raise self._missing("getdata")

    def getlabel(self) -> Sequence[NDArray] | None:
        """The labels of the batch to which `iter_next` went; None without labels."""
        return None

    def getpad(self) -> int | None:
        """How many examples at the end of the batch only fill it up."""
        return 0

    def getindex(self) -> Numbers | None:
        """The numbers of the batch's examples in their source; None if they have none."""
        return None

    def state_dict(self) -> State:
        """Where it stands, as plain data that JSON can hold.

        What was read ahead and not handed out counts as not read.

        Raises:
          NotImplementedError: this kind of iterator cannot say.
        """
        raise self._missing("state_dict")

    def load_state_dict(self, state: State) -> None:  # noqa: ARG002 -- for subclasses
        """Go to where an iterator of the same kind and data stood at its `state_dict`.

        Raises:
          TypeError, FormatError: it is no such state; then nothing has changed.
          NotImplementedError: this kind of iterator cannot do that.
        """
        raise self._missing("load_state_dict")

    def close(self) -> None:
        """Give up what it reads from. Returns at once; what runs ends by itself, unheard."""
        if self._one is not None:
            self._one.drop()
            self._one = None

    def _missing(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not define {what} of a DataIter")

    def _check_state(self, state: object) -> None:
        """Raise what `load_state_dict` would, without changing anything."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DataBatch:
        if self._one is not None and self._one.holds:
            try:  # `async for` was cancelled while it waited for this batch
                return self._one.take()
            except Ended:
                self._one = None
                raise StopIteration from None
        return self.next()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DataBatch:
        if self._one is None:
            self._turns = self._turns or Resource(type(self).__name__)
            self._one = Ahead(type(self).__name__, lambda: Job(self.next), self._turns, 0)
        try:
            return await self._one.take_async()
        except Ended:
            self._one = None
            raise StopAsyncIteration from None
        except Exception:
            self._one = None  # the next call asks the source again
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class BatchIter(DataIter):
    """An iterator that gives whole batches: what `getdata` and the rest say comes from the last.

    A subclass writes `_take` and `_take_async`, which raise `Ended` at the end of an epoch.
    """

    kind: ClassVar[str]
    _batch: DataBatch | None = None
    _closed = False

    def _take(self) -> DataBatch:
        raise self._missing("_take")

    async def _take_async(self) -> DataBatch:
        raise self._missing("_take_async")

    def next(self) -> DataBatch:
        """The next batch; see `DataIter.next`."""
        self._check_open()
        try:
            self._batch = self._take()
        except Ended:
            raise StopIteration from None
        return self._batch

    def iter_next(self) -> bool:
        """Go to the next batch; False if there is none."""
        try:
            self.next()
        except StopIteration:
            return False
        return True

    def __next__(self) -> DataBatch:
        return self.next()

    async def __anext__(self) -> DataBatch:
        self._check_open()
        try:
            self._batch = await self._take_async()
        except Ended:
            await current_engine().wait_room()
            raise StopAsyncIteration from None
        return self._batch

    def _last_batch(self) -> DataBatch:
        if self._batch is None:
            raise ActorflowError(f"{type(self).__name__}: there is no batch yet; call next() first")
        return self._batch

    def getdata(self) -> Sequence[NDArray] | None:
        """The data of the last batch."""
        return self._last_batch().data

    def getlabel(self) -> Sequence[NDArray] | None:
        """The labels of the last batch."""
        return self._last_batch().label

    def getpad(self) -> int | None:
        """How many examples at the end of the last batch only fill it up."""
        return self._last_batch().pad

    def getindex(self) -> Numbers | None:
        """The numbers of the last batch's examples in their source."""
        return self._last_batch().index

    def _check_open(self) -> None:
        if self._closed:
            raise ActorflowError(f"{type(self).__name__}: it was closed")
