"""Who may come in: the answers to ZeroMQ's authentication protocol (ZAP, RFC 27 of ZeroMQ).

ZeroMQ asks while it shakes hands. A peer that is refused never becomes one: nothing that it sends
is received, let alone parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio
from zmq.utils import z85

from actorflow.comm.options import ZAP_DOMAIN, Context
from actorflow.comm.socket import Peer, Socket

if TYPE_CHECKING:
    from collections.abc import Collection

    from actorflow.comm.wire import Frame

__all__ = ["Authenticator", "answer"]

_ADDRESS: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"
_FRAMES: Final = 8  # an empty one, version, number, domain, address, identity, mechanism, key
_NUMBER: Final = 2  # which frame has the request's number


class Authenticator:
    """Lets in whose public key is allowed, at every socket with `ServerKeys` of a context.

    Args:
      context: the context of those sockets. It can have one authenticator.
      allowed: public keys (Z85).
    """

    def __init__(self, context: Context, allowed: Collection[bytes]) -> None:
        self.refused = 0
        """How many connections were refused so far."""
        self._allowed = frozenset(z85.decode(key) for key in allowed)
        self._socket = Socket(context, "router", on_message=self._on_message, on_lost=self._on_lost)
        self._socket.bind(_ADDRESS)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer until `aclose` is called or this is cancelled."""
        await self._socket.run(task_status)

    async def aclose(self) -> None:
        """Stop; from then on nobody new is let in."""
        await self._socket.aclose()

    def _on_message(self, peer: Peer, frames: list[Frame]) -> bool:
        reply, is_in = answer([bytes(frame) for frame in frames], self._allowed)
        self.refused += not is_in
        self._socket.send_nowait(reply, to=peer)
        return True

    def _on_lost(self, _peer: Peer, count: int) -> None:
        """Whoever asked is gone before the answer: its connection is closed, so nobody came in."""
        self.refused += count


def answer(frames: list[bytes], allowed: frozenset[bytes]) -> tuple[list[bytes], bool]:
    """The answer to one request, and whether it lets the peer in.

    Args:
      frames: the request.
      allowed: public keys, 32 bytes each.
    """
    is_in = (
        len(frames) == _FRAMES
        and frames[1] == _VERSION
        and frames[3] == ZAP_DOMAIN
        and frames[6] == b"CURVE"
        and frames[7] in allowed
    )
    number = frames[_NUMBER] if len(frames) > _NUMBER else b""
    status, text = (b"200", b"OK") if is_in else (b"400", b"this key is not allowed")
    return [b"", _VERSION, number, status, text, b"", b""], is_in
