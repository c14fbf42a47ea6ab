"""What a JPEG file says of itself before its pixels: pure, and no length in it is believed.

The format is that of ITU-T T.81 (1992), the tables that libjpeg scales by a quality from 1 to 100
are those of its annex K. `read_jpeg` takes only what every decoder takes: one frame, baseline or
extended, of 8 bits and Huffman coded, in one scan. Whoever asks must have another way for the rest.
"""

from __future__ import annotations

import re
import struct
from typing import Final

import attrs

from actorflow.errors import FormatError

__all__ = ["JpegHeader", "quality_of", "read_jpeg"]

_START: Final = b"\xff\xd8"
_PLAIN_FRAMES: Final = frozenset({0xC0, 0xC1})
_HUFFMAN, _SCAN, _QUANTIZATION, _EXIF, _RESTART = 0xC4, 0xDA, 0xDB, 0xE1, 0xDD
_PASSED_OVER: Final = frozenset({*range(0xE0, 0xF0), 0xFE, _RESTART})  # applications', comments
# In coded pixels 0xFF stands before 0, before a restart's number, or before what ends them.
_SCAN_ENDS: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]")
_END: Final = 0xD9
_BLOCK: Final = 64  # numbers of a table, pixels of a block
_MAX_TABLES: Final = 4
_MAX_FACTOR: Final = 4
_MAX_BLOCKS: Final = 10  # blocks of all components that come together
_CODE_LENGTHS: Final = 16
_MAX_CODES: Final = 256
_MAX_BITS: Final = 15  # of a difference, which a symbol of a DC table names
_LEAST_BITS: Final = 2  # of a block: a code for its mean, and one for the end
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_ENTRY_NBYTES: Final = 12

# T.81, table K.1: luminance. The sum of a table does not depend on its order.
_LUMINANCE: Final = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


@attrs.frozen
class JpegHeader:
    """What a JPEG file says of itself."""

    height: int
    """In pixels, as they are stored: before they are turned."""

    width: int
    components: int
    """1 for grey, 3 for colour, 4 for print."""

    quality: int
    """From 1 to 100; see `quality_of`."""

    orientation: int
    """How a camera was held, as in EXIF: 1 for upright, up to 8; 0 for what cannot be read."""


@attrs.define
class _Found:
    """What the segments before the pixels have said."""

    frame: tuple[int, int, list[tuple[int, int, int, int]]] | None = None  # id, factors, table
    sums: dict[int, int] = attrs.field(factory=dict)  # of the quantization tables
    codes: set[int] = attrs.field(factory=set)  # class << 4 | number of each Huffman table
    orientation: int = 1


def quality_of(table_sum: int) -> int:
    """The least quality at which libjpeg quantizes luminance at least as finely.

    Args:
      table_sum: the sum of the 64 numbers of the table. A table that libjpeg has made for a quality
        from 3 on gives just that quality; one of a camera's, which is of no such kind, the quality
        of the same fineness on average.
    """
    return next((q for q, total in enumerate(_SUMS, start=1) if total <= table_sum), 100)


def read_jpeg(data: bytes | memoryview) -> JpegHeader:
    """What a plain JPEG file says of itself.

    Checked are the order of its segments and that each lies within the file; the tables, as far as
    a decoder would refuse them; that every table that is asked for is there; the numbers of
    components and their sampling; that the coded pixels have two bits for each block at least, and
    that the mark of the end follows, and nothing else. The coded pixels are not decoded: a bit that
    flipped among them is not found. OpenCV does not tell it either.

    Raises:
      FormatError: something is not as it should be, or of a kind that is not plain: progressive,
        lossless, arithmetically coded, of 12 bits, or in several scans.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"read_jpeg: data is a {type(data).__name__}; needs bytes")
    whole = bytes(data)  # costs nothing if these are bytes
    if whole[:2] != _START:
        raise _wrong(0, "is no JPEG: its first bytes")
    found = _Found()
    at = 2
    while True:
        marker, at = _marker(whole, at)
        begin, end = _segment(whole, at)
        body = whole[begin:end]
        if marker == _SCAN:
            return _finish(whole, found, body, end)
        if marker in _PLAIN_FRAMES and found.frame is None:
            found.frame = _frame(body, begin)
        elif marker == _QUANTIZATION:
            _quantization(body, begin, found.sums)
        elif marker == _HUFFMAN:
            _huffman(body, begin, found.codes)
        elif marker in _PASSED_OVER:
            if marker == _EXIF and body.startswith(b"Exif\0"):
                orientation = _orientation(body[6:])
                found.orientation = orientation if orientation != 1 else found.orientation
        else:
            raise _wrong(at, f"a segment {marker:#04x}, which is not plain,")
        at = end


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at a place, and what is behind it."""
    begin = at
    while data[at : at + 1] == b"\xff":  # it may be filled up with more of these
        at += 1
    if at == begin or at == len(data):
        raise _wrong(begin, "no marker")
    return data[at], at + 1


