"""What a caller can wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from actorflow.engine.operation import DONE, RUNNING

if TYPE_CHECKING:
    from actorflow.engine.ledger import Ledger
    from actorflow.engine.operation import Operation
    from actorflow.engine.waiting import Waiter

__all__ = ["Epoch", "OperationEnd", "OperationStart", "Room", "Target"]

# A caller runs an operation in about 6 us, of which a worker needs 1.5; but to wake a worker and to
# be woken by it takes 40 us.
_FEW: Final = 12


class Target(Protocol):
    """Something that will be over."""

    @property
    def name(self) -> str:
        """What to call it in errors."""
        ...

    @property
    def operation(self) -> Operation | None:
        """The operation that has to make progress for it; None if all have to."""
        ...

    @property
    def over(self) -> bool:
        """Whether there is nothing to wait for any more."""
        ...

    @property
    def few(self) -> bool:
        """Whether a thread that waits had better run what is left itself than wait for workers."""
        ...

    def attach(self, waiter: Waiter) -> None:
        """Have a waiter told when it is over. In a turn, and only while it is not over."""
        ...

    def detach(self, waiter: Waiter) -> None:
        """Do not tell it any more. In a turn, and only while it is not over."""
        ...


class OperationEnd:
    """The end of an operation.

    Attributes:
      operation: the operation.
      timed: whether it is waited for only until a deadline.
    """

    __slots__ = ("operation", "timed")

    few = True

    def __init__(self, operation: Operation, *, timed: bool = False) -> None:
        self.operation = operation
        self.timed = timed

    @property
    def name(self) -> str:
        """The operation's."""
        return self.operation.name

    @property
    def over(self) -> bool:
        """Whether it is done."""
        return self.operation.state == DONE

    def attach(self, waiter: Waiter) -> None:
        """Have a waiter told."""
        if self.operation.waiters is None:
            self.operation.waiters = [waiter]
        else:
            self.operation.waiters.append(waiter)

    def detach(self, waiter: Waiter) -> None:
        """Do not tell it any more."""
        if self.operation.waiters is not None and waiter in self.operation.waiters:
            self.operation.waiters.remove(waiter)


class OperationStart(OperationEnd):
    """The moment when an operation that its caller runs has been granted everything."""

    __slots__ = ()

    @property
    def over(self) -> bool:
        """Whether it may run, or is skipped."""
        return self.operation.state >= RUNNING


class Room:
    """The moment when so little is in flight that more may be pushed."""

    __slots__ = ("_ledger", "_max_nbytes", "_max_ops")

    name = "the wait for room to push"
    operation = None
    few = False

    def __init__(self, ledger: Ledger, max_ops: int, max_nbytes: int) -> None:
        self._ledger = ledger
        self._max_ops = max_ops
        self._max_nbytes = max_nbytes

    @property
    def over(self) -> bool:
        """Whether no more than the limits is in flight."""
        ledger = self._ledger
        return ledger.in_flight <= self._max_ops and ledger.nbytes_in_flight <= self._max_nbytes

    def attach(self, waiter: Waiter) -> None:
        """Have a waiter told."""
        self._ledger.room_waiters.append((self, waiter))

    def detach(self, waiter: Waiter) -> None:
        """Do not tell it any more."""
        if (self, waiter) in self._ledger.room_waiters:
            self._ledger.room_waiters.remove((self, waiter))


class Epoch:
    """What was in flight at a moment whose end somebody wants to see.

    Attributes:
      last: the number of the last operation in it.
      count: how many of its operations that are in no epoch before it are not done.
      over: whether it and all epochs before it are done.
    """

    __slots__ = ("count", "last", "over", "waiters")

    name = "all that was pushed before"
    operation = None

    def __init__(self, last: int, count: int) -> None:
        self.last = last
        self.count = count
        self.over = False
        self.waiters: list[Waiter] = []

    @property
    def few(self) -> bool:
        """Whether only a few operations are left."""
        return self.count <= _FEW

    def attach(self, waiter: Waiter) -> None:
        """Have a waiter told when it is over."""
        self.waiters.append(waiter)

    def detach(self, waiter: Waiter) -> None:
        """Do not tell it any more."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)
