"""Whether a history keeps to what a consistency model promises.

Each rule is a function that yields complaints. Times are used as intervals: only what ended before
something else began is known to have been before it, so a complaint is never due to a race in the
record itself.
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from actorflow.kvstore.consistency import Consistency
from actorflow.kvstore.history import (
    Entered,
    History,
    Initialized,
    Join,
    Leave,
    Pulled,
    Pushed,
    describe,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from actorflow.kvstore.history import Happened, Key
    from actorflow.kvstore.members import Worker

__all__ = ["check"]


def check(
    history: History | Iterable[Happened],
    consistency: Consistency | str,
    by_key: Mapping[Key, Consistency | str] | None = None,
) -> list[str]:
    """What in a history breaks the promises of a model.

    For every model: pushes are numbered without gaps; a version has no push that had not been made,
    and all own pushes that were sent before; what a worker pulls never goes back; after a barrier
    everybody has all pushes that were acknowledged before it (with sequential keys: those of
    complete rounds), and all see the same until the next push; keys that are not sequential and
    were pulled together are of one moment; values, if they were recorded, are the initial value and
    the pushes of the version, nothing lost and nothing twice.

    Sequential: a version has exactly the rounds that are complete, up to that of the last push that
    its worker had sent; so keys that it pushes equally often are of one round. Bounded: nobody was
    more than the bound behind who pulled.

    Args:
      history: what happened.
      consistency: the model of all keys, or its name.
      by_key: of single keys.

    Returns:
      Complaints in words, which name the events; an empty list if all is well.
    """
    events = history.events if isinstance(history, History) else list(history)
    facts = _Facts.of(
        events, _model(consistency), {k: _model(m) for k, m in (by_key or {}).items()}
    )
    rules = (_numbers, _made, _own, _monotonic, _rounds, _bounds, _barriers, _together, _values)
    return [complaint for rule in rules for complaint in rule(facts)]


def _model(consistency: Consistency | str) -> Consistency:
    return Consistency.parse(consistency) if isinstance(consistency, str) else consistency


@attrs.frozen
class _Facts:
    """The events, sorted for the rules."""

    default: Consistency
    by_key: dict[Key, Consistency]
    initial: dict[Key, Initialized]
    pushes: dict[tuple[Key, Worker], list[Pushed]]  # by their number
    pulls: list[Pulled]
    joins: dict[tuple[Key, Worker], list[Join]]  # by their number of pushes
    leaves: dict[Worker, Leave]
    barriers: dict[int, list[Entered]]

    @classmethod
    def of(
        cls, events: list[Happened], default: Consistency, by_key: dict[Key, Consistency]
    ) -> _Facts:
        facts = cls(default, by_key, {}, defaultdict(list), [], {}, {}, defaultdict(list))
        for event in events:
            if isinstance(event, Initialized):
                facts.initial[event.key] = event
            elif isinstance(event, Pushed):
                facts.pushes[event.key, event.worker].append(event)
            elif isinstance(event, Pulled):
                facts.pulls.append(event)
            elif isinstance(event, Join):
                facts.joins.setdefault((event.key, event.worker), []).append(event)
            elif isinstance(event, Leave):
                facts.leaves[event.worker] = event
            else:
                facts.barriers[event.number].append(event)
        for pushes in facts.pushes.values():
            pushes.sort(key=lambda push: push.seq)
        for joins in facts.joins.values():
            joins.sort(key=lambda join: (join.pushed, join.base))
        facts.pulls.sort(key=lambda pull: (pull.start, pull.end))
        return facts

    def model(self, key: Key) -> Consistency:
        return self.by_key.get(key, self.default)

    def of_key(self, key: Key) -> Iterator[tuple[Worker, list[Pushed]]]:
        for (each, worker), pushes in self.pushes.items():
            if each == key:
                yield worker, pushes

    def takers(self, key: Key) -> set[Worker]:
        """Everybody who ever took part in a key."""
        found = {worker for each, worker in [*self.pushes, *self.joins] if each == key}
        return found | {pull.worker for pull in self.pulls if pull.key == key}

    def segments(self, key: Key, worker: Worker) -> list[tuple[int, float, int]]:
        """Of a worker's pushes those after the first number, up to the second, and their base."""
        joins = self.joins.get((key, worker), [])
        found = [(join.pushed, join.base) for join in joins]
        if not found or found[0][0] > 0:
            found.insert(0, (0, 0))
        ends = [pushed for pushed, _ in found[1:]]
        return [(p, end, b) for (p, b), end in zip(found, [*ends, math.inf], strict=True)]

    def pushes_by(self, key: Key, worker: Worker, round_: int) -> int:
        """How many pushes of a worker belong to the first rounds, if it makes all that it may."""
        found = 0
        for pushed, end, base in self.segments(key, worker):
            count = int(min(round_ - base, end))
            found = max(found, count) if count > pushed else found
        return found

    def clocks(self, key: Key, worker: Worker, count: int) -> list[int]:
        """The rounds that a worker may have stood at with so many pushes made."""
        segments = self.segments(key, worker)
        return [base + count for pushed, end, base in segments if pushed <= count <= end]

    def may_have_left(self, worker: Worker, pull: Pulled) -> bool:
        """Whether nobody waited for the worker at the time of a pull: it had left, or paused."""
        leave = self.leaves.get(worker)
        if leave is not None and leave.start <= pull.end:
            return True
        entered = [each for by in self.barriers.values() for each in by if each.worker == worker]
        return any(each.start <= pull.end and _end(each) >= pull.start for each in entered)

    def may_be_absent(self, key: Key, worker: Worker, pull: Pulled) -> bool:
        """Whether the worker perhaps took no part at the moment of the pull."""
        joins = self.joins.get((key, worker), [])
        is_late = bool(joins) and all(_end(join) >= pull.start for join in joins)
        return is_late or self.may_have_left(worker, pull)


