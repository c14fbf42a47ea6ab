"""Epochs of another length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.errors import ActorflowError
from actorflow.io.ahead import Ended
from actorflow.io.iterator import BatchIter, DataIter
from actorflow.io.order import checked_integer
from actorflow.io.state import State, checked, counts, wrapped

if TYPE_CHECKING:
    from actorflow.io.batch import DataBatch, DataDesc

__all__ = ["ResizeIter", "as_iterator"]


class ResizeIter(BatchIter):
    """Another iterator's batches in epochs of `size` batches.

    Where the other one ends it is reset, and goes on.

    Args:
      data_iter: the other iterator; closed with this one.
      size: batches of an epoch, at least 1.
      reset_internal: whether `reset` resets the other one, too; if not, an epoch begins where the
        last one ended.

    Raises:
      TypeError: `data_iter` is no `DataIter`.
      ValueError: `size` is less than 1.
    """

    def __init__(
        self,
        data_iter: DataIter,
        size: int,
        reset_internal: bool = True,  # noqa: FBT001, FBT002 -- MXNet's signature
    ) -> None:
        self.data_iter = as_iterator("ResizeIter", "data_iter", data_iter)
        self.size = checked_integer("ResizeIter", "size", size, 1)
        self.reset_internal = bool(reset_internal)
        super().__init__(data_iter.batch_size)
        self._done = 0
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    @property
    def provide_data(self) -> list[DataDesc]:
        """What the other iterator says."""
        return self.data_iter.provide_data

    @property
    def provide_label(self) -> list[DataDesc]:
        """What the other iterator says."""
        return self.data_iter.provide_label

    def _take(self) -> DataBatch:
        if self._done >= self.size:
            raise Ended
        try:
            batch = next(self.data_iter)
        except StopIteration:
            self.data_iter.reset()
            try:
                batch = next(self.data_iter)
            except StopIteration:
                raise self._empty() from None
        self._done += 1
        return batch

    async def _take_async(self) -> DataBatch:
        if self._done >= self.size:
            raise Ended
        try:
            batch = await anext(self.data_iter)
        except StopAsyncIteration:
            self.data_iter.reset()
            try:
                batch = await anext(self.data_iter)
            except StopAsyncIteration:
                raise self._empty() from None
        self._done += 1
        return batch

    def _empty(self) -> ActorflowError:
        name = type(self.data_iter).__name__
        return ActorflowError(f"ResizeIter: {name} has no batch, also after reset(); needs one")

    def reset(self) -> None:
        """Begin the next epoch."""
        self._check_open()
        self._done = 0
        self._batch = None
        if self.reset_internal:
            self.data_iter.reset()

    def state_dict(self) -> State:
        """Where it and the other iterator stand."""
        position = {"done": self._done, "inner": self.data_iter.state_dict()}
        return wrapped("ResizeIter", {"size": self.size}, position)

    def load_state_dict(self, state: State) -> None:
        """Go to where an iterator of the same kind and data stood."""
        self._check_open()
        done, inner = self._checked(state)
        self.data_iter.load_state_dict(inner)
        self._done = done
        self._batch = None

    def _checked(self, state: object) -> tuple[int, State]:
        position = checked("ResizeIter", {"size": self.size}, state)
        done: int = counts("ResizeIter", position, done=self.size)["done"]
        self.data_iter._check_state(position.get("inner"))
        return done, position["inner"]

    def _check_state(self, state: object) -> None:
        self._checked(state)

    def close(self) -> None:
        """Close the other iterator."""
        self._closed = True
        self.data_iter.close()


def as_iterator(who: str, name: str, value: object) -> DataIter:
    """An argument that has to be a `DataIter`.

    Raises:
      TypeError: it is none.
    """
    if not isinstance(value, DataIter):
        raise TypeError(f"{who}: {name} has to be a DataIter, got {type(value).__name__}")
    return value
