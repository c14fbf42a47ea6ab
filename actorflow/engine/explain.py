"""Why something is not ready: the chain of operations and holders it waits for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from actorflow.engine.operation import (
    DONE,
    ENDED,
    READY,
    RUNNING,
    SENT,
    WAITING,
    Operation,
    describe_site,
)
from actorflow.engine.resource import Link, Region
from actorflow.engine.target import OperationEnd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actorflow.engine.resource import Accessible

    # Operations that wait inside themselves, and for what: tasks of one may wait for many.
    Blocked = dict[Operation, list[OperationEnd]]

__all__ = ["explain", "find_any_deadlock", "find_deadlock", "waits_for"]

_MAX_LINES: Final = 40
_MAX_VISITED: Final = 10_000  # operations; a turn that takes longer holds everybody up


def _link_awaited(operation: Operation) -> Link | None:
    """The link in whose queue the operation stands."""
    if operation.state != WAITING or operation.pending or operation.uses is None:
        return None
    index = operation.next_link - 1
    return operation.uses[index][0] if index >= 0 else None


def _ahead(operation: Operation, link: Link) -> Operation | None:
    """Who is served before an operation that stands in the queue of a link."""
    first = link._queue[0][0] if link._queue else operation
    return None if first is operation else first


def waits_for(operation: Operation, blocked: Blocked) -> list[Operation]:
    """The operations whose end (for who is ahead in a queue: whose turn) this one waits for."""
    if operation.state == WAITING:
        link = _link_awaited(operation)
        if link is not None:
            ahead = _ahead(operation, link)
            return list(link._holders) if ahead is None else [ahead]
        return operation.predecessors
    return [target.operation for target in blocked.get(operation, ()) if not target.over]


# -- Deadlocks ---------------------------------------------------------------------------------


def find_deadlock(target: Operation, inside: Operation, blocked: Blocked) -> str | None:
    """Say why `inside` can never end if it waits for `target`; None if it can. In a turn.

    `blocked` are the operations that wait inside themselves already, and what each waits for.
    """
    # With a deadline, too: until then it would wait in vain.
    begun = [*blocked.get(inside, ()), OperationEnd(target)]
    outlook = _Outlook([target], {**blocked, inside: begun})
    if inside not in outlook.needs:
        return None
    outlook.play()
    return outlook.describe_cycle(inside, target)


def find_any_deadlock(blocked: Blocked) -> tuple[Operation, OperationEnd, str] | None:
    """Find an operation whose wait inside itself has come to be one that never ends. In a turn.

    That can only come about when an operation begins to queue at a link. To refuse the wait that
    is given here may not be enough: ask again, without it.

    Returns:
      The operation that waits inside itself, for what, and why that never ends; None if all can.
    """
    # What holds a link for ever is such an operation, or waits for a link that one holds.
    if all(operation.uses is None for operation in blocked):
        return None
    outlook = _Outlook(blocked, blocked)
    outlook.play()
    for inside, targets in reversed(blocked.items()):
        for target in (target for target in targets if not target.timed):
            text = outlook.describe_cycle(inside, target.operation)
            if text is not None:
                return inside, target, text
    return None


def _still_to_take(operation: Operation) -> tuple[tuple[Link, int], ...]:
    """The links, and how much of each, that an operation has not asked for yet, but will."""
    if operation.uses is None or operation.state != WAITING or operation.failure is not None:
        return ()
    if operation.number <= getattr(operation.engine, "_skip_through", -1):
        return ()  # it will be skipped
    if any(accessible._failure is not None for accessible in operation.inherits):
        return ()  # it may be skipped
    return operation.uses[operation.next_link :]


class _Stock:
    """What a link has left, who has the rest, and who queues for it."""

    __slots__ = ("free", "holders", "queue")

    def __init__(self, link: Link) -> None:
        self.free = link._free
        self.holders = dict(link._holders)
        self.queue = deque(link._queue)


class _Outlook:
    """What comes of some operations, and all that they need, if whatever can end does.

    It hopes for the best: that whatever runs ends, that those who have not asked for a link yet do
    so in an order in which they do not hold each other up, and that who waits until a deadline goes
    on then.

    Attributes:
      needs: all operations concerned; for each, the others that have to end before it may ask for
        its links, or before it goes on.
      ended: those that can end.
    """

    def __init__(self, roots: Iterable[Operation], blocked: Blocked) -> None:
        self.needs: dict[Operation, list[Operation]] = {}
        self.ended: set[Operation] = set()
        self._blocked = blocked
        self._stocks: dict[Link, _Stock] = {}
        self._wants: dict[Operation, tuple[tuple[Link, int], ...]] = {}
        stack = list(roots)
        while stack:
            operation = stack.pop()
            if operation in self.needs or operation.state == DONE:
                continue
            needs = self.needs[operation] = self._needs(operation)
            stack += needs
            self._wants[operation] = _still_to_take(operation)
            if operation.uses is None or operation.state != WAITING:
                continue
            for link, _ in operation.uses[max(0, operation.next_link - 1) :]:
                if link not in self._stocks:
                    self._stocks[link] = _Stock(link)
                    stack += link._holders
                    stack += (queued for queued, _ in link._queue)
        self._queued = {who for stock in self._stocks.values() for who, _ in stock.queue}

    def _needs(self, operation: Operation) -> list[Operation]:
        if operation.state == WAITING:
            return operation.predecessors
        targets = self._blocked.get(operation, ())
        return [t.operation for t in targets if not (t.over or t.timed)]

    def play(self) -> None:
        """Let everything end that can."""
        missing = {operation: len(needs) for operation, needs in self.needs.items()}
        needed_by: dict[Operation, list[Operation]] = {}
        for operation, needs in self.needs.items():
            for other in needs:
                needed_by.setdefault(other, []).append(operation)
        ready = [operation for operation, count in missing.items() if count == 0]
        at_links: list[Operation] = []
        while ready:
            while ready:
                operation = ready.pop()
                if not self._can_end(operation):
                    at_links.append(operation)
                    continue
                self.ended.add(operation)
                self._give_back(operation)
                for other in needed_by.get(operation, ()):
                    missing[other] -= 1
                    if missing[other] == 0:
                        ready.append(other)
            ready = [operation for operation in at_links if self._can_end(operation)]
            at_links = [operation for operation in at_links if not self._can_end(operation)]

    def _can_end(self, operation: Operation) -> bool:
        """Whether it could have all the links that it wants, and so give them back."""
        return operation not in self._queued and not any(self._scarce(operation))

    def _scarce(self, operation: Operation) -> Iterator[Link]:
        """The links that it will want and cannot have."""
        for link, amount in self._wants[operation]:
            stock = self._stocks[link]
            if stock.queue or amount > stock.free:
                yield link

    def _give_back(self, operation: Operation) -> None:
        for link, _ in operation.uses or ():
            stock = self._stocks.get(link)
            if stock is None or operation not in stock.holders:
                continue
            stock.free += stock.holders.pop(operation)
            while stock.queue and stock.queue[0][1] <= stock.free:
                served, amount = stock.queue.popleft()
                stock.free -= amount
                stock.holders[served] = amount
                self._queued.discard(served)

    # -- Afterwards ------------------------------------------------------------------------------

    def _hindrances(self, operation: Operation) -> Iterator[tuple[str, Operation]]:
        """Who will never let it go on, after the words that say how."""
        for other in self.needs[operation]:
            if other not in self.ended:
                if operation.state == WAITING:
                    yield f"waits for {_shared(operation, other)}", other
                else:
                    yield "waits inside for ", other
        if operation in self._queued:
            link = (operation.uses or ())[operation.next_link - 1][0]
            yield from self._at_link(operation, link, "waits for")
        else:
            for link in self._scarce(operation):
                yield from self._at_link(operation, link, "will need")

    def _at_link(
        self, operation: Operation, link: Link, verb: str
    ) -> Iterator[tuple[str, Operation]]:
        stock = self._stocks[link]
        if stock.queue and stock.queue[0][0] is not operation:
            yield f"{verb} {link!r}, behind ", stock.queue[0][0]
        else:
            for holder in stock.holders:
                yield f"{verb} {link!r}, held by ", holder

    def describe_cycle(self, inside: Operation, target: Operation) -> str | None:
        """Say how an operation that waits inside for a target waits for itself, if it does."""
        if inside in self.ended:
            return None
        came: dict[Operation, tuple[str, Operation]] = {}  # how, and from where
        queue = deque([target] if target in self.needs else [])
        while queue and inside is not target and inside not in came:
            operation = queue.popleft()
            for how, other in self._hindrances(operation):
                if other not in came and other is not target:
                    came[other] = (how, operation)
                    queue.append(other)
        if inside is not target and inside not in came:
            return None
        lines = []
        step = inside
        while step is not target:
            how, before = came[step]
            lines.append(f"    which {how}{_title(step)}")
            step = before
        lines += [
            f"    waits inside for {_title(target)}",
            f"  {_title(inside)}",
            f"operation {inside.name!r} waits inside itself for what can only come after it:",
        ]
        return "\n".join(reversed(lines))


# -- Words -------------------------------------------------------------------------------------


def _title(operation: Operation) -> str:
    return f"{operation.name!r}{describe_site(operation.site)}"


def _overlap(one: Accessible, other: Accessible) -> bool:
    """Whether two accesses to one resource have something in common."""
    if isinstance(one, Region) and isinstance(other, Region):
        return one.start < other.stop and other.start < one.stop
    return True


def _shared(waiting: Operation, holder: Operation) -> str:
    """Name the resources, or parts of them, over which one operation waits for another."""
    held: dict[int, list[tuple[Accessible, bool]]] = {}
    for accesses, writes in ((holder.reads, False), (holder.writes, True)):
        for access in accesses:
            held.setdefault(id(access.resource), []).append((access, writes))
    names = dict.fromkeys(
        mine.name
        for accesses, writes in ((waiting.reads, False), (waiting.writes, True))
        for mine in accesses
        for theirs, they_write in held.get(id(mine.resource), ())
        if (writes or they_write) and _overlap(mine, theirs)
    )
    return f"{', '.join(names)}, held by " if names else ""


def _ready(target: Accessible) -> str:
    """What a resource does that no write is in flight for."""
    readers = {reader for access in target._accesses() for reader in access._holders_now()}
    counts = [("read", len(readers))]
    if isinstance(target, Link):
        counts.append(("use", len(target._holders)))
    parts = [
        f"{count} operations {verb} it" if count > 1 else f"1 operation {verb}s it"
        for verb, count in counts
        if count
    ]
    return f"{target.name} is ready; {' and '.join(parts)}" if parts else ""


def explain(engine: object, target: Operation | Accessible) -> str:
    """Describe why a target is not ready. In a turn."""
    blocked: Blocked = engine._blocked  # type: ignore[attr-defined]
    if isinstance(target, Operation):
        roots, name = [target], repr(target.name)
        failure = target.failure
    else:
        accesses = target._accesses()
        roots = list(dict.fromkeys(a._writer for a in accesses if a._writer is not None))
        name, failure = target.name, target._failure
        if not roots and (text := _ready(target)):
            return text
    roots = [root for root in roots if root.state != DONE]
    if not roots:
        if failure is not None:
            return f"{name} is done and holds an error: {failure.exception!r}"
        return f"{name} is ready: nothing is in flight for it"
    lines = [f"{name} is not ready: it waits for"]
    seen: set[Operation] = set()
    stack = [(root, 1) for root in reversed(roots)]
    while stack and len(lines) < _MAX_VISITED:
        operation, depth = stack.pop()
        indent = "  " * min(depth, 12)
        if operation in seen:
            lines.append(f"{indent}{operation.name!r} (see above)")
            continue
        seen.add(operation)
        lines.append(f"{indent}{_title(operation)}: {_state(operation, blocked)}")
        stack += [(other, depth + 1) for other in reversed(waits_for(operation, blocked))]
    if len(lines) > _MAX_LINES:
        # The end of the chain is where something runs, or hangs.
        half = _MAX_LINES // 2
        lines[half:-half] = [f"  ... {len(lines) - 2 * half} more ..."]
    return "\n".join(lines)


def _state(operation: Operation, blocked: Blocked) -> str:
    """What an operation is doing, in words."""
    state = operation.state
    if state == WAITING:
        link = _link_awaited(operation)
        if link is not None:
            where = "held by" if _ahead(operation, link) is None else "behind"
            return f"waits for {link!r} ({link._free} of {link.capacity} free), {where}"
        names = dict.fromkeys(
            name
            for other in waits_for(operation, blocked)
            if (name := _shared(operation, other).removesuffix(", held by "))
        )
        return f"waits for {', '.join(names) or 'operations'}, held by"
    if state == RUNNING and operation in blocked:
        return "runs, but waits inside itself for"
    device = operation.device
    where = device.name
    return {
        SENT: "is being sent",
        READY: f"is ready and waits for a worker of {where}",
        RUNNING: f"is running on {where}",
        ENDED: "has just ended",
    }[state]
