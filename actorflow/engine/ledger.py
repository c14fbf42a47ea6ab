"""The ledger: what is in flight, who waits for whom, who goes next. No thread, no lock, no I/O.

The engine calls these methods only inside a turn, one at a time. They never run a user's function;
they leave behind what is to be done once the turn is over: `outbox` (waiters to tell) and
`stirred` (devices that have got ready work).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.engine.operation import (
    DONE,
    READY,
    RUNNING,
    WAITING,
    Failure,
    Operation,
)
from actorflow.engine.target import Epoch
from actorflow.engine.worker import CALLER
from actorflow.errors import EngineError, OperationCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorflow.engine.instrument import Instrument
    from actorflow.engine.resource import Resource
    from actorflow.engine.target import Room
    from actorflow.engine.waiting import Waiter
    from actorflow.engine.worker import Device, Worker

__all__ = ["Ledger"]


class Ledger:
    """The state of an engine, changed by one message at a time."""

    __slots__ = (
        "_at_instant",
        "_direct",
        "_direct_operation",
        "_epochs",
        "_instant",
        "_last_in_epoch",
        "_n_arrived",
        "_n_done",
        "_skip_through",
        "finished_hooks",
        "granted_hooks",
        "nbytes_in_flight",
        "outbox",
        "room_waiters",
        "stirred",
    )

    def __init__(self) -> None:
        self._n_arrived = 0
        self._n_done = 0
        self.nbytes_in_flight: int = 0
        self.outbox: deque[Waiter] = deque()
        self.stirred: list[Device] = []
        # Operations with numbers up to this one are skipped if they have not started.
        self._skip_through = 0
        self.granted_hooks: tuple[Instrument, ...] = ()
        self.finished_hooks: tuple[Instrument, ...] = ()
        self._epochs: deque[Epoch] = deque()
        self._last_in_epoch = 0  # the number of the last operation that is in one
        # Operations that need no worker: waits, and those that are skipped.
        self._instant: deque[Operation] = deque()
        self._at_instant = False
        # A device with an empty first-come queue, one worker of which will take what gets ready
        # first, and what that was.
        self._direct: Device | None = None
        self._direct_operation: Operation | None = None
        # Who waits for less to be in flight.
        self.room_waiters: deque[tuple[Room, Waiter]] = deque()

    @property
    def in_flight(self) -> int:
        """How many operations have arrived and are not done."""
        return self._n_arrived - self._n_done

    # -- Messages --------------------------------------------------------------------------

    def admit(self, operation: Operation) -> None:  # noqa: C901 -- see below
        """Tell an operation's resources that it has arrived."""
        operation.state = WAITING
        self._n_arrived = operation.number = self._n_arrived + 1
        if operation.nbytes:
            self.nbytes_in_flight += operation.nbytes
        if operation.uses is not None:
            for link, _ in operation.uses:
                link._expect(operation)
        # What a whole resource would do in `_write` and `_read` (see Access) is written out here,
        # as far as it is common: without those calls an operation costs a tenth less. Writes come
        # first, so that a read of what the same operation writes is found to be covered.
        pending = 0
        waiting: Any  # one operation, or a deque
        for resource in operation.writes:
            if resource._parts is not None or resource._writer is operation:
                pending += resource._write(operation)
                continue
            if resource._granted is None:
                resource._granted = resource._writer = operation
                continue
            waiting = resource._waiting
            if waiting.__class__ is deque:
                waiting.append(None)
                waiting.append(operation)
            elif waiting is None:
                resource._waiting = operation
            else:
                resource._waiting = resource._line_up(waiting, None, operation)
            resource._writer = operation
            pending += 1
        for resource in operation.reads:
            writer = resource._writer
            if resource._parts is not None or writer is operation:
                pending += resource._read(operation)
                continue
            if writer is None:
                if resource._granted is None:
                    resource._granted = [operation]
                    resource._n_readers = 1
                else:
                    resource._read(operation)
                continue
            waiting = resource._waiting
            if waiting.__class__ is deque:
                waiting.append(operation)
            elif waiting is None:
                resource._waiting = operation
            else:
                resource._waiting = resource._line_up(waiting, operation)
            pending += 1
        if pending:
            # Added, because to split a queue of its own may have added some, too.
            operation.pending += pending
            return
        self._make_ready(operation)
        if self._instant:
            self._run_instant()

    def extend(
        self, operation: Operation, fn: Callable[[], object], target: Resource, name: str
    ) -> bool:
        """Give the operation that arrived last another function, which updates `target`, too.

        Nothing has come after it, so it may queue up for one more resource as if only now it came.

        Returns:
          Whether it could be: it still waits for something.
        """
        if (
            operation.number != self._n_arrived
            or operation.state != WAITING
            or not operation.pending  # it waits for a link
            or operation.failure is not None
        ):
            return False
        operation.fn = fn
        operation.name = name
        operation.writes += (target,)
        operation.reads += (target,)
        operation.inherits = operation.reads
        operation.pending += target._write(operation)
        operation.pending += target._read(operation)
        return True

    def end(self, operation: Operation) -> None:  # noqa: C901 -- as with `admit`
        """Release an operation that has run, or is skipped."""
        failure = operation.failure
        operation.state = DONE
        self._n_done += 1
        if operation.nbytes:
            self.nbytes_in_flight -= operation.nbytes
        waiting: Any
        entry: Any
        # As in `admit`, what a whole resource would do (see Access) is written out here.
        for resource in operation.reads:
            if resource._parts is not None:
                self._grant(resource._end_read(operation))
                continue
            n_readers = resource._n_readers - 1
            resource._n_readers = n_readers
            if n_readers:
                continue
            waiting = resource._waiting
            if waiting is None:
                resource._granted = None
                continue
            if waiting.__class__ is deque:
                waiting.popleft()  # the mark of a write: behind reads there is one
                entry = waiting.popleft()
                if not waiting:
                    resource._waiting = None
            else:
                entry = waiting
                resource._waiting = None
            resource._granted = entry
            entry.pending -= 1
            if not entry.pending:
                self._make_ready(entry)
        for resource in operation.writes:
            if resource._parts is not None:
                self._grant(resource._end_write(operation, failure))
                continue
            resource._failure = failure
            waiting = resource._waiting
            if waiting is None:
                resource._granted = resource._writer = None
                continue
            if waiting.__class__ is not deque:
                resource._waiting = None
                if waiting is not resource._writer:
                    resource._granted = [waiting]
                    resource._n_readers = 1
                    resource._writer = None
                else:
                    resource._granted = waiting
                waiting.pending -= 1
                if not waiting.pending:
                    self._make_ready(waiting)
                continue
            entry = waiting.popleft()
            if entry is None:
                resource._granted = entry = waiting.popleft()
                if not waiting:
                    resource._waiting = None
                entry.pending -= 1
                if not entry.pending:
                    self._make_ready(entry)
                continue
            # All of them first: a policy may ask one that gets ready who comes after it.
            resource._granted = readers = []
            while entry is not None:
                readers.append(entry)
                if not waiting:
                    resource._waiting = resource._writer = None
                    break
                entry = waiting.popleft()
            else:
                waiting.appendleft(None)
            resource._n_readers = len(readers)
            for reader in readers:
                reader.pending -= 1
                if not reader.pending:
                    self._make_ready(reader)
        if operation.uses is not None:
            self._give_links_back(operation)
        # Whoever holds on to the operation does not hold on to what it touched.
        operation.fn = None
        operation.reads = operation.writes = operation.inherits = ()
        if operation.waiters is not None:
            self.outbox.extend(operation.waiters)
        if operation.number <= self._last_in_epoch:
            self._leave_epoch(operation.number)
        if self.room_waiters:
            self._tell_room_waiters()
        if self._instant and not self._at_instant:
            self._run_instant()

    def skip(self, operation: Operation) -> bool:
        """Skip an operation that has not started."""
        if operation.state not in (WAITING, READY) or operation.failure is not None:
            return False
        message = f"operation {operation.name!r} was cancelled before it started"
        operation.failure = Failure(OperationCancelled(message), operation)
        operation.failure.seen = True  # somebody asked for it
        operation.fn = None
        if operation.state == READY:
            # Its place in the policy's queue stays and is passed over.
            operation.device.n_ready -= 1
        elif operation.uses is not None and operation.pending == 0:
            # It stands in the queue of a link, where it may hold up others.
            link, amount = operation.uses[operation.next_link - 1]
            link._leave_queue(operation, amount)
        else:
            return True  # it will end when the last one that it waits for has
        self._instant.append(operation)
        self._run_instant()
        return True

    def pick(self, device: Device, worker: Worker | None) -> Operation | None:
        """Give the ready operation that the device's policy chooses, or None."""
        passed_over = None
        fifo = device.fifo
        while device.n_ready:
            operation = fifo.popleft() if fifo else device.policy.pop(worker)
            if operation is None:
                message = f"the policy of {device.name} gave none of {device.n_ready} operations"
                raise EngineError(message)
            if operation.state == READY and operation.failure is None:
                device.n_ready -= 1
                operation.state = RUNNING
                return operation
            if operation is passed_over:
                message = f"the policy of {device.name} gave {operation!r} twice"
                raise EngineError(message)
            passed_over = operation  # it was taken past the queue, or cancelled
        return None

    def take(self, operation: Operation) -> None:
        """Take one certain ready operation out of its device's queue."""
        device = operation.device
        device.n_ready -= 1
        operation.state = RUNNING
        if device.n_ready == 0:
            # What is left in the policy's queue was all taken past it: let go of it.
            while len(device.policy):
                if device.policy.pop(None) is None:
                    message = f"the policy of {device.name} kept {len(device.policy)} operations"
                    raise EngineError(message)

    def close_epoch(self) -> Epoch | None:
        """Give what is over when all that is in flight now is done; None if nothing is."""
        count = self.in_flight
        if count == 0:
            return None
        epochs = self._epochs
        if self._last_in_epoch < self._n_arrived:
            self._last_in_epoch = self._n_arrived
            before = sum(epoch.count for epoch in epochs)
            epochs.append(Epoch(self._n_arrived, count - before))
        return epochs[-1]

    def skip_all(self, devices: Iterable[Device]) -> None:
        """Skip all operations that have not started."""
        self._skip_through = self._n_arrived
        for device in devices:
            while (operation := self.pick(device, None)) is not None:
                self._skip(operation)
                self._instant.append(operation)
        self._run_instant()

    def abandon(self, operation: Operation) -> None:
        """Whoever wanted to run an operation himself does not want to any more."""
        if operation.state == RUNNING:
            self.end(operation)
        elif operation.state == WAITING:
            operation.fn = None  # it will end as soon as it is granted

    # -- Steps -----------------------------------------------------------------------------

    def _grant(self, operations: Iterable[Operation]) -> None:
        """Tell operations that one more of the accesses that they wait for is theirs."""
        for operation in operations:
            operation.pending -= 1
            if not operation.pending:
                self._make_ready(operation)

    def _make_ready(self, operation: Operation) -> None:  # noqa: C901 -- one way through
        """All predecessors are done: hand it to its device, unless it is to be skipped."""
        if operation.failure is None:
            for resource in operation.inherits:
                if resource._failure is not None:
                    operation.failure = resource._failure
                    break
            if (
                operation.number <= self._skip_through
                and operation.device is not CALLER
                and operation.failure is None
            ):
                self._skip(operation)
        if operation.failure is not None or operation.fn is None:
            self._instant.append(operation)
            return
        if operation.device is CALLER:
            # Its caller runs it: tell him that he may.
            operation.state = RUNNING
            if operation.waiters is not None:
                self.outbox.extend(operation.waiters)
            return
        if operation.uses is not None and not self._take_links(operation):
            return
        if self.granted_hooks:
            for hook in self.granted_hooks:
                hook.granted(operation)
        device = operation.device
        if device is self._direct:
            # The queue is empty and one of its workers is looking for work: spare the queue.
            self._direct = None
            self._direct_operation = operation
            operation.state = RUNNING
            return
        operation.state = READY
        device.policy.push(operation)
        device.n_ready += 1
        if not device.stirred and (device.idle or device.free_seats > 0):
            device.stirred = True
            self.stirred.append(device)

    def _skip(self, operation: Operation) -> None:
        message = f"operation {operation.name!r} was skipped: its engine was cancelled"
        operation.failure = Failure(OperationCancelled(message), operation)
        operation.failure.seen = True  # somebody asked for it
        operation.fn = None

    def _run_instant(self) -> None:
        self._at_instant = True
        instant = self._instant
        while instant:
            operation = instant.popleft()
            for hook in self.finished_hooks:
                hook.finished(operation)
            self.end(operation)
        self._at_instant = False

    def _leave_epoch(self, number: int) -> None:
        """An operation that is in an epoch is done."""
        epochs = self._epochs
        for epoch in epochs:
            if number <= epoch.last:
                epoch.count -= 1
                break
        while epochs and epochs[0].count == 0:
            epoch = epochs.popleft()
            epoch.over = True
            self.outbox.extend(epoch.waiters)

    def _tell_room_waiters(self) -> None:
        while self.room_waiters and self.room_waiters[0][0].over:
            self.outbox.append(self.room_waiters.popleft()[1])

    def _take_links(self, operation: Operation) -> bool:
        """Take the capacity that is left to take, in one order for all, so that none deadlocks."""
        for link, amount in (operation.uses or ())[operation.next_link :]:
            operation.next_link += 1
            if not link._take(operation, amount):
                self._queued_at_link()
                return False
        return True

    def _queued_at_link(self) -> None:
        """An operation has begun to queue at a link, which may make a wait one that never ends."""
        return

    def _give_links_back(self, operation: Operation) -> None:
        """Give back what it took; whoever has got a link by that goes on."""
        for link, _ in operation.uses or ():
            for served in link._give_back(operation):
                self._make_ready(served)
