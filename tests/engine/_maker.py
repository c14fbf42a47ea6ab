"""Random programs: the same seed always makes the same one."""

import random
from dataclasses import replace

from tests.engine._programs import Access, Cancel, Look, Program, Push, Statement, Wait, conflict

ERRORS = (ValueError, KeyError, OSError, ZeroDivisionError, RuntimeError)


class Maker:
    """Makes one program from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sizes = []
        self.capacities = ()
        self.count = 0

    def make(self, length):
        draw = self.random
        self.capacities = tuple(draw.randint(1, 3) for _ in range(2))
        shared = self._add_cells([4, 0])
        free = [self._add_cells([6, 0, 0, 0]) for _ in range(draw.choice((1, 1, 2, 4)))]
        lent = [{} for _ in free]
        statements, ticket = [], 0
        while len(statements) < length:
            thread = draw.randrange(len(free))
            if len(free[thread]) < 4 or (lent[thread] and draw.random() < 0.1):
                number = draw.choice(list(lent[thread]))
                free[thread] |= lent[thread].pop(number)
                statements.append(Statement(thread, Wait(number)))
            elif draw.random() < 0.1:
                statements.append(Statement(thread, self._look(free[thread])))
            elif len(free) > 1 and draw.random() < 0.2:
                action = self._push(free[thread] | shared, set(), ())
                statements.append(Statement(thread, action, ticket))
                ticket += 1
            else:
                cells = self._lend(free[thread]) if draw.random() < 0.2 else set()
                action = self._push(free[thread], cells, ())
                if cells:
                    free[thread] -= cells
                    lent[thread][action.number] = cells
                statements.append(Statement(thread, action))
        for thread, numbers in enumerate(lent):
            statements += [Statement(thread, Wait(number)) for number in numbers]
        return Program(tuple(self.sizes), self.capacities, tuple(statements))

    def _add_cells(self, sizes):
        cells = set()
        for size in sizes:
            cells |= {(len(self.sizes), index) for index in range(size + 1)}
            self.sizes.append(size)
        return cells

    def _lend(self, free):
        cells = sorted(free)
        return set(self.random.sample(cells, self.random.randint(1, min(6, len(cells)))))

    def _access(self, cells):
        draw = self.random
        resource, start = draw.choice(sorted(cells))
        size = self.sizes[resource]
        everything = Access(resource, 0, size + 1, whole=True)
        if start == size or (draw.random() < 0.15 and cells.issuperset(everything.cells)):
            # The cell behind the end has no region of its own.
            return everything if cells.issuperset(everything.cells) else None
        stop = start + 1
        while stop < size and (resource, stop) in cells and draw.random() < 0.5:
            stop += 1
        return Access(resource, start, stop)

    def _accesses(self, cells, most):
        found = (self._access(cells) for _ in range(self.random.randint(0, most)))
        return tuple(access for access in found if access is not None)

    def _look(self, cells):
        access = None
        while access is None:
            access = self._access(cells)
        self.count += 1
        return Look(self.count, access)

    def _push(self, cells, lent, around):
        """An operation on `cells`; if cells are lent to it, it pushes others on them."""
        draw = self.random
        self.count += 1
        push = Push(
            self.count,
            self._accesses(cells, 2),
            self._accesses(cells, 1),
            self._accesses(cells, 2),
            error=draw.choice(ERRORS) if draw.random() < 0.06 else None,
            late=draw.random() < 0.5,
            catches=draw.random() < 0.5,
            priority=draw.randint(-2, 2),
            io=draw.random() < 0.1,
            completed=draw.random() < 0.1,
            quick=not lent and draw.random() < 0.2,
            # Who waits inside itself must not hold what the others need.
            uses=() if lent or draw.random() < 0.8 else self._uses(),
        )
        actions = self._actions(push, set(lent), around) if lent else ()
        return replace(push, actions=actions)

    def _uses(self):
        return tuple(
            (link, self.random.randint(1, capacity))
            for link, capacity in enumerate(self.capacities)
            if self.random.random() < 0.7
        )

    def _actions(self, push, cells, around):
        """What an operation does inside itself; `around` is what can hold back what it pushes."""
        draw = self.random
        around = [*around, push]
        actions, held, prompt = [], [], []
        for _ in range(draw.randint(1, 5)):
            kind = draw.random()
            if kind < 0.2 and prompt:
                actions.append(Wait(draw.choice(prompt)))
            elif kind < 0.35 and held:
                actions.append(Cancel(draw.choice(held)))
            elif kind < 0.45 and cells:
                look = self._look_or_none(cells, around)
                actions += [] if look is None else [look]
            elif cells:
                lent = self._lend(cells) if len(around) < 4 and draw.random() < 0.3 else set()
                inner = self._push(cells, lent, around)
                cells -= lent
                actions.append(inner)
                if not any(conflict(other, inner) for other in around):
                    prompt.append(inner.number)
                    continue
                if conflict(push, inner):
                    held.append(inner.number)
                around.append(inner)
        return tuple(actions)

    def _look_or_none(self, cells, around):
        access = self._access(cells)
        if access is None or any(conflict(o, Push(0, reads=(access,))) for o in around):
            return None
        self.count += 1
        return Look(self.count, access)
