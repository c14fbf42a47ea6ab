"""Iterators over rows that any batch may pick from: arrays in memory."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.errors import FormatError
from actorflow.io.batch import DataBatch, DataDesc
from actorflow.io.order import LAST, Order, checked_integer
from actorflow.io.reader import Read, Reader, Work
from actorflow.io.state import State, counts
from actorflow.ndarray import NDArray, array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.engine import Accessible
    from actorflow.io.order import Rows

__all__ = ["NDArrayIter", "RowReader"]

_MAX_EPOCHS = 2**62
_SAMPLE = 32  # rows that tell one set of data from another of the same shape


class RowReader(Reader):
    """What iterates over numbered rows in an order that the seed decides.

    A subclass writes `_gather(rows, data, label)`, and what `Reader` asks for beyond the order.
    """

    def __init__(self, order: Order, ahead: int) -> None:
        who = self._who
        if order.last not in LAST:
            raise ValueError(
                f"{who}: last_batch_handle must be one of {', '.join(LAST)}, got {order.last!r}"
            )
        if order.last != "pad" and order.batch_size > order.count:
            raise ValueError(
                f"{who}: batch_size is {order.batch_size}, but there are only {order.count} rows, "
                f"which {order.last!r} would never give; needs at most {order.count}, or 'pad'"
            )
        super().__init__(order.batch_size, ahead, {"epoch": 0, "carried": 0, "batch": 0})
        self._order = order

    @abstractmethod
    def _gather(self, rows: Rows, data: list[NDArray], label: list[NDArray]) -> None:
        """Write the rows into the arrays of a batch; as an operation that was granted them."""

    def _sources(self) -> Sequence[Accessible]:
        """What reading the rows reads."""
        return ()

    def _plan(self, position: State) -> tuple[Work, State] | None:
        number = position["batch"]
        if number >= self._order.batches(position["carried"]):
            return None
        behind = {**position, "batch": number + 1}
        fill = partial(self._fill, position, behind)
        return Work(fill, self.provide_data, self.provide_label, self._sources()), behind

    def _fill(
        self, position: State, behind: State, data: list[NDArray], label: list[NDArray]
    ) -> Read:
        rows, pad = self._order.batch(position["epoch"], position["carried"], position["batch"])
        self._gather(rows, data, label)
        return DataBatch(data, label, pad=pad, index=rows), behind

    def _next_epoch(self, position: State) -> State:
        carried = self._order.left(position["carried"], position["batch"])
        return {"epoch": position["epoch"] + 1, "carried": carried, "batch": 0}

    def _check_position(self, position: State) -> State:
        order = self._order
        most = order.batch_size - 1 if order.last == "roll_over" else 0
        found = counts(self._who, position, epoch=_MAX_EPOCHS, carried=most)
        if found["carried"] and not found["epoch"]:
            raise FormatError(f"{self._who}.load_state_dict: nothing can roll over into epoch 0")
        batches = order.batches(found["carried"])
        return found | counts(self._who, position, batch=batches)

    def _identity(self) -> State:
        order = self._order
        names = ("count", "batch_size", "shuffle", "seed", "last")
        return {name: getattr(order, name) for name in names}


class NDArrayIter(RowReader):
    """Batches of rows of arrays.

    Args:
      data: an array (of NumPy, or an NDArray), a list of arrays, or a dict of them by name, which
        is taken in the order of the names. All have as many rows. An NDArray is used as it is, with
        what is written to it later; all else is copied into float32.
      label: likewise, or None.
      batch_size: rows of a batch.
      shuffle: give each epoch an order of its own, which `seed` and the number of the epoch alone
        decide.
      last_batch_handle: what becomes of rows that do not fill a batch: "pad" fills it up with the
        epoch's first rows (`DataBatch.pad` says how many), "discard" leaves them out, "roll_over"
        begins the next epoch with them, if this one was read to its end.
      data_name, label_name: the name of a single array; several of a list are called
        `_0_data`, `_1_data` and so on.
      seed: of the order, at least 0.
      prefetch_buffer: batches that are made before they are asked for.

    `DataBatch.index` has the numbers of the rows.

    Raises:
      TypeError: something that no array can be made of.
      ValueError: no row, different numbers of rows, a batch larger than the data (other than with
        "pad"), or an argument that is not of the kind given above.
    """

    _device = "cpu(0)"

    def __init__(
        self,
        data: Any,  # noqa: ANN401 -- see above
        label: Any = None,  # noqa: ANN401
        batch_size: int = 1,
        shuffle: bool = False,  # noqa: FBT001, FBT002 -- MXNet's signature
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        *,
        seed: int = 0,
        prefetch_buffer: int = 1,
    ) -> None:
        named = _named(self._who, "data", data, data_name)
        labels = [] if label is None else _named(self._who, "label", label, label_name)
        if not named:
            raise ValueError(f"{self._who}: data has no array; needs at least one")
        counted = {name: each.shape[0] for name, each in (*named, *labels)}
        if len(set(counted.values())) > 1:
            said = ", ".join(f"{name} {count}" for name, count in counted.items())
            raise ValueError(f"{self._who}: all arrays need the same number of rows, got {said}")
        count = next(iter(counted.values()))
        if not count:
            raise ValueError(f"{self._who}: data has no rows; needs at least one")
        batch_size = checked_integer(self._who, "batch_size", batch_size, 1)
        seed = checked_integer(self._who, "seed", seed, 0)
        order = Order(count, batch_size, bool(shuffle), seed, last_batch_handle)
        super().__init__(order, prefetch_buffer)
        self._data = [(name, _as_array(each)) for name, each in named]
        self._label = [(name, _as_array(each)) for name, each in labels]
        self._sums = {name: _sum(each) for name, each in (*named, *labels)}

    @property
    def num_data(self) -> int:
        """How many rows there are."""
        return self._order.count

    @property
    def provide_data(self) -> list[DataDesc]:
        """The names, shapes and data types of a batch's data."""
        return self._described(self._data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """The names, shapes and data types of a batch's labels."""
        return self._described(self._label)

    def _described(self, arrays: list[tuple[str, NDArray]]) -> list[DataDesc]:
        return [
            DataDesc(name, (self.batch_size, *each.shape[1:]), each.dtype) for name, each in arrays
        ]

    def hard_reset(self) -> None:
        """Go to the beginning of the next epoch, without what would roll over."""
        self.reset()
        self._position["carried"] = 0

    def _sources(self) -> Sequence[Accessible]:
        return [each.resource for _, each in (*self._data, *self._label)]

    def _gather(self, rows: Rows, data: list[NDArray], label: list[NDArray]) -> None:
        for (_, source), target in zip((*self._data, *self._label), (*data, *label), strict=True):
            # All rows exist; to be asked to raise if not, NumPy would copy once more.
            np.take(source._data(), rows, axis=0, out=target._data(), mode="clip")

    def _identity(self) -> State:
        arrays = {
            name: [list(each.shape), each.dtype.name, self._sums[name]]
            for name, each in (*self._data, *self._label)
        }
        return {**super()._identity(), "arrays": arrays}


def _named(who: str, what: str, given: Any, default: str) -> list[tuple[str, Any]]:  # noqa: ANN401
    """The arrays with their names, each an NDArray or of NumPy."""
    arrays: Mapping[str, Any]
    if isinstance(given, dict):
        arrays = dict(sorted(given.items()))
    elif isinstance(given, list | tuple):
        single = len(given) == 1
        arrays = {default if single else f"_{i}_{default}": each for i, each in enumerate(given)}
    else:
        arrays = {default: given}
    found = []
    for name, each in arrays.items():
        value = each if isinstance(each, NDArray) else np.asarray(each)
        if not isinstance(value, NDArray) and (value.dtype.kind not in "biuf" or not value.ndim):
            raise TypeError(
                f"{who}: {what} {name!r} has to be an array of numbers with at least one axis, "
                f"got {type(each).__name__}; a list is taken as a list of arrays"
            )
        found.append((str(name), value))
    return found


def _as_array(value: NDArray | np.ndarray[Any, Any]) -> NDArray:
    return value if isinstance(value, NDArray) else array(value)


def _sum(value: NDArray | np.ndarray[Any, Any]) -> int | None:
    """A checksum of some rows; None for an NDArray, whose content may still be computed."""
    if isinstance(value, NDArray):
        return None
    from zlib import crc32  # noqa: PLC0415 -- only for this

    rows = np.linspace(0, len(value) - 1, min(len(value), _SAMPLE)).astype(np.int64)
    return crc32(np.ascontiguousarray(value[rows], np.float32).tobytes())
