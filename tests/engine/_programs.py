"""Programs for engines, as data, and how one engine runs one.

A program is a list of statements, each of one thread. What it computes does not depend on the
schedule, because whoever pushes inside an operation does so on cells that were *lent* to that
operation: its pusher leaves them alone until it has joined the operation and all that was pushed
inside. Cells that threads share are used in the order of tickets.

A cell is one element of an array resource, accessed through regions, or a resource of its own. The
last cell of an array stands for all that only an access to the whole array touches.
"""

import threading
import zlib
from collections import defaultdict
from dataclasses import dataclass

from actorflow.engine import Engine, Link, Region, Resource

_MASK = (1 << 64) - 1


def mix(*values):
    """Hash numbers so that any other order gives another result."""
    state = 0x9E3779B97F4A7C15
    for value in values:
        state = ((state ^ value) * 0xBF58476D1CE4E5B9) & _MASK
        state ^= state >> 29
    return state


def mix_error(value, error):
    """Hash what an error says."""
    return mix(value, zlib.crc32(f"{type(error).__name__}: {error}".encode()))


@dataclass(frozen=True)
class Access:
    """Cells of one resource: `[start, stop)`, or the whole of it."""

    resource: int
    start: int
    stop: int
    whole: bool = False

    @property
    def cells(self):
        return [(self.resource, index) for index in range(self.start, self.stop)]


@dataclass(frozen=True)
class Push:
    """An operation, and what it does inside itself."""

    number: int
    reads: tuple = ()
    writes: tuple = ()
    updates: tuple = ()
    actions: tuple = ()
    error: type | None = None
    late: bool = False  # whether it raises after it has written
    catches: bool = False  # whether it survives what it waits for
    priority: int = 0
    uses: tuple = ()
    io: bool = False
    completed: bool = False  # whether it is completed by a callback
    quick: bool = False  # whether it may run in a turn

    @property
    def name(self):
        return f"op {self.number}"

    @property
    def read_cells(self):
        return [c for a in (*self.reads, *self.updates) for c in a.cells]

    @property
    def written_cells(self):
        return [c for a in (*self.writes, *self.updates) for c in a.cells]


@dataclass(frozen=True)
class Wait:
    """Inside an operation: wait for another. Outside: for all that was pushed inside it, too."""

    number: int


@dataclass(frozen=True)
class Cancel:
    """Cancel an operation that the one that runs now holds back."""

    number: int


@dataclass(frozen=True)
class Look:
    """Read cells at once."""

    number: int
    access: Access


@dataclass(frozen=True)
class Statement:
    """Something that a thread does; those with tickets happen in the order of tickets."""

    thread: int
    action: object
    ticket: int | None = None


@dataclass(frozen=True)
class Program:
    """Sizes of the resources (0: not an array), capacities of the links, and what to do."""

    sizes: tuple
    capacities: tuple
    statements: tuple


def conflict(first, second):
    """Whether two operations have to keep their order."""
    one, other = set(first.written_cells), set(second.written_cells)
    return not (
        one.isdisjoint(second.read_cells)
        and one.isdisjoint(other)
        and other.isdisjoint(first.read_cells)
    )


def body(push, world):
    """What an operation computes: the same on every engine."""
    value = mix(push.number, *(world.load(cell) for cell in push.read_cells))
    for action in push.actions:
        try:
            value = mix(value, world.act(action, push))
        except Exception as error:
            if not push.catches:
                raise
            value = mix_error(value, error)
    if push.error is not None and not push.late:
        raise push.error(f"{push.name} had {value}")
    for position, cell in enumerate(push.written_cells):
        world.store(cell, mix(value, position))
    if push.error is not None:
        raise push.error(f"{push.name} wrote {value}")
    return value


def describe(error):
    """What must be equal of an error: its type, what it says, and which operations raised it.

    The first of those is the first cause; in which order the others did depends on the schedule.
    """
    cause, *others = getattr(error, "__notes__", ["nowhere"])
    return (type(error).__name__, str(error), cause, *sorted(others))


