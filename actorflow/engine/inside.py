"""Waits inside operations: who waits for what, and which of these waits could never end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.engine import ambient
from actorflow.engine.explain import find_any_deadlock, find_deadlock
from actorflow.engine.help import Helps
from actorflow.engine.target import OperationEnd
from actorflow.errors import DeadlockError

if TYPE_CHECKING:
    from actorflow.engine.explain import Blocked
    from actorflow.engine.operation import Operation
    from actorflow.engine.target import Target

__all__ = ["Inside"]


class Inside(Helps):
    """What a threaded engine knows of waits inside operations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._blocked: Blocked = {}  # changed only in a turn
        # What is waited for inside operations and has come to be endless, and why.
        self._doomed: dict[Target, str] = {}

    def _between_operations(self) -> bool:
        """Whether this is a worker's thread that has no operation: only finalizers run there."""
        worker = ambient.here.worker
        return (
            worker is not None
            and worker.operation is None
            and worker.handed is None
            and self._devices.get(worker.device.name) is worker.device
        )

    def _refuse_between_operations(self, target: Target) -> None:
        if self._between_operations():
            message = (
                f"{target.name} cannot be waited for by a finalizer in a worker's thread between "
                "two operations: it may need what that thread runs next; a finalizer may push"
            )
            raise DeadlockError(message)

    def _note_blocked(self, inside: Operation, target: Target) -> None:
        """An operation is about to wait inside itself.

        Raises:
          DeadlockError: it would never end.
        """
        if not isinstance(target, OperationEnd):
            return
        with self._in_turn():
            cycle = find_deadlock(target.operation, inside, self._blocked)
            if cycle is None:
                self._blocked.setdefault(inside, []).append(target)
        if cycle is not None:
            raise DeadlockError(cycle)

    def _note_unblocked(self, inside: Operation, target: Target) -> None:
        """It waits for that no more."""
        self._mailbox.append(lambda: self._unblock(inside, target))
        self._turn()

    def _unblock(self, inside: Operation, target: Target) -> None:
        """Forget a wait. In a turn."""
        targets = self._blocked.get(inside, [])
        if target in targets:
            targets.remove(target)
            if not targets:
                del self._blocked[inside]
        self._doomed.pop(target, None)

    def _queued_at_link(self) -> None:
        while (found := find_any_deadlock(self._blocked)) is not None:
            inside, target, why = found
            self._unblock(inside, target)
            self._doomed[target] = why
            # Whoever else is told looks again, and goes on waiting.
            self.outbox.extend(list(self._parked))

    def _refuse_if_doomed(self, target: Target) -> None:
        """Raise if a wait that was sound has come to be endless."""
        if self._doomed and target in self._doomed:
            raise DeadlockError(self._doomed[target])
