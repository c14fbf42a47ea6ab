"""MXNet's `.params` format, on NumPy's arrays and streams of bytes: no engine, no NDArray.

A file is, in little-endian order::

    u64 0x112, u64 0
    u64 number of arrays, then each array: header, then its elements, C-contiguous
    u64 number of names (0 or one for each array), then each name: u64 bytes, UTF-8

and the header of an array, by the version of MXNet that wrote it::

    until 0.10   u32 axes                               u32 sizes  |
    V1           u32 0xF993FAC8             u32 axes    i64 sizes  |  i32 device type,
    V2           u32 0xF993FAC9  i32 sparse u32 axes    i64 sizes  |  i32 device, i32 type flag
    V3           u32 0xF993FACA  i32 sparse i32 axes    i64 sizes  |

All four are read. Written is the first, which every MXNet reads (0.10.0 and 1.9.1 were tried;
type flags above 4 came after 0.10), with two exceptions. A size of 2**32 or more takes V2. An array
without axes takes V3 for all arrays of the file: to the older headers no axes means no array,
and 1.9.1 reads V3 only as a whole and only in its NumPy mode (`npx.set_np()`). An NDArray has
at least one axis, so its files never need that.

Nothing that a file says is believed before it is checked against the file's size.
"""

from __future__ import annotations

import io
import math
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

import attrs
import numpy as np

from actorflow.errors import DTypeError, FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["dumps", "loads", "pieces", "read", "type_flag"]

Array: TypeAlias = np.ndarray[Any, Any]

_MAGIC: Final = 0x112
_V1: Final = 0xF993FAC8
_V2: Final = 0xF993FAC9
_V3: Final = 0xF993FACA
_MAX_AXES: Final = 64  # NumPy's own limit, so nobody has more
_MIN_ARRAY_NBYTES: Final = 16  # the oldest header of an array without axes
_DENSE: Final = 0
_CPU: Final = (1, 0)  # what lies in a file lies in host memory, wherever it came from

# The position is the type flag.
_DTYPES: Final = tuple(
    np.dtype(name)
    for name in ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
)
_FLAGS: Final = {dtype: flag for flag, dtype in enumerate(_DTYPES)}


def dumps(arrays: Sequence[Array], names: Sequence[str] = ()) -> bytes:
    """The contents of a file that holds `arrays`.

    Args:
      arrays: of any shape and strides, with a dtype that MXNet has: float16, float32, float64,
        int8, int32, int64, uint8 or bool.
      names: none, or one for each array.

    Raises:
      DTypeError: MXNet has no such dtype.
      ValueError: the number of names is neither 0 nor the number of arrays.
    """
    return b"".join(pieces(arrays, names))


def loads(data: bytes, source: str = "data") -> tuple[list[Array], list[str]]:
    """The arrays and names in the contents of a file; no names if the file has none.

    Args:
      data: the contents.
      source: what to call them in errors.

    Raises:
      FormatError: they are not a file of arrays, or damaged, or hold a sparse array.
    """
    return read(io.BytesIO(data), len(data), source)


def read(
    stream: BinaryIO,
    nbytes: int,
    source: str,
    allocate: Callable[[tuple[int, ...], np.dtype[Any]], Array] = np.empty,
) -> tuple[list[Array], list[str]]:
    """Read arrays and names from a stream of `nbytes` bytes.

    Args:
      stream: where to read; buffered, so that it gives as much as is asked for.
      nbytes: how long it is. No more than that is allocated, whatever the stream says.
      source: what to call it in errors.
      allocate: makes an uninitialised, C-contiguous array of a shape and a dtype.

    Raises:
      FormatError: as with `loads`.
    """
    reader = _Reader(stream, nbytes, source)
    magic = reader.u64("a file's magic number")
    if magic != _MAGIC:
        raise reader.error(f"not a file of arrays: it begins with {magic:#x} instead of 0x112", 0)
    reader.u64("the reserved word")
    count = reader.count("arrays", _MIN_ARRAY_NBYTES)
    arrays = [_read_array(reader, f"array {index}", allocate) for index in range(count)]
    at = reader.offset
    named = reader.count("names", 8)
    if named not in (0, count):
        raise reader.error(f"{named} names for {count} arrays; needs 0 or {count}", at)
    names = [_read_name(reader, f"name {index}") for index in range(named)]
    if reader.left:
        raise reader.error(f"{reader.left} more bytes after the last name; needs none")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise reader.error(f"two arrays are called {name!r}", at)
        seen.add(name)
    return arrays, names


def pieces(arrays: Sequence[Array], names: Sequence[str]) -> Iterator[bytes | memoryview]:
    """Yield the contents of a file, without copying contiguous arrays; see `dumps`."""
    if len(names) not in (0, len(arrays)):
        raise ValueError(f"save: {len(names)} names for {len(arrays)} arrays; needs one for each")
    flags = [type_flag(array.dtype) for array in arrays]
    version = _V3 if any(array.ndim == 0 for array in arrays) else None
    yield struct.pack("<QQQ", _MAGIC, 0, len(arrays))
    for array, flag in zip(arrays, flags, strict=True):
        yield _header(array.shape, version) + struct.pack("<iii", *_CPU, flag)
        plain = np.array(array, _DTYPES[flag].newbyteorder("<"), order="C", copy=None)
        yield plain.reshape(-1).view(np.uint8).data
    yield struct.pack("<Q", len(names))
    for name in names:
        text = name.encode()
        yield struct.pack("<Q", len(text)) + text


