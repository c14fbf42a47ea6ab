"""Labels in front of a record's data: MXNet's image records, whatever the data are."""

from __future__ import annotations

import numbers
import struct
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np

from actorflow.errors import FormatError

__all__ = ["IRHeader", "pack", "unpack"]

_FORMAT: Final = struct.Struct("<IfQQ")
_LABEL: Final = np.dtype("<f4")

Data = TypeVar("Data", bytes, memoryview)
Label: TypeAlias = "float | np.ndarray[Any, Any] | list[float] | tuple[float, ...]"


class IRHeader(NamedTuple):
    """What stands in front of a record's data."""

    flag: int
    """How many labels there are if they are an array; 0 if `label` is a number. `pack` sets it."""

    label: Label
    """A number, or several; float32 in the file."""

    id: int
    """A number from 0 to 2**64 - 1, usually the record's key in the index."""

    id2: int
    """Another such number, usually 0."""


def pack(header: IRHeader | tuple[int, Label, int, int], s: bytes) -> bytes:
    """A header and data as one record.

    Args:
      header: its `label` is a number, or anything of which NumPy makes an array of float32.
      s: the data, such as an encoded image.

    Raises:
      ValueError: `id` or `id2` is not in its range.
      TypeError: `header` has a field of another type.
    """
    try:
        _, label, number, second = header
    except (TypeError, ValueError) as error:
        what = "needs an IRHeader, or its four fields as a tuple"
        raise TypeError(f"pack: header is {header!r}; {what}") from error
    if not isinstance(s, bytes | bytearray | memoryview):
        raise TypeError(f"pack: s is a {type(s).__name__}; needs bytes")
    if label is None:
        raise TypeError("pack: label is None; needs a number or several")
    if isinstance(label, numbers.Real):
        flag, single, labels = 0, float(label), b""
    else:
        several = np.asarray(label, dtype=_LABEL)
        flag, single, labels = several.size, 0.0, several.tobytes()
    for name, value in (("id", number), ("id2", second)):
        if not isinstance(value, numbers.Integral):
            raise TypeError(f"pack: {name} is {value!r}; needs an int")
        if not 0 <= value < 2**64:
            raise ValueError(f"pack: {name} is {value}; needs 0 to 2**64 - 1")
    try:
        start = _FORMAT.pack(flag, single, int(number), int(second))
    except OverflowError as error:
        raise ValueError(f"pack: label is {label!r}, more than a float32 holds") from error
    return b"".join((start, labels, s))


def unpack(s: Data) -> tuple[IRHeader, Data]:
    """The header and the data of a record that `pack` or MXNet made.

    Args:
      s: the record.

    Returns:
      The header, and the data behind it. Several labels are a read-only array of float32 that
      shares the record's memory; the data are a view if `s` is one.

    Raises:
      FormatError: the record is shorter than its header says.
    """
    if not isinstance(s, bytes | bytearray | memoryview):
        raise TypeError(f"unpack: s is a {type(s).__name__}; needs bytes")
    if len(s) < _FORMAT.size:
        raise FormatError(
            f"unpack: a record of {len(s)} bytes; needs the {_FORMAT.size} of a header at least"
        )
    flag, label, number, second = _FORMAT.unpack_from(s)
    start = _FORMAT.size
    if not flag:
        return IRHeader(0, label, number, second), s[start:]
    end = start + flag * _LABEL.itemsize
    if end > len(s):
        raise FormatError(
            f"unpack: the header says {flag} labels, which take {end} bytes with it; "
            f"the record has {len(s)}"
        )
    labels = np.frombuffer(s, _LABEL, flag, start)
    labels.flags.writeable = False
    return IRHeader(flag, labels, number, second), s[end:]