def _end(event: Happened) -> float:
    return math.inf if event.end is None else event.end


def _acknowledged(pushes: Iterable[Pushed], before: float) -> int:
    """The last of the pushes that was acknowledged before a time; it has all before it."""
    return max((push.seq for push in pushes if _end(push) < before), default=0)


def _numbers(facts: _Facts) -> Iterator[str]:
    for pushes in facts.pushes.values():
        for number, push in enumerate(pushes, start=1):
            if push.seq != number:
                yield f"{describe(push)} should have number {number}: one is missing or twice there"
                break


def _made(facts: _Facts) -> Iterator[str]:
    for pull in facts.pulls:
        for worker, count in pull.version.items():
            pushes = facts.pushes.get((pull.key, worker), [])
            if count > len(pushes):
                yield f"{describe(pull)} has {count} pushes by {worker}, who made {len(pushes)}"
            elif count and pushes[count - 1].start > pull.end:
                yield f"{describe(pull)} has {describe(pushes[count - 1])}, which began later"


def _own(facts: _Facts) -> Iterator[str]:
    for pull in facts.pulls:
        own = facts.pushes.get((pull.key, pull.worker), [])
        wanted = max(pull.seen, _acknowledged(own, pull.start))
        if pull.version.get(pull.worker, 0) < wanted:
            last = describe(own[wanted - 1]) if wanted <= len(own) else f"push {wanted}"
            yield f"{describe(pull)} lacks its worker's own {last}"


def _monotonic(facts: _Facts) -> Iterator[str]:
    by_worker: dict[tuple[Worker, Key], list[Pulled]] = defaultdict(list)
    for pull in facts.pulls:
        by_worker[pull.worker, pull.key].append(pull)
    for pulls in by_worker.values():
        for before, after in pairwise(pulls):
            if before.end >= after.start:
                continue  # at the same time: either may be the newer one
            for worker, count in before.version.items():
                if after.version.get(worker, 0) < count:
                    yield f"{describe(after)} goes back behind {describe(before)}"
                    break
            if after.round < before.round:
                yield f"{describe(after)} has fewer rounds than {describe(before)}"


def _rounds(facts: _Facts) -> Iterator[str]:
    takers = {key: facts.takers(key) for key in {pull.key for pull in facts.pulls}}
    for pull in facts.pulls:
        if facts.model(pull.key).kind != "sequential":
            continue
        own = facts.pushes.get((pull.key, pull.worker), [])
        is_last = len(own) <= pull.seen or own[pull.seen].start > pull.end
        if is_last and not facts.may_have_left(pull.worker, pull):
            last = facts.clocks(pull.key, pull.worker, pull.seen)
            if pull.round not in last:
                rounds = " or ".join(map(str, last))
                yield f"{describe(pull)}: the last push its worker had sent is of round {rounds}"
        for worker in sorted(takers[pull.key] | set(pull.version)):
            wanted = facts.pushes_by(pull.key, worker, pull.round)
            count = pull.version.get(worker, 0)
            if count == wanted:
                continue
            pushes = facts.pushes.get((pull.key, worker), [])
            # Who left, or is at a barrier, has no push in rounds after its last one that came.
            is_short = _acknowledged(pushes, pull.start) <= count < wanted
            if not (is_short and facts.may_have_left(worker, pull)):
                yield f"{describe(pull)} has {count} pushes by {worker}, and needs {wanted}"


