"""Finding and reading the records of a file, damaged ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actorflow.errors import FormatError
from actorflow.recordio.framing import (
    FIRST,
    HEADER,
    LAST,
    MAGIC,
    MAGIC_BYTES,
    MAX_LENGTH,
    WHOLE,
    aligned_magic,
    padded,
)
from actorflow.recordio.storage import open_source

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from actorflow.recordio.storage import Source

__all__ = [
    "Lost",
    "Scan",
    "end_of_records",
    "next_record",
    "part_borders",
    "part_range",
    "read_record",
    "split_word",
]

_HEADER_NBYTES: Final = HEADER.size
_LENGTH_BITS: Final = 29


@attrs.frozen
class Lost:
    """What a reader with `recover=True` has skipped so far."""

    places: int = 0
    """Runs of damaged bytes. How many records each one was, nobody can tell."""

    nbytes: int = 0
    """Bytes in these runs, headers included."""

    entries: int = 0
    """Lines of the index that were no use."""


def read_record(source: Source, offset: int, who: str) -> tuple[bytes, int]:
    """The record that begins at `offset`, and the offset behind it.

    Reads no more than the record, but for `source.guess_nbytes`, and believes no length before it
    is compared with the file's size.

    Raises:
      FormatError: no record begins there, or it is damaged; the message begins with `who`.
    """
    if offset % 4 or offset < 0:
        raise _error(who, source, offset, "no record begins here: 4 does not divide the offset")
    kind, data, end = _read_part(source, offset, who)
    if kind == WHOLE:
        return data, end
    if kind != FIRST:
        raise _error(who, source, offset, "a record's later part; needs the beginning of a record")
    pieces = [data]
    window = _Window(source, end)
    while kind != LAST:
        start = end
        kind, data, end = window.part(start, who)
        if kind in {WHOLE, FIRST}:
            what = f"another record begins inside the one at offset {offset}"
            raise _error(who, source, start, what)
        pieces.append(data)
    if any(aligned_magic(piece) >= 0 for piece in pieces):
        raise _error(who, source, offset, "a part has another one inside: its length is damaged")
    return MAGIC_BYTES.join(pieces), end


def next_record(source: Source, offset: int) -> int:
    """Where the first record at or after `offset` begins; the file's size if there is none.

    A beginning is the magic number with a kind and a length that fit. What follows is not looked
    at.
    """
    size = source.size()
    offset = padded(max(offset, 0))
    while offset + _HEADER_NBYTES <= size:
        block = source.read(offset, source.block_nbytes)
        found = aligned_magic(block)
        while 0 <= found <= len(block) - _HEADER_NBYTES:
            length, kind = split_word(HEADER.unpack_from(block, found)[1])
            fits = offset + found + _HEADER_NBYTES + length <= size
            if kind in {WHOLE, FIRST} and fits:
                return offset + found
            found = aligned_magic(block, found + 4)
        if len(block) < _HEADER_NBYTES:
            break  # somebody cut the file off meanwhile
        # A header may lie across the border of two blocks.
        offset += (len(block) - _HEADER_NBYTES) // 4 * 4 + 4
    return size


def part_range(uri: str | os.PathLike[str], part_index: int, num_parts: int) -> tuple[int, int]:
    """Where one of `num_parts` parts of a record file begins and ends.

    The borders are those at which MXNet divides a file among its workers: the file's size over
    `num_parts`, up to the next number that 4 divides, then on to the beginning of a record. Every
    record lies in exactly one part; a part may be empty.

    Args:
      uri: a path, or a URL that fsspec opens.
      part_index: which part, from 0.
      num_parts: how many parts there are.

    Returns:
      Two offsets in bytes, for `MXRecordIO(uri, "r", begin=..., end=...)`.

    Raises:
      ValueError: `part_index` is not one of `num_parts`.
      OSError: the file cannot be read.
      MissingExtraError: `uri` is a URL, and fsspec is missing.
    """
    _check_part(part_index, num_parts)
    source = open_source(_text(uri))
    try:
        return part_borders(source, part_index, num_parts)
    finally:
        source.close()


def part_borders(source: Source, part_index: int, num_parts: int) -> tuple[int, int]:
    """Do like `part_range` with a file that is open."""
    _check_part(part_index, num_parts)
    size = source.size()
    step = padded(-(-size // num_parts))
    begin, end = (min(step * index, size) for index in (part_index, part_index + 1))
    return (
        0 if begin == 0 else next_record(source, begin),
        size if end == size else next_record(source, end),
    )


def _check_part(part_index: int, num_parts: int) -> None:
    if num_parts < 1 or not 0 <= part_index < num_parts:
        raise ValueError(
            f"part_range: part_index={part_index} of num_parts={num_parts}; needs num_parts >= 1 "
            "and a part_index from 0 to num_parts - 1"
        )


def end_of_records(uri: str, who: str) -> int:
    """Where the last whole record of a file ends: what a crash left behind it does not count.

    Raises:
      FormatError: the file is damaged elsewhere, or is no file of records.
    """
    source = open_source(uri)
    try:
        scan = Scan(source)
        try:
            while scan.view(who) is not None:
                pass
        except FormatError:
            # A write that was cut short leaves the beginning of a record, a power cut zeros.
            size, left = source.size(), source.read(scan.position, len(MAGIC_BYTES))
            torn = MAGIC_BYTES.startswith(left) or not any(left)
            if not torn or next_record(source, scan.position + 4) < size:
                raise
        return scan.position
    finally:
        source.close()


class Scan:
    """Reads records one behind the other.

    Attributes:
      source: what is read.
      position: the offset of the next record.
      lost: what was skipped; nothing unless `recover`.
    """

    def __init__(
        self, source: Source, *, begin: int = 0, end: int | None = None, recover: bool = False
    ) -> None:
        self.position = begin
        self.lost = Lost()
        self.source = source
        self._end = end
        self._recover = recover
        self._block = b""
        self._start = 0  # the offset of the block in the file

    def view(self, who: str) -> memoryview | None:
        """The next record, or None at the end.

        A record that lies in one block is a view of it. Blocks are never written again, so a view
        stays as it is for as long as somebody holds it; it keeps its block of
        `source.block_nbytes` alive.

        Raises:
          FormatError: the next record is damaged, and `recover` was not asked for. The position
            stays, so the next call raises the same.
        """
        while True:
            found = self._in_block()
            if found is None and self._fill():
                found = self._in_block()
            if found is not None and not (self._recover and self._doubtful(*found)):
                payload, self.position = found
                return payload
            if self._at_end():
                return None
            try:
                data, after = read_record(self.source, self.position, who)
            except FormatError:
                if not self._recover:
                    raise
            else:
                if not (self._recover and self._doubtful(memoryview(data), after)):
                    self.position = after
                    return memoryview(data)
            self._skip()

    def _in_block(self) -> tuple[memoryview, int] | None:
        """The record at the position and the offset behind it, if all of it is in the block."""
        at = self.position - self._start
        if at < 0 or at + _HEADER_NBYTES > len(self._block):
            return None
        if self._end is not None and self.position >= self._end:
            return None
        magic, length = HEADER.unpack_from(self._block, at)
        after = at + _HEADER_NBYTES + padded(length)
        # Any other kind than WHOLE makes the word larger than every block.
        if magic != MAGIC or after > len(self._block):
            return None
        data = memoryview(self._block)[at + _HEADER_NBYTES : at + _HEADER_NBYTES + length]
        return data, self._start + after

    def _fill(self) -> bool:
        """Read the block that begins at the position, unless it is there already."""
        if self._end is not None and self.position >= self._end:
            return False
        if self._start == self.position and self._block:
            return False
        self._start = self.position
        self._block = self.source.read(self.position, self.source.block_nbytes)
        return bool(self._block)

    def _at_end(self) -> bool:
        end = self.source.size()
        return self.position >= (end if self._end is None else min(end, self._end))

    def _doubtful(self, payload: memoryview, after: int) -> bool:
        """Whether a record may have swallowed others, or end too early: its length is damaged.

        No part has the magic number in it; `read_record` has looked into those of a record of
        several. What follows must be a part, the end of the file, or what a crash leaves there:
        less than a header, or zeros.
        """
        _, kind = split_word(HEADER.unpack(self.source.read(self.position, _HEADER_NBYTES))[1])
        if kind == WHOLE and aligned_magic(payload) >= 0:
            return True
        follows = self.source.read(after, _HEADER_NBYTES)
        if len(follows) < _HEADER_NBYTES:
            return False
        return follows[:4] not in {MAGIC_BYTES, b"\0\0\0\0"}

    def _skip(self) -> None:
        """Go on to the next beginning of a record, and count what lies between."""
        resume = next_record(self.source, self.position + 4)
        if self._end is not None:
            resume = min(resume, self._end)
        self.lost = attrs.evolve(
            self.lost,
            places=self.lost.places + 1,
            nbytes=self.lost.nbytes + resume - self.position,
        )
        self.position = resume

    def __iter__(self) -> Iterator[memoryview]:
        """The records from the position to the end."""
        while (payload := self.view("Scan")) is not None:
            yield payload


class _Window:
    """Reads the parts of one record through a block, since there may be very many small ones."""

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self._start = start
        self._block = b""

    def part(self, offset: int, who: str) -> tuple[int, bytes, int]:
        """Do like `_read_part`."""
        for _ in range(2):
            at = offset - self._start
            if at + _HEADER_NBYTES <= len(self._block):
                magic, word = HEADER.unpack_from(self._block, at)
                length, kind = split_word(word)
                begin = at + _HEADER_NBYTES
                if magic == MAGIC and begin + padded(length) <= len(self._block):
                    end = offset + _HEADER_NBYTES + padded(length)
                    return kind, self._block[begin : begin + length], end
            self._start = offset
            self._block = self._source.read(offset, self._source.block_nbytes)
        return _read_part(self._source, offset, who)


def _read_part(source: Source, offset: int, who: str) -> tuple[int, bytes, int]:
    """The kind and the payload of the part at `offset`, and the offset behind it."""
    head = source.read(offset, max(source.guess_nbytes, _HEADER_NBYTES))
    if len(head) < _HEADER_NBYTES:
        what = f"the file ends after {len(head)} of the {_HEADER_NBYTES} bytes of a record's header"
        raise _error(who, source, offset, what)
    magic, word = HEADER.unpack_from(head)
    if magic != MAGIC:
        what = f"no record begins here: {magic:#010x} instead of {MAGIC:#010x}"
        raise _error(who, source, offset, what)
    length, kind = split_word(word)
    if kind > LAST:
        raise _error(who, source, offset, f"a part of the unknown kind {kind}; needs 0 to 3")
    begin, end = offset + _HEADER_NBYTES, offset + _HEADER_NBYTES + padded(length)
    if end > source.size():
        what = f"a record of {length} bytes; the file ends after {source.size() - begin} of them"
        raise _error(who, source, offset, what)
    have = head[_HEADER_NBYTES : _HEADER_NBYTES + length]
    if len(have) < length:
        rest = source.read(begin + len(have), length - len(have))
        have = have + rest if have else rest
        if len(have) < length:
            raise _error(
                who, source, offset, f"the file was cut off while {length} bytes were read"
            )
    return kind, have, end


def split_word(word: int) -> tuple[int, int]:
    """The length and the kind in a header's second word."""
    return word & MAX_LENGTH, word >> _LENGTH_BITS


def _error(who: str, source: Source, offset: int, what: str) -> FormatError:
    return FormatError(f"{who}: {source.name}, offset {offset}: {what}")


def _text(uri: str | os.PathLike[str]) -> str:
    return uri if isinstance(uri, str) else uri.__fspath__()
