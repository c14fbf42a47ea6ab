"""Resources: actors that say who may touch what they own next.

A resource knows who has it now, many readers or one writer, and who waits for it, in order of
arrival. Nobody overtakes: a reader that arrives after a writer waits, even if others read now.

The methods that begin with an underscore are the actor's messages. Only the engine sends them, and
only in a turn, so that a resource handles one at a time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.engine.parts import END, Access, Parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from actorflow.engine.base import Engine
    from actorflow.engine.operation import Failure, Operation

__all__ = ["Accessible", "Link", "Region", "Resource", "add_up", "as_tuple", "not_a_resource"]


class Resource(Access):
    """An actor that tracks reads and writes of one thing: memory, a generator, anything.

    Subclass it to give it a payload; it declares `__slots__`, so a subclass may too. A resource
    belongs to the engine that used it last, and another one may use it while it is idle.

    Args:
      name: what people call it, in explanations and errors.
    """

    __slots__ = ("__weakref__", "name", "owner")

    def __init__(self, name: str = "resource") -> None:
        # Written out, not left to Access: every array makes one of these.
        self._granted = None
        self._writer = None
        self._waiting = None
        self._failure = None
        self._parts = None
        self.owner: Engine | None = None
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def resource(self) -> Resource:
        """Itself: a resource stands for the region that covers all of it."""
        return self


class Region:
    """A part `[start, stop)` of a resource: parts that do not overlap are accessed independently.

    The engine does not know where a resource ends. So after a write of the whole resource has
    failed, writes of all its parts mend these parts, but not the resource: to read that whole
    still raises the old error, until it is written whole or in parts the last of which ends at
    `actorflow.engine.parts.END`.

    Args:
      resource: the resource.
      start: where it begins; the unit (bytes, elements, rows) is up to the resource's owner.
      stop: where it ends, exclusive.

    Raises:
      ValueError: unless `0 <= start < stop`.
    """

    __slots__ = ("resource", "start", "stop")

    # The engine asks every resource whether its parts are accessed; a region is one.
    _parts: Final = True
    _granted: Final = None
    _writer: Final = None

    def __init__(self, resource: Resource, start: int, stop: int) -> None:
        if not 0 <= start < stop <= END:
            message = f"Region of {resource.name!r}: need 0 <= start < stop, got {start}, {stop}"
            raise ValueError(message)
        self.resource = resource
        self.start = start
        self.stop = stop

    def __repr__(self) -> str:
        return f"<Region {self.name!r}>"

    @property
    def name(self) -> str:
        """The resource's name and the interval."""
        return f"{self.resource.name}[{self.start}:{self.stop}]"

    @property
    def owner(self) -> Engine | None:
        """The engine that its resource belongs to."""
        return self.resource.owner

    @owner.setter
    def owner(self, engine: Engine | None) -> None:
        self.resource.owner = engine

    def _open(self) -> Parts:
        resource = self.resource
        parts = resource._parts
        if parts is None:
            parts = resource._parts = Parts(resource)
        return parts

    def _accesses(self) -> list[Access]:
        parts = self.resource._parts
        return [self.resource] if parts is None else parts.overlapping(self.start, self.stop)

    @property
    def _failure(self) -> Failure | None:
        for access in self._accesses():
            if access._failure is not None:
                return access._failure
        return None

    def _read(self, operation: Operation) -> int:
        return self._open().read(operation, self.start, self.stop)

    def _write(self, operation: Operation) -> int:
        return self._open().write(operation, self.start, self.stop)

    def _end_read(self, operation: Operation) -> Sequence[Operation]:
        return self._open().end_read(operation, self.start, self.stop)

    def _end_write(self, operation: Operation, failure: Failure | None) -> Sequence[Operation]:
        return self._open().end_write(operation, self.start, self.stop, failure)


