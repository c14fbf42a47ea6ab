"""A worker's side of the network: a thread with a socket to each server.

What is asked of it comes as `Request`s from the engine's threads. Each is kept until its answer has
come, and sent again when its connection was lost: servers take nothing twice.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import trio

from actorflow import errors
from actorflow.comm import Socket, decode, encode, machine, messages as say, open_context
from actorflow.errors import CommunicationError, LaunchError, UnreachableError
from actorflow.kvstore.members import Worker
from actorflow.kvstore.server import OPTIONS, address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.comm import Frame, Peer
    from actorflow.comm.options import Context
    from actorflow.comm.wire import Array
    from actorflow.kvstore.consistency import Consistency
    from actorflow.kvstore.environment import Place

__all__ = ["Network", "Request"]


@attrs.define(eq=False)
class Request:
    """Something asked of one server.

    Attributes:
      server: which.
      message: what; its `seq` is the request's number.
      frames: the same, encoded.
      answered: called with the answer and its arrays, in the network's thread.
      failed: called instead, with what went wrong.
      free: called when nobody reads the frames any more, after one of these; in any thread.
    """

    server: int
    message: Any
    frames: Sequence[Frame]
    answered: Callable[[Any, list[Array]], None]
    failed: Callable[[BaseException], None]
    free: Callable[[], None] | None = None
    sending: int = 1  # how often ZeroMQ reads it; and 1 until it is over
    lock: threading.Lock = attrs.Factory(threading.Lock)

    @property
    def keys(self) -> Sequence[say.Key]:
        """The keys it is about."""
        return getattr(self.message, "keys", ())

    def hold(self) -> None:
        """Somebody reads the frames."""
        with self.lock:
            self.sending += 1

    def release(self) -> None:
        """Somebody reads them no more."""
        with self.lock:
            self.sending -= 1
            last = self.sending == 0
        if last and self.free is not None:
            self.free()


class _Link:
    """The connection to one server."""

    def __init__(self, number: int, address: str, socket: Socket) -> None:
        self.number, self.address, self.socket = number, address, socket
        self.pending: dict[int, Request] = {}
        self.broken: dict[say.Key, BaseException] = {}  # keys of which a push failed
        self.dead: BaseException | None = None
        self.heard = trio.current_time()
        self.greeting = False  # it has been asked to know this worker again


class Network:
    """The thread that talks to the servers.

    Args:
      place: of this process in its run.
      model: what the store promises.
      timeout: seconds of silence after which a server is dead.
      patience: seconds that all others have to come.
    """

    def __init__(
        self, place: Place, model: Consistency, *, timeout: float, patience: float
    ) -> None:
        self._place, self._timeout, self._patience = place, timeout, patience
        self.model = say.Consistency(model.kind, model.bound or 0)
        self.worker = Worker(place.rank or 0)
        self.num_workers = place.num_workers
        self._barrier = 0
        self._links: list[_Link] = []
        self._seq = itertools.count(1)
        self._acked = trio.lowlevel.ParkingLot()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._done: dict[int, Callable[[Any, list[Array]], None]] = {}  # barriers
        self._thread = threading.Thread(target=self._main, name="actorflow kvstore", daemon=True)

    # -- For all threads --------------------------------------------------------------------------

    def start(self) -> None:
        """Take part in the run; return when all servers know this worker.

        Raises:
          LaunchError: it is refused.
          UnreachableError: a server does not answer.
        """
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error

    @property
    def servers(self) -> int:
        """How many there are."""
        return len(self._links)

    def next_seq(self) -> int:
        """The number of a new request."""
        return next(self._seq)

    def send(self, requests: Sequence[Request], priority: int = 0) -> None:
        """Send requests. Returns at once."""
        self._token.run_sync_soon(self._submit, requests, priority)

    def run(self, function: Callable[..., Any], *args: Any) -> None:
        """Start an async function, which raises nothing, in the thread."""
        self._token.run_sync_soon(partial(self._nursery.start_soon, function, *args))

    def close(self) -> None:
        """Leave the run, when all that was sent has been acknowledged."""
        if self._thread.is_alive():
            self._token.run_sync_soon(self._leaving.set)
            self._thread.join()

    # -- The thread -------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            trio.run(self._run)
        except BaseException as error:  # noqa: BLE001 -- who waits for the start gets it
            self._error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
        finally:
            self._started.set()

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._leaving = trio.Event()
        async with open_context() as context, trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await self._join(context)
                self._started.set()
                nursery.start_soon(self._watch)
                await self._leaving.wait()
                with trio.move_on_after(self._timeout):
                    await self._flushed()
                    if self._links[0].dead is None:
                        await self._call(self._links[0], say.Leave(next(self._seq)))
            finally:
                gone = CommunicationError("the store is closed")
                for link in self._links:
                    self._kill(link, gone)
                with trio.CancelScope(shield=True):
                    for link in self._links:
                        await link.socket.aclose()
            nursery.cancel_scope.cancel()

    async def _join(self, context: Context) -> None:
        place = self._place
        root = await self._connect(context, 0, address_of(place))
        hello = say.Hello(
            next(self._seq),
            "",
            "worker",
            place.rank,
            self.model,
            machine=machine(),
            token=f"{os.getpid()}-{secrets.token_hex(8)}",
        )
        welcome = await self._call(root, hello, self._patience)
        self.worker = Worker(welcome.rank, welcome.incarnation)
        self.num_workers, self._barrier = welcome.workers, welcome.barrier
        for number, address in enumerate(welcome.servers[1:], start=1):
            link = await self._connect(context, number, address)
            await self._call(link, self._hello(), self._patience)

    async def _connect(self, context: Context, number: int, address: str) -> _Link:
        def heard(peer: Peer, frames: list[Frame]) -> bool:
            return self._on_message(link, peer, frames)

        socket = Socket(context, "dealer", options=OPTIONS, on_message=heard)
        link = _Link(number, address, socket)
        socket.connect(address)
        await self._nursery.start(socket.run)
        self._links.append(link)
        return link

    def _hello(self) -> say.Hello:
        rank, incarnation = self.worker
        seq = next(self._seq)
        return say.Hello(seq, "", "worker", rank, self.model, incarnation=incarnation)

    async def _watch(self) -> None:
        """Say now and then that this worker lives, and see which server does not."""
        looked = trio.current_time()
        while True:
            await trio.sleep(self._timeout / 5)
            now = trio.current_time()
            stood_still, looked = now - looked > self._timeout, now
            for link in self._links:
                if link.dead is not None:
                    continue
                if stood_still:
                    link.heard = now
                if now - link.heard > self._timeout:
                    silent = f"nothing was heard of it for {now - link.heard:.1f} s"
                    message = f"server {link.number} at {link.address}: {silent}"
                    self._kill(link, UnreachableError(message))
                    self._nursery.start_soon(link.socket.aclose)
                else:
                    link.socket.send_nowait(encode(say.Heartbeat(0)))

    # -- Requests ---------------------------------------------------------------------------------

    def _submit(self, requests: Sequence[Request], priority: int = 0) -> None:
        for request in requests:
            link = self._links[request.server]
            error = link.dead or next(
                (link.broken[key] for key in request.keys if key in link.broken), None
            )
            if error is not None:
                self._fail(request, error)
                continue
            link.pending[request.message.seq] = request
            self._transmit(link, request, priority)

    def _transmit(self, link: _Link, request: Request, priority: int = 0) -> None:
        request.hold()
        link.socket.send_nowait(request.frames, priority=priority, released=request.release)

    async def _call(self, link: _Link, message: Any, limit: float | None = None) -> Any:  # noqa: ANN401
        """Ask a server and wait for its answer."""
        done = trio.Event()
        found: list[Any] = []

        def take(answer: Any, _: object = None) -> None:  # noqa: ANN401
            found.append(answer)
            done.set()

        self._submit([Request(link.number, message, encode(message), take, take)])
        with trio.move_on_after(limit if limit is not None else float("inf")):
            await done.wait()
        if not found:
            raise UnreachableError(
                f"server {link.number} at {link.address} has not let this worker in for {limit} s; "
                "a server, or another worker, may not have been started"
            )
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def _fail(self, request: Request, error: BaseException) -> None:
        if isinstance(error, UnreachableError) and request.keys:
            keys = ", ".join(map(repr, request.keys[:3]))
            what = type(request.message).__name__.lower()
            error = UnreachableError(f"{what} of key {keys}: {error}")
        request.failed(error)
        request.release()

    def _kill(self, link: _Link, error: BaseException) -> None:
        """A server is no more: whatever was asked of it, and will be, fails."""
        if link.dead is None:
            link.dead = error
        pending, link.pending = link.pending, {}
        for request in pending.values():
            self._fail(request, error)
        self._acked.unpark_all()

    def _on_message(self, link: _Link, _: Peer, frames: list[Frame]) -> bool:
        message, arrays = decode(frames)
        link.heard = trio.current_time()
        if isinstance(message, say.Heartbeat):
            return True
        if isinstance(message, say.BarrierDone):
            done = self._done.pop(message.number, None)
            if done is not None:
                done(message, [])
            return True
        request = link.pending.get(message.seq)
        if isinstance(message, say.Refused):
            if request is not None and isinstance(request.message, say.Hello):
                self._over(link, request, LaunchError(f"refused: {message.reason}"))
            elif not link.greeting:
                link.greeting = True
                self._nursery.start_soon(self._greet_again, link)
        elif request is not None and isinstance(message, say.Error):
            if message.kind == "SequenceError":
                self._transmit(link, request)  # what was to come first is on its way
            else:
                self._over(link, request, _exception(message))
        elif request is not None:
            del link.pending[message.seq]
            request.answered(message, arrays)
            request.release()
            self._acked.unpark_all()
        return True

    def _over(self, link: _Link, request: Request, error: BaseException) -> None:
        """A server refuses something. What comes after a push that failed can never be answered."""
        del link.pending[request.message.seq]
        self._fail(request, error)
        if isinstance(request.message, say.Push):
            link.broken |= dict.fromkeys(request.keys, error)
            for seq, other in list(link.pending.items()):
                if not link.broken.keys().isdisjoint(other.keys):
                    del link.pending[seq]
                    self._fail(other, error)
        self._acked.unpark_all()

    async def _greet_again(self, link: _Link) -> None:
        """The connection is a new one: the server has to know who this is, and what it wants."""
        old = [request for _, request in sorted(link.pending.items())]
        try:
            await self._call(link, self._hello())
        except errors.ActorflowError as error:
            self._kill(link, error)
            return
        finally:
            link.greeting = False
        for request in old:
            if request.message.seq in link.pending:
                self._transmit(link, request)

    # -- Barriers ---------------------------------------------------------------------------------

    async def _flushed(self) -> None:
        """Wait until all pushes are acknowledged."""
        while any(isinstance(r.message, say.Push) for k in self._links for r in k.pending.values()):
            await self._acked.park()

    async def barrier(
        self, done: Callable[[int], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Go through a barrier: first all servers are told, then the coordinator."""
        self._barrier += 1
        number = self._barrier
        try:
            await self._flushed()
            for link in self._links:
                for error in link.broken.values():
                    raise error
                await self._call(link, say.Pause(next(self._seq), number))
            root, over = self._links[0], trio.Event()
            found: list[Any] = []

            def take(answer: Any, _: object = None) -> None:  # noqa: ANN401
                root.pending.pop(message.seq, None)
                found.append(answer)
                over.set()

            message = say.Barrier(next(self._seq), number)
            self._done[number] = take
            self._submit([Request(0, message, encode(message), take, take)])
            await over.wait()
            if isinstance(found[0], BaseException):
                raise found[0]
        except errors.ActorflowError as error:
            failed(error)
        else:
            done(number)


def _exception(message: say.Error) -> BaseException:
    """The exception that a server raised, as far as this process knows its class."""
    kind = getattr(errors, message.kind, None)
    if isinstance(kind, type) and issubclass(kind, errors.ActorflowError):
        return kind(message.message)
    return CommunicationError(f"{message.kind}: {message.message}")
