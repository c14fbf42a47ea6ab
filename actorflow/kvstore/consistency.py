"""When a push is applied and a pull answered, for one key on one server.

Nothing here waits, sends or computes: a `KeyState` is told what came in and gives the actions that
follow from it. Whoever has the socket carries them out in their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import attrs
import numpy as np

from actorflow.errors import MembershipError, ParameterError, SequenceError
from actorflow.kvstore.members import Worker

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

__all__ = [
    "Acknowledge",
    "Action",
    "Answer",
    "Apply",
    "Consistency",
    "KeyState",
    "Log",
    "Push",
    "Staleness",
    "Waiting",
    "summed",
]

Value = Any  # opaque here: a NumPy array, or where it lies
Version = dict[Worker, int]

_NAMES = {
    "dist_sync": "sequential",
    "dist_sync_device": "sequential",
    "dist": "eventual",
    "dist_async": "eventual",
    "dist_async_device": "eventual",
    "distributed_async": "eventual",
}


@attrs.frozen
class Consistency:
    """What a key promises to those who pull it.

    `bound` is how many pushes of the key the slowest worker may be behind the one that pulls; None
    unless `kind` is "bounded".
    """

    kind: Literal["sequential", "bounded", "eventual"]
    bound: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.kind not in {"sequential", "bounded", "eventual"}:
            raise ParameterError(
                f"Consistency: there is no {self.kind!r}; needs sequential, bounded or eventual"
            )
        is_bound = isinstance(self.bound, int) and not isinstance(self.bound, bool)
        if (self.kind == "bounded") != is_bound or (is_bound and int(self.bound or 0) < 0):
            raise ParameterError(
                f"Consistency: {self.kind} with the bound {self.bound!r}; bounded needs a bound of "
                "0 or more, the others none"
            )

    @classmethod
    def parse(cls, name: str) -> Consistency:
        """The model that a name means: "sequential", "bounded:2", "dist_sync", "dist_ssp:2".

        Raises:
          ParameterError: it means none.
        """
        kind, colon, bound = name.partition(":")
        kind = _NAMES.get(kind, kind)
        if kind in {"bounded", "dist_ssp"} and bound.isascii() and bound.isdecimal():
            return cls("bounded", int(bound))
        if kind in {"sequential", "eventual"} and not colon:
            return cls("sequential" if kind == "sequential" else "eventual")
        raise ParameterError(
            f"consistency {name!r}: needs sequential, bounded:N, eventual, or a store's name: "
            f"dist_ssp:N, {', '.join(_NAMES)}"
        )

    def __str__(self) -> str:
        return self.kind if self.bound is None else f"{self.kind}:{self.bound}"


class Push(NamedTuple):
    """One push: the `seq`-th of its worker for this key, from 1."""

    worker: Worker
    seq: int
    value: Value


@attrs.frozen
class Log:
    """Make the push durable before going on to the next action."""

    push: Push


@attrs.frozen
class Acknowledge:
    """Tell the worker that its push number `seq` will not be lost."""

    worker: Worker
    seq: int


@attrs.frozen
class Apply:
    """Sum the values in this order (see `summed`) and give the sum to the updater, once.

    `round` is the round that is complete with it; for models that apply single pushes, how many
    rounds were complete before it.
    """

    round: int
    pushes: tuple[Push, ...]


@attrs.frozen
class Staleness:
    """What an answer lacks.

    Attributes:
      missing: pushes of others that the server has and the value has not, because their rounds are
        not complete.
      behind: how many pushes of this key the slowest worker is behind the one that pulls.
    """

    missing: int
    behind: int


@attrs.frozen
class Answer:
    """Send the value as it is now to who pulled.

    Attributes:
      worker, ticket: who pulled, and what it called its pull.
      version: for each worker, how many of its pushes are in the value.
      round: how many rounds are complete: every worker that takes part has made its push of them.
    """

    worker: Worker
    ticket: Hashable
    version: Mapping[Worker, int]
    round: int
    staleness: Staleness


Action = Log | Acknowledge | Apply | Answer


@attrs.frozen
class Waiting:
    """A pull that waits: since when, and for whose pushes."""

    worker: Worker
    ticket: Hashable
    since: float
    slowest: tuple[Worker, ...]
    seen: int
    at_least: int


@attrs.define
class _Member:
    """One that takes part. Its push number `seq` belongs to round `base + seq`."""

    base: int  # rounds that were not its own when it joined
    received: int = 0  # pushes, without a gap
    pauses: bool = False  # it is at a barrier, and nobody waits for its pushes

    @property
    def clock(self) -> int:
        return self.base + self.received


def summed(values: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The sum from left to right, in an array of its own: the same bits for the same order.

    Args:
      values: at least one; of one shape and data type, which the sum has too.
    """
    total = np.array(values[0])
    for value in values[1:]:
        np.add(total, value, out=total)
    return total


