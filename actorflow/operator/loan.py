"""Memory of a running operation, lent to a user's code as arrays.

The operation that runs an operator holds the executor's arrays until it ends, so what the user's
code pushed on those would wait for it for ever. The arrays that it gets are others: they have the
same memory, but resources of their own, which exist for one call. Before the memory goes back,
everything that was pushed on them has to be done.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from actorflow.errors import VerificationError
from actorflow.ndarray import Block, NDArray, empty

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorflow.device import Context
    from actorflow.engine import Engine
    from actorflow.ops import Memory, Shape

__all__ = ["Loan", "how_called"]


class _Lent(Block):
    """Memory that somebody else owns.

    Attributes:
      memory: the memory; None while there is none.
      why: what to say to somebody who asks for it then.
    """

    __slots__ = ("memory", "why")

    memory: Memory | None
    why: str

    def allocate(self) -> Memory:
        """Return the memory; who never calls this has neither read nor written it.

        Raises:
          VerificationError: there is none, or none any more.
        """
        memory = self.memory
        if memory is None:
            raise VerificationError(self.why)
        self.data = memory
        return memory


class Loan:
    """The arrays of one call of a user's `forward` or `backward`.

    Args:
      where: the call, for messages.
      context: where the memory lies.
    """

    def __init__(self, where: str, context: Context) -> None:
        self._where = where
        self._context = context
        self._blocks: list[_Lent] = []
        self._arrays: list[NDArray] = []
        self._written: list[bool] = []

    def array(self, memory: Memory, name: str, *, writable: bool) -> NDArray:
        """Lend memory, as an array that is called so."""
        return self._made(memory, memory.shape, memory.dtype, name, "", writable=writable)

    def missing(self, shape: Shape, dtype: Any, name: str, why: str) -> NDArray:  # noqa: ANN401
        """An array that is not there: whoever reads it is told why."""
        return self._made(None, shape, dtype, name, why, writable=False)

    def spare(self, shape: Shape, dtype: Any) -> NDArray:  # noqa: ANN401
        """An array for what nobody wants: it has memory only if somebody writes it."""
        return empty(shape, self._context, dtype)

    def _made(
        self,
        memory: Memory | None,
        shape: Shape,
        dtype: Any,  # noqa: ANN401
        name: str,
        why: str,
        *,
        writable: bool,
    ) -> NDArray:
        block = _Lent(shape, dtype, self._context)
        block.name = f"{name} of {self._where}"
        block.memory = memory
        block.why = f"{name} of {self._where} {why}"
        made = NDArray(block, shape, block.size, writable=writable)
        self._blocks.append(block)
        self._arrays.append(made)
        return made

    def run(self, function: Callable[..., object], arguments: dict[str, Any]) -> None:
        """Call the user's code, and wait until nothing that it pushed needs the memory any more.

        Raises:
          BaseException: what the user's code raised, or what it had pushed; with a note that says
            which operator and node it was.
        """
        failure: BaseException | None = None
        try:
            with self._context:
                function(**arguments)
        except BaseException as error:  # noqa: BLE001 -- it is raised below
            failure = error
        # Even then: what was pushed before may still run.
        try:
            self._settle()
        except BaseException as error:  # noqa: BLE001 -- it is raised below
            if failure is None:
                failure = error
            elif error is not failure:
                failure.add_note(f"actorflow: something that it had pushed failed, too: {error!r}")
        self._written = [block.data is not None for block in self._blocks]
        self._give_back()
        if failure is not None:
            failure.add_note(
                f"actorflow: in {self._where}{how_called(failure, function, arguments)}"
            )
            raise failure

    def touched(self, arrays: Sequence[NDArray]) -> list[bool]:
        """For each of the lent arrays whether the call asked for its memory."""
        told = dict(zip(map(id, self._blocks), self._written, strict=True))
        return [told.get(id(each._block), True) for each in arrays]

    def _settle(self) -> None:
        """Wait for all operations on the memory, and raise what one of them raised."""
        used: dict[Engine, list[Block]] = {}
        for array, block in zip(self._arrays, self._blocks, strict=True):
            if block.owner is not None:  # some engine has seen it
                used.setdefault(array._engine(), []).append(block)
        for engine, blocks in used.items():
            name = f"end of {self._where}"
            engine.wait(engine.push(_nothing, updates=tuple(blocks), name=name))

    def _give_back(self) -> None:
        """Take the memory away from the arrays, which the user's code may have kept."""
        for array, block in zip(self._arrays, self._blocks, strict=True):
            if block.memory is not None:
                block.why = (
                    f"{block.name} was kept, but its memory is lent for the call alone: "
                    "keep a copy of it"
                )
            array._array = block.data = block.memory = None


def _nothing() -> None:
    """Run as an operation that comes after all others on what it updates."""


def how_called(
    error: BaseException, function: Callable[..., object], arguments: Mapping[str, object]
) -> str:
    """How a user's method was called, if it failed because it does not take that; else nothing."""
    if not isinstance(error, TypeError):
        return ""
    try:
        inspect.signature(function).bind(**arguments)
    except (TypeError, ValueError):
        return f", which is called by keyword with {', '.join(arguments)}"
    return ""
