"""Which rows come in which batch: plain arithmetic on seed, epoch and number of the batch."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final, TypeAlias

import attrs
import numpy as np

__all__ = [
    "LAST",
    "ROUND",
    "Order",
    "Rows",
    "checked_integer",
    "checked_path",
    "permutation",
]

Rows: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]

LAST: Final = ("pad", "discard", "roll_over")
ROUND: Final = "round"


def permutation(count: int, seed: int, *stream: int) -> Rows:
    """The numbers from 0 to `count` - 1 in an order that depends on the arguments alone.

    The generator is Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
    keyed by a hash of seed and stream.
    """
    bits = np.random.Philox(np.random.SeedSequence([seed, *stream]))
    return np.random.Generator(bits).permutation(count)


def checked_integer(who: str, name: str, value: object, least: int) -> int:
    """An argument that has to be an integer of at least `least`.

    Raises:
      ValueError: it is not.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{who}: {name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def checked_path(who: str, name: str, value: object) -> str:
    """An argument that has to be a path or a URL, as text.

    Raises:
      TypeError: it is not.
    """
    if not isinstance(value, str | bytes | os.PathLike):
        raise TypeError(f"{who}: {name} must be a path or a URL, got {value!r}")
    return os.fsdecode(value)


@attrs.frozen
class Order:
    """How rows are divided into batches.

    An epoch begins with the `carried` rows that were left of the one before. With `ROUND` it is the
    other way: the last batch of an epoch is filled up with rows of the next, which then leaves them
    out; there `carried` is how many these are, below 0.

    Attributes:
      count: how many rows there are.
      batch_size: rows of a batch.
      shuffle: whether each epoch has an order of its own.
      seed: of these orders.
      last: what becomes of the rows that do not fill a batch: one of `LAST`, or `ROUND`.
    """

    count: int
    batch_size: int
    shuffle: bool
    seed: int
    last: str

    def batches(self, carried: int) -> int:
        """How many batches an epoch has."""
        total = carried + self.count
        rounded = self.last in {"pad", ROUND}
        return -(-total // self.batch_size) if rounded else total // self.batch_size

    def left(self, carried: int, done: int) -> int:
        """How many rows the next epoch begins with, if this one was left after `done` batches."""
        if self.last not in {"roll_over", ROUND} or done < self.batches(carried):
            return 0
        if self.last == ROUND:
            return -((done * self.batch_size - carried - self.count) % self.count)
        return (carried + self.count) % self.batch_size

    def batch(self, epoch: int, carried: int, number: int) -> tuple[Rows, int]:
        """The rows of a batch, and how many at its end only fill it up.

        These are the epoch's first rows again, as often as it takes; with `ROUND` the next one's.
        """
        start = number * self.batch_size
        places = np.arange(start, start + self.batch_size)
        pad = max(0, start + self.batch_size - carried - self.count)
        if not self.shuffle:
            return (places - carried) % self.count, pad
        rows = _shuffled(self.count, self.seed, epoch)[(places - carried) % self.count]
        old = places[places < carried]
        if old.size:
            rows[: old.size] = _shuffled(self.count, self.seed, epoch - 1)[old - carried]
        if pad and self.last == ROUND:
            following = np.arange(pad) % self.count
            rows[-pad:] = _shuffled(self.count, self.seed, epoch + 1)[following]
        return rows, pad


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, epoch: int) -> Rows:
    return permutation(count, seed, epoch)
