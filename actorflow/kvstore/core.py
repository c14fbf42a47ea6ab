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
      kind: "init", "push", "join" or "leave".
      key: of "init" and "push".
      worker: of all but "init".
      seq: of "push".
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
            self.keys[key] = KeyState(wanted, self._members)
            return [Event("init", key, consistency=str(wanted), value=value)]
        if there.consistency != wanted:
            raise ParameterError(
                f"init: key {key!r} is {there.consistency}, and cannot become {wanted}"
            )
        return []

    def join(self, worker: Worker) -> list[Decision]:
        """Let a worker take part in all keys; an earlier incarnation of it leaves.

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
        for key, state in self.keys.items():
            found += _deeds(key, state.join(worker))
        return found + self._answer_several()

    def leave(self, worker: Worker) -> list[Decision]:
        """Take a worker, that has finished or is dead, from all keys."""
        if worker not in self._members:
            return []
        self._members.remove(worker)
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
        return {"consistency": str(self.consistency), "members": members, "keys": states}, values

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], values: Sequence[Value]) -> ServerCore:
        """What `to_plain` described."""
        core = cls(Consistency.parse(plain["consistency"]))
        core._members = {Worker(*worker) for worker in plain["members"]}
        start = 0
        for key, state, count in plain["keys"]:
            core.keys[key] = KeyState.from_plain(state, values[start : start + count])
            start += count
        return core

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
