"""Lines of numbers in a file, read from any place on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import FormatError
from actorflow.io.decimals import parse_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.io.batch import Numbers
    from actorflow.recordio.storage import Source

__all__ = ["Lines", "Place"]

_MARK: Final = b"\xef\xbb\xbf"  # some programs begin UTF-8 with it
_LONGEST: Final = 1 << 20  # bytes of a line, and 64 more for each number that it is to have
_NUMBER: Final = 64


@attrs.frozen
class Place:
    """A place in a file: the offset in bytes, and the number of lines before it."""

    offset: int = 0
    line: int = 0


class Lines:
    """The lines of a file. It keeps the block that it read last, so one thread at a time may ask.

    Args:
      who: the iterator's name.
      source: what to read.
      width: how many numbers a line is to have.
    """

    def __init__(self, who: str, source: Source, width: int) -> None:
        self._who = who
        self._source = source
        self._width = width
        self._longest = _LONGEST + _NUMBER * width
        self._size = source.size()
        self._block = b""
        self._start = 0  # of the block in the file

    @property
    def name(self) -> str:
        """The file's."""
        return self._source.name

    def take(self, place: Place, count: int, dtype: np.dtype[Any]) -> tuple[Numbers, Place]:
        """The numbers of up to `count` lines that are not blank, and the place behind them.

        They are an array of shape (lines, width).

        Raises:
          FormatError: a line has another number of numbers, or something else; with its number.
        """
        text, lines, behind = self._text(place, count)
        found = parse_plain(text, self._width, dtype)
        if found is not None:
            return found, Place(behind, place.line + lines)
        # One by one, for what is not so plain, or to find what is wrong.
        numbered, place = self._take_lines(place, count)
        if not numbered:
            return np.empty((0, self._width), dtype), place
        return _parse(self._who, self.name, numbered, self._width, dtype), place

    def has_more(self, place: Place) -> bool:
        """Whether there is a line that is not blank."""
        return bool(self._take_lines(place, 1)[0])

    def _text(self, place: Place, count: int) -> tuple[bytes, int, int]:
        """Up to `count` lines, how many, and the offset behind them. Blank ones count."""
        begin = at = self._seek(place)
        lines = 0
        while lines < count:
            end = self._block.find(b"\n", at)
            if end < 0:
                at = self._read_more(begin, at, place.line + lines)
                begin = 0
                end = self._block.find(b"\n", at)
                if end < 0:
                    if at < len(self._block):
                        lines += 1
                    at = len(self._block)
                    break
            lines += 1
            at = end + 1
        text = self._block[begin:at]
        if not place.line:
            text = text.removeprefix(_MARK)
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        if b" " in text:
            text = text.replace(b", ", b",")
        if not text.endswith(b"\n"):
            text += b"\n"
        return text, lines, self._start + at

    def _seek(self, place: Place) -> int:
        """Where a place is in the block, which may then be empty."""
        if not self._start <= place.offset <= self._start + len(self._block):
            self._block, self._start = b"", place.offset
        return place.offset - self._start

    def _take_lines(self, place: Place, count: int) -> tuple[list[tuple[int, bytes]], Place]:
        """Up to `count` lines that are not blank, with their numbers, and the place behind them."""
        found: list[tuple[int, bytes]] = []
        at, line = self._seek(place), place.line
        while len(found) < count:
            end = self._block.find(b"\n", at)
            if end < 0:
                at = self._read_more(at, at, line)
                end = self._block.find(b"\n", at)
                if end < 0:
                    end = len(self._block)
                    if at == end:
                        break
            text = self._block[at:end]
            if not line:
                text = text.removeprefix(_MARK)
            text = text.strip()
            line += 1
            at = min(end + 1, len(self._block))
            if text:
                found.append((line, text))
        return found, Place(self._start + at, line)

    def _read_more(self, begin: int, at: int, line: int) -> int:
        """Read until the line at `at` is whole, or the file ends; give where it begins now.

        Of the block, what is before `begin` is forgotten.
        """
        pieces = [self._block[begin:]]
        offset = self._start + len(self._block)
        self._start += begin
        nbytes = len(self._block) - at  # of the line
        while True:
            more = self._source.read(offset, self._source.block_nbytes)
            pieces.append(more)
            nbytes += len(more)
            offset += len(more)
            if not more and offset < self._size:
                # Half of a line may look like a whole one.
                raise FormatError(
                    f"{self._who}: {self.name} ends after {offset} bytes; needs the {self._size} "
                    "that it had when it was opened"
                )
            if not more or b"\n" in more:
                break
            if nbytes > self._longest:
                raise FormatError(
                    f"{self._who}: {self.name}, line {line + 1}: does not end within {nbytes} "
                    f"bytes; needs to end within {self._longest}"
                )
        self._block = b"".join(pieces)
        return at - begin


def _parse(
    who: str, name: str, lines: Sequence[tuple[int, bytes]], width: int, dtype: np.dtype[Any]
) -> Numbers:
    """The numbers of lines, as an array of shape (lines, width).

    Raises:
      FormatError: a line has another number of numbers, or something else; with its number.
    """
    for line, text in lines:
        got = text.count(b",") + 1
        if got != width:
            raise FormatError(f"{who}: {name}, line {line}: has {got} numbers, needs {width}")
    fields = b",".join([text for _, text in lines]).split(b",")
    try:
        with np.errstate(over="ignore"):  # infinity is the float32 that is nearest
            return np.array(fields).astype(dtype).reshape(len(lines), width)
    except (ValueError, OverflowError) as error:
        for line, text in lines:
            for column, field in enumerate(text.split(b","), start=1):
                try:
                    np.array([field]).astype(dtype)
                except (ValueError, OverflowError):
                    raise FormatError(
                        f"{who}: {name}, line {line}, column {column}: "
                        f"{field[:40].decode(errors='replace')!r} is no {dtype.name}"
                    ) from error
        raise
