"""Where the records of a file lie, and reading any of them, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import numpy as np

from actorflow.errors import FormatError
from actorflow.recordio.framing import FIRST, HEADER, LAST, MAGIC, MIDDLE, WHOLE, padded
from actorflow.recordio.reading import next_record, part_borders, read_record, split_word
from actorflow.recordio.storage import read_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.recordio.storage import Source

__all__ = ["Places", "find_places", "read_places"]

Offsets: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]

_HEADER_NBYTES: Final = HEADER.size


@attrs.frozen(eq=False)
class Places:
    """Where the records of a part of a file lie, in the order of the file.

    Attributes:
      starts: the offset of each record, in bytes.
      ends: where the next known one begins, or the part ends; a record may end before that.
    """

    starts: Offsets
    ends: Offsets

    def __len__(self) -> int:
        return len(self.starts)


def find_places(
    source: Source, part_index: int = 0, num_parts: int = 1, index: str | None = None
) -> Places:
    """Where the records of a part of a file begin; `part_range` says what a part is.

    Without an index every header is read, and no payload if the file is local. Where a header is
    damaged, a record is taken to begin all the same, so that whoever reads it gets the error, and
    those behind it are found.

    Args:
      source: the record file.
      part_index, num_parts: which part of how many.
      index: an index of the file, a path or an fsspec URL; what it does not name does not count.

    Raises:
      ValueError: `part_index` is not one of `num_parts`.
      FormatError: a line of the index is damaged, or names an offset past the end of the file.
      OSError: a file cannot be read.
    """
    begin, end = part_borders(source, part_index, num_parts)
    if index is None:
        starts = np.array(_walk(source, begin, end), np.int64)
    else:
        starts = np.unique(_indexed(index, source))
        starts = starts[(starts >= begin) & (starts < end)]
    return Places(starts, np.append(starts[1:], np.int64(end))[: len(starts)])


def read_places(
    source: Source, places: Places, rows: Sequence[int] | np.ndarray[Any, Any], who: str
) -> list[bytes | memoryview]:
    """The records of some places, in the order of `rows`.

    Records that lie one behind the other are read together, a block at a time.

    Raises:
      FormatError: one is damaged; the message begins with `who` and names the first such record,
        the file and the offset.
      OSError: the file cannot be read.
    """
    starts, ends = places.starts[rows].tolist(), places.ends[rows].tolist()
    found: list[bytes | memoryview] = [b""] * len(starts)
    damaged: dict[int, FormatError] = {}
    for run in _runs(starts, ends, source.block_nbytes):
        first, last = starts[run[0]], ends[run[-1]]
        block = b""
        if last - first <= source.block_nbytes:
            block = source.read(first, last - first)
        for number in run:
            try:
                found[number] = _cut(source, block, first, starts[number], who, rows[number])
            except FormatError as error:
                damaged[number] = error
    if damaged:
        raise damaged[min(damaged)]
    return found


def _cut(
    source: Source, block: bytes, origin: int, start: int, who: str, row: int
) -> bytes | memoryview:
    """The record at `start`, out of a block that begins at `origin` if it is whole in there."""
    at = start - origin + _HEADER_NBYTES
    if at <= len(block):
        magic, length = HEADER.unpack_from(block, at - _HEADER_NBYTES)
        # Any other kind than WHOLE makes the word larger than every block.
        if magic == MAGIC and at + padded(length) <= len(block):
            return memoryview(block)[at : at + length]
    return read_record(source, start, f"{who}: record {row}")[0]


def _runs(starts: list[int], ends: list[int], most: int) -> list[list[int]]:
    """The numbers of records that are to be read together, in the order of the file."""
    runs: list[list[int]] = []
    behind = first = -1
    for number in sorted(range(len(starts)), key=starts.__getitem__):
        if starts[number] == behind and ends[number] - first <= most:
            runs[-1].append(number)
        else:
            first = starts[number]
            runs.append([number])
        behind = ends[number]
    return runs


def _walk(source: Source, begin: int, end: int) -> list[int]:
    """The beginnings of the records from `begin` to `end`."""
    size = source.size()
    # Where a request costs more than the bytes that it gives, everything is read.
    remote = source.guess_nbytes > _HEADER_NBYTES
    nbytes = source.block_nbytes if remote else _HEADER_NBYTES
    starts: list[int] = []
    block, origin, at = b"", begin, begin
    inside = False  # a record of several parts
    while at < end:
        if not 0 <= at - origin <= len(block) - _HEADER_NBYTES:
            block, origin = source.read(at, nbytes), at
        whole = at - origin <= len(block) - _HEADER_NBYTES
        magic, word = HEADER.unpack_from(block, at - origin) if whole else (0, 0)
        length, kind = split_word(word)
        behind = at + _HEADER_NBYTES + padded(length)
        if magic != MAGIC or kind > LAST or behind > size:
            if not inside:
                starts.append(at)
            inside = False
            at = next_record(source, at + 4)
            continue
        if kind in {WHOLE, FIRST} or not inside:
            starts.append(at)
        inside = kind in {FIRST, MIDDLE}
        at = behind
    return starts


def _indexed(index: str, source: Source) -> Offsets:
    """The offsets in an index."""
    lines = read_all(index).splitlines()
    size = source.size()
    offsets = np.empty(len(lines), np.int64)
    count = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            _, text = line.split(b"\t")
            offset = int(text)
        except ValueError as error:
            shown = line[:80].decode(errors="replace")
            raise FormatError(
                f"{index}, line {number} is {shown!r}; needs a key, a tab and an offset"
            ) from error
        if not 0 <= offset < size:
            raise FormatError(
                f"{index}, line {number} names offset {offset}; {source.name} has {size} bytes"
            )
        offsets[count] = offset
        count += 1
    return offsets[:count]
