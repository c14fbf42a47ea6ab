"""Looking at what goes on inside a network, now and then."""

from __future__ import annotations

import logging
import math
import re
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import ParameterError, WouldBlockError
from actorflow.ndarray import NDArray
from actorflow.ops import described

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from actorflow.executor import Executor

__all__ = ["Monitor"]

_log: Final = logging.getLogger(__name__)


def _size(array: NDArray) -> NDArray:
    """The root of the mean square."""
    return array.norm() / math.sqrt(max(array.size, 1))


class Monitor:
    """Statistics of the values inside executors, every `interval`-th batch.

    Between `tic` and `toc` it sees the output of every operator, as it was then, whatever is
    computed in its memory afterwards; at `toc` the arguments and auxiliary states too. The
    statistics are arrays, computed like all others; only `toc` waits. Batches in between run as if
    there were no monitor.

    Args:
      interval: how many batches lie between two that are looked at.
      stat_func: gives the statistic of an array, as an array or a list of them; by default the root
        of the mean of its squares.
      pattern: a regular expression; names that do not begin with it are left out.
      sort: whether `toc` gives what it has by name, and not in the order of computing.

    Raises:
      ParameterError: `interval` is less than 1, or the pattern is no regular expression.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable[[NDArray], NDArray | Sequence[NDArray]] | None = None,
        pattern: str = ".*",
        sort: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        if not isinstance(interval, int) or interval < 1:
            raise ParameterError(f"Monitor: interval is at least 1, got {interval!r}")
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ParameterError(f"Monitor: the pattern {pattern!r}: {error}") from error
        self.interval = interval
        self.stat_func = _size if stat_func is None else stat_func
        self.sort = sort
        self.step = 0
        self.activated = False
        self._executors: list[Executor] = []
        self._found: list[tuple[int, str, list[NDArray]]] = []

    def install(self, exe: Executor) -> None:
        """Look at an executor from the next `tic` on, or from now on between `tic` and `toc`.

        The callback that the executor may have is replaced.
        """
        self._executors.append(exe)
        if self.activated:
            exe.set_monitor_callback(self._see)

    def tic(self) -> None:
        """Begin a batch; call it before `forward`."""
        if self.step % self.interval == 0:
            for each in self._executors:
                each.set_monitor_callback(self._see)
            self._found = []
            self.activated = True
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """End a batch; wait for its statistics.

        Returns:
          Of each value the number of the batch, from 1 on, the name, and the statistics as text;
          nothing if the batch was not looked at.

        Raises:
          WouldBlockError: inside a running event loop; `await toc_async()` there.
          Exception: what made a value fail.
        """
        found = self._ended()
        try:
            return [
                (step, name, _text([each.asnumpy() for each in arrays]))
                for step, name, arrays in found
            ]
        except WouldBlockError as error:
            self._found = found
            error.add_note("Monitor: in an event loop, write `await monitor.toc_async()`")
            raise

    async def toc_async(self) -> list[tuple[int, str, str]]:
        """Do like `toc` in a trio or asyncio task."""
        return [
            (step, name, _text([await each for each in arrays]))
            for step, name, arrays in self._ended()
        ]

    def toc_print(self) -> None:
        """Do like `toc`, and log what it gives."""
        for step, name, text in self.toc():
            _log.info("Batch: %7d %30s %s", step, name, text)

    def _see(self, name: str, array: NDArray) -> None:
        if not self._pattern.match(name):
            return
        given = self.stat_func(array)
        found = [given] if isinstance(given, NDArray) else given
        if not isinstance(found, list | tuple) or not all(isinstance(x, NDArray) for x in found):
            message = (
                "Monitor: stat_func has to give an NDArray or a list of them, got "
                f"{described(given)} for {name}"
            )
            raise TypeError(message)
        self._found.append((self.step, name, list(found)))

    def _ended(self) -> list[tuple[int, str, list[NDArray]]]:
        """End the batch; the statistics, which may not be there yet."""
        if self.activated:
            self.activated = False
            for each in self._executors:
                each.set_monitor_callback(None)
            for each in self._executors:
                for arrays in (each.arg_dict, each.aux_dict):
                    for name, array in arrays.items():
                        self._see(name, array)
        found, self._found = self._found, []
        return sorted(found, key=lambda one: one[1]) if self.sort else found


def _text(values: list[np.ndarray[Any, Any]]) -> str:
    return "\t".join(str(each.item() if each.size == 1 else each) for each in values)
