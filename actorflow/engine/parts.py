"""Who may go: the access to a thing, and to the parts of a thing. Plain decisions, no threads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.engine.operation import DONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.engine.operation import Failure, Operation

    # What waits: one operation that writes, or several that read and came one after the other.
    Entry: TypeAlias = Operation | list[Operation]

__all__ = ["END", "Access", "Parts"]

END: Final = 1 << 62  # past the end of every resource
_FEW: Final = 64  # segments that are not worth joining while some of them are accessed
_MANY: Final = 32  # readers among which it pays to look for some that are done

_number = attrgetter("number")


def _first_number(entry: Entry) -> int:
    return entry[0].number if isinstance(entry, list) else entry.number


def _members(entry: Entry | None) -> list[Operation]:
    """The operations of an entry, or of what is granted, that are not done."""
    if entry is None:
        return []
    operations = entry if isinstance(entry, list) else [entry]
    return [operation for operation in operations if operation.state != DONE]


class Access:
    """Who holds one thing, or one part of it, and who comes next: many readers or one writer.

    Its methods are the messages that the engine sends. `_read` and `_write` give how many more
    accesses the operation has to wait for, `_end_read` and `_end_write` give to whom the access is
    granted now.
    """

    __slots__ = ("_failure", "_granted", "_n_readers", "_parts", "_waiting", "_writer")

    def __init__(self) -> None:
        # Who has it now: the operation that writes it, or a list of those that read it, among
        # which some may be done already. None if nobody is there.
        self._granted: Entry | None = None
        # How many read it now; says nothing while nobody does.
        self._n_readers: int
        # The last one that is to write it, until that is done.
        self._writer: Operation | None = None
        # Who waits, in order of arrival. Reads and writes take turns in it. One entry stands for
        # itself: most queues never get longer.
        self._waiting: Entry | deque[Entry] | None = None
        # What the last write left instead of content.
        self._failure: Failure | None = None
        # The accesses part by part, while a part is touched or has failed; the fields above then
        # say nothing, except that `_failure` is a failure of some part.
        self._parts: Parts | None = None

    @property
    def idle(self) -> bool:
        """Whether no operation holds it or waits for it."""
        if self._parts is not None:
            return self._parts.busy == 0
        return self._granted is None

    def _accesses(self) -> list[Access]:
        """What to look at for who holds it: itself, or its parts."""
        return [self] if self._parts is None else list(self._parts.segments)

    # -- Messages (`Ledger.admit` and `Ledger.end` have the common ones written out) -----------

    def _read(self, operation: Operation) -> int:
        if self._parts is not None:
            return self._parts.read(operation, 0, END)
        if self._writer is None:
            readers: Any = self._granted
            if readers is None:
                self._granted = [operation]
                self._n_readers = 1
                return 0
            if len(readers) >= _MANY and len(readers) >= 2 * self._n_readers:
                readers[:] = _members(readers)
            readers.append(operation)
            self._n_readers += 1
            return 0
        if self._writer is operation:
            # It writes it, too: that covers the read.
            operation.reads = tuple(other for other in operation.reads if other is not self)
            return 0
        waiting: Any = self._waiting
        if waiting is None:
            self._waiting = [operation]
        elif waiting.__class__ is list:
            waiting.append(operation)
        elif waiting.__class__ is not deque:
            self._waiting = deque((waiting, [operation]))
        elif waiting[-1].__class__ is list:
            waiting[-1].append(operation)
        else:
            waiting.append([operation])
        return 1

    def _write(self, operation: Operation) -> int:
        if self._parts is not None:
            return self._parts.write(operation, 0, END)
        if self._granted is None:
            self._granted = self._writer = operation
            return 0
        if self._writer is operation:
            operation.writes = tuple(dict.fromkeys(operation.writes))
            return 0
        waiting: Any = self._waiting
        if waiting is None:
            self._waiting = operation
        elif waiting.__class__ is deque:
            waiting.append(operation)
        else:
            self._waiting = deque((waiting, operation))
        self._writer = operation
        return 1

    def _end_read(self, operation: Operation) -> Sequence[Operation]:
        if self._parts is not None:
            return self._parts.end_read(operation, 0, END)
        self._n_readers -= 1
        return () if self._n_readers else self._grant_next()

    def _end_write(self, operation: Operation, failure: Failure | None) -> Sequence[Operation]:
        if self._parts is not None:
            return self._parts.end_write(operation, 0, END, failure)
        self._failure = failure
        return self._grant_next()

    def _grant_next(self) -> Sequence[Operation]:
        """Nobody has it any more: grant it to whoever waits first."""
        waiting: Any = self._waiting
        if waiting is None:
            self._granted = self._writer = None
            return ()
        if waiting.__class__ is deque:
            entry = waiting.popleft()
            if not waiting:
                self._waiting = None
        else:
            entry = waiting
            self._waiting = None
        self._granted = entry
        if entry.__class__ is not list:
            return (entry,)
        self._n_readers = len(entry)
        if self._waiting is None:
            self._writer = None
        granted: list[Operation] = entry
        return granted

    # -- Who waits for whom ----------------------------------------------------------------------

    def _holders_now(self) -> list[Operation]:
        """Who has it now."""
        return _members(self._granted)

    def _entries(self) -> Sequence[Entry]:
        waiting: Any = self._waiting
        if waiting is None:
            return ()
        entries: Sequence[Entry] = waiting if waiting.__class__ is deque else (waiting,)
        return entries

    def _find(self, operation: Operation) -> int:
        """Where an operation stands in the queue, counted from 0; -1 if it does not wait here."""
        entries = self._entries()
        index = bisect_right(entries, operation.number, key=_first_number) - 1
        if index < 0:
            return -1
        entry: Any = entries[index]
        if entry.__class__ is list:
            entry = entry[bisect_right(entry, operation.number, key=_number) - 1]
        return index if entry is operation else -1

    def _before(self, operation: Operation) -> list[Operation]:
        """Whom an operation waits for here: those directly before it that are not done."""
        index = self._find(operation)
        if index < 0:
            return []
        return _members(self._entries()[index - 1] if index else self._granted)

    def _after(self, operation: Operation) -> list[Operation]:
        """Who is next here after an operation that waits for this access or has it."""
        entries = self._entries()
        index = self._find(operation) + 1
        return _members(entries[index]) if index < len(entries) else []


class Segment(Access):
    """The access to one part `[start, stop)`. Those who read it are really there."""

    __slots__ = ("start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start = start
        self.stop = stop

    def _take_over(self, whole: Access) -> None:
        """Go on where the access to the whole stands."""
        granted: Any = whole._granted
        if granted.__class__ is list:
            granted = _members(granted)
            self._n_readers = len(granted)
        self._granted = granted
        self._writer = whole._writer
        self._waiting = whole._waiting
        self._failure = whole._failure
        whole._granted = whole._writer = whole._waiting = None

    def _copy(self, left: Segment) -> None:
        """Become what another one is: whoever waits there waits here, too."""
        granted: Any = left._granted
        if granted.__class__ is list:
            granted = granted[:]
            self._n_readers = len(granted)
        self._granted = granted
        self._writer = left._writer
        self._failure = left._failure
        entries = []
        for entry in left._entries():
            for operation in _members(entry):
                operation.pending += 1
            entries.append(entry[:] if isinstance(entry, list) else entry)
        if entries:
            self._waiting = deque(entries)

    def _end_read(self, operation: Operation) -> Sequence[Operation]:
        readers: Any = self._granted
        if readers.__class__ is not list or operation not in readers:
            return ()  # it writes this part, or has named it twice
        readers.remove(operation)
        self._n_readers = len(readers)
        return () if readers else self._grant_next()

    def _end_write(self, operation: Operation, failure: Failure | None) -> Sequence[Operation]:
        if self._granted is not operation:
            return ()  # it has named this part twice
        self._failure = failure
        return self._grant_next()


class Parts:
    """The accesses to a thing part by part: segments that together cover `[0, END)`.

    Attributes:
      segments: in order, without gaps. An access splits the ones at its ends and then treats
        every segment that it covers as a thing of its own.
      busy: how many segments are not idle. With none left, and no failure, the parts go away.
      limit: past so many segments, those that nothing tells apart any more are joined.
    """

    __slots__ = ("busy", "limit", "segments", "starts", "whole")

    def __init__(self, whole: Access) -> None:
        self.whole = whole
        self.busy = 0 if whole.idle else 1
        self.segments = [Segment(0, END)]
        self.segments[0]._take_over(whole)
        self.starts = [0]
        self.limit = _FEW

    def _split(self, at: int) -> int:
        """Make a segment begin at `at`; return its index."""
        index = bisect_right(self.starts, at) - 1
        left = self.segments[index]
        if left.start == at or at >= END:
            return index if left.start == at else index + 1
        right = Segment(at, left.stop)
        right._copy(left)
        self.segments.insert(index + 1, right)
        self.starts.insert(index + 1, at)
        left.stop = at
        if not left.idle:
            self.busy += 1
        return index + 1

    def overlapping(self, start: int, stop: int) -> list[Access]:
        """The segments that overlap `[start, stop)`."""
        first = bisect_right(self.starts, start) - 1
        last = bisect_left(self.starts, stop)
        return list(self.segments[first:last])

    def _cover(self, start: int, stop: int) -> list[Segment]:
        """The segments that together are exactly `[start, stop)`."""
        first = self._split(start)
        return self.segments[first : self._split(stop)]

    def read(self, operation: Operation, start: int, stop: int) -> int:
        """The operation arrives to read `[start, stop)`; give how many segments it waits for."""
        pending = 0
        for segment in self._cover(start, stop):
            self.busy += segment.idle
            pending += segment._read(operation)
        return pending

    def write(self, operation: Operation, start: int, stop: int) -> int:
        """The operation arrives to write `[start, stop)`; give how many segments it waits for."""
        pending = 0
        for segment in self._cover(start, stop):
            self.busy += segment.idle
            pending += segment._write(operation)
        return pending

    def end_read(self, operation: Operation, start: int, stop: int) -> Sequence[Operation]:
        """The operation is done with reading `[start, stop)`; give who gets its segments."""
        granted: list[Operation] = []
        for segment in self._cover(start, stop):
            if not segment.idle:
                granted += segment._end_read(operation)
                self.busy -= segment.idle
        self._leave()
        return granted

    def end_write(
        self, operation: Operation, start: int, stop: int, failure: Failure | None
    ) -> Sequence[Operation]:
        """The operation is done with writing `[start, stop)`; give who gets its segments."""
        granted: list[Operation] = []
        for segment in self._cover(start, stop):
            if not segment.idle:
                granted += segment._end_write(operation, failure)
                self.busy -= segment.idle
        if failure is not None or self.whole._failure is not None:
            self.whole._failure = next(
                (part._failure for part in self.segments if part._failure is not None), None
            )
        self._leave()
        return granted

    def _leave(self) -> None:
        """Join segments; go back to the cheap form if nothing tells the parts apart any more."""
        if self.busy and len(self.segments) <= self.limit:
            return
        joined = self.segments[:1]
        for segment in self.segments[1:]:
            last = joined[-1]
            if segment.idle and last.idle and segment._failure is last._failure:
                last.stop = segment.stop
            else:
                joined.append(segment)
        if self.busy == 0 and len(joined) == 1:
            self.whole._parts = None
            self.whole._failure = joined[0]._failure
            return
        self.segments = joined
        self.starts = [segment.start for segment in joined]
        # Twice as many: each access pays only for the few segments that it has made.
        self.limit = max(_FEW, 2 * len(joined))
