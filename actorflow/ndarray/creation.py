"""Functions that make arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import numpy as np

from actorflow.device import as_context
from actorflow.engine import current_engine
from actorflow.errors import DTypeError
from actorflow.ndarray.array import NDArray
from actorflow.ndarray.block import Block
from actorflow.ndarray.invoke import check_out, make, push
from actorflow.ops import Arange, DTypeLike, Fill, Operator, Scalar, as_dtype, as_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.device import Context
    from actorflow.ops import Memory

__all__ = [
    "arange",
    "array",
    "empty",
    "from_dlpack",
    "full",
    "ones",
    "ones_like",
    "waitall",
    "zeros",
    "zeros_like",
]

ShapeLike: TypeAlias = "SupportsIndex | Iterable[SupportsIndex]"


def _holding(name: str, memory: Memory, ctx: Context | None, *, writable: bool = True) -> NDArray:
    context = as_context(ctx, name)
    context.require_memory()
    block = Block(memory.shape, as_dtype(memory.dtype, name), context, memory)
    return NDArray(block, memory.shape, memory.size, writable=writable)


def array(
    source_array: Any,  # noqa: ANN401 -- whatever NumPy makes an array of
    ctx: Context | None = None,
    dtype: DTypeLike | None = None,
    *,
    writable: bool = True,
) -> NDArray:
    """An array with the elements of another one, or of nested sequences, copied as they are now.

    Args:
      source_array: an NDArray, a NumPy array, a sequence of sequences, or a number.
      ctx: where it lives; default the current context.
      dtype: its data type; default an NDArray's own, and float32 for anything else.
      writable: whether it may be changed through the result.

    Raises:
      ContextError: no array can live in `ctx`.
      DTypeError: the data type is not supported.
      TypeError: `ctx` is no `Context`.
      ValueError: the sequences are not all of one length.
    """
    if isinstance(source_array, NDArray):
        context = source_array.context if ctx is None else as_context(ctx, "array")
        kind = source_array.dtype if dtype is None else as_dtype(dtype, "array")
        context.require_memory()
        copied = make(NDArray, source_array.shape, kind, context)
        source_array.copyto(copied)
        copied._writable = writable
        return copied
    kind = as_dtype("float32" if dtype is None else dtype, "array")
    source = np.asarray(source_array)
    if source.dtype.kind not in "biuf":
        raise DTypeError(f"array: cannot be made of {source.dtype} elements")
    memory = np.array(source, kind, order="C", ndmin=1)
    return _holding("array", memory, ctx, writable=writable)


def from_dlpack(source: Any, ctx: Context | None = None) -> NDArray:  # noqa: ANN401
    """An array in the memory of another library's, without a copy where that is possible.

    What the other library does to it later is in no order with the engine's operations. Memory
    that is not contiguous is copied, and read-only memory makes an array that is not writable.

    Args:
      source: an object with `__dlpack__`.
      ctx: which cpu context it is to belong to; default the current one.

    Raises:
      ContextError: no array can live in `ctx`.
      DTypeError: the data type is not supported.
      TypeError: `ctx` is no `Context`.
    """
    memory = np.from_dlpack(source)
    if not memory.flags.c_contiguous or not memory.ndim:
        memory = np.array(memory, order="C", ndmin=1)
    return _holding("from_dlpack", memory, ctx, writable=memory.flags.writeable)


def _filled(
    operator: Operator, shape: ShapeLike, ctx: Context | None, dtype: DTypeLike, out: NDArray | None
) -> NDArray:
    """A new array of an operator that has no input, or `out`."""
    sizes = as_shape(shape, operator.name)
    kind = as_dtype(dtype, operator.name)
    context = as_context(ctx, operator.name)
    if out is None:
        context.require_memory()
        out = make(NDArray, sizes, kind, context, operator.name)
    else:
        check_out(operator.name, out, sizes, kind)
    push(operator, (), out)
    return out


def empty(shape: ShapeLike, ctx: Context | None = None, dtype: DTypeLike = "float32") -> NDArray:
    """An array that nobody has written: its elements are anything.

    Args:
      shape: its sizes, or one size.
      ctx: where it lives; default the current context.
      dtype: its data type.

    Raises:
      ContextError: no array can live in `ctx`.
      DTypeError: the data type is not supported.
      OutOfMemoryError: it is larger than all memory that there can ever be.
      ShapeError: it has more axes or elements than any array can have.
      TypeError: `ctx` is no `Context`.
      ValueError: a size is negative.
    """
    context = as_context(ctx, "empty")
    context.require_memory()
    sizes = as_shape(shape, "empty")
    return make(NDArray, sizes, as_dtype(dtype, "empty"), context, "empty")


def zeros(
    shape: ShapeLike,
    ctx: Context | None = None,
    dtype: DTypeLike = "float32",
    out: NDArray | None = None,
) -> NDArray:
    """An array of zeros; the arguments are those of `empty`, and `out` to fill instead."""
    return _filled(Fill(0), shape, ctx, dtype, out)


def ones(
    shape: ShapeLike,
    ctx: Context | None = None,
    dtype: DTypeLike = "float32",
    out: NDArray | None = None,
) -> NDArray:
    """An array of ones; the arguments are those of `empty`, and `out` to fill instead."""
    return _filled(Fill(1), shape, ctx, dtype, out)


def full(
    shape: ShapeLike,
    val: Scalar,
    ctx: Context | None = None,
    dtype: DTypeLike = "float32",
    out: NDArray | None = None,
) -> NDArray:
    """An array with one value everywhere.

    Args:
      shape: its sizes, or one size.
      val: the value.
      ctx: where it lives; default the current context.
      dtype: its data type.
      out: an array of that shape to fill instead of a new one.

    Raises:
      ContextError: no array can live in `ctx`.
      DTypeError: the data type is not supported.
      TypeError: `ctx` is no `Context`.
      OutOfMemoryError, ShapeError: it is larger than any array can be; see `empty`.
      OverflowError: an integer that the data type cannot hold.
      ValueError: a size is negative.
    """
    value = np.array(val, as_dtype(dtype, "full"))
    if value.ndim:
        raise TypeError(f"full: val is one number, got {val!r}")
    return _filled(Fill(value.item()), shape, ctx, dtype, out)


def zeros_like(data: NDArray, out: NDArray | None = None) -> NDArray:
    """An array of zeros with the shape, data type and context of another; `out` to fill instead.

    Raises:
      ContextError, DTypeError, ShapeError: they are not those of `out`.
      TypeError: `data` is no array.
    """
    return _like("zeros_like", Fill(0), data, out)


def ones_like(data: NDArray, out: NDArray | None = None) -> NDArray:
    """An array of ones with the shape, data type and context of another; `out` to fill instead.

    Raises:
      ContextError, DTypeError, ShapeError: they are not those of `out`.
      TypeError: `data` is no array.
    """
    return _like("ones_like", Fill(1), data, out)


def _like(who: str, operator: Fill, data: NDArray, out: NDArray | None) -> NDArray:
    if not isinstance(data, NDArray):
        raise TypeError(f"{who}: data needs to be an NDArray, got {type(data).__name__}")
    return _filled(operator, data.shape, data.context, data.dtype, out)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    ctx: Context | None = None,
    dtype: DTypeLike = "float32",
) -> NDArray:
    """The numbers `start`, `start + step`, ... below `stop`, or above it if `step` is negative.

    Args:
      start: the first number; the bound, with 0 first, if there is no `stop`.
      stop: the bound, exclusive.
      step: the distance, not 0.
      repeat: how often each number comes.
      ctx: where it lives; default the current context.
      dtype: its data type.

    Raises:
      ContextError: no array can live in `ctx`.
      DTypeError: the data type is not supported.
      TypeError: `ctx` is no `Context`.
      OutOfMemoryError, ShapeError: it is larger than any array can be; see `empty`.
      ValueError: `step` is 0 or `repeat` less than 1.
    """
    if stop is None:
        start, stop = 0, start
    operator = Arange(start, stop, step, repeat)
    return _filled(operator, (operator.count,), ctx, dtype, None)


def waitall() -> None:
    """Wait until everything pushed to the current engine so far is done."""
    current_engine().wait_all()
