"""A server's answers: messages go into a `ServerCore`, and what it decides is done here.

It has no socket: `post` is how it sends. All is done in the task that owns the socket, in the order
in which messages come; so an update keeps everybody waiting for as long as it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs
import numpy as np
import trio

from actorflow.comm import messages as say
from actorflow.errors import MembershipError, ParameterError
from actorflow.kvstore.consistency import Acknowledge, Answer, Apply, Consistency
from actorflow.kvstore.core import Deed, Event, ServerCore, Snapshot
from actorflow.kvstore.durability import record_of
from actorflow.kvstore.members import Worker
from actorflow.kvstore.values import Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.comm import Peer
    from actorflow.comm.wire import Array
    from actorflow.kvstore.core import Decision
    from actorflow.kvstore.durability import Journal

__all__ = ["KeyServer", "Post", "model_of", "said_as"]


class Post(Protocol):
    """How a message is sent."""

    def __call__(
        self,
        peer: Peer,
        message: say.Message,
        arrays: Sequence[Array] = (),
        *,
        held: Sequence[object] = (),
        priority: int = 0,
    ) -> None:
        """Send it; `held` are what is let go of when the arrays are read no more."""


@attrs.frozen
class _Parked:
    """Somebody who waits for rank 0: for its keys, or for its optimizer."""

    peer: Peer
    message: say.Init | say.SetOptimizer


class KeyServer:
    """The keys of one server.

    Args:
      post: how to send.
      journal: where to keep what was decided; None for nowhere.
    """

    def __init__(self, post: Post, journal: Journal | None = None) -> None:
        self.core: ServerCore | None = None
        self.values = Values()
        self.workers: dict[Peer, Worker] = {}
        self._peers: dict[Worker, Peer] = {}
        self._parked: list[_Parked] = []
        self._priorities: dict[tuple[Worker, object], int] = {}
        self._broken: dict[say.Key, Exception] = {}  # why a key has no value
        self._post = post
        self._journal = journal

    def begin(self, workers: int, consistency: Consistency) -> None:
        """The run has begun: so many workers take part from the first round on."""
        if self.core is None:
            self.core = ServerCore(consistency)
            for rank in range(workers):
                self._do(self.core.join(Worker(rank)))

    def greet(self, peer: Peer, message: say.Hello) -> None:
        """A worker that was given its place says who it is; also when its connection is new.

        Raises:
          MembershipError: it takes no part, or not any more.
        """
        worker = Worker(message.rank or 0, message.incarnation)
        if self.core is None or worker not in self.core.members:
            raise MembershipError(f"{worker} does not take part, or not any more")
        self.place(peer, worker)
        self._post(peer, say.Welcome(message.seq, worker.rank, 0, incarnation=worker.incarnation))

    def place(self, peer: Peer, worker: Worker) -> None:
        """Know a peer as a worker."""
        old = self._peers.pop(worker, None)
        if old is not None:
            self.workers.pop(old, None)
        self.workers[peer] = worker
        self._peers[worker] = peer

    def peer_of(self, worker: Worker) -> Peer | None:
        """Where a worker is, if it has come."""
        return self._peers.get(worker)

    def forget(self, peer: Peer) -> None:
        """A peer is gone; what waits for it, it will ask for again."""
        worker = self.workers.pop(peer, None)
        if worker is not None and self._peers.get(worker) == peer:
            del self._peers[worker]

    # -- From the coordinator ---------------------------------------------------------------------

    def told(self, message: say.Message) -> say.Message:
        """What the coordinator says of who takes part; the answer to it."""
        if isinstance(message, say.Begin):
            self.begin(message.workers, model_of(message.consistency))
            return say.Ack(message.seq)
        core = self._core()
        if isinstance(message, say.Join):
            worker = Worker(message.rank, message.incarnation)
            self._do(core.join(worker))
            return say.Based(message.seq, core.base(worker))
        if isinstance(message, say.Align):
            self._do(core.align(Worker(message.rank, message.incarnation), message.base))
        elif isinstance(message, say.Resume):
            self._do(core.resume(message.number))
        elif isinstance(message, say.Leave) and message.rank is not None:
            self._do(core.leave(Worker(message.rank, message.incarnation)))
            self._unpark()
        return say.Ack(message.seq)

    # -- From workers -----------------------------------------------------------------------------

    def take(self, peer: Peer, worker: Worker, message: say.Message, arrays: list[Array]) -> bool:
        """A message of a worker has come; whether it was one for this.

        Raises:
          ActorflowError: it is refused; nothing has changed by it, but for those keys of a push
            that stand before the one that is refused.
        """
        if isinstance(message, say.Push):
            self._push(peer, worker, message, arrays)
        elif isinstance(message, say.Pull):
            self._pull(worker, message)
        elif isinstance(message, say.Init):
            self._init(peer, worker, message, arrays)
        elif isinstance(message, say.SetOptimizer):
            self._set_optimizer(peer, worker, message)
        elif isinstance(message, say.Pause):
            if worker not in self._core().members:
                raise MembershipError(f"barrier: {worker} does not take part, or not any more")
            self._do(self._core().pause(worker, message.number))
            self._post(peer, say.Ack(message.seq))
        else:
            return False
        return True

    def _push(self, peer: Peer, worker: Worker, message: say.Push, arrays: list[Array]) -> None:
        core = self._core()
        if not len(message.keys) == len(message.rounds) == len(arrays):
            raise ParameterError("push: needs one number and one array for each key")
        for key, array in zip(message.keys, arrays, strict=True):
            self._require(key)
            self.values.check(key, array, waits=core.keys[key].consistency.kind == "sequential")
        decisions: list[Decision] = []
        try:
            for key, seq, array in zip(message.keys, message.rounds, arrays, strict=True):
                decisions += core.push(key, worker, seq, _flat(array))
        finally:
            # Also after an error: what the core has decided before it is so.
            self._log(decisions)
            acknowledged = len(decisions) > 0 and sum(map(_acknowledges, decisions))
            if acknowledged == len(message.keys):
                self._post(peer, say.Ack(message.seq))
            self._carry_out(decisions)

    def _pull(self, worker: Worker, message: say.Pull) -> None:
        core, now = self._core(), trio.current_time()
        seen = {}
        for number, key in enumerate(message.keys):
            self._require(key)
            asked = message.versions[number] if number < len(message.versions) else {}
            seen[key] = asked.get(worker.rank, 0)
        self._priorities[worker, message.seq] = message.priority
        if len(seen) == 1:
            ((key, count),) = seen.items()
            self._do(core.pull(key, worker, count, message.seq, now))
        else:
            self._do(core.pull_several(seen, worker, message.seq, now))

    def _init(self, peer: Peer, worker: Worker, message: say.Init, arrays: list[Array]) -> None:
        core = self._core()
        if worker.rank == 0 and arrays:
            model = None if message.consistency is None else model_of(message.consistency)
            for key, array in zip(message.keys, arrays, strict=True):
                if key in self.values:
                    self.values.check_size(key, array.size)
                self._do(core.init(key, _flat(array), model))
            self._post(peer, say.Ack(message.seq))
        else:
            self._parked.append(_Parked(peer, message))
        self._unpark()

    def _set_optimizer(self, peer: Peer, worker: Worker, message: say.SetOptimizer) -> None:
        number, description = message.description.get("number"), message.description.get("rule")
        if not isinstance(number, int):
            raise ParameterError("set_optimizer: the message has no number")
        if worker.rank == 0 or number <= self.values.optimizers:
            self.values.set_optimizer(number, description)
            self._post(peer, say.Ack(message.seq))
            self._unpark()
        else:
            self._parked.append(_Parked(peer, message))

    def _unpark(self) -> None:
        """Answer those who waited for rank 0 and need not any more."""
        parked, self._parked = self._parked, []
        for each in parked:
            message = each.message
            try:
                if self._is_there(message):
                    self._post(each.peer, say.Ack(message.seq))
                elif not any(worker.rank == 0 for worker in self._core().members):
                    raise MembershipError(  # noqa: TRY301 -- one way to answer
                        "worker 0, whose values this waits for, is gone"
                    )
                else:
                    self._parked.append(each)
            except (MembershipError, ParameterError) as error:
                self._post(each.peer, said_as(message.seq, error))

    def _is_there(self, message: say.Init | say.SetOptimizer) -> bool:
        if isinstance(message, say.SetOptimizer):
            number = message.description["number"]
            if number > self.values.optimizers:
                return False
            self.values.set_optimizer(number, message.description.get("rule"))
            return True
        if not all(key in self.values for key in message.keys):
            return False
        for key, part in zip(message.keys, message.slices, strict=True):
            if part is not None:
                self.values.check_size(key, part.stop - part.start)
        return True

    # -- What was decided -------------------------------------------------------------------------

    def _do(self, decisions: Sequence[Decision]) -> None:
        self._log(decisions)
        self._carry_out(decisions)

    def _log(self, decisions: Sequence[Decision]) -> None:
        for each in decisions:
            if isinstance(each, Event) and each.kind == "init" and each.key is not None:
                self.values.init(each.key, each.value)
        if self._journal is not None:
            events = [each for each in decisions if isinstance(each, Event)]
            self._journal.append(*map(record_of, events))

    def _carry_out(self, decisions: Sequence[Decision]) -> None:
        for each in decisions:
            if isinstance(each, Snapshot):
                self._answer(each.worker, each.ticket, each.answers)
            elif isinstance(each, Deed) and isinstance(each.action, Apply):
                try:
                    self.values.apply(each.key, each.action)
                except Exception as error:  # noqa: BLE001 -- whoever uses the key gets it
                    self._broken[each.key] = error
            elif isinstance(each, Deed) and isinstance(each.action, Answer):
                self._answer(each.action.worker, each.action.ticket, {each.key: each.action})

    def _answer(self, worker: Worker, ticket: object, answers: Mapping[say.Key, Answer]) -> None:
        priority = self._priorities.pop((worker, ticket), 0)
        peer = self._peers.get(worker)
        if peer is None:
            return  # its connection broke; it asks again
        keys = list(answers)
        for key in keys:
            if key in self._broken:
                self._post(peer, _broken(int(str(ticket)), key, self._broken[key]))
                return
        arrays, held = self.values.read(keys)
        found = answers.values()
        message = say.Value(
            int(str(ticket)),
            keys,
            [{who.rank: count for who, count in sorted(a.version.items())} for a in found],
            [answer.staleness.behind for answer in found],
            rounds=[answer.round for answer in found],
        )
        self._post(peer, message, arrays, held=held, priority=priority)

    def _core(self) -> ServerCore:
        if self.core is None:
            raise MembershipError("the run has not begun")
        return self.core

    def _require(self, key: say.Key) -> None:
        if key not in self.values:
            raise ParameterError(f"there is no key {key!r} on this server; needs init first")


def _flat(array: Array) -> Array:
    """An array as it came, flat, of the data type object that operators compare by identity."""
    return array.reshape(-1).view(np.dtype(array.dtype.name))


def _acknowledges(decision: Decision) -> bool:
    return isinstance(decision, Deed) and isinstance(decision.action, Acknowledge)


def model_of(said: say.Consistency) -> Consistency:
    """A consistency model as it comes in messages."""
    return Consistency(said.model, said.bound if said.model == "bounded" else None)


def _broken(seq: int, key: say.Key, error: Exception) -> say.Error:
    said = said_as(seq, error)
    return say.Error(seq, said.kind, f"key {key!r} has no value: its update failed: {error}", key)


def said_as(seq: int, error: Exception) -> say.Error:
    """An exception as a message."""
    return say.Error(seq, type(error).__name__, str(error))