class EngineRun:
    """One program on one engine; `outcome` holds all that can be compared."""

    def __init__(self, program, *, with_links=True, **options):
        self.program = program
        self.with_links = with_links
        self.engine = Engine(trace="off", **options)
        self.resources = [Resource(f"r{index}") for index in range(len(program.sizes))]
        self.links = [Link(capacity) for capacity in program.capacities]
        self.values = {(r, i): mix(r, i) for r, n in enumerate(program.sizes) for i in range(n + 1)}
        self.handles = {}
        self.inside = defaultdict(list)  # number of an operation: what it pushed
        self.looks = {}

    def run(self, *, threads):
        """Run the program, each thread's statements in a thread of its own or all in this one."""
        statements = self.program.statements
        tickets = [threading.Event() for s in statements if s.ticket is not None]

        problems = []

        def follow(mine):
            for statement in mine:
                if statement.ticket:
                    tickets[statement.ticket - 1].wait()
                try:
                    self.act(statement.action)
                except BaseException as error:  # noqa: BLE001 -- no other pusher may hang for it
                    problems.append(error)
                if statement.ticket is not None:
                    tickets[statement.ticket].set()

        if threads:
            numbers = {s.thread for s in statements}
            pushers = [
                threading.Thread(target=follow, args=([s for s in statements if s.thread == n],))
                for n in numbers
            ]
            for pusher in pushers:
                pusher.start()
            for pusher in pushers:
                pusher.join()
        else:
            follow(statements)
        if problems:
            raise ExceptionGroup("pushers failed", problems)
        return self._finish()

    def act(self, action, inside=None):
        """Carry out one action, of a thread or inside an operation."""
        if isinstance(action, Push):
            return self._push(action, inside)
        if isinstance(action, Look):
            access, cells = self._accessible(action.access), action.access.cells
            try:
                seen = self.engine.read(lambda: mix(*map(self.load, cells)), [access])
            except Exception as error:  # noqa: BLE001 -- whatever the cells hold
                seen = mix_error(0, error)
            self.looks[action.number] = seen
            return seen
        operation = self.handles.get(action.number)
        if operation is None:
            return 0  # shrunk away, or its pusher failed
        if isinstance(action, Cancel):
            return operation.cancel()
        return self._join(action.number) if inside is None else operation.wait()

    def load(self, cell):
        return self.values[cell]

    def store(self, cell, value):
        self.values[cell] = value

    def _push(self, push, inside):
        def fn():
            return body(push, self)

        options = {
            "reads": [self._accessible(access) for access in push.reads],
            "writes": [self._accessible(access) for access in push.writes],
            "updates": [self._accessible(access) for access in push.updates],
            "uses": {self.links[link]: n for link, n in push.uses if self.with_links},
            "device": "io" if push.io else None,
            "priority": push.priority,
            "name": push.name,
        }
        if push.completed:
            operation = self.engine.push_async(lambda done: done.succeed(fn()), **options)
        else:
            operation = self.engine.push(fn, quick=push.quick, **options)
        self.handles[push.number] = operation
        if inside is not None:
            self.inside[inside.number].append(push.number)
        return push.number

    def _accessible(self, access):
        resource = self.resources[access.resource]
        return resource if access.whole else Region(resource, access.start, access.stop)

    def _join(self, number):
        self._result(self.handles[number].wait)
        for inner in self.inside[number]:
            self._join(inner)

    def _result(self, wait, *args):
        try:
            return wait(*args)
        except Exception as error:  # noqa: BLE001 -- compared
            return describe(error)

    def _finish(self):
        self.engine.wait_all()
        results = {n: self._result(o.wait) for n, o in sorted(self.handles.items())}
        cells = {}
        for (resource, index), value in self.values.items():
            whole = index == self.program.sizes[resource]
            place = self._accessible(Access(resource, index, index + 1, whole=whole))
            cells[resource, index] = self._result(self.engine.wait, place) or value
        self.engine.close()
        return {"results": results, "cells": cells, "looks": self.looks}