def type_flag(dtype: np.dtype[Any]) -> int:
    """The number that stands for `dtype` in a file.

    Raises:
      DTypeError: MXNet has no such dtype.
    """
    flag = _FLAGS.get(dtype.newbyteorder("="))
    if flag is None:
        known = ", ".join(dtype.name for dtype in _DTYPES)
        raise DTypeError(f"save: the file format has no {dtype}; needs one of {known}")
    return flag


def _header(shape: tuple[int, ...], version: int | None) -> bytes:
    if version is None and all(size < 1 << 32 for size in shape):
        return struct.pack(f"<I{len(shape)}I", len(shape), *shape)
    return struct.pack(f"<IiI{len(shape)}q", version or _V2, _DENSE, len(shape), *shape)


@attrs.define
class _Reader:
    """A stream and what is left of it; every read is checked before it is made."""

    stream: BinaryIO
    nbytes: int
    source: str
    offset: int = 0

    @property
    def left(self) -> int:
        return self.nbytes - self.offset

    def error(self, what: str, offset: int | None = None) -> FormatError:
        return FormatError(
            f"{self.source}, byte {self.offset if offset is None else offset}: {what}"
        )

    def require(self, nbytes: int, what: str) -> None:
        if nbytes > self.left:
            raise self.error(f"{what} needs {nbytes} bytes, but the file has {self.left} more")

    def take(self, nbytes: int, what: str) -> bytes:
        self.require(nbytes, what)
        data = self.stream.read(nbytes)
        if len(data) != nbytes:
            raise self.error(f"{what}: the file became shorter while it was read")
        self.offset += nbytes
        return data

    def fill(self, array: Array, what: str) -> None:
        """Read the elements of an array, for which `require` has been called."""
        got = self.stream.readinto(array.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        if got != array.nbytes:
            raise self.error(f"{what}: the file became shorter while it was read")
        self.offset += array.nbytes
        if sys.byteorder == "big":
            array.byteswap(inplace=True)

    def numbers(self, layout: str, what: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))

    def u64(self, what: str) -> int:
        return self.numbers("<Q", what)[0]

    def count(self, what: str, least_nbytes: int) -> int:
        """A number of things, each of which takes at least so many bytes."""
        at = self.offset
        count = self.u64(f"the number of {what}")
        if count > self.left // least_nbytes:
            raise self.error(f"{count} {what} cannot lie in the {self.left} bytes that follow", at)
        return count


def _read_array(
    reader: _Reader, what: str, allocate: Callable[[tuple[int, ...], np.dtype[Any]], Array]
) -> Array:
    at = reader.offset
    shape = _read_shape(reader, what)
    *_, flag = reader.numbers("<iii", f"{what}'s device and type")
    if not 0 <= flag < len(_DTYPES):
        needs = ", ".join(f"{flag} {dtype.name}" for flag, dtype in enumerate(_DTYPES))
        raise reader.error(f"{what} has type flag {flag}; needs one of {needs}", reader.offset - 4)
    dtype = _DTYPES[flag]
    reader.require(math.prod(shape) * dtype.itemsize, f"{what} of shape {shape} and {dtype.name}")
    if math.prod(size for size in shape if size) * dtype.itemsize >= 1 << 63:
        raise reader.error(f"{what} has shape {shape}, which nothing can address", at)
    array = allocate(shape, dtype)
    at = reader.offset
    reader.fill(array, what)
    if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise reader.error(f"{what} is bool, but holds bytes other than 0 and 1", at)
    return array


def _read_shape(reader: _Reader, what: str) -> tuple[int, ...]:
    at = reader.offset
    (version,) = reader.numbers("<I", f"{what}'s header")
    sizes_are, axes = "q", version
    if version in (_V2, _V3):
        (stored,) = reader.numbers("<i", f"{what}'s storage type")
        if stored != _DENSE:
            raise reader.error(
                f"{what} has storage type {stored} (sparse); needs 0 (dense)", at + 4
            )
    if version in (_V1, _V2, _V3):
        (axes,) = reader.numbers("<I", f"{what}'s number of axes")
    else:
        sizes_are = "I"
    if axes > _MAX_AXES:
        raise reader.error(
            f"{what} has {axes} axes, or a header unknown here ({version:#x}); needs at most "
            f"{_MAX_AXES}",
            at,
        )
    if axes == 0 and version != _V3:
        raise reader.error(f"{what} has no shape: it was saved before anything was in it", at)
    shape = reader.numbers(f"<{axes}{sizes_are}", f"{what}'s {axes} sizes")
    if any(size < 0 for size in shape):
        raise reader.error(f"{what} has shape {shape}; needs sizes of at least 0", at)
    return shape


def _read_name(reader: _Reader, what: str) -> str:
    nbytes = reader.count(f"bytes of {what}", 1)
    at = reader.offset
    try:
        return reader.take(nbytes, what).decode()
    except UnicodeDecodeError as error:
        raise reader.error(f"{what} is not UTF-8: {error}", at) from error
