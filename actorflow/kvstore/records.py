"""How events and snapshots lie in a file: records with a length and a checksum.

::

    file     16 bytes: the magic word, and the number of the segment
    record   u64 length of the body, u32 CRC-32 of length and body, body
    body     u32 length of the header, header, the array's bytes (none if there is no array)
    header   JSON: plain data, with "dtype" and "shape" of the array beside it

All integers are little-endian. Nothing in a file can make its reader run code or allocate more than
the file has.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.errors import DTypeError, FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FILE_HEADER", "Record", "Torn", "encode", "file_header", "read_records"]

MAGIC = b"AFKVLOG1"
FILE_HEADER = struct.Struct("<8sQ")
_RECORD = struct.Struct("<QI")
_U32 = struct.Struct("<I")
_DTYPE = re.compile(r"[<|][fiub]\d{1,2}")
MAX_HEADER = 1 << 26
"""Bytes of plain data in a record: a snapshot's is the largest, some hundred bytes per key."""

Array = np.ndarray[Any, np.dtype[Any]]


@attrs.frozen
class Record:
    """Plain data, and an array or None."""

    plain: Mapping[str, Any]
    array: Array | None = attrs.field(default=None, eq=False)


@attrs.frozen
class Torn:
    """Where the last record of a file was cut off while it was written, and how."""

    offset: int
    reason: str


def file_header(number: int) -> bytes:
    """The first bytes of the file of segment `number`."""
    return FILE_HEADER.pack(MAGIC, number)


def encode(record: Record) -> list[bytes | memoryview]:
    """The pieces of a record, to be written one behind the other; the array is not copied.

    Raises:
      DTypeError: the array has no numbers.
    """
    plain = dict(record.plain)
    pieces: list[bytes | memoryview] = []
    if record.array is not None:
        array = np.ascontiguousarray(record.array)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if not _DTYPE.fullmatch(array.dtype.str):
            raise DTypeError(f"log: an array of {array.dtype}; needs numbers")
        plain |= {"dtype": array.dtype.str, "shape": list(np.shape(record.array))}
        if array.size:
            pieces.append(array.reshape(-1).data.cast("B"))
    header = json.dumps(plain, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER:
        raise FormatError(f"log: {len(header)} bytes of plain data; at most {MAX_HEADER}")
    pieces.insert(0, _U32.pack(len(header)) + header)
    length = sum(len(piece) for piece in pieces)
    return [_RECORD.pack(length, _checksum(length, pieces)), *pieces]


def read_records(data: memoryview, number: int, name: str) -> Iterator[Record | Torn]:
    """The records of a file; last a `Torn` if its last record is not whole.

    Args:
      data: the file.
      number: which segment it should be.
      name: of the file, for messages.

    Yields:
      Records whose arrays are views of `data`.

    Raises:
      FormatError: it is another file, or is damaged before its end: whole records follow, whose
        pushes were acknowledged.
    """
    wanted = file_header(number)
    if len(data) < len(wanted) and wanted.startswith(bytes(data)):
        yield Torn(0, "the file's header is cut off")
        return
    if bytes(data[: len(wanted)]) != wanted:
        raise FormatError(f"{name}: does not begin as segment {number} of a log does")
    offset = len(wanted)
    while offset < len(data):
        found = _read_record(data, offset, name)
        yield found if isinstance(found, Torn) else found[0]
        if isinstance(found, Torn):
            return
        offset = found[1]


def _read_record(data: memoryview, offset: int, name: str) -> tuple[Record, int] | Torn:
    """The record at an offset and where the next one begins."""
    start = offset + _RECORD.size
    if start > len(data):
        return Torn(offset, f"{len(data) - offset} of the {_RECORD.size} bytes of a record's head")
    length, checksum = _RECORD.unpack_from(data, offset)
    stop = start + length
    if stop > len(data):
        return Torn(offset, f"{len(data) - start} of the {length} bytes of a record")
    body = data[start:stop]
    if _checksum(length, [body]) != checksum:
        if stop == len(data) or not bytes(data[offset:]).strip(b"\0"):
            return Torn(offset, "the last record is not what was written")
        raise FormatError(
            f"{name}: the record at offset {offset} is damaged, and {len(data) - stop} bytes follow"
        )
    try:
        return _decode(body), stop
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise FormatError(f"{name}: the record at offset {offset}: {error}") from error


def _decode(body: memoryview) -> Record:
    (length,) = _U32.unpack_from(body)
    end = _U32.size + length
    if end > len(body) or length > MAX_HEADER:
        raise FormatError(f"a header of {length} bytes in a body of {len(body)}")
    plain = json.loads(bytes(body[_U32.size : end]))
    if not isinstance(plain, dict):
        raise FormatError("the header is no object")
    if "dtype" not in plain:
        return Record(plain)
    dtype, shape = plain.pop("dtype"), plain.pop("shape")
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise FormatError(f"the data type {dtype!r}")
    if not all(isinstance(extent, int) and extent >= 0 for extent in shape):
        raise FormatError(f"the shape {shape!r}")
    if math.prod(shape) * np.dtype(dtype).itemsize != len(body) - end:
        raise FormatError(f"{len(body) - end} bytes for {dtype} of the shape {shape}")
    return Record(plain, np.frombuffer(body[end:], dtype).reshape(shape))


def _checksum(length: int, pieces: list[bytes | memoryview] | list[memoryview]) -> int:
    checksum = zlib.crc32(struct.pack("<Q", length))
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
    return checksum