def _segment(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of a segment begins and ends, from its length."""
    if at + 2 > len(data):
        raise _wrong(at, "the file ends")
    length = data[at] << 8 | data[at + 1]
    if length < 2 or at + length > len(data):  # noqa: PLR2004 -- its own bytes
        raise _wrong(at, f"a segment of {length} bytes, in a file of {len(data)},")
    return at + 2, at + length


def _frame(body: bytes, at: int) -> tuple[int, int, list[tuple[int, int, int, int]]]:
    """Height, width, and of each component its name, sampling factors and table."""
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:  # noqa: PLR2004 -- see T.81, B.2.2
        raise _wrong(at, "a frame of the wrong length")
    bits, height, width = struct.unpack_from(">BHH", body)
    if bits != 8 or not height or not width or not body[5]:  # noqa: PLR2004
        raise _wrong(at, f"a frame of {height} x {width} pixels of {bits} bits")
    components = [
        (body[place], body[place + 1] >> 4, body[place + 1] & 15, body[place + 2])
        for place in range(6, len(body), 3)
    ]
    if len({name for name, *_ in components}) != len(components):
        raise _wrong(at, "a component that is there twice")
    if any(not (1 <= h <= _MAX_FACTOR and 1 <= v <= _MAX_FACTOR) for _, h, v, _ in components):
        raise _wrong(at, "a sampling factor")
    if len(components) > 1 and sum(h * v for _, h, v, _ in components) > _MAX_BLOCKS:
        raise _wrong(at, "sampling factors")
    return height, width, components


def _quantization(body: bytes, at: int, sums: dict[int, int]) -> None:
    place = 0
    while place < len(body):
        wide, number = body[place] >> 4, body[place] & 15
        nbytes = _BLOCK * (wide + 1)
        table = body[place + 1 : place + 1 + nbytes]
        if wide > 1 or number >= _MAX_TABLES or len(table) < nbytes:
            raise _wrong(at + place, "a quantization table")
        numbers = struct.unpack(f">{_BLOCK}H", table) if wide else tuple(table)
        if not all(numbers):
            raise _wrong(at + place, "a quantization table with a zero")
        sums[number] = sum(numbers)
        place += 1 + nbytes


def _huffman(body: bytes, at: int, codes: set[int]) -> None:
    place = 0
    while place < len(body):
        name = body[place]
        counts = body[place + 1 : place + 1 + _CODE_LENGTHS]
        total = sum(counts)
        behind = place + 1 + _CODE_LENGTHS + total
        if name & 15 >= _MAX_TABLES or name >> 4 > 1 or total > _MAX_CODES or behind > len(body):
            raise _wrong(at + place, "a Huffman table")
        used = 0
        for length, count in enumerate(counts, start=1):
            used = 2 * used + count
            if used > 1 << length:
                raise _wrong(at + place, "a Huffman table of more codes than there are")
        if not name >> 4 and any(symbol > _MAX_BITS for symbol in body[behind - total : behind]):
            raise _wrong(at + place, "a Huffman table of differences with a symbol")
        codes.add(name)
        place = behind


def _finish(data: bytes, found: _Found, body: bytes, at: int) -> JpegHeader:
    """Check the only scan, whose coded pixels begin at `at`, against what came before it."""
    if found.frame is None:
        raise _wrong(at, "coded pixels before a frame")
    height, width, components = found.frame
    count = len(components)
    if len(body) != 4 + 2 * count or body[0] != count or body[-3:] != b"\0\x3f\0":
        raise _wrong(at, "a scan that is not the only one")
    for place, (name, _, _, table) in enumerate(components):
        named, codes = body[1 + 2 * place], body[2 + 2 * place]
        wanted = {codes >> 4, 1 << 4 | codes & 15}
        if named != name or table not in found.sums or not wanted <= found.codes:
            raise _wrong(at, "a component without its tables")
    last = _SCAN_ENDS.search(data, at)
    if last is None or data[last.end() - 1] != _END or last.end() != len(data):
        raise _wrong(len(data) if last is None else last.start(), "no end of the coded pixels")
    blocks = _blocks(height, width, components)
    if (last.start() - at) * 8 < blocks * _LEAST_BITS:
        raise _wrong(last.start(), f"{last.start() - at} bytes for {blocks} blocks: the end")
    return JpegHeader(
        height, width, count, quality_of(found.sums[components[0][3]]), found.orientation
    )


def _blocks(height: int, width: int, components: list[tuple[int, int, int, int]]) -> int:
    """How many blocks of 8 x 8 there are at least, all components together."""
    most = max(h for _, h, _, _ in components), max(v for _, _, v, _ in components)
    return sum(
        -(-width * h // (8 * most[0])) * -(-height * v // (8 * most[1]))
        for _, h, v, _ in components
    )


def _orientation(tiff: bytes) -> int:
    """The orientation in EXIF data; 1 if they have none, 0 if they cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    try:
        if order is None:
            return 0
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(count):
            place = start + 2 + _ENTRY_NBYTES * entry
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else 0  # noqa: PLR2004
    except struct.error:
        return 0
    return 1


def _wrong(at: int, what: str) -> FormatError:
    return FormatError(f"read_jpeg: offset {at}: {what} does not fit a plain JPEG")


def _table_sum(quality: int) -> int:
    """The sum of the table that libjpeg makes for a quality."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality  # noqa: PLR2004
    return sum(min(max((number * scale + 50) // 100, 1), 255) for number in _LUMINANCE)


_SUMS: Final = tuple(_table_sum(quality) for quality in range(1, 101))
