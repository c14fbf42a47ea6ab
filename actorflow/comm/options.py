"""What every ZeroMQ socket is set to, and the context that sockets are made of."""

from __future__ import annotations

import threading
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np
import trio
import zmq

from actorflow.comm.keys import Keys, ServerKeys, public_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actorflow.comm.outbox import Released
    from actorflow.comm.wire import Array, Frame

__all__ = ["ZAP_DOMAIN", "Context", "Release", "SocketOptions", "configure", "open_context"]

Context = zmq.Context[zmq.Socket[bytes]]

ZAP_DOMAIN: Final = b"actorflow"


@attrs.frozen(kw_only=True)
class SocketOptions:
    """Bounds and times of a socket.

    Each bound in messages or bytes holds for what waits in this process's own queues: what is sent
    for each peer, what is received for all of them together. Beyond these ZeroMQ holds
    `high_water_mark` messages for each peer and direction, which no priority overtakes.
    """

    send_messages: int = 1024
    send_nbytes: int = 2**28
    receive_messages: int = 1024
    receive_nbytes: int = 2**28
    high_water_mark: int = 16
    max_frame_nbytes: int = 2**32
    """A peer that sends a longer frame is disconnected before the frame is received."""
    max_frames: int = 4096
    """Of a message with more, the rest is thrown away, and `decode` refuses what is left."""
    linger: float = 1.0
    """Seconds that closing waits for what was sent already."""
    handshake: float = 5.0
    """Seconds until a peer that does not say who it is is disconnected."""
    heartbeat: float = 2.0
    """Seconds between ZeroMQ's own heartbeats; a peer silent for three of them is disconnected."""


class Release:
    """Calls `released` when ZeroMQ reads none of a message's frames any more.

    ZeroMQ frees a frame that it did not copy by dropping the object that holds its memory, in a
    thread of pyzmq. So each frame gets an object of its own, and what is waited for is their end.
    """

    def __init__(self, released: Released) -> None:
        self._released = released
        self._left = 1  # the sending itself
        self._lock = threading.Lock()

    def watched(self, frame: Frame) -> Array:
        """The frame as an object whose end is noticed."""
        view: Array = np.frombuffer(frame, np.uint8)
        self._left += 1
        weakref.finalize(view, self.one).atexit = False
        return view

    def one(self) -> None:
        """One of the frames is free, or all of them were sent."""
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._released()


@asynccontextmanager
async def open_context(io_threads: int = 1) -> AsyncIterator[Context]:
    """A context of ZeroMQ. Leaving it waits until its sockets have lingered."""
    context: Context = zmq.Context(io_threads)
    try:
        yield context
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(context.term)


def configure(socket: zmq.Socket[bytes], keys: Keys | None, options: SocketOptions) -> None:
    """Set a socket's options; they hold for what is bound or connected afterwards.

    Raises:
      zmq.ZMQError: a key that is none.
    """
    silent = 3 * options.heartbeat
    settings: dict[int, Any] = {
        zmq.SNDHWM: options.high_water_mark,
        zmq.RCVHWM: options.high_water_mark,
        zmq.MAXMSGSIZE: options.max_frame_nbytes,
        zmq.LINGER: round(options.linger * 1000),
        zmq.HANDSHAKE_IVL: round(options.handshake * 1000),
        zmq.HEARTBEAT_IVL: round(options.heartbeat * 1000),
        zmq.HEARTBEAT_TIMEOUT: round(silent * 1000),
        zmq.HEARTBEAT_TTL: round(silent * 1000),
        zmq.RECONNECT_IVL: 50,
        zmq.RECONNECT_IVL_MAX: 2000,
    }
    if socket.getsockopt(zmq.TYPE) == zmq.ROUTER:
        settings[zmq.ROUTER_MANDATORY] = 1  # an unknown peer is an error, not a message lost
    if isinstance(keys, ServerKeys):
        settings[zmq.CURVE_SERVER] = 1
        settings[zmq.CURVE_SECRETKEY] = keys.secret
        settings[zmq.ZAP_DOMAIN] = ZAP_DOMAIN
        settings[zmq.ZAP_ENFORCE_DOMAIN] = 1  # without an authenticator nobody comes in
    elif keys is not None:
        settings[zmq.CURVE_SERVERKEY] = keys.server
        settings[zmq.CURVE_PUBLICKEY] = public_of(keys.secret)
        settings[zmq.CURVE_SECRETKEY] = keys.secret
    for option, value in settings.items():
        socket.setsockopt(option, value)
