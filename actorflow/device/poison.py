"""Poison: bit patterns that show which elements of an array nobody has written.

Floats get a NaN with a payload that no computation makes by itself, so a poisoned element is told
from a NaN that was computed; arithmetic on it mostly hands the payload on, which shows reads
of what was never written too. All else gets the byte 0xA5, which integers may also hold rightly:
an array counts as poisoned only if all of it is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["count_poisoned", "is_poisoned", "poison"]

_BYTE: Final = 0xA5
# itemsize -> (unsigned type, quiet NaN of that size with 0xA5 in its payload)
_NANS: Final[dict[int, tuple[type[np.unsignedinteger[Any]], int]]] = {
    2: (np.uint16, 0x7EA5),
    4: (np.uint32, 0x7FE5A5A5),
    8: (np.uint64, 0x7FFDA5A5A5A5A5A5),
}


def _bits(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], int]:
    """The array's own memory as unsigned integers, and the poison among those."""
    itemsize = array.dtype.itemsize
    if array.dtype.kind == "f" and itemsize in _NANS:
        unsigned, pattern = _NANS[itemsize]
        return array.view(unsigned), pattern
    if array.dtype.kind in "biu":
        return array.view(f"u{itemsize}"), int.from_bytes([_BYTE] * itemsize)
    raise TypeError(f"poison: an array of {array.dtype} has no pattern; needs bool, int or float")


def poison(array: np.ndarray[Any, Any]) -> None:
    """Overwrite every element of `array` (any shape, any strides) with poison.

    Raises:
      TypeError: the dtype is neither bool, integer nor a float of at most 8 bytes.
      ValueError: the array is read-only.
    """
    bits, pattern = _bits(array)
    bits[...] = pattern


def count_poisoned(array: np.ndarray[Any, Any]) -> int:
    """How many elements hold the poison, to the bit.

    For integers and bools this counts elements too that rightly hold this value.

    Raises:
      TypeError: the dtype is neither bool, integer nor a float of at most 8 bytes.
    """
    bits, pattern = _bits(array)
    return int(np.count_nonzero(bits == pattern))


def is_poisoned(array: np.ndarray[Any, Any]) -> bool:
    """Whether `array` has elements and all of them hold the poison.

    Raises:
      TypeError: the dtype is neither bool, integer nor a float of at most 8 bytes.
    """
    return array.size > 0 and count_poisoned(array) == array.size
