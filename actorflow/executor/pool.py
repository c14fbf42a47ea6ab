"""The internal memory of executors: one pool for all that take turns."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.engine import Resource
from actorflow.ndarray import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.device import Context
    from actorflow.engine import Engine, Operation
    from actorflow.executor.executor import Executor
    from actorflow.executor.program import Program

__all__ = ["Pool"]


class Pool:
    """Memory for what programs compute in between; one program has its values there at a time.

    Attributes:
      resource: what each message of a program reads or writes, so that another program begins when
        all that were sent before it are done.
      holder: the program whose values lie here.
      members: the executors whose programs take turns.
    """

    def __init__(self) -> None:
        self.resource = Resource("internal memory of executors")
        self.holder: Program | None = None
        self.members: weakref.WeakSet[Executor] = weakref.WeakSet()
        self._blocks: dict[Context, list[Block]] = {}
        self._handed: Operation | None = None

    def blocks(self, wanted: Sequence[tuple[Context, int]]) -> list[Block]:
        """A block for each buffer of a program: larger buffers get larger blocks.

        Blocks that are too small are replaced. Then all members are told, so that nobody keeps the
        old ones longer than the messages that have been sent.

        Args:
          wanted: the context and the bytes of each buffer.
        """
        found: dict[int, Block] = {}
        grown = False
        ranks: dict[Context, int] = {}
        for number in sorted(range(len(wanted)), key=lambda each: -wanted[each][1]):
            context, nbytes = wanted[number]
            own = self._blocks.setdefault(context, [])
            rank = ranks[context] = ranks.get(context, -1) + 1
            if rank == len(own):
                own.append(_block(nbytes, context))
            elif own[rank].nbytes < nbytes:
                own[rank] = _block(nbytes, context)
                grown = True
            found[number] = own[rank]
        if grown:
            self.holder = None
            for member in self.members:
                member._wired.clear()
        return [found[number] for number in range(len(wanted))]

    @property
    def nbytes(self) -> int:
        """How much memory it has, allocated or not."""
        return sum(block.nbytes for own in self._blocks.values() for block in own)

    def take(self, program: Program, engine: Engine) -> None:
        """Say that a forward pass of a program follows.

        Programs whose messages only read `resource` need one that waits for the program before.
        """
        handed = self._handed
        failed = handed is not None and handed.failure is not None
        if program.shares and (self.holder is not program or failed):
            self._handed = engine.push(
                _hand_over, writes=(self.resource,), name="hand over internal memory", quick=True
            )
        self.holder = program


def _block(nbytes: int, context: Context) -> Block:
    return Block((max(nbytes, 1),), np.dtype(np.uint8), context)


def _hand_over() -> Any:  # noqa: ANN401 -- nothing: what counts is who waits for whom
    return None
