"""A ZeroMQ socket on trio.

ZeroMQ's descriptor tells when something *began*, not that it still holds, and every operation on
the socket may take that away: sending can swallow the news that a message came. So one task owns
the socket, `run`; it alone waits for the descriptor, and only after it has looked at the events and
found nothing. Who sends from another task looks at them too, and wakes the owner if something is
there to be received.

A switch between tasks takes as long as the rest of a short message's way. So a message may be
answered where it is received, in `on_message`, and a message that can be sent at once is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs
import trio
import zmq

from actorflow.comm.keys import Keys, check_address
from actorflow.comm.options import Context, Release, SocketOptions, configure
from actorflow.comm.outbox import Outbox, Outgoing, Released
from actorflow.comm.wire import Frame
from actorflow.errors import CommunicationError, SocketClosedError, UnreachableError

if TYPE_CHECKING:
    from trio import TaskStatus

__all__ = ["Incoming", "OnLost", "OnMessage", "Peer", "Socket", "SocketOptions"]

Peer: TypeAlias = bytes
"""Who is at the other end of a ROUTER; a DEALER has one other end, b""."""

Kind: TypeAlias = Literal["router", "dealer"]

NO_COPY_NBYTES: Final = 65536
"""A frame of at least so many bytes is read where it lies, later, by ZeroMQ's own thread."""

_KINDS: Final = {"router": zmq.ROUTER, "dealer": zmq.DEALER}
# Plain integers: `|` and `&` of pyzmq's enumerations take as long as sending.
_EVENTS: Final = int(zmq.EVENTS)
_POLLIN: Final = int(zmq.POLLIN)
_POLLOUT: Final = int(zmq.POLLOUT)
_RCVMORE: Final = int(zmq.RCVMORE)
_NOW: Final = int(zmq.DONTWAIT)
_NOW_MORE: Final = int(zmq.DONTWAIT | zmq.SNDMORE)

_BATCH: Final = 64  # messages received before other tasks get their turn
_FIRST_LOOK: Final = 0.0005  # seconds until full peers are tried again, where no event would tell
_LAST_LOOK: Final = 0.02


@attrs.frozen(eq=False)
class Incoming:
    """A message as it came."""

    peer: Peer
    frames: list[Frame]
    nbytes: int


OnMessage: TypeAlias = Callable[[Peer, list[Frame]], bool]
OnLost: TypeAlias = Callable[[Peer, int], None]


