"""The data types that arrays may have, and the aliases that operators are written in."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final, SupportsIndex, TypeAlias

import numpy as np

from actorflow.errors import DTypeError, ShapeError
from actorflow.ops.wording import described

__all__ = [
    "DTYPES",
    "MATRIX",
    "DTypeLike",
    "Memory",
    "Scalar",
    "Shape",
    "as_dtype",
    "as_shape",
    "carve",
    "is_floating",
    "normalize_axis",
    "prod",
    "room",
    "supported",
]

MATRIX: Final = 2  # axes
_MAX_AXES: Final = 64  # NumPy's
_MAX_SIZE: Final = (
    sys.maxsize // 8
)  # elements of the widest data type that addresses can tell apart

_LINE: Final = 64  # bytes

Shape: TypeAlias = tuple[int, ...]
Memory: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Scalar: TypeAlias = bool | int | float | np.generic
DTypeLike: TypeAlias = str | type | np.dtype[Any]

DTYPES: Final[tuple[np.dtype[Any], ...]] = tuple(
    np.dtype(name)
    for name in ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
)
"""All data types, each as the one object that stands for it: compare with `is`."""

_BY_DTYPE: Final[dict[Any, np.dtype[Any]]] = {dtype: dtype for dtype in DTYPES}
_BY_SPELLING: Final[dict[Any, np.dtype[Any]]] = {
    spelling: dtype for dtype in DTYPES for spelling in (dtype.name, dtype.type)
} | {float: np.dtype("float64"), int: np.dtype("int64"), bool: np.dtype("bool")}

_WIDER: Final[dict[Any, np.dtype[Any]]] = {np.dtype("int16"): _BY_SPELLING["int32"]}


def as_dtype(dtype: DTypeLike, who: str) -> np.dtype[Any]:
    """Return the data type that `dtype` spells, as its one object in `DTYPES`.

    Args:
      dtype: a name (`"float32"`), a NumPy type or data type, or `float`, `int`, `bool`.
      who: the function that was given it, for the message.

    Raises:
      DTypeError: it is none of `DTYPES`.
    """
    known = _BY_SPELLING.get(dtype) if isinstance(dtype, str | type) else None
    # NumPy takes None for float64.
    if known is None and dtype is not None:
        try:
            known = _BY_DTYPE.get(np.dtype(dtype).newbyteorder("="))
        except TypeError:
            known = None
    if known is None:
        names = ", ".join(each.name for each in DTYPES)
        raise DTypeError(f"{who}: dtype {dtype!r} is not supported; it may be {names}")
    return known


def as_shape(shape: SupportsIndex | Iterable[SupportsIndex], who: str) -> Shape:
    """Return `shape`, one integer or several, as a tuple of non-negative integers.

    A shape of no axes becomes `(1,)`: arrays have at least one axis, as in MXNet.

    Raises:
      ShapeError: it has more axes, or more elements, than any array can have.
      TypeError: it is not made of integers.
      ValueError: one of them is negative.
    """
    try:
        if isinstance(shape, Iterable):
            sizes = tuple(size.__index__() for size in shape)
        else:
            sizes = (shape.__index__(),)
    except (AttributeError, TypeError):
        raise TypeError(f"{who}: a shape is made of integers, got {described(shape)}") from None
    if any(size < 0 for size in sizes):
        raise ValueError(f"{who}: a shape has no negative sizes, got {shape!r}")
    count = 1
    for size in sizes:
        count *= size or 1  # an array without elements is told its other sizes too
    if count > _MAX_SIZE or len(sizes) > _MAX_AXES:
        raise ShapeError(
            f"{who}: a shape has at most {_MAX_AXES} axes and {_MAX_SIZE} elements, got {shape!r}"
        )
    return sizes or (1,)


def supported(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What NumPy promotes some of `DTYPES` to, as one of them.

    NumPy leaves them in one case alone: int8 with uint8 is int16 there, and int32 here, the
    narrowest of `DTYPES` that holds both.
    """
    return _BY_DTYPE.get(dtype) or _WIDER[dtype]


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether `dtype` is float16, float32 or float64."""
    return dtype.kind == "f"


def room(wanted: Iterable[tuple[Shape, np.dtype[Any]]]) -> int:
    """The bytes that `carve` needs for arrays of these shapes and data types."""
    return sum(map(_aligned, wanted))


def carve(raw: Memory, wanted: Iterable[tuple[Shape, np.dtype[Any]]]) -> list[Memory]:
    """Cut arrays of these shapes and data types out of bytes, each where a line of cache begins."""
    found = []
    begin = 0
    for shape, dtype in wanted:
        part = raw[begin : begin + prod(shape) * dtype.itemsize]
        found.append(part.view(dtype).reshape(shape))
        begin += _aligned((shape, dtype))
    return found


def _aligned(wanted: tuple[Shape, np.dtype[Any]]) -> int:
    shape, dtype = wanted
    return -(-prod(shape) * dtype.itemsize // _LINE) * _LINE


def prod(sizes: Shape) -> int:
    """The number of elements of an array of shape `sizes`."""
    total = 1
    for size in sizes:
        total *= size
    return total


def normalize_axis(name: str, axis: int, ndim: int) -> int:
    """`axis` counted from the front.

    Raises:
      ShapeError: there is no such axis.
    """
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{name}: axis {axis} is out of range: the array has {ndim} axes")
    return axis % ndim
