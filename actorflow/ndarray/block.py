"""The memory of arrays: one resource for each allocation."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.device import HostMemory
from actorflow.engine import Resource
from actorflow.ops import prod

if TYPE_CHECKING:
    from actorflow.device import Context
    from actorflow.ops import Memory, Shape

__all__ = ["Block", "host_memory"]

host_memory: Final = HostMemory()
"""The pools that blocks on the host take their memory from."""

_SMALL: Final = 4 << 10  # bytes; the pools leave them to malloc too, but take longer to say so

_numbers: Final = itertools.count(1)  # of the blocks that something was said about
_allocating = threading.RLock()


def _after_fork_in_child() -> None:
    """Another thread of the parent may have had the lock, which nobody would give back here."""
    global _allocating  # noqa: PLW0603 -- the one lock of this module
    _allocating = threading.RLock()


os.register_at_fork(after_in_child=_after_fork_in_child)


class Block(Resource):
    """An array's memory as an actor. Arrays that are views of one another share one block.

    The memory is not allocated before the first operation that needs it runs, and then stays where
    it is until the block is dropped.

    Attributes:
      shape: of the array that it was made for; views may have others.
      dtype: of its elements, one of `DTYPES`.
      context: where it lies.
      data: the memory, C-contiguous, in `shape`; None before it is allocated.
    """

    __slots__ = ("_label", "context", "data", "dtype", "shape")

    _label: str  # not there before somebody has read or given a name

    def __init__(
        self,
        shape: Shape,
        dtype: np.dtype[Any],
        context: Context,
        data: Memory | None = None,
    ) -> None:
        # What `Resource.__init__` does, written out: each new array pays for this call.
        # It has no name: one that tells arrays apart is made up when somebody wants to read it.
        self.owner = None
        self._granted = None
        self._writer = None
        self._waiting = None
        self._failure = None
        self._parts = None
        self.shape = shape
        self.dtype = dtype
        self.context = context
        self.data = data

    @property
    def name(self) -> str:
        """What people call it: what it was named, or a number, its shape and its data type.

        Numbers are given in the order in which arrays are first spoken of.
        """
        try:
            return self._label
        except AttributeError:
            sizes = "x".join(map(str, self.shape))
            self._label = f"array #{next(_numbers)} ({sizes} {self.dtype.name})"
            return self._label

    @name.setter
    def name(self, name: str) -> None:
        self._label = name

    @property
    def size(self) -> int:
        """The number of its elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Its size in bytes, allocated or not."""
        return self.size * self.dtype.itemsize

    def allocate(self) -> Memory:
        """Return the memory, allocating it first if nobody has.

        Raises:
          OutOfMemoryError: there is none left.
        """
        # Operations on separate regions, or on a block that nobody ever wrote, may come here at
        # the same time.
        with _allocating:
            if self.data is None:
                nbytes = prod(self.shape) * self.dtype.itemsize
                if nbytes < _SMALL:
                    fresh = np.empty(self.shape, self.dtype)
                else:
                    pool = host_memory.storage(self.context)
                    fresh = pool.allocate(self.shape, self.dtype, nbytes)
                # A finalizer may have run meanwhile, in this thread, and come here too.
                if self.data is None:
                    self.data = fresh
            return self.data
