"""Numbers in text files."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import attrs
import numpy as np

from actorflow.errors import FormatError
from actorflow.io.batch import DataBatch, DataDesc, Numbers
from actorflow.io.order import checked_integer, checked_path
from actorflow.io.reader import Read, Reader, Work
from actorflow.io.state import State, counts
from actorflow.io.text import Lines, Place
from actorflow.recordio import open_source

if TYPE_CHECKING:
    import os

    from actorflow.ndarray import NDArray
    from actorflow.recordio.storage import Source

__all__ = ["CSVIter"]

_HEAD: Final = 1 << 16  # bytes whose checksum tells one file from another of the same length
_MOST: Final = 2**62


@attrs.define
class _Cursor:
    """Where the reading ahead stands; the operations have it, one after the other.

    Attributes:
      row: the number of the next row of data.
      data, label: the places in both files.
      ended: whether the last batch of the epoch was given; the next epoch then begins here.
    """

    row: int
    data: Place
    label: Place
    ended: bool

    def position(self) -> State:
        """As plain data."""
        return {
            "row": self.row,
            "offset": self.data.offset,
            "line": self.data.line,
            "label_offset": self.label.offset,
            "label_line": self.label.line,
            "ended": int(self.ended),
        }

    @classmethod
    def at(cls, position: State) -> _Cursor:
        """Make one of plain data."""
        data = Place(position["offset"], position["line"])
        label = Place(position["label_offset"], position["label_line"])
        return cls(position["row"], data, label, bool(position["ended"]))

    def rewind(self) -> None:
        """Go to the beginning of both files."""
        self.row, self.data, self.label = 0, Place(), Place()


_START: Final = _Cursor(0, Place(), Place(), ended=False)


class CSVIter(Reader):
    """Batches of lines of numbers with commas between them. Blank lines do not count.

    The file is read in order, a batch at a time, and may be larger than memory.

    Args:
      data_csv: a path or an fsspec URL.
      data_shape: the shape of one line's numbers.
      label_csv: a file with the labels, one line for each line of data; labels are 0 without it.
      label_shape: the shape of one label; (1,) gives labels of shape (batch_size,).
      batch_size: lines of a batch.
      round_batch: what follows if the lines do not fill the last batch, which then is filled up
        with the first lines (`DataBatch.pad` says how many): the next epoch begins behind these,
        or, if it is false, at the first line.
      prefetch_buffer: batches that are read before they are asked for.
      dtype: of data and labels.
      data_name, label_name: what they are called.

    `DataBatch.index` has the numbers of the lines, from 0, blank ones left out.

    Raises:
      OSError: a file cannot be opened.
      MissingExtraError: a URL, and what it needs is not installed.
      ValueError, TypeError: an argument is not of the kind given above.

    A line that is not what it should be is a `FormatError` of the batch that it is in.
    """

    def __init__(
        self,
        data_csv: str | os.PathLike[str],
        data_shape: Iterable[int],
        label_csv: str | os.PathLike[str] | None = None,
        label_shape: Iterable[int] = (1,),
        batch_size: int = 1,
        *,
        round_batch: bool = True,
        prefetch_buffer: int = 4,
        dtype: Any = "float32",  # noqa: ANN401 -- whatever NumPy takes for a data type
        data_name: str = "data",
        label_name: str = "softmax_label",
    ) -> None:
        super().__init__(batch_size, prefetch_buffer, _START.position())
        self._round = bool(round_batch)
        self._dtype = _number_type(self._who, dtype)
        self._shape = _shape(self._who, "data_shape", data_shape)
        self._label_shape = _shape(self._who, "label_shape", label_shape)
        flat = () if self._label_shape == (1,) else self._label_shape
        self._desc = DataDesc(data_name, (self.batch_size, *self._shape), self._dtype)
        self._label_desc = DataDesc(label_name, (self.batch_size, *flat), self._dtype)
        self._sources = [open_source(checked_path(self._who, "data_csv", data_csv))]
        try:
            if label_csv is not None:
                self._sources.append(open_source(checked_path(self._who, "label_csv", label_csv)))
            self._files = [
                [each.size(), crc32(each.read(0, min(_HEAD, each.size())))]
                for each in self._sources
            ]
        except BaseException:
            self._release()
            raise
        weakref.finalize(self, _close, self._sources).atexit = False
        self._lines = [
            Lines(self._who, source, int(np.prod(shape)))
            for source, shape in zip(self._sources, (self._shape, self._label_shape), strict=False)
        ]

    @property
    def provide_data(self) -> list[DataDesc]:
        """The name, shape and data type of a batch's data."""
        return [self._desc]

    @property
    def provide_label(self) -> list[DataDesc]:
        """The name, shape and data type of a batch's labels."""
        return [self._label_desc]

    def _plan(self, position: State | _Cursor) -> tuple[Work, Any] | None:
        # Only reading tells where a line ends: the operations hand one cursor on.
        cursor = position if isinstance(position, _Cursor) else _Cursor.at(position)
        return Work(partial(self._fill, cursor), [self._desc], [self._label_desc]), cursor

    def _fill(self, cursor: _Cursor, data: list[NDArray], label: list[NDArray]) -> Read:
        if cursor.ended:
            raise StopIteration
        size, width = self.batch_size, int(np.prod(self._shape))
        index = np.empty(size, np.int64)
        values = np.empty((size, width), self._dtype)
        labels = np.zeros((size, int(np.prod(self._label_shape))), self._dtype)
        done = self._read(cursor, 0, index, values, labels)
        if not done:
            if not cursor.row:
                raise FormatError(f"{self._who}: {self._lines[0].name} has no rows; needs one")
            raise StopIteration
        pad = size - done
        while done < size:
            cursor.rewind()
            done = self._read(cursor, done, index, values, labels)
        if pad:
            cursor.ended = True
            if not self._round or not self._lines[0].has_more(cursor.data):
                cursor.rewind()
        data[0]._data()[...] = values.reshape(self._desc.shape)
        label[0]._data()[...] = labels.reshape(self._label_desc.shape)
        return DataBatch(data, label, pad=pad, index=index), cursor.position()

    def _read(
        self,
        cursor: _Cursor,
        done: int,
        index: Numbers,
        values: Numbers,
        labels: Numbers,
    ) -> int:
        """Fill rows from `done` on, as far as the files go; give how many are filled then."""
        found, behind = self._lines[0].take(cursor.data, len(index) - done, self._dtype)
        end = done + len(found)
        values[done:end] = found
        if len(self._lines) > 1:
            # One more than there should be, where the data ends.
            wanted = len(found) + (end < len(index))
            given, label_behind = self._lines[1].take(cursor.label, wanted, self._dtype)
            if len(given) != len(found):
                row = cursor.row + min(len(given), len(found))
                few, many = ("label", "data") if len(given) < len(found) else ("data", "label")
                raise FormatError(
                    f"{self._who}: {many} has more rows than {few}, which ends after {row}: "
                    f"{self._lines[0].name} and {self._lines[1].name}"
                )
            labels[done:end] = given
            cursor.label = label_behind
        index[done:end] = np.arange(cursor.row, cursor.row + len(found))
        cursor.row += len(found)
        cursor.data = behind
        return end

    def _next_epoch(self, position: State) -> State:
        start = _START.position()
        return {**position, "ended": 0} if position["ended"] else start

    def _check_position(self, position: State) -> State:
        names = ("offset", "label_offset")
        limits = {name: size for name, (size, _) in zip(names, self._files, strict=False)}
        others = dict.fromkeys(("row", "line", "label_line"), _MOST)
        limits.setdefault("label_offset", 0)
        return counts(self._who, position, **limits, **others, ended=1)

    def _identity(self) -> State:
        names = ("data_csv", "label_csv")
        return {
            **dict(zip(names, self._files, strict=False)),
            "data_shape": list(self._shape),
            "label_shape": list(self._label_shape),
            "batch_size": self.batch_size,
            "round_batch": self._round,
            "dtype": self._dtype.name,
        }

    def _release(self) -> None:
        _close(self._sources)


def _close(sources: list[Source]) -> None:
    for source in sources:
        source.close()


def _number_type(who: str, value: Any) -> np.dtype[Any]:  # noqa: ANN401 -- see above
    try:
        found: np.dtype[Any] = np.dtype(value)
    except TypeError as error:
        raise TypeError(f"{who}: dtype {value!r} is no data type") from error
    if found.kind not in "iuf":
        raise TypeError(f"{who}: dtype is {found}; needs integers or floating point numbers")
    return found


def _shape(who: str, name: str, value: Iterable[int]) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{who}: {name} must be a tuple of integers, got {value!r}")
    return tuple(checked_integer(who, name, each, 1) for each in value)
