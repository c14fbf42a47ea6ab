"""What one server decides: all its keys, who takes part in them, and what must be durable.

A `ServerCore` is a function of the events that its log has: fed with them again in their order
(`replay`) it decides the same, so a restarted server knows what the dead one had promised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actorflow.errors import FormatError, MembershipError, ParameterError
from actorflow.kvstore.consistency import (
    Acknowledge,
    Answer,
    Apply,
    Consistency,
    KeyState,
    Log,
)
from actorflow.kvstore.members import Worker

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

__all__ = ["Deed", "Event", "ServerCore", "Snapshot"]

Key = int | str
Value = Any


@attrs.frozen
class Event:
    """What the log has: all that changes what a server decides.

    Attributes:
      kind: "init", "push", "join", "align", "pause", "resume" or "leave".
      key: of "init" and "push".
      worker: of all but "init" and "resume".
      seq: of "push"; with "align" the base; with "pause" and "resume" the barrier.
      consistency: of "init", as `Consistency.parse` takes it.
      value: of "init" and "push".
    """

    kind: str
    key: Key | None = None
    worker: Worker | None = None
    seq: int = 0
    consistency: str = ""
    value: Value = attrs.field(default=None, eq=False)


@attrs.frozen
class Deed:
    """One action of a key; a `Log` is the event to log, or None for a server without a log."""

    key: Key
    action: Log | Acknowledge | Apply | Answer


@attrs.frozen
class Snapshot:
    """Send the values of several keys as they are now, together."""

    worker: Worker
    ticket: Hashable
    answers: Mapping[Key, Answer]


@attrs.frozen
class _Several:
    """A pull of several keys that waits: how many own pushes of each it has to have."""

    seen: Mapping[Key, int]
    at_least: int
    since: float


Decision = Event | Deed | Snapshot


class ServerCore:
    """The keys of one server.

    Each method gives what to do, in order. An `Event` is to be made durable before what follows
    it is done; what an `Acknowledge` after it promises is then kept. A `Deed` of kind `Log` never
    occurs: it has become an `Event`.

    Args:
      consistency: of keys for which nothing else is said.
    """

    def __init__(self, consistency: Consistency) -> None:
        self.consistency = consistency
        self.keys: dict[Key, KeyState] = {}
        self._members: set[Worker] = set()
        self._pausing: dict[Worker, int] = {}  # into which barrier
        self._resumed = 0  # the last barrier that is over
        self._several: dict[tuple[Worker, Hashable], _Several] = {}

    @property
    def members(self) -> frozenset[Worker]:
        """Who takes part."""
        return frozenset(self._members)

    def init(
        self, key: Key, value: Value, consistency: Consistency | None = None
    ) -> list[Decision]:
        """Make a key; nothing happens if it is there, as all workers say what rank 0 says.

        Raises:
          ParameterError: the key is there with another consistency.
        """
        wanted = consistency or self.consistency
        there = self.keys.get(key)
        if there is None:
            state = self.keys[key] = KeyState(wanted, self._members)
            for worker in self._pausing:
                state.pause(worker)
            return [Event("init", key, consistency=str(wanted), value=value)]
        if there.consistency != wanted:
            raise ParameterError(
                f"init: key {key!r} is {there.consistency}, and cannot become {wanted}"
            )
        return []

    def join(self, worker: Worker) -> list[Decision]:
        """Let a worker take part in all keys; an earlier incarnation of it leaves.

        It begins with the same round in all keys of a model, though some of them may have got their
        pushes of that round and others not: two workers that waited for each other in keys with
        rounds of different numbers would wait for ever. A key that is more than one round behind
        the others is not pushed as often as they are, and goes by itself. With several servers,
        `align` does the same between them before the worker begins.

        Raises:
          MembershipError: a later incarnation takes part.
        """
        if worker in self._members:
            return []
        others = [each for each in self._members if each.rank == worker.rank]
        for other in others:
            if other.incarnation > worker.incarnation:
                raise MembershipError(f"join: {worker} comes after {other}, which has its rank")
        found = [decision for other in others for decision in self.leave(other)]
        self._members.add(worker)
        found.append(Event("join", worker=worker))
        for key, base in self._bases().items():
            found += _deeds(key, self.keys[key].join(worker, base))
        return found + self._answer_several()

    def pause(self, worker: Worker, number: int) -> list[Decision]:
        """A worker whose pushes are all acknowledged is going to enter barrier `number`.

        Only when all servers have this from it may it enter. A repeated or late message changes
        nothing.
        """
        if worker not in self._members or number <= max(
            self._resumed, self._pausing.get(worker, 0)
        ):
            return []
        self._pausing[worker] = number
        found: list[Decision] = [Event("pause", worker=worker, seq=number)]
        for key, state in self.keys.items():
            found += _deeds(key, state.pause(worker))
        return found + self._answer_several()

    def resume(self, number: int) -> list[Decision]:
        """Barrier `number` is over: all that were in it take part again, from one round on.

        Only when all servers have this may the workers be told, or the first one that is out would
        make rounds alone. A repeated message changes nothing.
        """
        if number <= self._resumed:
            return []
        self._resumed = number
        workers = sorted(worker for worker, at in self._pausing.items() if at <= number)
        bases = self._bases()
        for worker in workers:
            del self._pausing[worker]
            for key, state in self.keys.items():
                state.resume(worker, bases[key])
        return [Event("resume", seq=number), *self._answer_several()]

    def base(self, worker: Worker) -> int:
        """How many rounds are over for a worker that has joined: the most of any key.

        Raises:
          MembershipError: it takes no part.
        """
        if worker not in self._members:
            raise MembershipError(f"base: {worker} does not take part; needs to join")
        waits = [each for each in self.keys.values() if each.consistency.kind != "eventual"]
        return max((state.members[worker] for state in waits), default=0)

    def align(self, worker: Worker, base: int) -> list[Decision]:
        """Let a worker that has joined several servers begin with the same round on all.

        Args:
          worker: who; it must not have pushed yet.
          base: the most that `base` gave on any server.

        Raises:
          MembershipError: it takes no part.
        """
        if self.base(worker) > base:
            raise ParameterError(f"align: {worker} at {base}; needs {self.base(worker)} or more")
        found: list[Decision] = [Event("align", worker=worker, seq=base)]
        for key, state in self.keys.items():
            if state.consistency.kind != "eventual" and base - state.members[worker] <= 1:
                found += _deeds(key, state.join(worker, base))
        return found + self._answer_several()

    def leave(self, worker: Worker) -> list[Decision]:
        """Take a worker, that has finished or is dead, from all keys."""
        if worker not in self._members:
            return []
        self._members.remove(worker)
        self._pausing.pop(worker, None)
        for waiting in [waiting for waiting in self._several if waiting[0] == worker]:
            del self._several[waiting]
        found: list[Decision] = [Event("leave", worker=worker)]
        for key, state in self.keys.items():
            found += _deeds(key, state.leave(worker))
        return found + self._answer_several()

    def push(self, key: Key, worker: Worker, seq: int, value: Value) -> list[Decision]:
        """A push has come in, see `KeyState.push`.

        Raises:
          ParameterError: there is no such key.
          MembershipError, SequenceError: as `KeyState.push`.
        """
        return _deeds(key, self._state(key).push(worker, seq, value)) + self._answer_several()

    def pull(
        self,
        key: Key,
        worker: Worker,
        seen: int,
        ticket: Hashable,
        now: float,
        *,
        at_least: int = 0,
    ) -> list[Decision]:
        """Somebody wants the value of a key, see `KeyState.pull`.

        Raises:
          ParameterError: there is no such key.
          MembershipError: as `KeyState.pull`.
        """
        return _deeds(key, self._state(key).pull(worker, seen, ticket, now, at_least=at_least))

    def pull_several(
        self,
        seen: Mapping[Key, int],
        worker: Worker,
        ticket: Hashable,
        now: float,
        *,
        at_least: int = 0,
    ) -> list[Decision]:
        """Somebody wants several keys as they are at one moment, see `KeyState.pull`.

        Args:
          seen: for each key, how many pushes of it the worker has sent before.
          worker, ticket, now, at_least: as with a pull of one key; `at_least` holds for each.

        Returns:
          One `Snapshot`, or nothing until all keys can be answered at the same time.

        Raises:
          ParameterError: there is no such key.
          MembershipError: the worker does not take part.
        """
        several = _Several(dict(seen), at_least, now)
        if self._ready(worker, several):
            return [self._snapshot(worker, ticket, several)]
        self._several.setdefault((worker, ticket), several)
        return []

    def waiting(self, now: float) -> list[str]:
        """One line for each pull that waits: who, for what, for whom, and for how long."""
        lines = []
        for key, state in self.keys.items():
            for each in state.waiting():
                whom = ", ".join(str(worker) for worker in each.slowest)
                lines.append(
                    f"{each.worker} has waited {now - each.since:.1f} s for key {key!r}, which "
                    f"waits for {whom}"
                )
        for (worker, _), several in self._several.items():
            keys = ", ".join(repr(key) for key in several.seen)
            lines.append(f"{worker} has waited {now - several.since:.1f} s for the keys {keys}")
        return lines

    def replay(self, event: Event) -> list[Decision]:
        """Take an event from the log. Of what it gives, the `Apply`s alone are to be done.

        Raises:
          FormatError: there is no such event.
        """
        if event.kind == "init" and event.key is not None:
            return self.init(event.key, event.value, Consistency.parse(event.consistency))
        if event.kind == "push" and event.key is not None and event.worker is not None:
            return self.push(event.key, event.worker, event.seq, event.value)
        if event.kind in {"join", "leave"} and event.worker is not None:
            return (self.join if event.kind == "join" else self.leave)(event.worker)
        if event.kind in {"align", "pause"} and event.worker is not None:
            return (self.align if event.kind == "align" else self.pause)(event.worker, event.seq)
        if event.kind == "resume":
            return self.resume(event.seq)
        raise FormatError(f"log: an event {event.kind!r} that lacks something, or is not known")

    def to_plain(self) -> tuple[dict[str, Any], list[Value]]:
        """All but the waiting pulls: plain data, and the values of pending pushes."""
        states = []
        values: list[Value] = []
        for key, state in self.keys.items():
            plain, pending = state.to_plain()
            states.append([key, plain, len(pending)])
            values += pending
        members = [list(worker) for worker in sorted(self._members)]
        plain = {
            "consistency": str(self.consistency),
            "members": members,
            "pausing": [[*worker, number] for worker, number in self._pausing.items()],
            "resumed": self._resumed,
            "keys": states,
        }
        return plain, values

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], values: Sequence[Value]) -> ServerCore:
        """What `to_plain` described."""
        core = cls(Consistency.parse(plain["consistency"]))
        core._members = {Worker(*worker) for worker in plain["members"]}
        core._pausing = {Worker(rank, i): number for rank, i, number in plain["pausing"]}
        core._resumed = plain["resumed"]
        start = 0
        for key, state, count in plain["keys"]:
            core.keys[key] = KeyState.from_plain(state, values[start : start + count])
            start += count
        return core

    def _bases(self) -> dict[Key, int]:
        """With which round a worker begins in each key, if it begins now."""
        tops: dict[str, int] = {}
        for state in self.keys.values():
            kind = state.consistency.kind
            tops[kind] = max(tops.get(kind, 0), state.start)
        found = {}
        for key, state in self.keys.items():
            top = tops[state.consistency.kind]
            found[key] = top if top - state.start <= 1 else state.start
        return found

    def _state(self, key: Key) -> KeyState:
        state = self.keys.get(key)
        if state is None:
            raise ParameterError(f"key {key!r}: there is none; needs init first")
        return state

    def _ready(self, worker: Worker, several: _Several) -> bool:
        pairs = [(self._state(key), seen) for key, seen in several.seen.items()]
        return all(state.ready(worker, seen, several.at_least) for state, seen in pairs)

    def _snapshot(self, worker: Worker, ticket: Hashable, several: _Several) -> Snapshot:
        answers = {key: self._state(key).answer(worker, ticket) for key in several.seen}
        return Snapshot(worker, ticket, answers)

    def _answer_several(self) -> list[Decision]:
        found: list[Decision] = []
        for (worker, ticket), several in list(self._several.items()):
            if self._ready(worker, several):
                del self._several[worker, ticket]
                found.append(self._snapshot(worker, ticket, several))
        return found


def _deeds(key: Key, actions: Iterable[Log | Acknowledge | Apply | Answer]) -> list[Decision]:
    """The actions of one key, with what is to be logged as events."""
    return [
        Event("push", key, action.push.worker, action.push.seq, value=action.push.value)
        if isinstance(action, Log)
        else Deed(key, action)
        for action in actions
    ]
