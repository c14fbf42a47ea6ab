"""Helping: a thread that waits runs itself what its target needs, instead of waking a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.engine import ambient
from actorflow.engine.device import Devices
from actorflow.engine.explain import waits_for
from actorflow.engine.operation import DONE, ENDED, READY, RUNNING, Operation
from actorflow.engine.worker import Runner

if TYPE_CHECKING:
    from actorflow.engine.explain import Blocked
    from actorflow.engine.target import Target
    from actorflow.engine.worker import Device

__all__ = ["Helps"]

_HELP_SEARCH: Final = 64  # operations looked at for one that a waiting caller could run
_HELP_DEPTH: Final = 16  # operations inside waits of others in one thread; then spare workers


class Helps(Devices):
    """What a threaded engine lets a waiting caller run."""

    _blocked: Blocked

    def _help(
        self, target: Target | None, worker: Runner | None, *, quick: bool = False
    ) -> Operation | None:
        """Run one operation that the target (or anybody) waits for in this thread.

        Args:
          target: what this thread waits for; None for anything at all.
          worker: whose operation waits inside itself, if one does.
          quick: only one that may run in an event loop's thread.

        Returns:
          The operation, or None if there was none to run.
        """
        depth = 1 if worker is None else worker.depth + 1
        caller = Runner(self._cpu0, "a waiting caller", depth=depth)
        before = ambient.here.worker
        ended = False
        try:
            with self._in_turn():
                operation = self._find_help(target, worker, caller, quick=quick)
                if operation is None:
                    return None
                ambient.here.worker = caller  # whatever strikes now is inside of the operation
                if worker is not None and caller.device is not worker.device:
                    # The seat that the waiting operation has elsewhere is not used meanwhile.
                    self._leave_seat(worker.device)
            token = ambient.engine_here.set(self)
            try:
                ended = self._run(operation, caller)
            finally:
                ambient.engine_here.reset(token)
        except BaseException as error:
            # An interrupt strikes anywhere: what was taken must not stay taken.
            taken = caller.handed
            if taken is not None and taken.state == RUNNING and not self._broken:
                self._fail(taken, error, seen=True)
                taken.state = ENDED
                ended = True
            raise
        finally:
            try:
                if caller.handed is not None and not self._broken:
                    self._hand_in(caller, worker, before, ended=ended)
            finally:
                ambient.here.worker = before
        failure = operation.failure
        if failure is not None and isinstance(failure.exception, KeyboardInterrupt):
            failure.raise_()  # it was meant for this thread
        return operation

    def _hand_in(
        self, caller: Runner, worker: Runner | None, before: Runner | None, *, ended: bool
    ) -> None:
        """End what a caller has run and give the seat back."""
        operation = caller.handed
        with self._in_turn():
            if operation is not None and ended and operation.state != DONE:
                self.end(operation)
            ambient.here.worker = before
            if worker is None or caller.device is not worker.device:
                self._leave_seat(caller.device)
            if worker is not None and caller.device is not worker.device:
                self._retake_seat(worker.device)

    def _find_help(
        self, target: Target | None, worker: Runner | None, caller: Runner, *, quick: bool
    ) -> Operation | None:
        """Take a ready operation that the target waits for; `caller.handed` is it. In a turn."""
        wanted = None if target is None else target.operation
        if not quick and worker is None and (wanted is None or self._threadless):
            # Everything is waited for, or there is no thread but this: the policy chooses.
            for device in list(self._devices.values()):
                if device.n_ready and self._take_seat(device):
                    caller.device = device
                    caller.handed = self.pick(device, None)
                    return caller.handed
            return None
        if worker is not None and worker.depth >= _HELP_DEPTH and worker.device.n_workers:
            return None
        stack = [] if wanted is None else [wanted]
        seen: set[Operation] = set()
        while stack and (len(seen) < _HELP_SEARCH or self._threadless):
            operation = stack.pop()
            if operation in seen:
                continue
            seen.add(operation)
            if operation.state != READY or operation.failure is not None:
                stack += waits_for(operation, self._blocked)
            elif operation.quick or not quick:
                device = operation.device
                if (worker is not None and worker.device is device) or self._take_seat(device):
                    caller.device = device
                    caller.handed = operation
                    self.take(operation)
                    return operation
        return None

    def _retake_seat(self, device: Device) -> None:
        """An operation that had given its seat up goes on: some worker will have to step back."""
        if device.n_workers:
            device.free_seats -= 1

    def _could_help(self, worker: Runner | None) -> bool:
        """Whether there is work that only a waiting caller, not inside an operation, can do."""
        return (
            worker is None
            and self._threadless
            and any(device.n_ready and device.free_seats > 0 for device in self._devices.values())
        )

    def _lacks_workers(self) -> bool:
        """Whether there is work for a device that no thread has been started for."""
        return any(
            device.n_ready and not any(thread.is_alive() for thread in device.threads)
            for device in list(self._devices.values())
        )
