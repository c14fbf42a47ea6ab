"""A pool of host memory: arrays whose memory is used again when nobody can see it any more.

Fresh memory costs a page fault per 4 KB at its first touch, some forty times the time that it takes
to write to memory that was touched before; the decision record on the storage pool has figures.

The contract
  `Storage.allocate` lends memory. The loan ends when the last NumPy array or buffer that sees
  the memory is gone, views, DLPack capsules and memoryviews of views included, and only then
  can the memory be lent again. Nobody has to say so, and nobody can say so too early: there is
  no call that ends a loan. Whoever wants memory back soon drops its arrays soon.

The pool is an actor with a mailbox. Its state is changed by whoever holds its lock. The end of a
loan can come in any thread and in the middle of anything, the pool's own lines included, since it
is a weak reference's callback: it appends to the mailbox, and takes the lock only if that is
free. Who held the lock looks into the mailbox after letting go, so nothing stays there.
"""

from __future__ import annotations

import functools
import math
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

__all__ = ["Storage", "StorageStatistics", "size_class"]

_ALIGNMENT: Final = 64  # bytes: a cache line, and the widest vector register
_STEPS: Final = 16  # size classes per power of two, so at most 1/16 of a block is not asked for
_NEAR: Final = 2  # how many classes a cached block may be too large and still be lent
_SLACK: Final = 1.25  # live + cached bytes never exceed this times the peak of bytes asked for
_DEFAULT_MAX_CACHED: Final = 1 << 30
_DEFAULT_SMALL: Final = 16 << 10  # below it malloc hands out warm memory faster than a pool can


@attrs.frozen(kw_only=True)
class StorageStatistics:
    """What a pool held and did, at one moment. Memory below its `small_nbytes` is not counted.

    Attributes:
      live_nbytes: in blocks on loan, what rounding up to a size class adds included.
      requested_nbytes: of these, what was asked for.
      cached_nbytes: in blocks that wait to be lent again.
      high_water_nbytes: the most that live and cached bytes together have been.
      peak_requested_nbytes: the most that `requested_nbytes` has been.
      hits: requests served from the cache.
      misses: requests that took fresh memory from the system.
    """

    live_nbytes: int
    requested_nbytes: int
    cached_nbytes: int
    high_water_nbytes: int
    peak_requested_nbytes: int
    hits: int
    misses: int


