"""How a record lies in a file: no input or output here.

A file is a sequence of parts, each at an offset that 4 divides, in little-endian order::

    u32 0xCED7230A
    u32 kind << 29 | length
    length bytes, then zeros up to the next offset that 4 divides

A record is one part of the kind `WHOLE`. But where its payload has the magic number at an offset
that 4 divides, the payload is cut: the number is left out, and the pieces become parts of the
kinds `FIRST`, `MIDDLE` and `LAST`. So the number stands at such an offset of a file only where a
part begins, and whoever looks for it finds records from anywhere in the file. The word behind it
cannot be mistaken for it: there is no kind 6.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FIRST",
    "HEADER",
    "LAST",
    "MAGIC",
    "MAGIC_BYTES",
    "MAX_LENGTH",
    "MIDDLE",
    "WHOLE",
    "aligned_magic",
    "frame",
    "padded",
]

MAGIC: Final = 0xCED7230A
MAGIC_BYTES: Final = struct.pack("<I", MAGIC)
MAX_LENGTH: Final = 2**29 - 1  # bytes of a payload: what the header has room for
WHOLE, FIRST, MIDDLE, LAST = range(4)
HEADER: Final = struct.Struct("<II")  # the magic number; kind and length

_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")


def padded(length: int) -> int:
    """`length`, in bytes, up to the next number that 4 divides."""
    return (length + 3) & ~3


def aligned_magic(data: bytes | memoryview, start: int = 0, *, origin: int = 0) -> int:
    """Where the magic number stands in `data`, at or after `start`; -1 if nowhere.

    Args:
      data: what to search.
      start: where to begin.
      origin: the offset of `data` in the file. What counts is the place in the file.
    """
    whole = bytes(data)  # costs nothing if these are bytes
    found = whole.find(MAGIC_BYTES, start)
    while found >= 0 and (origin + found) % 4:
        found = whole.find(MAGIC_BYTES, found + 1)
    return found


def frame(payload: bytes) -> bytes:
    """The record as it lies in a file."""
    cut = aligned_magic(payload)
    # A number whose last bytes would be padding is none: the search sees the payload only.
    if cut < 0:
        length = len(payload)
        return b"".join((HEADER.pack(MAGIC, length), payload, _PADDING[length % 4]))
    return b"".join(_parts(payload, cut))


def _parts(payload: bytes, cut: int) -> Iterator[bytes]:
    kind, start = FIRST, 0
    while cut >= 0:
        yield HEADER.pack(MAGIC, kind << 29 | cut - start)
        yield payload[start:cut]
        kind, start = MIDDLE, cut + 4
        cut = aligned_magic(payload, start)
    length = len(payload) - start
    yield HEADER.pack(MAGIC, LAST << 29 | length)
    yield payload[start:]
    yield _PADDING[length % 4]
