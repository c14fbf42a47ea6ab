"""`a[key]` and `a[key] = value`.

Integers on the leading axes, then at most one slice with step 1, then whole axes: such a key picks
one run of memory, and gives a view. Every other key gives a copy. Assignments take any key of
NumPy's, and update the smallest run of the leading axis that holds what they change.
"""

from __future__ import annotations

from typing import Any, Final, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from actorflow.errors import DTypeError
from actorflow.ndarray.core import A, ArrayCore
from actorflow.ndarray.invoke import copy_into, invoke, make, push
from actorflow.ops import (
    Assign,
    BroadcastTo,
    GetItem,
    Memory,
    SetItem,
    Shape,
    Take,
    check_value,
    indexed_shape,
    prod,
    shared,
)

__all__ = ["Indexing", "Key"]

Key: TypeAlias = Any
_ALL: Final = slice(None)


class Indexing(ArrayCore):
    """Indexing of arrays."""

    __slots__ = ()

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, key: Key) -> Self:
        if isinstance(key, ArrayCore):
            if key._block.dtype.kind == "f":
                # What a comparison gives is of that kind, and would take elements 0 and 1.
                raise DTypeError(
                    f"index: an array of indices must be of an integer type, got "
                    f"{key._block.dtype}: use astype('int64') or nd.take; for a mask, wait for it "
                    "and write x[mask.asnumpy() != 0]"
                )
            return invoke(shared(Take), (self, cast("Self", key)))
        parts = key if isinstance(key, tuple) else (key,)
        run = _contiguous(parts, self._shape)
        if run is not None:
            start, shape = run
            if 0 in shape:
                return make(type(self), shape, self._block.dtype, self._block.context)
            return self._part(start, shape)
        parts = _snapshot(parts)
        place = indexed_shape(self._shape, parts)
        picked = make(type(self), place or (1,), self._block.dtype, self._block.context, "getitem")
        if picked._size:
            rows, parts = _enclose(self, parts)
            push(GetItem(parts), (rows,), picked)
        return picked

    def __setitem__(self, key: Key, value: ArrayCore | npt.ArrayLike) -> None:
        if not self._writable:
            raise ValueError("setitem: the array is not writable")
        parts = key if isinstance(key, tuple) else (key,)
        run = _contiguous(parts, self._shape)
        if run is not None:
            start, place = run
            if 0 not in place:
                self._part(start, place)._set(value)
            return
        parts = _snapshot(parts)
        place = indexed_shape(self._shape, parts)
        if 0 in place:
            return
        if isinstance(value, ArrayCore):
            check_value(place, value._shape)
            target, parts = _enclose(self, parts)
            push(SetItem(parts), (value,), target, keeps=True)
        else:
            constant = self._constant(value)
            check_value(place, constant.shape)
            target, parts = _enclose(self, parts)
            push(Assign(parts, constant), (), target, keeps=True)

    def _set(self, value: ArrayCore | npt.ArrayLike) -> None:
        """Write the whole array."""
        if not isinstance(value, ArrayCore):
            constant = self._constant(value)
            check_value(self._shape, constant.shape)
            push(Assign(..., constant), (), self)
        elif value._shape == self._shape:
            copy_into(value, self)
        else:
            check_value(self._shape, value._shape)
            if value._size == self._size:
                copy_into(value.reshape(self._shape), self)  # type: ignore[attr-defined]
            else:
                push(BroadcastTo(self._shape), (value,), self)

    def _constant(self, value: npt.ArrayLike) -> Memory:
        """What `value` is now, in the data type of the array.

        Raises:
          OverflowError: a Python integer that the data type cannot hold.
        """
        if isinstance(value, np.ndarray):
            return value.astype(self._block.dtype)  # a copy
        return np.array(value, self._block.dtype)


def _snapshot(parts: tuple[Key, ...]) -> tuple[Key, ...]:
    """The key with all that its owner could change later copied."""
    kept = []
    for part in parts:
        if isinstance(part, ArrayCore):
            raise IndexError(
                "an NDArray can be an index only by itself, for the first axis, in reading; "
                "elsewhere give the index as a NumPy array"
            )
        kept.append(np.array(part) if isinstance(part, np.ndarray | list) else part)
    return tuple(kept)


def _contiguous(parts: tuple[Key, ...], shape: Shape) -> tuple[int, Shape] | None:
    """Where the run of memory that the key picks starts, and its shape; None if it is no run.

    Raises:
      IndexError: an index out of range.
    """
    if parts and parts[-1] is ...:
        parts = parts[:-1]
    axis = 0
    start = 0
    size = prod(shape)
    while axis < min(len(parts), len(shape)) and _is_integer(parts[axis]):
        length = shape[axis]
        index = int(parts[axis])
        if not -length <= index < length:
            raise IndexError(f"index {index} is out of range for axis {axis} of shape {shape}")
        size //= length
        start += index % length * size
        axis += 1
    if axis == len(parts):
        return start, shape[axis:] or (1,)
    part, rest = parts[axis], parts[axis + 1 :]
    whole = all(isinstance(each, slice) and each == _ALL for each in rest)
    if not isinstance(part, slice) or not whole or len(parts) > len(shape):
        return None
    first, last, step = part.indices(shape[axis])
    if step != 1:
        return None
    width = size // (shape[axis] or 1)
    return start + first * width, (max(last - first, 0), *shape[axis + 1 :])


def _is_integer(part: Key) -> bool:
    return isinstance(part, int | np.integer) and not isinstance(part, bool)


def _enclose(array: A, parts: tuple[Key, ...]) -> tuple[A, tuple[Key, ...]]:
    """The rows of the array that a key touches, and the key counted from there.

    The key picks at least one element.
    """
    first: Key = parts[0] if parts else ...
    length = array._shape[0]
    if isinstance(first, slice):
        rows = range(length)[first]
        parts = (slice(None, None, rows.step), *parts[1:])
    elif _is_integer(first):
        rows = range(length)[int(first) :][:1]
        parts = (0, *parts[1:])
    else:
        return array, parts
    low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1
    width = array._size // length
    return array._part(low * width, (high - low, *array._shape[1:])), parts
