"""What waits to be sent to one peer: bounded, by priority. No input or output here."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs

__all__ = ["Outbox", "Outgoing", "Released"]

Released: TypeAlias = Callable[[], None]


@attrs.frozen(eq=False)
class Outgoing:
    """A message that waits."""

    frames: Sequence[bytes | memoryview]
    nbytes: int
    released: Released | None = None
    """Called when nobody reads the frames any more."""


@attrs.define
class Outbox:
    """The messages for one peer. A higher priority comes first; among equals, who came first.

    Raises:
      ValueError: a bound that would let nothing through.
    """

    max_messages: int = attrs.field(validator=attrs.validators.ge(1))
    max_nbytes: int = attrs.field(validator=attrs.validators.ge(1))
    nbytes: int = 0  # the sum over all that wait
    _count: int = 0  # put so far; orders equals
    _heap: list[tuple[int, int, Outgoing]] = attrs.Factory(list)

    def __len__(self) -> int:
        return len(self._heap)

    def has_room(self, nbytes: int) -> bool:
        """Whether a message fits. Into an empty box every one does, or it could never go."""
        fits = len(self._heap) < self.max_messages and self.nbytes + nbytes <= self.max_nbytes
        return fits or not self._heap

    def put(self, message: Outgoing, priority: int) -> None:
        """Add a message; there must be room."""
        heapq.heappush(self._heap, (-priority, self._count, message))
        self._count += 1
        self.nbytes += message.nbytes

    def first(self) -> Outgoing:
        """The message that goes next."""
        return self._heap[0][2]

    def pop(self) -> Outgoing:
        """Take out the message that goes next."""
        message = heapq.heappop(self._heap)[2]
        self.nbytes -= message.nbytes
        return message