class Link(Resource):
    """A resource with a capacity: a bus, a network, a disk, a licence.

    Operations that *use* it take some of its capacity once everything else that they wait for is
    done, in the order in which they get there, and give it back when they end.

    Args:
      capacity: how much may be in use at a time, at least 1. An operation takes 1 unless it
        says how much, so a capacity of 2 lets two such operations run at a time.
      name: what people call it.

    Raises:
      ValueError: the capacity is not an integer of at least 1.
    """

    __slots__ = ("_free", "_holders", "_queue", "_users", "capacity")

    def __init__(self, capacity: int = 1, name: str = "link") -> None:
        super().__init__(name)
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
            message = f"Link {name!r}: capacity must be an integer of at least 1, got {capacity!r}"
            raise ValueError(message)
        self.capacity: Final = capacity
        self._free = capacity
        self._holders: dict[Operation, int] = {}
        self._queue: deque[tuple[Operation, int]] = deque()
        self._users: dict[Operation, None] = {}  # who uses it, will use it or is skipped

    @property
    def idle(self) -> bool:
        """Whether no operation holds it or waits for it."""
        return not (self._users or self._holders or self._queue) and super().idle

    def _expect(self, operation: Operation) -> None:
        """The operation has been pushed and will ask for its amount, unless it is skipped."""
        self._users[operation] = None

    def _take(self, operation: Operation, amount: int) -> bool:
        """Give `amount` to the operation, or let it queue."""
        if self._queue or amount > self._free:
            self._queue.append((operation, amount))
            return False
        self._free -= amount
        self._holders[operation] = amount
        return True

    def _leave_queue(self, operation: Operation, amount: int) -> None:
        """The operation does not want to be served any more; it sends `_give_back` as it ends."""
        self._queue.remove((operation, amount))

    def _give_back(self, operation: Operation) -> list[Operation]:
        """Take back what the operation has, if anything; return who has got theirs by that."""
        self._users.pop(operation, None)
        self._free += self._holders.pop(operation, 0)
        served = []
        while self._queue and self._queue[0][1] <= self._free:
            waiting, amount = self._queue.popleft()
            self._free -= amount
            self._holders[waiting] = amount
            served.append(waiting)
        return served


def add_up(uses: Iterable[Link] | Mapping[Link, int]) -> tuple[tuple[Link, int], ...]:
    """How much of each link an operation uses, in the one order in which all of them take links.

    Raises:
      TypeError: something that is no link, or no integer.
      ValueError: more than a link has, or less than 1.
    """
    amounts: dict[Link, int] = {}
    pairs = uses.items() if hasattr(uses, "items") else ((link, 1) for link in uses)
    for link, amount in pairs:
        if not isinstance(link, Link):
            message = f"push: uses must hold links, got {link!r}"
            raise TypeError(message)
        if not isinstance(amount, int) or isinstance(amount, bool):
            message = f"push: the amount of {link!r} must be an integer, got {amount!r}"
            raise TypeError(message)
        amounts[link] = amounts.get(link, 0) + amount
        if not 1 <= amounts[link] <= link.capacity:
            message = (
                f"push: {amounts[link]} of {link!r} was asked for, but its capacity is "
                f"{link.capacity}"
            )
            raise ValueError(message)
    return tuple(sorted(amounts.items(), key=lambda pair: id(pair[0])))


def not_a_resource(role: str, what: object) -> str:
    """Say that something is no resource, and where it may have one."""
    inner = getattr(what, "resource", None)
    hint = ": pass its `resource`" if isinstance(inner, (Resource, Region)) else ""
    return f"push: {role} must hold resources, got {type(what).__name__}{hint}"


def as_tuple(role: str, resources: Any) -> tuple[Any, ...]:  # noqa: ANN401 -- whatever the user gave
    """The resources that a push names.

    Raises:
      TypeError: one resource was given instead of several.
    """
    try:
        return tuple(resources)
    except TypeError:
        message = f"push: {role} must be a tuple or list of resources, got {resources!r}"
        raise TypeError(message) from None


Accessible: TypeAlias = Resource | Region
