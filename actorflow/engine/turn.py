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
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import ambient
from actorflow.engine.base import Engine
from actorflow.engine.ledger import Ledger
from actorflow.engine.operation import DONE, SENT, Failure, Operation
from actorflow.engine.worker import CALLER, Worker
from actorflow.errors import EngineClosedError, EngineError, ForkedEngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from actorflow.engine.waiting import Waiter
    from actorflow.engine.worker import Device

__all__ = ["HOLDS", "IN_TURN", "RESTS", "Turns", "may_hold"]

_PATIENCE: Final = 1.0  # seconds; turns take microseconds


def may_hold(frame: FrameType | None) -> bool:
    """Whether the innermost function of the engine in a stack is one that may have the lock."""
    while frame is not None and frame.f_code not in RESTS:
        if frame.f_code in HOLDS:
            return True
        frame = frame.f_back
    return False


class Turns(Ledger, Engine):
    """An engine's mailbox and lock."""

    __slots__ = ("_broken", "_lock", "_mailbox", "_parked", "_to_start", "_turn_owner")

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
                    if self._stopped is None or item.device is CALLER:
                        self.admit(item)
                    else:
                        self._end_unrun(item)
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

    def _end_unrun(self, operation: Operation) -> None:
        """The engine was closed in the moment in which the operation was pushed. In a turn."""
        message = f"operation {operation.name!r} was pushed while its engine was being closed"
        operation.failure = Failure(EngineClosedError(message), operation)
        operation.failure.seen = True  # `push` tells
        operation.state = DONE
        operation.fn = None
        operation.reads = operation.writes = operation.inherits = ()
        if operation.waiters is not None:
            self.outbox.extend(operation.waiters)

    def _seal(self) -> bool:
        """Take nothing more, if nothing is in flight; say whether that is so."""
        with self._in_turn():
            if self.in_flight:
                return False
            self._stopped = EngineClosedError("this engine has been closed")
            return True

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
        if self._stopped is not None and isinstance(self._stopped, ForkedEngineError):
            self._refuse()
        if not self._lock.acquire(False):  # noqa: FBT003 -- a keyword costs
            self._refuse_inside_turn()
            while not self._lock.acquire(timeout=_PATIENCE):
                self._give_back_lost_lock()
        self._turn_owner = get_ident()
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
        if self._mailbox or self.outbox or self._to_start:
            self._turn()

    def _in_turn(self) -> _Turn:
        """A turn of this thread. After an exception in it the ledger cannot be trusted any more."""
        return _Turn(self)

    def _refuse_inside_turn(self) -> None:
        """Raise if this thread has the turn: a finalizer or signal handler that wants to wait."""
        if self._turn_owner != get_ident() and not may_hold(sys._getframe(2)):
            return
        message = (
            "a quick operation, a finalizer or a signal handler inside a turn of the engine cannot "
            "wait for it; it may push"
        )
        raise EngineError(message)

    def _give_back_lost_lock(self) -> None:
        """Release the lock if nobody is in a turn.

        An interrupt that strikes between taking the lock and the `try` after it leaves it taken,
        with nothing done yet.
        """
        if self._turn_owner is not None:
            return
        held = any(may_hold(frame) for frame in sys._current_frames().values())
        if not held and self._lock.locked():
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        super()._after_fork_in_child()
        self._lock = threading.Lock()
        self._mailbox.clear()
        self._parked.clear()

    def _refuse_if_broken(self) -> None:
        if self._stopped is not None and not isinstance(self._stopped, EngineClosedError):
            self._refuse()

    def current_operation(self) -> Operation | None:
        """The operation of this engine inside which this code runs, or None."""
        operation = ambient.current_operation()
        return operation if operation is not None and operation.engine is self else None


class _Turn:
    """What `with` needs to begin and end a turn."""

    __slots__ = ("_turns",)

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        self._turns._enter()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._turns._break(error)
        self._turns._leave()


# Functions that run only inside a turn (`threaded` adds one).
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

# Functions that may have the lock (`device` and `threaded` add some), and functions that have not
# although their callers may look like it.
HOLDS: Final = IN_TURN | {Turns._turn.__code__, Turns._leave.__code__}
RESTS: Final = {Turns._enter.__code__, Turns._after_turn.__code__}