class KeyState:
    """The state of one key on one server.

    The pushes of a worker come in the order of their numbers. A repeated one is acknowledged again
    and not applied again; one that came too early is refused, and is to be sent again after those
    before it. What is acknowledged is applied, whatever becomes of its worker.

    What always holds:

    - `round` never falls. It is the least clock of the members that are not at a barrier; when
      there are none, it is the last round that somebody has pushed to.
    - The version of a worker is its pushes received, less those in `_pending`.
    - `_pending` has rounds after `round` only, none of them empty; with other models than
      sequential it is empty.
    - Nobody waits in `_waiting` whose pull could be answered.

    Args:
      consistency: what the key promises.
      members: who takes part from the first round on.
    """

    __slots__ = (
        "_furthest",
        "_members",
        "_pending",
        "_version",
        "_waiting",
        "consistency",
        "round",
    )

    def __init__(self, consistency: Consistency, members: Iterable[Worker] = ()) -> None:
        self.consistency = consistency
        self.round = 0
        self._furthest = 0  # the last round of which a push was received
        self._members: dict[Worker, _Member] = {worker: _Member(0) for worker in members}
        self._version: Version = {}
        self._pending: dict[int, dict[Worker, Push]] = {}
        self._waiting: dict[tuple[Worker, Hashable], tuple[int, int, float]] = {}

    # Who takes part

    @property
    def members(self) -> dict[Worker, int]:
        """Who takes part; with its pushes so far this gives the round of its last one."""
        return {worker: member.base for worker, member in self._members.items()}

    @property
    def version(self) -> Version:
        """For each worker, how many of its pushes are in the value."""
        return dict(self._version)

    @property
    def start(self) -> int:
        """How many rounds are over for a worker that joins now.

        In a sequential key its first push belongs to the first round that nobody has pushed to, so
        that no round that was begun gets another quorum. Otherwise it stands beside the slowest.
        """
        return self._furthest if self.consistency.kind == "sequential" else self.round

    def join(self, worker: Worker, base: int | None = None) -> list[Action]:
        """Let a worker take part; or raise the base of one that takes part and has not pushed.

        Args:
          worker: who.
          base: how many rounds are over for it, at least `start`; None for `start`.
        """
        member = self._members.get(worker)
        if member is None:
            self._members[worker] = _Member(max(self.start, base or 0))
        elif base is None or base <= member.base or member.received:
            return []
        else:
            member.base = base
        return self._advance()

    def pause(self, worker: Worker) -> list[Action]:
        """A worker is on its way into a barrier: rounds do not wait for it until it is out again.

        Else one with more batches than the others would wait for their pushes for ever, while they
        wait at the barrier for it. Nothing happens if the worker does not take part.
        """
        member = self._members.get(worker)
        if member is None or member.pauses:
            return []
        member.pauses = True
        return self._advance()

    def resume(self, worker: Worker, base: int | None = None) -> None:
        """A worker is out of its barrier: its next push is of the round that it could join at.

        Args:
          worker: who; nothing happens if it does not pause.
          base: how many rounds are over for it, at least `start`; None for `start`.
        """
        member = self._members.get(worker)
        if member is not None and member.pauses:
            member.base = max(self.start, base or 0) - member.received
            member.pauses = False

    def leave(self, worker: Worker) -> list[Action]:
        """Take a worker from the quorum, because it has finished or is dead.

        Its pushes stay and are applied in their rounds; its pulls are dropped. Rounds that waited
        only for it are complete now. Nothing happens if it does not take part.
        """
        if self._members.pop(worker, None) is None:
            return []
        for waiting in [waiting for waiting in self._waiting if waiting[0] == worker]:
            del self._waiting[waiting]
        return self._advance()

    # Pushes and pulls

    def push(self, worker: Worker, seq: int, value: Value) -> list[Action]:
        """A push has come in.

        Args:
          worker: whose.
          seq: its number: 1 for the worker's first push of this key, then one more each.
          value: what the actions hand on; never looked at.

        Returns:
          What to do, in this order: log, acknowledge, apply, answer.

        Raises:
          MembershipError: the worker does not take part.
          SequenceError: an earlier push of it has not come yet. Nothing has changed.
        """
        member = self._member(worker, "push")
        if seq <= member.received:
            return [Acknowledge(worker, seq)]
        if seq != member.received + 1:
            expected = member.received + 1
            raise SequenceError(
                f"push: number {seq} of {worker} has come, but needs number {expected} first",
                expected,
            )
        member.received = seq
        self._furthest = max(self._furthest, member.clock)
        push = Push(worker, seq, value)
        actions: list[Action] = [Log(push), Acknowledge(worker, seq)]
        if self.consistency.kind == "sequential":
            self._pending.setdefault(member.clock, {})[worker] = push
        else:
            self._version[worker] = seq
            actions.append(Apply(self.round, (push,)))
        return actions + self._advance()

    def pull(
        self, worker: Worker, seen: int, ticket: Hashable, now: float, *, at_least: int = 0
    ) -> list[Action]:
        """Somebody wants the value. A pull that waits already is not entered twice.

        Args:
          worker: who.
          seen: how many pushes of this key it has sent before; its answer has them all.
          ticket: what it calls this pull, which the answer repeats.
          now: seconds.
          at_least: a number of rounds that must be complete, from answers of other keys or servers.

        Returns:
          The answer, or nothing while the pull has to wait.

        Raises:
          MembershipError: the worker does not take part.
        """
        self._member(worker, "pull")
        if self.ready(worker, seen, at_least):
            return [self._answer(worker, ticket)]
        self._waiting.setdefault((worker, ticket), (seen, at_least, now))
        return []

    def ready(self, worker: Worker, seen: int, at_least: int = 0) -> bool:
        """Whether such a pull would be answered now.

        Raises:
          MembershipError: the worker does not take part.
        """
        member = self._member(worker, "pull")
        if member.received < seen or self.round < at_least:
            return False
        if self.consistency.kind == "sequential":
            return self.round >= member.base + seen
        bound = self.consistency.bound
        return bound is None or member.clock - self.round <= bound

    def answer(self, worker: Worker, ticket: Hashable) -> Answer:
        """The answer to a pull that is `ready`.

        Raises:
          MembershipError: the worker does not take part.
        """
        self._member(worker, "pull")
        return self._answer(worker, ticket)

    def waiting(self) -> list[Waiting]:
        """The pulls that wait, in the order in which they came, and for whom."""
        active = {w: member.clock for w, member in self._members.items() if not member.pauses}
        least = min(active.values(), default=0)
        slowest = tuple(sorted(worker for worker, clock in active.items() if clock == least))
        return [
            Waiting(worker, ticket, since, slowest, seen, at_least)
            for (worker, ticket), (seen, at_least, since) in self._waiting.items()
        ]

    # Saving

    def to_plain(self) -> tuple[dict[str, Any], list[Value]]:
        """All but the waiting pulls, which their workers send again.

        Returns:
          Plain data (numbers, strings, lists, dictionaries with names), and the values of pushes
          whose rounds are not complete, in the order in which the plain data names them.
        """
        pending = [push for by in self._pending.values() for push in by.values()]
        plain = {
            "consistency": str(self.consistency),
            "round": self.round,
            "furthest": self._furthest,
            "members": [[*w, m.base, m.received, m.pauses] for w, m in self._members.items()],
            "version": [[*worker, count] for worker, count in self._version.items()],
            "pending": [
                [round_, *worker, push.seq]
                for round_, by in self._pending.items()
                for worker, push in by.items()
            ],
        }
        return plain, [push.value for push in pending]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], values: Sequence[Value]) -> KeyState:
        """The state that `to_plain` described."""
        state = cls(Consistency.parse(plain["consistency"]))
        state.round, state._furthest = plain["round"], plain["furthest"]
        state._members = {
            Worker(rank, i): _Member(*member) for rank, i, *member in plain["members"]
        }
        state._version = {Worker(rank, i): count for rank, i, count in plain["version"]}
        for (round_, rank, i, seq), value in zip(plain["pending"], values, strict=True):
            worker = Worker(rank, i)
            state._pending.setdefault(round_, {})[worker] = Push(worker, seq, value)
        return state

    # Inside

    def _member(self, worker: Worker, who: str) -> _Member:
        member = self._members.get(worker)
        if member is None:
            raise MembershipError(
                f"{who}: {worker} does not take part, or not any more; needs to join (again)"
            )
        return member

    def _advance(self) -> list[Action]:
        """Complete what is complete, then answer who may be answered."""
        clocks = [member.clock for member in self._members.values() if not member.pauses]
        target = max(self.round, min(clocks) if clocks else self._furthest)
        actions: list[Action] = []
        if self.consistency.kind == "sequential":
            complete = [number for number in sorted(self._pending) if number <= target]
            actions += [self._completed(number) for number in complete]
        self.round = target
        for worker, ticket in list(self._waiting):
            seen, at_least, _ = self._waiting[worker, ticket]
            if self.ready(worker, seen, at_least):
                del self._waiting[worker, ticket]
                actions.append(self._answer(worker, ticket))
        return actions

    def _completed(self, number: int) -> Apply:
        pushes = self._pending.pop(number)
        for worker, push in pushes.items():
            self._version[worker] = push.seq
        return Apply(number, tuple(pushes[worker] for worker in sorted(pushes)))

    def _answer(self, worker: Worker, ticket: Hashable) -> Answer:
        missing = sum(w != worker for pushes in self._pending.values() for w in pushes)
        behind = max(0, self._members[worker].clock - self.round)
        staleness = Staleness(missing, behind)
        return Answer(worker, ticket, dict(self._version), self.round, staleness)
