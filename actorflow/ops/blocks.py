"""Kernels of several passes over blocks that stay in cache, so that memory is passed through once.

A pass of NumPy's over an array that is larger than the cache takes as long as memory does. A kernel
of five passes over blocks of the array takes that time once. Blocks also bound the working memory,
and in it float16 is computed as float32, which is faster than float16 itself and more exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.errors import DTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actorflow.ops.operator import Operator
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "BLOCK",
    "all_floating",
    "blocks",
    "check_floating",
    "integers",
    "run",
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


def working_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What numbers of a floating type are computed in."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


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
    reads = [array.reshape(-1) for array in reads]
    writes = [array.reshape(-1) for array in writes]
    work = working_type(writes[0].dtype)
    rows = list(scratch[0]) if scratch else []
    for part in blocks(writes[0].size):
        size = part.stop - part.start
        spare = iter(rows)
        given = []
        for array in reads:
            block = array[part]
            if array.dtype != work:
                converted = next(spare)[:size]
                np.copyto(converted, block, casting="unsafe")
                block = converted
            given.append(block)
        found = []
        for array in writes:
            block = array[part] if array.dtype == work else next(spare)[:size]
            found.append((array, block))
        kernel(*given, *(block for _, block in found), *(row[:size] for row in spare))
        for array, block in found:
            if array.dtype != work:
                np.copyto(array[part], block, casting="same_kind")


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
