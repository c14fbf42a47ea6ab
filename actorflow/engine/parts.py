"""Who may go: the access to a thing, and to the parts of a thing. Plain decisions, no threads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine.operation import DONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.engine.operation import Failure, Operation

__all__ = ["END", "Access", "Parts"]

END: Final = 1 << 62  # past the end of every resource
_FEW: Final = 64  # segments that are not worth joining while some of them are accessed
_MANY: Final = 32  # readers among which it pays to look for some that are done


def _members(granted: Operation | list[Operation] | None) -> list[Operation]:
    """The operations that are not done among those to whom an access is granted."""
    if granted is None:
        return []
    operations = granted if isinstance(granted, list) else [granted]
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
        self._granted: Operation | list[Operation] | None = None
        # How many read it now; says nothing while nobody does.
        self._n_readers: int
        # The last one that is to write it, until that is done.
        self._writer: Operation | None = None
        # Who waits, in order of arrival; before each one that is to write there is a None. One
        # operation alone stands for itself, since most queues never get longer: it is to write if
        # it is `_writer`.
        self._waiting: Operation | deque[Operation | None] | None = None
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
        if waiting.__class__ is deque:
            waiting.append(operation)
        elif waiting is None:
            self._waiting = operation
        else:
            self._waiting = self._line_up(waiting, operation)
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
        if waiting.__class__ is deque:
            waiting.append(None)
            waiting.append(operation)
        elif waiting is None:
            self._waiting = operation
        else:
            self._waiting = self._line_up(waiting, None, operation)
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

    def _line_up(self, first: Operation, *others: Operation | None) -> deque[Operation | None]:
        """A queue in place of the one operation that waited alone."""
        return deque((None, first, *others) if first is self._writer else (first, *others))

    def _grant_next(self) -> Sequence[Operation]:
        """Nobody has it any more: grant it to whoever waits first."""
        waiting = self._waiting
        if waiting is None:
            self._granted = self._writer = None
            return ()
        if not isinstance(waiting, deque):
            waiting = self._line_up(waiting)
        granted: list[Operation] = []
        first = waiting.popleft()
        if first is None:
            writer = waiting.popleft()
            assert writer is not None  # noqa: S101 -- behind a None there is one
            self._granted = writer
            granted = [writer]
        else:
            granted = [first]
            while waiting and waiting[0] is not None:
                granted.append(waiting.popleft())  # type: ignore[arg-type]  # see above
            self._granted = granted
            self._n_readers = len(granted)
            if not waiting:
                self._writer = None
        self._waiting = waiting or None
        return granted

    # -- Who waits for whom ----------------------------------------------------------------------

    def _holders_now(self) -> list[Operation]:
        """Who has it now."""
        return _members(self._granted)

    def _in_line(self) -> Sequence[Operation | None]:
        """Who waits, with a None before each one that is to write."""
        waiting = self._waiting
        if waiting is None:
            return ()
        return waiting if isinstance(waiting, deque) else self._line_up(waiting)

    def _before(self, operation: Operation) -> list[Operation]:
        """Whom an operation waits for here: those directly before it that are not done."""
        line = self._in_line()
        at = _find(line, operation)
        if at < 0:
            return []
        if _writes(line, at):
            at -= 1
        else:
            while at > 0 and not _writes(line, at - 1):
                at -= 1
        # What stands before is one that writes, or several that read.
        if at == 0:
            return _members(self._granted)
        end = at
        at -= 1
        if not _writes(line, at):
            while at > 0 and line[at - 1] is not None and not _writes(line, at - 1):
                at -= 1
        return [each for each in islice(line, at, end) if each is not None]

    def _after(self, operation: Operation) -> list[Operation]:
        """Who is next here after an operation that waits for this access or has it."""
        line = self._in_line()
        at = _find(line, operation)
        if at < 0 or _writes(line, at):
            at += 1
        else:
            while at < len(line) and line[at] is not None:
                at += 1
        if at < len(line) and line[at] is None:
            return [each for each in islice(line, at + 1, at + 2) if each is not None]
        return list(takewhile(lambda each: each is not None, islice(line, at, None)))  # type: ignore[arg-type]


def _writes(line: Sequence[Operation | None], at: int) -> bool:
    """Whether the operation at a place of a queue is to write."""
    return at > 0 and line[at - 1] is None


def _find(line: Sequence[Operation | None], operation: Operation) -> int:
    """Where an operation stands in a queue; -1 if it does not."""
    low, high = 0, len(line)
    while low < high:
        middle = (low + high) // 2
        there = line[middle]
        if there is None:
            there = line[middle + 1]
        if there is operation:
            return middle if line[middle] is operation else middle + 1
        if there is not None and there.number < operation.number:
            low = middle + 1
        else:
            high = middle
    return -1


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
        line = left._in_line()
        for operation in line:
            if operation is not None:
                operation.pending += 1
        self._waiting = deque(line) or None

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