class Socket:
    """A socket of ZeroMQ that one task owns and any task of the same run of trio may use.

    Args:
      context: of ZeroMQ, from `open_context`.
      kind: "router" binds and has many peers; "dealer" connects to one, again whenever it must.
      keys: CURVE keys; an `Authenticator` of the same context must be running for `ServerKeys`.
      insecure: whether addresses that other machines can reach are allowed without keys.
      options: bounds and times.
      on_message: called by the owner with each message and whom it came from. True says that it
        took the message; otherwise it is queued for `receive`. It has the time of a few
        microseconds, since all else waits for it. What it raises, `run` raises.
      on_lost: called by the owner when a peer with messages in the queue is gone, with how many
        these were. Without it, `run` raises UnreachableError then.
    """

    def __init__(
        self,
        context: Context,
        kind: Kind,
        *,
        keys: Keys | None = None,
        insecure: bool = False,
        options: SocketOptions | None = None,
        on_message: OnMessage | None = None,
        on_lost: OnLost | None = None,
    ) -> None:
        self.options = options or SocketOptions()
        self._keys = keys
        self._insecure = insecure
        self._router = kind == "router"
        self._on_message = on_message
        self._on_lost = on_lost
        self._zmq: Any = context.socket(_KINDS[kind])
        configure(self._zmq, keys, self.options)
        self._fd: int = int(self._zmq.getsockopt(zmq.FD))
        self._outboxes: dict[Peer, Outbox] = {}  # of peers for whom something waits, or somebody
        self._inbox: deque[Incoming] = deque()
        self._inbox_nbytes = 0
        self._receivers = trio.lowlevel.ParkingLot()
        self._senders: dict[Peer, trio.lowlevel.ParkingLot] = {}
        self._asleep = False  # the owner waits for the descriptor
        self._look = _FIRST_LOOK
        self._running = False
        self._closing = False
        self._closed = trio.Event()

    def bind(self, address: str) -> str:
        """Be found at an address; return it, with the port that the system chose for `*`.

        Raises:
          InsecureAddressError: others can reach it, and the socket has no keys.
          CommunicationError: it is no address, or it is taken.
        """
        self._check_address(address)
        try:
            self._zmq.bind(address)
        except zmq.ZMQError as error:
            raise CommunicationError(f"cannot bind to {address}: {error}") from error
        endpoint: bytes = self._zmq.getsockopt(zmq.LAST_ENDPOINT)
        return endpoint.rstrip(b"\0").decode()

    def connect(self, address: str) -> None:
        """Begin to connect to an address; it need not be there yet.

        Raises:
          InsecureAddressError: it is on another machine, and the socket has no keys.
          CommunicationError: it is no address.
        """
        self._check_address(address)
        try:
            self._zmq.connect(address)
        except zmq.ZMQError as error:
            raise CommunicationError(f"cannot connect to {address}: {error}") from error

    async def run(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the socket until `close` is called or this is cancelled. Call it once.

        Cancelled, it drops what is in the queues of this process; what ZeroMQ has been given
        already still goes out, for `options.linger` seconds.

        Raises:
          UnreachableError: a peer is gone with messages in its queue, and there is no `on_lost`.
        """
        if self._running:
            raise CommunicationError("the socket has an owner already")
        self._running = True
        task_status.started()
        if self._closed.is_set():
            return
        try:
            while not (self._closing and not self._waiting()):
                if self._pump():
                    await trio.lowlevel.checkpoint()
                else:
                    await self._sleep_until_event()
        finally:
            self._closing = True
            self._zmq.close(linger=math.ceil(self.options.linger * 1000))
            self._closed.set()
            self._drop_all()
            self._receivers.unpark_all()
            for lot in self._senders.values():
                lot.unpark_all()

    async def aclose(self) -> None:
        """Send what waits to be sent, for `options.linger` seconds at most, and close.

        `run` returns. Messages that nobody has received are dropped.
        """
        self._closing = True
        if not self._running:
            self._zmq.close(linger=math.ceil(self.options.linger * 1000))
            self._closed.set()
        self._receivers.unpark_all()
        try:
            with trio.move_on_after(self.options.linger):
                self._wake()
                await self._closed.wait()
        finally:
            self._drop_all()
            self._wake()
            with trio.CancelScope(shield=True):
                await self._closed.wait()

    def send_nowait(
        self,
        frames: Sequence[Frame],
        *,
        to: Peer = b"",
        priority: int = 0,
        released: Released | None = None,
    ) -> None:
        """Send a message, now or as soon as the peer takes it.

        Args:
          frames: of `encode`. Their memory must not change before `released` is called.
          to: the peer, for a "router".
          priority: of those that wait for the same peer the highest goes first.
          released: called once, by any thread, when nobody reads the frames any more, sent or not.
            If this raises, it is not called.

        Raises:
          trio.WouldBlock: the queue for this peer is full.
          UnreachableError: there is no such peer.
          SocketClosedError: the socket is closed.
        """
        self._check_open()
        message = Outgoing(frames, sum(map(len, frames)), released)
        outbox = self._outboxes.get(to)
        if outbox and (self._senders.get(to) or not outbox.has_room(message.nbytes)):
            raise trio.WouldBlock
        self._send_or_put(to, message, priority)

    async def send(
        self,
        frames: Sequence[Frame],
        *,
        to: Peer = b"",
        priority: int = 0,
        released: Released | None = None,
    ) -> None:
        """Send a message as `send_nowait` does, after waiting for room in the queue.

        Senders that wait get room in the order in which they came, whatever the priority. If it is
        cancelled, the message was not queued, and `released` is not called.

        Raises:
          UnreachableError: there is no such peer.
          SocketClosedError: the socket is closed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self.send_nowait(frames, to=to, priority=priority, released=released)
        except trio.WouldBlock:
            message = Outgoing(frames, sum(map(len, frames)), released)
            await self._wait_for_room(to, message, priority)
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def receive(self) -> Incoming:
        """The next message that `on_message` did not take.

        Raises:
          SocketClosedError: the socket is closed, or is while this waits.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while not self._inbox:
            self._check_open()
            await self._receivers.park()
            waited = True
        was_full = not self._inbox_has_room()
        incoming = self._inbox.popleft()
        self._inbox_nbytes -= incoming.nbytes
        if was_full and self._inbox_has_room():
            self._wake()
        if self._inbox:
            self._receivers.unpark()
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return incoming

    def waiting(self, to: Peer = b"") -> int:
        """How many messages wait to be sent to a peer, those not counted that ZeroMQ has."""
        return len(self._outboxes.get(to, ()))

    # What follows is the owner's, and what others call does not wait.

    def _pump(self) -> bool:
        """Receive and send what can be; return whether there may be more."""
        for _ in range(_BATCH):
            events = self._zmq.getsockopt(_EVENTS)
            # A router without any peer left takes nothing, but has to say so.
            may_send = self._outboxes and (events & _POLLOUT or self._router)
            moved = bool(may_send and self._flush())
            if events & _POLLIN and self._inbox_has_room() and not self._closing:
                self._take_one()
                moved = True
            if not moved:
                return False
        return True

    async def _sleep_until_event(self) -> None:
        self._asleep = True
        try:
            if self._outboxes and self._router:
                # That one peer takes messages again is news which an attempt for another may have
                # swallowed, and EVENTS says only that any of them does. So look again, ever less
                # often.
                timeout, self._look = self._look, min(2 * self._look, _LAST_LOOK)
                with trio.move_on_after(timeout):
                    await trio.lowlevel.wait_readable(self._fd)
            else:
                await trio.lowlevel.wait_readable(self._fd)
        except trio.ClosedResourceError:
            await trio.lowlevel.checkpoint_if_cancelled()  # woken by `_wake`
        finally:
            self._asleep = False

    def _wake(self) -> None:
        # Nothing is closed. This is how trio ends a wait for a descriptor from outside; a cancel
        # scope around each wait does, too, and takes as long as the wait.
        if self._asleep:
            self._asleep = False
            trio.lowlevel.notify_closing(self._fd)

    def _look_again(self) -> None:
        """After an operation while the owner sleeps: it may have swallowed what would wake it."""
        if not self._asleep:
            return
        events = self._zmq.getsockopt(_EVENTS)
        readable = events & _POLLIN and self._inbox_has_room()
        if readable or (events & _POLLOUT and self._waiting()):
            self._wake()

    def _take_one(self) -> None:
        frames: list[Frame] = []
        peer, nbytes = b"", 0
        if self._router:
            peer = self._zmq.recv(_NOW)
        more = True
        while more:
            # The first frame is small, or a mistake; copying it is less than keeping it alive.
            frame: Any = self._zmq.recv(_NOW, copy=not frames)
            if len(frames) <= self.options.max_frames:
                data: Frame = frame if not frames else frame.buffer
                frames.append(data)
                nbytes += len(data)
            more = bool(self._zmq.getsockopt(_RCVMORE))
        if self._on_message is not None and self._on_message(peer, frames):
            return
        self._inbox.append(Incoming(peer, frames, nbytes))
        self._inbox_nbytes += nbytes
        self._receivers.unpark()

    def _inbox_has_room(self) -> bool:
        options = self.options
        return (
            len(self._inbox) < options.receive_messages
            and self._inbox_nbytes < options.receive_nbytes
        )

    def _flush(self) -> bool:
        """Send what the peers take; return whether anything was."""
        moved = False
        for peer, outbox in list(self._outboxes.items()):
            try:
                while outbox and self._try_send(peer, outbox.first()):
                    outbox.pop()
                    moved = True
                    if outbox.has_room(0) and (lot := self._senders.get(peer)):
                        lot.unpark()
            except UnreachableError:
                self._lose(peer)
            if not outbox:
                self._outboxes.pop(peer, None)
        if moved:
            self._look = _FIRST_LOOK
        return moved

    def _lose(self, peer: Peer) -> None:
        """Drop what waits for a peer that is gone, and tell."""
        count = self._drop(peer)
        if lot := self._senders.get(peer):
            lot.unpark_all()
        if self._on_lost is None:
            raise UnreachableError(f"peer {peer.hex()} is gone, and {count} messages for it")
        self._on_lost(peer, count)

    def _drop(self, peer: Peer) -> int:
        outbox = self._outboxes.pop(peer)
        count = len(outbox)
        while outbox:
            message = outbox.pop()
            if message.released is not None:
                message.released()
        return count

    def _drop_all(self) -> None:
        for peer in list(self._outboxes):
            self._drop(peer)

    def _try_send(self, peer: Peer, message: Outgoing) -> bool:
        """Give a message to ZeroMQ; return False if it does not take it now.

        ZeroMQ decides at the first frame; the others then belong to it.
        """
        send = self._zmq.send
        try:
            if self._router:
                send(peer, _NOW_MORE)
            last = len(message.frames) - 1
            release = Release(message.released) if message.released else None
            for number, frame in enumerate(message.frames):
                flags = _NOW if number == last else _NOW_MORE
                if len(frame) < NO_COPY_NBYTES:
                    send(frame, flags)
                elif release is None:
                    send(frame, flags, copy=False)
                else:
                    send(release.watched(frame), flags, copy=False)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                raise UnreachableError(f"no peer {peer.hex()} is connected") from error
            raise CommunicationError(f"sending {len(message.frames)} frames: {error}") from error
        if release is not None:
            release.one()
        return True

    async def _wait_for_room(self, to: Peer, message: Outgoing, priority: int) -> None:
        lot = self._senders.setdefault(to, trio.lowlevel.ParkingLot())
        try:
            while True:
                await lot.park()
                self._check_open()
                outbox = self._outboxes.get(to)
                if outbox is None or outbox.has_room(message.nbytes):
                    break
            self._send_or_put(to, message, priority)
        finally:
            # Whoever was woken and leaves hands the room on.
            outbox = self._outboxes.get(to)
            if lot and (outbox is None or outbox.has_room(0)):
                lot.unpark()
            if not lot and self._senders.get(to) is lot:
                del self._senders[to]

    def _send_or_put(self, to: Peer, message: Outgoing, priority: int) -> None:
        outbox = self._outboxes.get(to)
        if outbox or not self._try_send(to, message):
            if outbox is None:
                outbox = Outbox(self.options.send_messages, self.options.send_nbytes)
                self._outboxes[to] = outbox
                if self._router:
                    self._wake()  # it may sleep without a limit: see `_sleep_until_event`
            outbox.put(message, priority)
        self._look_again()

    def _waiting(self) -> bool:
        return any(self._outboxes.values())

    def _check_open(self) -> None:
        if self._closing:
            raise SocketClosedError("the socket is closed")

    def _check_address(self, address: str) -> None:
        self._check_open()
        check_address(address, self._keys, insecure=self._insecure)
        if "[" in address:  # not otherwise: it makes ZeroMQ say [::ffff:127.0.0.1] for 127.0.0.1
            self._zmq.setsockopt(zmq.IPV6, 1)
