"""A server's process: its sockets, and what passes between them and its keys."""

from __future__ import annotations

import logging
import os
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from actorflow import settings
from actorflow.comm import Socket, SocketOptions, decode, encode, messages as say, open_context
from actorflow.comm.wire import INLINE_NBYTES
from actorflow.engine import NaiveEngine
from actorflow.errors import (
    ActorflowError,
    CommunicationError,
    FormatError,
    LaunchError,
    UnreachableError,
)
from actorflow.kvstore import environment
from actorflow.kvstore.coordinator import Coordinator
from actorflow.kvstore.keyserver import KeyServer, said_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.comm import Frame, Peer
    from actorflow.comm.options import Context
    from actorflow.comm.wire import Array
    from actorflow.kvstore.environment import Place

__all__ = ["OPTIONS", "address_of", "patience", "serve", "timeout"]

_log: Final = logging.getLogger(__name__)

# What waits for a peer is bounded by what it asked for, and answers must not wait for room.
OPTIONS: Final = SocketOptions(send_messages=1 << 20, send_nbytes=1 << 50)


def timeout() -> float:
    """Seconds of silence after which somebody is dead, from AF_KVSTORE_TIMEOUT."""
    return settings.read_number("AF_KVSTORE_TIMEOUT", 5)


def patience() -> float:
    """Seconds that who begins waits for the others to come, from AF_KVSTORE_PATIENCE."""
    return settings.read_number("AF_KVSTORE_PATIENCE", 60)


def address_of(place: Place) -> str:
    """Where server 0 is. A name is what others may be found by, so `localhost` is a number here."""
    host = "127.0.0.1" if place.root_uri == "localhost" else place.root_uri
    return f"tcp://{host}:{place.root_port}"


def serve(place: Place | None = None) -> None:
    """Be a server until all workers have gone.

    Args:
      place: which one of which run; None for what the environment says. Where that says
        "scheduler", as MXNet's launchers do, there is nothing to do: server 0 does what theirs did.

    Raises:
      LaunchError: this process is no server.
      CommunicationError: its address is taken, or server 0 is no more.
      InsecureAddressError: others can reach the address.
    """
    found = environment.read(os.environ) if place is None else place
    if found.role == "scheduler":
        return
    if found.role != "server":
        raise LaunchError(f"serve: this process is a {found.role}; needs AF_ROLE=server")
    # Each operation of an update is done when it was sent: the server has one thing at a time.
    with NaiveEngine():
        trio.run(_Server(found).run)


