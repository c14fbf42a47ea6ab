"""What a distributed store keeps of a key, and how its requests are counted and put together."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import attrs

from actorflow.kvstore.partition import Part, batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.comm.wire import Array
    from actorflow.engine import Completion, Resource
    from actorflow.kvstore.arguments import Key
    from actorflow.ndarray import NDArray

__all__ = [
    "Count",
    "Outcome",
    "Pair",
    "Piece",
    "Slot",
    "by_server",
    "groups",
    "ignore",
    "name_of",
    "now",
    "start_keeping",
    "whole",
]

_ALONE: Final = 256 << 10  # bytes: a key with more is sent by itself, as soon as it is there


@attrs.define(eq=False)
class Slot:
    """What this worker knows of a key.

    Attributes:
      like: its first value here, for the shape and the data type.
      sent: what is done with the key happens in the order of this resource.
      parts: where it lies.
      pushed: how many pushes were sent; changed by operations on `sent`.
      merged: where the sum of several devices goes.
    """

    key: Key
    like: NDArray
    sent: Resource
    parts: list[Part]
    pushed: int = 0
    merged: NDArray | None = None


Pair = tuple[Slot, "list[NDArray]"]
Piece = tuple[Slot, Part, Any]  # a part of a key, with its elements or with where they go


@attrs.define(eq=False)
class Count:
    """Calls `then` when something has happened `left` times: of the engine's threads, or ours."""

    left: int
    then: Callable[[], None] | None = None
    lock: threading.Lock = attrs.Factory(threading.Lock)

    def one(self) -> None:
        """It has happened once."""
        self._take(1)

    def when(self, then: Callable[[], None]) -> None:
        """Say what to call; one of the times is this."""
        self.then = then
        self._take(1)

    def _take(self, number: int) -> None:
        with self.lock:
            self.left -= number
            last = self.left == 0
        if last and self.then is not None:
            self.then()


@attrs.define(eq=False)
class Outcome:
    """Ends an operation when all its requests have; the first failure is its failure."""

    left: int
    succeed: Callable[[], None]
    failed: Callable[[BaseException], None]
    error: BaseException | None = None
    lock: threading.Lock = attrs.Factory(threading.Lock)

    def one(self) -> None:
        """One has ended."""
        with self.lock:
            self.left -= 1
            last = self.left == 0
        if last:
            if self.error is not None:
                self.failed(self.error)
            else:
                self.succeed()

    def count(self, *_: object) -> None:
        """One is answered."""
        self.one()

    def ignore(self, *_: object) -> None:
        """One is answered, but not over."""

    def note(self, error: BaseException) -> None:
        """One has failed, but is not over."""
        self.error = self.error or error

    def fail(self, error: BaseException) -> None:
        """One has failed."""
        self.note(error)
        self.one()


def start_keeping(over: Count, completion: Completion) -> None:
    """End an operation when all of that has happened."""
    over.when(completion.succeed)


def ignore(*_: object) -> None:
    """A push that fails is known to the pulls and barriers of its key."""


def now() -> float:
    """Seconds, of the clock that all processes of a machine share."""
    return time.monotonic()


def whole(array: Array) -> int | None:
    """The number in an array of one, for the checker."""
    return int(array[0]) if array.size == 1 and float(array[0]).is_integer() else None


def name_of(slot: Slot, part: Part) -> str:
    """What a history calls a part of a key: each is a key of its own there."""
    whole = part.size == slot.like.size
    return str(slot.key) if whole else f"{slot.key}[{part.start}:{part.stop}]"


def groups(found: Sequence[Pair]) -> list[list[Pair]]:
    """The keys of a call, parted into those that are sent together: small ones."""
    alone = [[each] for each in found if each[0].like.nbytes >= _ALONE]
    together = [each for each in found if each[0].like.nbytes < _ALONE]
    return [*([together] if together else []), *alone]


def by_server(pieces: Sequence[Piece], *, split: bool) -> list[tuple[int, list[Piece]]]:
    """Pieces by the server that they go to, in messages; `split`: of a bounded size."""
    servers: dict[int, list[Piece]] = {}
    for piece in pieces:
        servers.setdefault(piece[1].server, []).append(piece)
    if not split:
        return list(servers.items())
    found = []
    for server, some in servers.items():
        sizes = [(n, p[1].size * p[0].like.dtype.itemsize) for n, p in enumerate(some)]
        found += [(server, [some[int(n)] for n in batch]) for batch in batches(sizes)]
    return found