@functools.lru_cache(maxsize=4096)
def size_class(nbytes: int) -> int:
    """The size in bytes of the blocks that serve a request of `nbytes` > 0: 0 to 1/16 more.

    Sixteen classes to each power of two, which are themselves classes.
    """
    step = 1 << max((nbytes - 1).bit_length() - 1 - (_STEPS.bit_length() - 1), 0)
    return -(-nbytes // step) * step


class _Block:
    """Memory that the pool owns; `view` starts at a multiple of 64 bytes."""

    __slots__ = ("nbytes", "view")

    def __init__(self, nbytes: int) -> None:
        raw = np.empty(nbytes + _ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        self.nbytes = nbytes
        # A memoryview, not an array: NumPy would name the block as the base of every view of a
        # loan, and nothing would tell when the last of them goes.
        self.view = raw.data[start : start + nbytes]


class _Loan(weakref.ref["np.ndarray[Any, Any]"]):
    """A weak reference to the array that every view of the lent memory keeps alive."""

    __slots__ = ("block", "requested")

    block: _Block
    requested: int


class Storage:
    """The pool of host memory of one context. Thread-safe; nothing in it blocks a finalizer.

    Args:
      max_cached_nbytes: keep at most this many bytes that are not on loan.
      small_nbytes: requests below this many bytes bypass the pool, and its figures.
      capacity_nbytes: lend at most this many bytes at a time, as asked for: rounding up to size
        classes adds less than a fifth to them. None: what the system has.
      name: whose memory it is, for messages, such as `"cpu(0)"`.

    Apart from the cap, the pool never holds more, live and cached together, than 1.25 times the
    most that was ever asked for at one time: a loop over random shapes does not hoard.

    Raises:
      ValueError: a size is negative.
    """

    def __init__(
        self,
        *,
        max_cached_nbytes: int = _DEFAULT_MAX_CACHED,
        small_nbytes: int = _DEFAULT_SMALL,
        capacity_nbytes: int | None = None,
        name: str = "host memory",
    ) -> None:
        if min(max_cached_nbytes, small_nbytes, capacity_nbytes or 0) < 0:
            raise ValueError(
                f"Storage: sizes are in bytes and not negative, got {max_cached_nbytes=}, "
                f"{small_nbytes=}, {capacity_nbytes=}"
            )
        self.name = name
        self.small_nbytes = max(small_nbytes, 1)  # an array without elements is always small
        self._max_cached = max_cached_nbytes
        self._capacity = capacity_nbytes
        # What began or ended without the lock: (block, bytes asked for, ended). Any thread may
        # append, at any depth of the stack.
        self._mailbox: deque[tuple[_Block, int, bool]] = deque()
        # A weak reference that is itself gone calls nobody, so those that are out are kept here.
        self._loans: dict[int, _Loan] = {}
        # All below is changed only by who holds the lock and has set `_inside`. The lock is one
        # that its thread may take again, because a finalizer may run in the middle of any line.
        self._lock = threading.RLock()
        self._inside = False
        self._cache: dict[int, deque[tuple[int, _Block]]] = {}  # size -> (when, block)
        self._clock = 0  # loans ended so far
        self._live = self._requested = self._cached = 0
        self._high_water = self._peak = self._hits = self._misses = 0
        _storages.add(self)

    def allocate(
        self, shape: int | Sequence[int], dtype: DTypeLike, nbytes: int | None = None
    ) -> np.ndarray[Any, Any]:
        """Lend an uninitialised, writable, C-contiguous array.

        Args:
          shape: of the array; an int is one axis.
          dtype: of the array; no Python objects.
          nbytes: the array's size in bytes, if the caller knows it: saves working it out.

        Returns:
          An array that starts at a multiple of 64 bytes, or, below `small_nbytes`, any array.

        Raises:
          OutOfMemoryError: what is live and the request are more than the capacity, or the
            system has no more.
          ValueError: a negative axis, an `nbytes` that is not the array's, or a dtype of objects.
        """
        if nbytes is None:
            count = shape if isinstance(shape, int) else math.prod(shape)
            nbytes = count * np.dtype(dtype).itemsize
        if nbytes < self.small_nbytes:
            return np.empty(shape, dtype)
        try:
            block = self._borrow(nbytes)
        except OutOfMemoryError as error:
            what = f"an array of shape {shape} ({np.dtype(dtype).name})"
            raise OutOfMemoryError(f"{error}; they are for {what}") from None
        try:
            dtype = np.dtype(dtype)
            flat = np.frombuffer(block.view, dtype, nbytes // dtype.itemsize)
        except BaseException:
            self._mailbox.append((block, nbytes, True))
            self._settle()
            raise
        loan = _Loan(flat, self._end)
        loan.block = block
        loan.requested = nbytes
        self._loans[id(loan)] = loan
        return flat.reshape(shape)

    def trim(self, keep_nbytes: int = 0) -> int:
        """Give cached blocks back to the system, the oldest first, until `keep_nbytes` are left.

        Returns:
          The bytes given back.
        """
        freed = 0
        with self._lock:
            if not self._inside:  # else: a finalizer in the middle of the pool's own lines
                self._inside = True
                try:
                    self._read_mailbox()
                    before = self._cached
                    self._evict(keep_nbytes)
                    freed = before - self._cached
                finally:
                    self._inside = False
        self._settle()
        return freed

    def statistics(self) -> StorageStatistics:
        """The pool's figures, those loans included that ended before the call."""
        with self._lock:
            self._settle()
            return StorageStatistics(
                live_nbytes=self._live,
                requested_nbytes=self._requested,
                cached_nbytes=self._cached,
                high_water_nbytes=self._high_water,
                peak_requested_nbytes=self._peak,
                hits=self._hits,
                misses=self._misses,
            )

    def check(self) -> None:
        """Check the pool's own books; for tests and fixtures.

        Raises:
          AssertionError: they do not add up.
        """
        with self._lock:
            self._settle()
            cached = [block for blocks in self._cache.values() for _, block in blocks]
            loans = list(self._loans.values())
            for what, books, found in (
                ("cached", self._cached, sum(block.nbytes for block in cached)),
                ("live", self._live, sum(loan.block.nbytes for loan in loans)),
                ("requested", self._requested, sum(loan.requested for loan in loans)),
            ):
                if books != found:
                    raise AssertionError(f"{self!r}: {books} bytes {what} booked, {found} found")

    def __repr__(self) -> str:
        return f"<Storage of {self.name}: {self._live} bytes live, {self._cached} cached>"

    def _borrow(self, nbytes: int) -> _Block:
        size = size_class(nbytes)
        with self._lock:
            if self._inside:
                # A finalizer that runs in the middle of the lines below wants memory. The pool's
                # state may be half changed, so it gets fresh memory, which is booked later.
                block = _Block(size)
                self._mailbox.append((block, nbytes, False))
                return block
            self._inside = True
            try:
                if self._mailbox:
                    self._read_mailbox()
                found = self._reserve(size, nbytes)
            finally:
                self._inside = False
        if self._mailbox:
            self._settle()
        return found if found is not None else self._fresh(size, nbytes)

    def _reserve(self, size: int, nbytes: int) -> _Block | None:
        """Book a loan; return the cached block for it, or None if it takes a fresh one."""
        requested = self._requested + nbytes
        if self._capacity is not None and requested > self._capacity:
            raise self._out_of_memory(nbytes, f"its capacity is {self._capacity} bytes")
        block = self._cached_block(size)
        if block is None:
            self._misses += 1
            limit = int(_SLACK * max(self._peak, requested))
            if self._capacity is not None:
                limit = min(limit, self._capacity)
            self._evict(max(limit - self._live - size, 0))
        else:
            self._hits += 1
            self._cached -= block.nbytes
        self._book(size if block is None else block.nbytes, nbytes)
        return block

    def _fresh(self, size: int, nbytes: int) -> _Block:
        """A block of the system's for a loan that is booked already."""
        for _ in range(2):
            try:
                return _Block(size)
            except (MemoryError, ValueError):  # the latter: more than an address can say
                self.trim()
        with self._lock:  # never `_inside` here: who is inside got its block before this point
            self._book(-size, -nbytes)
        raise self._out_of_memory(nbytes, "the system has no more")

    def _out_of_memory(self, nbytes: int, why: str) -> OutOfMemoryError:
        return OutOfMemoryError(
            f"{self.name}: {nbytes} bytes were asked for beside {self._requested} live "
            f"({self._cached} more are cached and do not count), but {why}"
        )

    def _cached_block(self, size: int) -> _Block | None:
        for _ in range(_NEAR + 1):
            blocks = self._cache.get(size)
            if blocks:
                return blocks.pop()[1]  # the one used last: its lines may still be in a CPU cache
            size = size_class(size + 1)
        return None

    def _book(self, size: int, nbytes: int) -> None:
        self._live += size
        self._requested += nbytes
        self._peak = max(self._peak, self._requested)
        self._high_water = max(self._high_water, self._live + self._cached)

    def _evict(self, keep_nbytes: int) -> None:
        while self._cached > keep_nbytes:
            oldest = min((blocks[0][0], size) for size, blocks in self._cache.items() if blocks)
            size = oldest[1]
            self._cache[size].popleft()
            self._cached -= size

    def _end(self, loan: _Loan) -> None:
        """End a loan: the weak reference's callback, so in any thread and amid any line."""
        del self._loans[id(loan)]
        self._mailbox.append((loan.block, loan.requested, True))
        self._settle()

    def _settle(self) -> None:
        """Carry out what is in the mailbox, or leave it to who holds the lock now."""
        while self._mailbox and self._lock.acquire(blocking=False):
            try:
                if self._inside:
                    return
                self._inside = True
                try:
                    self._read_mailbox()
                finally:
                    self._inside = False
            finally:
                self._lock.release()

    def _read_mailbox(self) -> None:
        while self._mailbox:
            block, nbytes, ended = self._mailbox.popleft()
            if not ended:
                self._misses += 1
                self._book(block.nbytes, nbytes)
                continue
            size = block.nbytes
            self._live -= size
            self._requested -= nbytes
            self._cached += size
            self._clock += 1
            blocks = self._cache.get(size)
            if blocks is None:
                blocks = self._cache[size] = deque()
            blocks.append((self._clock, block))
            if self._cached > self._max_cached:
                self._evict(self._max_cached)

    def _forget_parent(self) -> None:
        """Make the pool usable in a forked child: a thread that is not here may hold its lock."""
        self._lock = threading.RLock()
        self._inside = False
        self._cache = {}
        self._cached = 0


_storages: weakref.WeakSet[Storage] = weakref.WeakSet()


def _forget_parents() -> None:
    for storage in list(_storages):
        storage._forget_parent()


os.register_at_fork(after_in_child=_forget_parents)
