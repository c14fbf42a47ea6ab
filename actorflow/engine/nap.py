"""Naps: a task that awaits blocks its event loop for a moment before it goes to sleep.

To send a task to sleep and to wake its event loop takes longer than a small operation takes to a
worker and back. So the first tens of microseconds of a wait are spent in a plain lock, which wakes
much faster. If that was in vain, the next awaits do without, twice as many each time, so that it
costs next to nothing where operations take long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.engine.inside import Inside
from actorflow.engine.turn import RESTS
from actorflow.engine.waiting import ThreadWaiter

if TYPE_CHECKING:
    from actorflow.engine.target import Target

__all__ = ["Naps"]

_NAP: Final = 100e-6  # seconds; an event loop's own work on one await takes a quarter of that
_MOST_AWAKE: Final = 64  # awaits without a nap after one that was in vain


class Naps(Inside):
    """How a task of a threaded engine waits for a moment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Event loops in several threads may count at the same time; a lost count does no harm.
        self._awake = 0  # awaits until the next nap
        self._in_vain = 1  # how many of them the last nap in vain has cost

    def _nap(self, target: Target) -> bool:
        """Block for a moment; say whether the target is over."""
        if self._awake > 0:
            self._awake -= 1
            return False
        waiter = ThreadWaiter()
        with self._in_turn():
            if target.over:
                return True
            target.attach(waiter)
        try:
            waiter.wait(_NAP)
        finally:
            over = target.over
            if not over and not self._broken:
                with self._in_turn():
                    if not target.over:
                        target.detach(waiter)
        if over:
            self._in_vain = 1
        else:
            self._awake = self._in_vain = min(_MOST_AWAKE, 2 * self._in_vain)
        return over


RESTS.add(Naps._nap.__code__)
