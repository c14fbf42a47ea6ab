"""Messages and their arrays as frames, and back: no input or output here.

The first frame is the header, in little-endian order::

    2 bytes "AF", u16 version, u32 length of the body, 8 zero bytes
    the body, by msgpack: [message, [[dtype, shape, nbytes, inline], ...]]
    for each small (inline) array: zeros up to an offset that 16 divides, then its bytes

Each other array is a frame of its own, in the order of the list: its memory as it is, C-contiguous.
Small arrays travel in the header because a frame costs more than a copy of them.

Whatever the frames say is checked against how long they are before anything is allocated: decoding
gives views, so it needs memory for the body alone. Nothing of it is executed; there is no pickle.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import msgspec
import numpy as np

from actorflow.comm.messages import PROTOCOL, Message
from actorflow.errors import DTypeError, FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DTYPES", "INLINE_NBYTES", "Array", "Frame", "Limits", "decode", "encode"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Frame: TypeAlias = bytes | memoryview

INLINE_NBYTES: Final = 8192
"""Arrays of at most so many bytes travel in the header."""

DTYPES: Final = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("float16", "float32", "float64"),
        *("int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
    )
}
"""The data types that travel. Every pattern of bits is a value of each of them."""

_PREFIX: Final = struct.Struct("<2sHI8x")
_MAGIC: Final = b"AF"
_ALIGNMENT: Final = 16
_LARGEST: Final = 2**62  # bytes or elements that NumPy can count without overflow
_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


@attrs.frozen(kw_only=True)
class Limits:
    """What a message may have at most. The defaults leave room for an array of 4 GiB."""

    frames: int = 4096
    header_nbytes: int = 16 * 2**20
    arrays: int = 65536
    array_nbytes: int = 2**32
    ndim: int = 32


class _Described(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    dtype: str
    shape: list[int]
    nbytes: int
    inline: bool


class _Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    message: Message
    arrays: list[_Described]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Body)
_DEFAULT_LIMITS: Final = Limits()


def encode(message: Message, arrays: Sequence[Array] = ()) -> list[Frame]:
    """The frames of a message.

    Args:
      message: what to say.
      arrays: its arrays, in the order that the message says. One that is not C-contiguous or not
        little-endian is copied. The frames of the larger ones are views: they must not change
        before the frames are sent.

    Raises:
      DTypeError: a data type that does not travel.
    """
    described, inline, frames = [], [], []
    for array in arrays:
        dtype = array.dtype
        name = _NAMES.get(dtype)
        if name is None:
            name = _NAMES.get(dtype.newbyteorder("<"))
            if name is None:
                raise DTypeError(f"an array of {dtype} to send; needs one of {', '.join(DTYPES)}")
            array = array.astype(DTYPES[name])  # noqa: PLW2901 -- in the order of bytes that travels
        nbytes = array.nbytes
        if nbytes <= INLINE_NBYTES:
            inline.append(array.tobytes())
        else:
            contiguous = np.ascontiguousarray(array)
            frames.append(contiguous.reshape(-1).view(np.uint8).data)
        described.append((name, array.shape, nbytes, nbytes <= INLINE_NBYTES))
    body = _ENCODER.encode((message, described))
    parts = [_PREFIX.pack(_MAGIC, PROTOCOL, len(body)), body]
    end = _PREFIX.size + len(body)
    for data in inline:
        padding = -end % _ALIGNMENT
        parts += (bytes(padding), data)
        end += padding + len(data)
    return [b"".join(parts), *frames]


def decode(
    frames: Sequence[Frame], limits: Limits = _DEFAULT_LIMITS
) -> tuple[Message, list[Array]]:
    """The message in some frames, and its arrays.

    Args:
      frames: what `encode` gave, or anybody sent.
      limits: what to refuse.

    Returns:
      The message, and read-only arrays that are views of the frames.

    Raises:
      FormatError: the frames are not a message of this version, or more than the limits allow.
    """
    if not 1 <= len(frames) <= limits.frames:
        raise FormatError(f"a message of {len(frames)} frames; needs 1 to {limits.frames}")
    header = memoryview(frames[0])
    body, end = _body(header, limits)
    if len(body.arrays) > limits.arrays:
        raise FormatError(f"a message of {len(body.arrays)} arrays; at most {limits.arrays}")
    arrays, used = [], 1
    for number, described in enumerate(body.arrays):
        dtype = _checked(described, number, limits)
        if described.inline:
            start = end + -end % _ALIGNMENT
            if header[end:start].tobytes().strip(b"\0"):
                raise FormatError(f"array {number} of a message: what is before it is not zero")
            end = start + described.nbytes
            source, offset, there = header, start, min(len(header), end) - start
        else:
            if used == len(frames):
                raise FormatError(f"array {number} of a message has no frame")
            source, offset = memoryview(frames[used]), 0
            there = source.nbytes
            used += 1
        if there != described.nbytes:
            raise FormatError(
                f"array {number} of a message: {max(there, 0)} bytes are there, "
                f"its header says {described.nbytes}"
            )
        arrays.append(_view(source, offset, dtype, described))
    if used != len(frames) or end != len(header):
        raise FormatError(
            f"a message of {len(frames)} frames and {len(header)} bytes of header; "
            f"its arrays need {used} and {end}"
        )
    return body.message, arrays


def _body(header: memoryview, limits: Limits) -> tuple[_Body, int]:
    """What the header says, and where in it the arrays begin."""
    if header.nbytes > limits.header_nbytes:
        raise FormatError(f"a header of {header.nbytes} bytes; at most {limits.header_nbytes}")
    if header.nbytes < _PREFIX.size or header[:2].tobytes() != _MAGIC:
        raise FormatError("a header that does not begin as one of actorflow's messages does")
    _, version, length = _PREFIX.unpack_from(header)
    if version != PROTOCOL:
        raise FormatError(f"a message of protocol {version}; this side speaks {PROTOCOL}")
    end = _PREFIX.size + length
    if any(header[8 : _PREFIX.size]) or end > header.nbytes:
        raise FormatError(f"a body of {length} bytes in a header of {header.nbytes}")
    try:
        return _DECODER.decode(header[_PREFIX.size : end]), end
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"a message that cannot be read: {error}") from error


def _checked(described: _Described, number: int, limits: Limits) -> np.dtype[Any]:
    """The data type of an array whose description agrees with itself."""
    dtype = DTYPES.get(described.dtype)
    if dtype is None:
        raise FormatError(
            f"array {number} of a message has the data type {described.dtype[:32]!r}; "
            f"needs one of {', '.join(DTYPES)}"
        )
    shape = described.shape
    if len(shape) > limits.ndim:
        raise FormatError(f"array {number} of a message has {len(shape)} axes of {limits.ndim}")
    count = extent = dtype.itemsize
    for length in shape:
        # The extent leaves empty axes out: NumPy counts those, too, when it looks for overflow.
        if length < 0 or (extent := extent * max(length, 1)) > _LARGEST:
            raise FormatError(f"array {number} of a message has the shape {shape[: limits.ndim]}")
        count *= length
    if count != described.nbytes or count > limits.array_nbytes:
        raise FormatError(
            f"array {number} of a message: {described.dtype} of shape {shape} are {count} bytes, "
            f"its header says {described.nbytes}; at most {limits.array_nbytes}"
        )
    if described.inline != (count <= INLINE_NBYTES):
        raise FormatError(f"array {number} of a message, {count} bytes, is in the wrong place")
    return dtype


def _view(source: memoryview, offset: int, dtype: np.dtype[Any], described: _Described) -> Array:
    if described.nbytes == 0:
        array: Array = np.empty(described.shape, dtype)
    else:
        array = np.ndarray(described.shape, dtype, source, offset)
    array.flags.writeable = False
    return array
