"""The idx format, in which MNIST comes: a magic number, the sizes of the axes, the bytes."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.errors import FormatError
from actorflow.recordio import open_source

if TYPE_CHECKING:
    from actorflow.recordio.storage import Source

__all__ = ["IdxFile"]

_UBYTE: Final = 0x0800  # the magic number of unsigned bytes, without the number of axes
_GZIP: Final = b"\x1f\x8b"
_MOST_PACKED: Final = 1032  # deflate makes no more than so many bytes of one
_CHUNK: Final = 1 << 20


class _Stream(io.RawIOBase):
    """A source as a stream."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- whatever holds bytes
        data = self._source.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class IdxFile:
    """A file of unsigned bytes in the idx format, gzipped or not; its header is read at once.

    Args:
      who: the iterator's name.
      uri: a path or an fsspec URL.
      axes: how many the array is to have.

    Attributes:
      shape: the sizes of the axes.

    Raises:
      FormatError: no such file, or one whose length is not what its header says.
      OSError, MissingExtraError: as with `open_source`.
    """

    def __init__(self, who: str, uri: str, axes: int) -> None:
        self._who = who
        self._source = open_source(uri)
        try:
            self._size = self._source.size()
            self._packed = self._source.read(0, 2) == _GZIP
            self.shape = self._read_header(axes)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The file's."""
        return self._source.name

    def close(self) -> None:
        """Give the file back."""
        self._source.close()

    def size(self) -> int:
        """How long the file is, in bytes."""
        return self._size

    def load(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The array.

        Raises:
          FormatError: the file ends too early or too late, or is damaged.
        """
        wanted = math.prod(self.shape)
        begin = 4 + 4 * len(self.shape)
        # It grows with what is there: a header may say anything.
        found = bytearray()
        stream = self._open()
        try:
            head = stream.read(begin)
            while len(found) <= wanted:
                chunk = stream.read(min(_CHUNK, wanted + 1 - len(found)))
                if not chunk:
                    break
                found += chunk
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            at = begin + len(found)
            raise self._wrong(at, f"the packed data is damaged: {error}") from error
        if len(head) < begin or len(found) != wanted:
            more = "more than " if len(found) > wanted else ""
            what = f"has {more}{min(len(found), wanted)} bytes behind its header, needs {wanted}"
            raise self._wrong(begin, what)
        return np.frombuffer(found, np.uint8).reshape(self.shape)

    def _open(self) -> io.BufferedIOBase:
        raw = io.BufferedReader(_Stream(self._source), _CHUNK)
        return gzip.GzipFile(fileobj=raw, mode="rb") if self._packed else raw

    def _read_header(self, axes: int) -> tuple[int, ...]:
        begin = 4 + 4 * axes
        try:
            head = self._open().read(begin)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._wrong(0, f"the packed data is damaged: {error}") from error
        magic = int.from_bytes(head[:4], "big")
        if len(head) >= 4 and magic != _UBYTE + axes:  # noqa: PLR2004 -- its bytes
            what = f"the magic number is {magic:#010x}, needs {_UBYTE + axes:#010x}"
            raise self._wrong(0, f"{what} (unsigned bytes, {axes} axes)")
        if len(head) < begin:
            raise self._wrong(len(head), f"the file ends in its header of {begin} bytes")
        shape = struct.unpack_from(f">{axes}I", head, 4)
        wanted, size = begin + math.prod(shape), self.size()
        sizes = "x".join(map(str, shape))
        if not self._packed and size != wanted:
            raise self._wrong(4, f"{sizes} elements need {wanted} bytes; the file has {size}")
        if self._packed and wanted > size * _MOST_PACKED:
            raise self._wrong(4, f"{sizes} elements cannot be packed in {size} bytes")
        return shape

    def _wrong(self, offset: int, what: str) -> FormatError:
        packed = " unpacked" if self._packed else ""
        return FormatError(f"{self._who}: {self._source.name}, offset {offset}{packed}: {what}")
