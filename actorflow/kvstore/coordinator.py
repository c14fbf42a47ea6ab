"""Who takes part in a run, for all its servers: `Members` with the messages around it.

Server 0 does this beside its keys. A role of its own would be one more process to start, to watch
and to lose; and since the coordinator's state is in no log, the run ends with it either way.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

import attrs
import trio

from actorflow.comm import messages as say
from actorflow.errors import ActorflowError, MembershipError
from actorflow.kvstore.keyserver import KeyServer, model_of
from actorflow.kvstore.members import Joined, Left, Members, Released, Worker

if TYPE_CHECKING:
    from actorflow.comm import Peer
    from actorflow.kvstore.keyserver import Post
    from actorflow.kvstore.members import Change

__all__ = ["Coordinator"]


@attrs.define(eq=False)
class _Server:
    """Another server."""

    peer: Peer
    address: str
    heard: float
    dead: bool = False


@attrs.define(eq=False)
class _Asked:
    server: _Server
    answered: trio.Event = attrs.Factory(trio.Event)
    answer: say.Message | None = None


class Coordinator:
    """What server 0 does for all.

    Messages put work into a queue, and one task, `run`, does it in that order: so all servers learn
    all changes in one order, and a worker hears of them when all servers have.

    Args:
      keys: the keys of server 0.
      post: how to send.
      address: of server 0.
      workers, servers: how many there are to be.
      timeout: seconds without a message after which a worker or a server is dead.
      patience: seconds after which a worker that never came is given up.
    """

    def __init__(
        self,
        keys: KeyServer,
        post: Post,
        address: str,
        *,
        workers: int,
        servers: int,
        timeout: float,
        patience: float,
    ) -> None:
        now = trio.current_time()
        self.members = Members(workers, now, timeout=timeout, patience=patience)
        self._keys, self._post, self._address = keys, post, address
        self._workers, self._timeout = workers, timeout
        self._expected = servers
        self._servers: dict[int, _Server] = {}
        self._seq = itertools.count(1)
        self._asked: dict[int, _Asked] = {}
        self._changes: deque[Change] = deque()
        self._hellos: deque[tuple[Peer, say.Hello]] = deque()
        self._news = trio.Event()
        self._model: say.Consistency | None = None

    # -- Messages ---------------------------------------------------------------------------------

    def greet(self, peer: Peer, message: say.Hello) -> None:
        """A worker or server wants to take part."""
        if message.role == "server":
            self._register(peer, message)
        else:
            self._hellos.append((peer, message))
        self._news.set()

    def heard(self, worker: Worker) -> None:
        """Something has come from a worker.

        Raises:
          MembershipError: it is taken for dead.
        """
        self.members.heartbeat(worker, trio.current_time())

    def take(self, peer: Peer, worker: Worker, message: say.Message) -> bool:
        """A message of a worker; whether it was one for this."""
        if isinstance(message, say.Barrier):
            # The answer to a repeated message, too, is a `Released`.
            self._note(self.members.enter(worker, message.number, trio.current_time()))
        elif isinstance(message, say.Leave):
            self._note(self.members.leave(worker))
            self._post(peer, say.Ack(message.seq))
        else:
            return False
        return True

    def answered(self, peer: Peer, message: say.Message) -> bool:
        """A message of another server; whether it was from one."""
        server = next((each for each in self._servers.values() if each.peer == peer), None)
        if server is None:
            return False
        server.heard = trio.current_time()
        if isinstance(message, say.Heartbeat):
            self._post(peer, message)
        elif message.seq in self._asked:
            asked = self._asked.pop(message.seq)
            asked.answer = message
            asked.answered.set()
        return True

    def _register(self, peer: Peer, message: say.Hello) -> None:
        free = (number for number in itertools.count(1) if number not in self._servers)
        known = (n for n, each in self._servers.items() if each.address == message.address)
        rank = message.rank if message.rank is not None else next(known, next(free))
        there = self._servers.get(rank)
        if not 0 < rank < self._expected or (there and there.address != message.address):
            reason = f"there is no place for server {rank} among {self._expected}"
            self._post(peer, say.Refused(message.seq, reason))
            return
        self._servers[rank] = _Server(peer, message.address, trio.current_time())
        self._post(peer, say.Welcome(message.seq, rank, self._workers))

    # -- The one task that tells others -----------------------------------------------------------

    async def run(self) -> None:
        """Do what comes in until everybody has come and gone."""
        await self._all_servers()
        while not (self.members.finished and not self._changes):
            if self._changes:
                await self._tell(self._changes.popleft())
            elif self._hellos:
                await self._welcome(*self._hellos.popleft())
            else:
                self._news = trio.Event()
                await self._news.wait()
        for server in self._servers.values():
            self._post(server.peer, say.Leave(next(self._seq)))

    async def tick(self) -> None:
        """Look now and then who is silent."""
        while True:
            await trio.sleep(self._timeout / 5)
            now = trio.current_time()
            for server in self._servers.values():
                server.dead = server.dead or now - server.heard > self._timeout
            for asked in [a for a in self._asked.values() if a.server.dead]:
                asked.answered.set()
            self._note(self.members.tick(now))
            self._news.set()

    def _note(self, changes: list[Change]) -> None:
        self._changes.extend(changes)
        self._news.set()

    async def _all_servers(self) -> None:
        while len(self._servers) < self._expected - 1 and not self.members.finished:
            self._news = trio.Event()
            await self._news.wait()

    async def _welcome(self, peer: Peer, message: say.Hello) -> None:
        if self._model is None:
            self._model = message.consistency
            begin = say.Begin(0, self._workers, message.consistency)
            await self._ask_all(begin)
        try:
            if message.consistency != self._model:
                raise MembershipError(
                    f"the run has {model_of(self._model)}, and this worker wants "
                    f"{model_of(message.consistency)}; all need the same"
                )
            changes = self.members.join(message.token, trio.current_time(), message.rank)
        except ActorflowError as error:
            self._post(peer, say.Refused(message.seq, str(error)))
            return
        for change in changes:
            await self._tell(change)
            if isinstance(change, Joined):
                worker = change.worker
                self._keys.place(peer, worker)
                addresses = [self._servers[n].address for n in sorted(self._servers)]
                welcome = say.Welcome(
                    message.seq,
                    worker.rank,
                    self._workers,
                    [self._address, *addresses],
                    incarnation=worker.incarnation,
                    barrier=change.barrier,
                )
                self._post(peer, welcome)

    async def _tell(self, change: Change) -> None:
        """Make a change known to all servers, and then to the workers."""
        if isinstance(change, Left):
            await self._ask_all(say.Leave(0, *change.worker))
        elif isinstance(change, Released):
            await self._ask_all(say.Resume(0, change.number))
            for worker in change.workers:
                peer = self._keys.peer_of(worker)
                if peer is not None:
                    self._post(peer, say.BarrierDone(0, change.number))
        else:
            bases = await self._ask_all(say.Join(0, *change.worker))
            base = max((each.base for each in bases if isinstance(each, say.Based)), default=0)
            if base:
                await self._ask_all(say.Align(0, *change.worker, base))

    async def _ask_all(self, message: say.Message) -> list[say.Message]:
        """Tell all servers something and wait until they have it; those that die are left out."""
        asked = []
        for server in self._servers.values():
            if not server.dead:
                seq = next(self._seq)
                self._asked[seq] = _Asked(server)
                asked.append(self._asked[seq])
                # Structs of messages have `seq` first.
                fields = [getattr(message, name) for name in message.__struct_fields__]
                self._post(server.peer, type(message)(seq, *fields[1:]))
        answers = (
            []
            if self._keys.core is None and not isinstance(message, say.Begin)
            else [self._keys.told(message)]
        )
        for each in asked:
            await each.answered.wait()
            if each.answer is not None:
                answers.append(each.answer)
        return answers
