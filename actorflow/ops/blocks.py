"""Kernels of several passes over blocks that stay in cache, so that memory is passed through once.

A pass of NumPy's over an array that is larger than the cache takes as long as memory does. A kernel
of five passes over blocks of the array takes that time once. Blocks also bound the working memory,
and in it float16 is computed as float32, which is faster than float16 itself and more exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from actorflow.errors import DTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actorflow.ops.operator import Call, Operator
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "BLOCK",
    "Do",
    "Notes",
    "all_floating",
    "at_least_zero",
    "at_most_zero",
    "at_once",
    "blocks",
    "check_floating",
    "integers",
    "run",
    "select",
    "space",
    "working_type",
]

BLOCK: Final = 65536
"""Elements of a block: three of float32 fit the second level of a cache of 1 MB. Smaller ones cost
more calls, and as many more chances to wait for Python's lock."""

_INTEGERS: Final[dict[int, np.dtype[Any]]] = {
    2: np.dtype(np.int16),
    4: np.dtype(np.int32),
    8: np.dtype(np.int64),
}


def blocks(count: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover `count` elements, of at most `size` each."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


class Do(Protocol):
    """Calls a function, or notes that it is to be called; gives the last argument, the output."""

    def __call__(self, function: Callable[..., object], *arguments: Any) -> Any:  # noqa: ANN401
        """The same for all functions."""
        ...


def at_once(function: Callable[..., object], *arguments: Any) -> Any:  # noqa: ANN401
    """Call a function now."""
    function(*arguments)
    return arguments[-1]


class Notes:
    """Calls that a kernel would make, to be made again and again on the same memory.

    Attributes:
      calls: the calls.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, function: Callable[..., object], *arguments: Any) -> Any:  # noqa: ANN401
        """Note a call."""
        if isinstance(function, np.ufunc):
            # NumPy would convert a number each time.
            dtype = arguments[-1].dtype
            arguments = tuple(
                np.array(each, dtype) if isinstance(each, float | int) else each
                for each in arguments
            )
        self.calls.append((function, arguments))
        return arguments[-1]


def working_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What numbers of a floating type are computed in."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def at_least_zero(data: Memory, output: Memory) -> None:
    """Fill `output` with `data`, and 0 where that is less; NaN stays.

    NumPy's `clip` takes a third of the time of its `maximum` with a number.
    """
    data.clip(0, np.inf, out=output)


def at_most_zero(data: Memory, output: Memory) -> None:
    """Fill `output` with `data`, and 0 where that is greater; NaN stays."""
    data.clip(-np.inf, 0, out=output)


def select(values: Memory, kept: Memory, output: Memory, room: Memory) -> None:
    """Fill `output` with `values` where `kept` is True, and with 0 elsewhere.

    The bits are multiplied as integers, by 1 or 0: a product of floats would not be 0 for an
    infinity, and NumPy's own selection takes five times as long.

    Args:
      values: floating point numbers.
      kept: for each of them a bool.
      output: may be `values`.
      room: to work in, of the same type.
    """
    bits = integers(room)
    np.copyto(bits, kept.view(np.int8))
    np.multiply(integers(values), bits, integers(output))


def integers(floats: Memory) -> Memory:
    """The bits of floating point numbers, as integers of their size."""
    return floats.view(_INTEGERS[floats.itemsize])


def space(
    count: int, dtypes: Sequence[np.dtype[Any]], temporaries: int
) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
    """The scratch space of `run`.

    Args:
      count: the number of elements of each array.
      dtypes: of all the arrays that `run` is given; they are computed in the first one's type.
      temporaries: how many blocks the kernel needs for itself.
    """
    work = working_type(dtypes[0])
    rows = temporaries + sum(dtype != work for dtype in dtypes)
    return (((rows, min(count, BLOCK)), work),) if rows else ()


def run(
    kernel: Callable[..., object],
    reads: Sequence[Memory],
    writes: Sequence[Memory],
    scratch: Sequence[Memory],
) -> None:
    """Call `kernel(*reads, *writes, *temporaries)` with each block of some arrays of one size.

    An array of another type than the working one is converted, block by block. A written array may
    be a read one: the kernel has to be done with an element when it writes it.

    Args:
      kernel: takes arrays of one axis and of one type.
      reads: what it reads.
      writes: what it fills.
      scratch: what `space` asked for.
    """
    arrays = [array if array.ndim == 1 else array.reshape(-1) for array in (*reads, *writes)]
    count, work, first = arrays[-1].size, working_type(arrays[-1].dtype), len(reads)
    rows: Sequence[Memory] = tuple(scratch[0]) if scratch else ()
    staged = [index for index, array in enumerate(arrays) if array.dtype != work]
    if count <= BLOCK and not staged:
        kernel(*arrays, *rows)
        return
    for start in range(0, count, BLOCK):
        given = [array[start : start + BLOCK] for array in arrays]
        if start + BLOCK > count:
            rows = [row[: count - start] for row in rows]
        for index, row in zip(staged, rows, strict=False):
            if index < first:
                np.copyto(row, given[index], casting="unsafe")
            given[index] = row
        kernel(*given, *rows[len(staged) :])
        for index in staged:
            if index >= first:
                target = arrays[index][start : start + BLOCK]
                np.copyto(target, given[index], casting="same_kind")


def all_floating(
    operator: Operator, dtypes: tuple[np.dtype[Any] | None, ...]
) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
    """What `infer_type` gives where everything has one data type, a floating one.

    Raises:
      DTypeError: it has not.
    """
    for name, dtype in zip((*operator.inputs, *operator.auxiliary), dtypes, strict=True):
        check_floating(operator, dtype, name)
    return operator.one_type(dtypes)


def check_floating(operator: Operator, dtype: np.dtype[Any] | None, name: str = "data") -> None:
    """Raise unless an input's data type is a floating one, or unknown.

    Raises:
      DTypeError: it is another one.
    """
    if dtype is not None and dtype.kind != "f":
        raise DTypeError(
            f"{operator.name}: {name} is {dtype.name}, but needs float16, float32 or float64"
        )
