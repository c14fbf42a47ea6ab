"""Turns: how messages reach the ledger, one at a time, without anybody waiting for a lock.

The one rule: the ledger, the devices and the resources change only in a turn, that is, while
`_lock` is held. Whoever has a message appends it to `_mailbox` and *tries* the lock; the holder
looks into the mailbox again after letting go, so that no message stays behind. Nobody waits for
the lock but a thread that is about to block anyway.
"""

from __future__ import annotations

import sys
import threading
from abc import abstractmethod
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import ambient
from actorflow.engine.base import Engine
from actorflow.engine.ledger import Ledger
from actorflow.engine.operation import SENT, Operation
from actorflow.engine.worker import Worker
from actorflow.errors import EngineClosedError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from actorflow.engine.waiting import Waiter
    from actorflow.engine.worker import Device

__all__ = ["IN_TURN", "Turns"]

_PATIENCE: Final = 60.0  # seconds; turns take microseconds


class Turns(Ledger, Engine):
    """An engine's mailbox and lock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        Ledger.__init__(self)
        Engine.__init__(self, *args, **kwargs)
        self._mailbox: deque[Operation | Worker | Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._broken = False  # a turn did not come to its end
        self._turn_owner: int | None = None  # the thread that is between _enter and _leave
        # Devices that need one more worker's thread.
        self._to_start: deque[Device] = deque()
        # Everybody who waits, to be told if the engine breaks.
        self._parked: dict[Waiter, None] = {}

    @abstractmethod
    def _seek(self, worker: Worker) -> Operation | None:
        """A worker looks for work. In a turn."""

    @abstractmethod
    def _stir(self) -> None:
        """Wake workers for the work that has become ready. In a turn."""

    @abstractmethod
    def _start_worker(self) -> None:
        """Start a thread for a device in `_to_start`."""

    def _drain(self) -> None:
        """Carry out what is in the mailbox. In a turn."""
        mailbox = self._mailbox
        if self._broken:
            mailbox.clear()  # nothing can be trusted any more; whoever waits has been told
            return
        while mailbox:
            item = mailbox.popleft()
            if isinstance(item, Operation):
                if item.state == SENT:
                    self.admit(item)
                else:
                    self.end(item)
            elif isinstance(item, Worker):
                operation = self._seek(item)
                if operation is not None:
                    item.handed = operation
                    item.wake.release()
            else:
                item()
        if self.stirred:
            self._stir()

    def _turn(self) -> None:
        """Have the mailbox carried out, by this thread or by the one that is at it."""
        mailbox = self._mailbox
        lock = self._lock
        while mailbox and lock.acquire(False):  # noqa: FBT003 -- by keyword it is twice as slow
            try:
                self._drain()
            except BaseException as error:
                self._break(error)
                raise
            finally:
                lock.release()
        if self.outbox or self._to_start:
            self._after_turn()

    def _after_turn(self) -> None:
        """Do what a turn left to do without the lock."""
        outbox = self.outbox
        while outbox:
            try:
                waiter = outbox.popleft()
            except IndexError:
                break  # another thread was faster
            waiter.notify()
        while self._to_start:
            self._start_worker()

    def _break(self, error: BaseException) -> None:
        """A turn did not come to its end, so the ledger cannot be trusted any more."""
        self._broken = True
        if self._stopped is None:
            message = (
                f"the engine stopped: {type(error).__name__} in the middle of a turn ({error}); "
                "what was in flight is lost"
            )
            self._stopped = EngineError(message)
            self._stopped.__cause__ = error
        for waiter in list(self._parked):
            waiter.notify()

    # -- Turns of a thread that may block ----------------------------------------------------

    def _enter(self) -> None:
        """Begin a turn, and first carry out what is in the mailbox."""
        if not self._lock.acquire(blocking=False):
            self._refuse_inside_turn()
            if not self._lock.acquire(timeout=_PATIENCE):
                message = f"nobody ended a turn within {_PATIENCE} seconds"
                raise EngineError(message)
        self._turn_owner = threading.get_ident()
        if self._mailbox or self.stirred:
            try:
                self._drain()
            except BaseException as error:
                self._turn_owner = None
                self._lock.release()
                self._break(error)
                raise

    def _leave(self) -> None:
        """End it."""
        try:
            if self._mailbox or self.stirred:
                self._drain()
        except BaseException as error:
            self._break(error)
            raise
        finally:
            self._turn_owner = None
            self._lock.release()
        self._turn()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _refuse_inside_turn(self) -> None:
        """Raise if this thread has the turn: a finalizer or signal handler that wants to wait."""
        mine = self._turn_owner == threading.get_ident()
        frame: FrameType | None = sys._getframe()
        while frame is not None and not mine:
            mine = frame.f_code in IN_TURN and frame.f_locals.get("self") is self
            frame = frame.f_back
        if mine:
            message = (
                "a quick operation, a finalizer or a signal handler inside a turn of the engine "
                "cannot wait for it; it may push"
            )
            raise EngineError(message)

    def _refuse_if_broken(self) -> None:
        if self._stopped is not None and not isinstance(self._stopped, EngineClosedError):
            self._refuse()

    def current_operation(self) -> Operation | None:
        """The operation of this engine inside which this code runs, or None."""
        operation = ambient.current_operation()
        return operation if operation is not None and operation.engine is self else None


# Functions that run only inside a turn (see also `ThreadedEngine._run_at_once`).
IN_TURN: Final = {
    function.__code__
    for function in (
        Ledger.admit,
        Ledger.end,
        Ledger.pick,
        Ledger._make_ready,
        Ledger._run_instant,
        Turns._drain,
    )
}
