"""Which server has which part of which key.

A small key lies on one server, a big one in equal parts on all. Every process computes this alone,
and all have to find the same.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from actorflow.errors import MembershipError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["ALIGN", "BIG", "Part", "Partition", "batches"]

BIG = 1_000_000
"""Elements from which on a key is divided, as in MXNet."""

ALIGN = 64
"""Parts begin at multiples of so many elements, so that no two share a line of cache."""

Key = int | str


@attrs.frozen
class Part:
    """The elements `start` to `stop` (without it) of a flattened key, on one server."""

    server: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self.stop - self.start


@attrs.frozen
class Partition:
    """How keys lie on servers.

    Args:
      servers: how many there are.
      bound: elements from which on a key is divided.

    Raises:
      ParameterError: a number is less than 1.
    """

    servers: int
    bound: int = BIG

    def __attrs_post_init__(self) -> None:
        if self.servers < 1 or self.bound < 1:
            raise ParameterError(
                f"Partition: servers={self.servers}, bound={self.bound}; needs 1 or more of each"
            )

    def home(self, key: Key) -> int:
        """The server of a key that is not divided: the same in each process, on each machine."""
        return _stable_hash(key) % self.servers

    def parts(self, key: Key, size: int) -> list[Part]:
        """Where the elements of a key lie.

        Args:
          key: its name.
          size: how many elements it has.

        Returns:
          Parts in the order of their elements; together they have each element once. One part for
          a small key; else the servers' parts differ by at most `ALIGN` elements, and servers for
          which there are none are left out.

        Raises:
          ParameterError: the size is negative.
        """
        if size < 0:
            raise ParameterError(f"key {key!r}: {size} elements; needs 0 or more")
        if size < self.bound or self.servers == 1:
            return [Part(self.home(key), 0, size)]
        pieces = -(-size // ALIGN)
        cuts = [min(size, pieces * n // self.servers * ALIGN) for n in range(self.servers + 1)]
        ends = enumerate(pairwise(cuts))
        return [Part(server, start, stop) for server, (start, stop) in ends if start < stop]

    def replica(self, server: int) -> int:
        """The server that has a copy of what lies on `server`: the next one in the ring.

        Raises:
          ParameterError: there is no such server, or no second one.
        """
        self._check(server)
        if self.servers == 1:
            raise ParameterError("replica: there is one server; a copy needs two")
        return (server + 1) % self.servers

    def serving(self, server: int, alive: Collection[int], copies: int = 0) -> int:
        """Who answers for what lies on `server`.

        Args:
          server: whose keys.
          alive: the servers that live.
          copies: how many servers after it in the ring have what it has.

        Raises:
          ParameterError: there is no such server.
          MembershipError: neither it nor one with a copy lives.
        """
        self._check(server)
        ring = [(server + step) % self.servers for step in range(min(copies, self.servers - 1) + 1)]
        for each in ring:
            if each in alive:
                return each
        raise MembershipError(
            f"server {server} does not live, and none that has a copy does: "
            f"needs one of {ring}, and there are {sorted(alive)}"
        )

    def _check(self, server: int) -> None:
        if not 0 <= server < self.servers:
            raise ParameterError(f"server {server}: there are {self.servers}, from 0 on")


def batches(keys: Iterable[tuple[Key, int]], limit: int = 65_536) -> list[Sequence[Key]]:
    """Keys of one server, gathered into messages, in their order.

    Args:
      keys: pairs of a key and its bytes.
      limit: bytes of a message; what alone has more gets a message of its own.

    Raises:
      ParameterError: the limit is less than 1.
    """
    if limit < 1:
        raise ParameterError(f"batches: limit={limit}; needs 1 byte or more")
    found: list[list[Key]] = []
    room = 0
    for key, nbytes in keys:
        if not found or nbytes > room:
            found.append([])
            room = limit
        found[-1].append(key)
        room -= nbytes
    return [tuple(batch) for batch in found]


def _stable_hash(key: Key) -> int:
    """For integers MXNet's, which deals keys that follow each other out evenly."""
    if isinstance(key, int):
        return key * 9973
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