def _bounds(facts: _Facts) -> Iterator[str]:
    takers = {key: facts.takers(key) for key in {pull.key for pull in facts.pulls}}
    for pull in facts.pulls:
        bound = facts.model(pull.key).bound
        if bound is None:
            continue
        own = min(facts.clocks(pull.key, pull.worker, pull.version.get(pull.worker, 0)))
        for worker in sorted(takers[pull.key]):
            clock = max(facts.clocks(pull.key, worker, pull.version.get(worker, 0)))
            if own - clock > bound and not facts.may_be_absent(pull.key, worker, pull):
                behind = own - clock
                yield f"{describe(pull)}: {worker} is {behind} pushes behind, more than {bound}"


def _barriers(facts: _Facts) -> Iterator[str]:
    for number, entered in sorted(facts.barriers.items()):
        came = max(event.start for event in entered)
        for event in entered:
            if event.end is not None and event.end < came:
                late = max(entered, key=lambda each: each.start)
                yield f"{describe(event)} was over before {describe(late)}"
        begins = {event.worker: event.start for event in entered}
        ends = {event.worker: _end(event) for event in entered}
        for key in sorted({pull.key for pull in facts.pulls}, key=str):
            after = [
                pull
                for pull in facts.pulls
                if pull.key == key and pull.start > ends.get(pull.worker, math.inf)
            ]
            yield from _complete(facts, key, number, begins, after)
            yield from _equal(facts, key, number, came, after)


def _complete(
    facts: _Facts, key: Key, number: int, begins: Mapping[Worker, float], after: list[Pulled]
) -> Iterator[str]:
    """Behind a barrier all pushes that were acknowledged before it are there."""
    if facts.model(key).kind == "sequential":
        return  # a round that is not complete stays so at a barrier; `_rounds` sees to the others
    for worker, pushes in facts.of_key(key):
        needed = _acknowledged(pushes, begins.get(worker, -math.inf))
        for pull in after:
            if pull.version.get(worker, 0) < needed:
                lacking = describe(pushes[needed - 1])
                yield f"{describe(pull)}, behind barrier {number}, lacks {lacking}"


def _equal(facts: _Facts, key: Key, number: int, came: float, after: list[Pulled]) -> Iterator[str]:
    """Behind a barrier all see the same until something happens."""
    until = math.inf
    for _, pushes in facts.of_key(key):
        until = min([until, *(push.start for push in pushes if _end(push) >= came)])
    for change in facts.leaves.values():
        if _end(change) >= came:
            until = min(until, change.start)
    quiet = [pull for pull in after if pull.end < until]
    for pull in quiet[1:]:
        if _shown(pull.version) != _shown(quiet[0].version):
            yield f"{describe(pull)} and {describe(quiet[0])} differ behind barrier {number}"


def _shown(version: Mapping[Worker, int]) -> dict[Worker, int]:
    return {worker: count for worker, count in version.items() if count}


def _together(facts: _Facts) -> Iterator[str]:
    groups: dict[tuple[Worker, int | str], list[Pulled]] = defaultdict(list)
    for pull in facts.pulls:
        if pull.snapshot is not None:
            groups[pull.worker, pull.snapshot].append(pull)
    for pulls in groups.values():
        latest = [_latest(facts, pull) for pull in pulls]
        for pull in pulls:
            if facts.model(pull.key).kind == "sequential":
                continue
            for worker, pushes in facts.of_key(pull.key):
                for other in latest:
                    # What was acknowledged before `other` began was there when that was applied.
                    needed = _acknowledged(pushes, other.start) if other is not None else 0
                    if other is not None and pull.version.get(worker, 0) < needed:
                        lacking = describe(pushes[needed - 1])
                        yield f"{describe(pull)} lacks {lacking}, but came with {describe(other)}"


def _latest(facts: _Facts, pull: Pulled) -> Pushed | None:
    """The push of a pull's version that began last."""
    found = []
    for worker, count in pull.version.items():
        pushes = facts.pushes.get((pull.key, worker), [])
        found += pushes[min(count, len(pushes)) - 1 : count] if count else []
    return max(found, key=lambda push: push.start, default=None)


def _values(facts: _Facts) -> Iterator[str]:
    for pull in facts.pulls:
        initial = facts.initial.get(pull.key)
        if pull.value is None or initial is None or initial.value is None:
            continue
        added = [
            push.value
            for worker, count in pull.version.items()
            for push in facts.pushes.get((pull.key, worker), [])[:count]
        ]
        known = [value for value in added if value is not None]
        wanted = initial.value + sum(known)
        if len(known) == len(added) and pull.value != wanted:
            yield f"{describe(pull)} has the value {pull.value}, and its version gives {wanted}"
