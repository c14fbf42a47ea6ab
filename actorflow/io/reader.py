"""Iterators of this package: each batch is written by an operation, some of them ahead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import attrs

from actorflow.engine import Resource
from actorflow.io.ahead import Ahead, Job, quiet_after
from actorflow.io.iterator import BatchIter
from actorflow.io.order import checked_integer
from actorflow.io.state import State, checked, wrapped
from actorflow.ndarray import NDArray, empty

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.engine import Accessible
    from actorflow.io.ahead import Step
    from actorflow.io.batch import DataBatch, DataDesc

__all__ = ["Read", "Reader", "Work"]

_QUICK = 4 << 10  # bytes; a worker takes longer to wake than to copy so many


@attrs.frozen
class Work:
    """How to make one batch.

    Attributes:
      fill: given the arrays of data and of labels, writes them and gives the batch and the position
        behind it; runs as an operation that was granted the arrays.
      data, label: what the arrays look like.
      reads: arrays that it reads.
      steps: given the same arrays, the operations that write them, if it takes several; `fill` then
        runs behind all of these, and only reads.
    """

    fill: Callable[[list[NDArray], list[NDArray]], Read]
    data: Sequence[DataDesc]
    label: Sequence[DataDesc]
    reads: Sequence[Accessible] = ()
    steps: Callable[[list[NDArray], list[NDArray]], Sequence[Step]] | None = None


Read: TypeAlias = "tuple[DataBatch, State]"


class Reader(BatchIter, ABC):
    """An iterator whose batches are read ahead.

    A subclass writes

    - `_plan(position)`: the `Work` for the batch at a position and the position behind it, or None
      at the end of the epoch. It is called by the consumer and must not read. Where only reading
      tells what is behind a batch, the work's `fill` does, and the position given here is not used.
    - `_next_epoch(position)`: where an epoch begins when the one before was left at a position.
    - `_check_position(position)`: the position, checked; `_identity()`: of what data it is.
    - `_release()`: give back what it reads from.
    """

    _device = "io"

    def __init__(self, batch_size: int, ahead: int, position: State) -> None:
        super().__init__(checked_integer(self._who, "batch_size", batch_size, 1))
        self._depth = checked_integer(self._who, "prefetch_buffer", ahead, 0)
        self._chain = Resource(self._who)
        self._position = position  # behind the last batch that was handed out
        self._ahead: Ahead[Read] | None = None

    @property
    def _who(self) -> str:
        return type(self).__name__

    @abstractmethod
    def _plan(self, position: State) -> tuple[Work, State] | None:
        """The work for the batch at a position, and the position behind it."""

    @abstractmethod
    def _next_epoch(self, position: State) -> State:
        """Where the next epoch begins."""

    @abstractmethod
    def _check_position(self, position: State) -> State:
        """The position, checked."""

    @abstractmethod
    def _identity(self) -> State:
        """Of what data it is."""

    def _release(self) -> None:
        """Give back what it reads from; all operations have ended."""

    def _reading(self) -> Ahead[Read]:
        """The batches from the position on."""
        if self._ahead is None:
            planned = self._position

            def next_job() -> Job[Read] | None:
                nonlocal planned
                plan = self._plan(planned)
                if plan is None:
                    return None
                work, planned = plan
                return self._job(work)

            self._ahead = Ahead(self._who, next_job, self._chain, self._depth)
        return self._ahead

    def _job(self, work: Work) -> Job[Read]:
        data = [empty(each.shape, dtype=each.dtype) for each in work.data]
        label = [empty(each.shape, dtype=each.dtype) for each in work.label]
        fill = partial(work.fill, data, label)
        held = [each.resource for each in (*data, *label)]
        if work.steps is not None:
            steps = work.steps(data, label)
            return Job(fill, reads=held, device="cpu(0)", quick=True, steps=steps)
        nbytes = sum(each.nbytes for each in (*data, *label))
        return Job(
            fill,
            reads=work.reads,
            writes=held,
            device=self._device,
            nbytes=nbytes,
            quick=nbytes < _QUICK and self._device != "io",
        )

    def _take(self) -> DataBatch:
        batch, self._position = self._reading().take()
        return batch

    async def _take_async(self) -> DataBatch:
        batch, self._position = await self._reading().take_async()
        return batch

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.drop()
            self._ahead = None

    def reset(self) -> None:
        """Go to the beginning of the next epoch. Waits for nothing."""
        self._check_open()
        self._drop_ahead()
        self._batch = None
        self._position = self._next_epoch(self._position)

    def state_dict(self) -> State:
        """Where it stands, as plain data; batches read ahead count as not read."""
        return wrapped(self._who, self._identity(), self._position)

    def load_state_dict(self, state: State) -> None:
        """Go to where an iterator of this kind and data stood; see `DataIter.load_state_dict`."""
        self._check_open()
        position = self._checked(state)
        self._drop_ahead()
        self._batch = None
        self._position = position

    def _checked(self, state: object) -> State:
        return self._check_position(checked(self._who, self._identity(), state))

    def _check_state(self, state: object) -> None:
        self._checked(state)

    def close(self) -> None:
        """Give up what it reads from. Returns at once; what runs ends by itself, unheard."""
        if not self._closed:
            self._closed = True
            self._drop_ahead()
            quiet_after(self._last_reads(), self._release, self._who)

    def _last_reads(self) -> Resource:
        """What all operations write that read from what `_release` gives back."""
        return self._chain
