"""Who may go: the access to a thing, and to the parts of a thing. Plain decisions, no threads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actorflow.engine.operation import Failure, Operation

__all__ = ["END", "Access", "Parts"]

END: Final = 1 << 62  # past the end of every resource
_FEW: Final = 64  # segments that are not worth joining while some of them are accessed


def _wait_for(operation: Operation, before: Operation) -> None:
    """Make an edge, once: all edges of an operation are made before those of the next one."""
    successors = before.successors
    if successors is None:
        before.successors = [operation]
    elif successors[-1] is operation:
        return
    else:
        successors.append(operation)
    if operation.predecessors is None:
        operation.predecessors = [before]
    else:
        operation.predecessors.append(before)


class Access:
    """Who holds one thing, or one part of it, and who comes next: many readers or one writer."""

    __slots__ = ("_failure", "_parts", "_readers", "_writer")

    def __init__(self) -> None:
        # The last operation that writes it, until that is done.
        self._writer: Operation | None = None
        # Who reads it since then, in order of arrival; None instead of an empty one.
        self._readers: dict[Operation, None] | None = None
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
        return self._writer is None and self._readers is None

    def _accesses(self) -> list[Access]:
        """What to look at for who holds it: itself, or its parts."""
        return [self] if self._parts is None else list(self._parts.segments)

    def _read(self, operation: Operation) -> None:
        if self._parts is not None:
            self._parts.read(operation, 0, END)
            return
        writer = self._writer
        if writer is not None and writer is not operation:
            _wait_for(operation, writer)
        readers = self._readers
        if readers is None:
            self._readers = {operation: None}
        else:
            readers[operation] = None

    def _write(self, operation: Operation) -> None:
        if self._parts is not None:
            self._parts.write(operation, 0, END)
            return
        readers = self._readers
        writer = self._writer
        if readers is not None:
            # They wait for the writer before them, so this operation need not.
            predecessors = operation.predecessors
            if predecessors is None:
                predecessors = operation.predecessors = []
            for reader in readers:  # as in `_wait_for`, without its calls
                successors = reader.successors
                if successors is None:
                    if reader is operation:
                        continue
                    reader.successors = [operation]
                elif successors[-1] is operation or reader is operation:
                    continue
                else:
                    successors.append(operation)
                predecessors.append(reader)
            self._readers = None
        elif writer is not None and writer is not operation:
            _wait_for(operation, writer)
        self._writer = operation

    def _end_read(self, operation: Operation) -> None:
        if self._parts is not None:
            self._parts.end_read(operation, 0, END)
            return
        readers = self._readers
        # A later write has forgotten the readers before it.
        if readers is not None and operation in readers:
            if len(readers) == 1:
                self._readers = None
            else:
                del readers[operation]

    def _end_write(self, operation: Operation, failure: Failure | None) -> None:
        if self._parts is not None:
            self._parts.end_write(operation, 0, END, failure)
            return
        if self._writer is operation:
            self._writer = None
        self._failure = failure


class Segment(Access):
    """The access to one part `[start, stop)`."""

    __slots__ = ("start", "stop")

    def __init__(self, start: int, stop: int, like: Access) -> None:
        self.start = start
        self.stop = stop
        self._writer = like._writer
        self._readers = None if like._readers is None else dict(like._readers)
        self._failure = like._failure
        self._parts = None


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
        self.segments = [Segment(0, END, whole)]
        self.starts = [0]
        self.limit = _FEW
        whole._writer = whole._readers = None

    def _split(self, at: int) -> int:
        """Make a segment begin at `at`; return its index."""
        index = bisect_right(self.starts, at) - 1
        left = self.segments[index]
        if left.start == at or at >= END:
            return index if left.start == at else index + 1
        self.segments.insert(index + 1, Segment(at, left.stop, left))
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

    def read(self, operation: Operation, start: int, stop: int) -> None:
        """The operation arrives to read `[start, stop)`."""
        for segment in self._cover(start, stop):
            self.busy += segment.idle
            segment._read(operation)

    def write(self, operation: Operation, start: int, stop: int) -> None:
        """The operation arrives to write `[start, stop)`."""
        for segment in self._cover(start, stop):
            self.busy += segment.idle
            segment._write(operation)

    def end_read(self, operation: Operation, start: int, stop: int) -> None:
        """The operation is done with reading `[start, stop)`."""
        for segment in self._cover(start, stop):
            if not segment.idle:
                segment._end_read(operation)
                self.busy -= segment.idle
        self._leave()

    def end_write(
        self, operation: Operation, start: int, stop: int, failure: Failure | None
    ) -> None:
        """The operation is done with writing `[start, stop)`."""
        for segment in self._cover(start, stop):
            was_idle = segment.idle
            segment._end_write(operation, failure)
            if not was_idle:
                self.busy -= segment.idle
        if failure is not None or self.whole._failure is not None:
            self.whole._failure = next(
                (part._failure for part in self.segments if part._failure is not None), None
            )
        self._leave()

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
