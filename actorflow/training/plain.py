"""Numbers and arrays of NumPy as plain data, bit by bit, and back."""

from __future__ import annotations

import base64
import binascii
from math import prod
from typing import Any, Final

import numpy as np

from actorflow.errors import FormatError

__all__ = ["packed", "unpacked"]

_KINDS: Final = "biuf"
_DEPTH: Final = 4  # of lists in lists
_AXES: Final = 64


def packed(value: Any) -> Any:  # noqa: ANN401 -- numbers, arrays and lists of them
    """A number, an array or a list of them, as data that JSON can hold.

    Raises:
      TypeError: it is something else.
    """
    if isinstance(value, list | tuple):
        return [packed(each) for each in value]
    if type(value) in {int, bool}:
        return value
    if type(value) is float:
        return {"float": value.hex()}
    array = np.asarray(value)
    if array.dtype.kind not in _KINDS:
        raise TypeError(f"checkpoint: a metric's sum needs to be numbers, got {value!r}")
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "dtype": little.dtype.str,
        "shape": list(array.shape),
        "data": base64.b64encode(little.tobytes()).decode(),
    }


def unpacked(source: str, given: object, depth: int = 0) -> Any:  # noqa: ANN401
    """The opposite of `packed`.

    Args:
      source: where it was found, for messages.
      given: the plain data.
      depth: in how many lists it lies.

    Raises:
      FormatError: it is something else.
    """
    if isinstance(given, list) and depth < _DEPTH:
        return [unpacked(source, each, depth + 1) for each in given]
    if isinstance(given, int):
        return given
    try:
        if isinstance(given, dict) and set(given) == {"float"}:
            return float.fromhex(given["float"])
        if isinstance(given, dict) and set(given) == {"dtype", "shape", "data"}:
            return _array(given["dtype"], given["shape"], given["data"])
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise FormatError(f"{source}: {given!r} is no number and no array: {error}") from error
    raise FormatError(f"{source}: {given!r} is no number and no array")


def _array(kind: Any, shape: Any, data: Any) -> Any:  # noqa: ANN401
    dtype = np.dtype(kind)
    sizes = tuple(shape)
    if dtype.kind not in _KINDS or len(sizes) > _AXES:
        raise ValueError(f"{kind!r} with {len(sizes)} axes")
    if not all(type(each) is int and each >= 0 for each in sizes):
        raise ValueError(f"shape {shape!r}")
    text = base64.b64decode(data, validate=True)
    if len(text) != prod(sizes) * dtype.itemsize:
        raise ValueError(f"{len(text)} bytes for shape {shape!r} of {dtype}")
    found = np.frombuffer(text, dtype).reshape(sizes).astype(dtype.newbyteorder("="))
    return found[()] if not sizes else found