class _Server:
    """One server while it runs."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._timeout = timeout()
        self._router: Socket
        self._root: Socket | None = None  # to server 0, for the others
        self._coordinator: Coordinator | None = None
        self._keys = KeyServer(self._post)
        self._heard = 0.0  # something of server 0
        self._over = trio.Event()

    async def run(self) -> None:
        async with open_context() as context, trio.open_nursery() as nursery:
            self._router = Socket(
                context,
                "router",
                options=OPTIONS,
                on_message=self._on_message,
                on_lost=lambda peer, _: self._keys.forget(peer),
            )
            if not self._bind_root():
                self._bind_beside()
                nursery.start_soon(self._follow, context, nursery)
            await nursery.start(self._router.run)
            if self._coordinator is not None:
                nursery.start_soon(self._coordinator.tick)
                await self._coordinator.run()
            else:
                await self._over.wait()
            await self._router.aclose()
            if self._root is not None:
                await self._root.aclose()
            nursery.cancel_scope.cancel()

    def _bind_root(self) -> bool:
        """Be server 0, if that is its rank, or if it has none and comes first."""
        place = self._place
        if place.rank:
            return False
        try:
            address = self._router.bind(address_of(place))
        except CommunicationError:
            if place.rank == 0 or place.num_servers == 1:
                raise
            return False
        self._coordinator = Coordinator(
            self._keys,
            self._post,
            address,
            workers=place.num_workers,
            servers=place.num_servers,
            timeout=self._timeout,
            patience=patience(),
        )
        return True

    def _bind_beside(self) -> None:
        host = address_of(self._place).removeprefix("tcp://").rpartition(":")[0]
        if not host.startswith("127."):
            host = os.environ.get("AF_NODE_HOST") or os.environ.get("DMLC_NODE_HOST") or host
        self._address = self._router.bind(f"tcp://{host}:*")

    # -- Server 0 and the others ------------------------------------------------------------------

    async def _follow(self, context: Context, nursery: trio.Nursery) -> None:
        """Register with server 0, and end when it is silent."""
        self._root = root = Socket(context, "dealer", options=OPTIONS, on_message=self._on_told)
        root.connect(address_of(self._place))
        await nursery.start(root.run)
        hello = say.Hello(
            1,
            "",
            "server",
            self._place.rank,
            say.Consistency("sequential"),
            address=self._address,
            token=secrets.token_hex(8),
        )
        root.send_nowait(encode(hello))
        began = asked = trio.current_time()
        while True:
            await trio.sleep(self._timeout / 5)
            now = trio.current_time()
            # Time in which this process stood still is held against nobody.
            if now - asked > self._timeout:
                began = now
                self._heard = now if self._heard else 0.0
            asked = now
            limit = self._timeout if self._heard else patience()
            if now - (self._heard or began) > limit:
                raise UnreachableError(
                    f"server 0 at {address_of(self._place)}: nothing was heard of it for {limit} s"
                )
            root.send_nowait(encode(say.Heartbeat(0)))

    def _on_told(self, _: Peer, frames: list[Frame]) -> bool:
        """Something from server 0."""
        message, _arrays = decode(frames)
        self._heard = trio.current_time()
        if isinstance(message, say.Refused):
            raise LaunchError(f"server 0 refuses this server: {message.reason}")
        if isinstance(message, say.Leave) and message.rank is None:
            self._over.set()
        elif not isinstance(message, say.Heartbeat | say.Welcome) and self._root is not None:
            self._root.send_nowait(encode(self._keys.told(message)))
        return True

    # -- Workers ----------------------------------------------------------------------------------

    def _on_message(self, peer: Peer, frames: list[Frame]) -> bool:
        try:
            message, arrays = decode(frames)
        except FormatError as error:
            _log.warning("a message that is none: %s", error)
            return True
        try:
            self._dispatch(peer, message, arrays)
        except ActorflowError as error:
            self._post(peer, said_as(message.seq, error))
        return True

    def _dispatch(self, peer: Peer, message: say.Message, arrays: list[Array]) -> None:
        coordinator = self._coordinator
        if isinstance(message, say.Hello):
            if message.incarnation:
                self._keys.greet(peer, message)
            elif coordinator is not None:
                coordinator.greet(peer, message)
            return
        worker = self._keys.workers.get(peer)
        if worker is None:
            known = coordinator is not None and coordinator.answered(peer, message)
            if not known:
                self._post(peer, say.Refused(message.seq, "unknown"))
            return
        if coordinator is not None:
            if isinstance(message, say.Leave):
                coordinator.take(peer, worker, message)
                return
            coordinator.heard(worker)
        if isinstance(message, say.Heartbeat):
            self._post(peer, message)
        elif not self._keys.take(peer, worker, message, arrays) and not (
            coordinator is not None and coordinator.take(peer, worker, message)
        ):
            raise FormatError(f"a {type(message).__name__} from {worker}, which none sends")

    def _post(
        self,
        peer: Peer,
        message: say.Message,
        arrays: Sequence[Array] = (),
        *,
        held: Sequence[Any] = (),
        priority: int = 0,
    ) -> None:
        frames = encode(message, arrays)
        large = []
        for each, array in zip(held, arrays, strict=False):
            if array.nbytes > INLINE_NBYTES:
                large.append(each)
            else:
                each.let_go()  # it was copied
        released = partial(_let_go, large) if large else None
        try:
            self._router.send_nowait(frames, to=peer, priority=priority, released=released)
        except UnreachableError:
            _let_go(large)
            self._keys.forget(peer)


def _let_go(held: Sequence[Any]) -> None:
    for each in held:
        each.let_go()
