"""Messages between processes: what they say, how they travel, and who may send them.

It needs msgspec and pyzmq, the extra `actorflow[dist]`; importing it without them says so.
"""

from actorflow.errors import MissingExtraError

try:
    import msgspec as _msgspec  # noqa: F401 -- whether it is there
    import zmq as _zmq  # noqa: F401
except ImportError as _error:
    raise MissingExtraError(
        "talking to other processes needs msgspec and pyzmq: pip install 'actorflow[dist]'"
    ) from _error

from actorflow.comm.authenticator import Authenticator
from actorflow.comm.compression import Compressor, decompress
from actorflow.comm.keys import (
    ClientKeys,
    Keys,
    ServerKeys,
    check_address,
    is_loopback,
    public_of,
    read_public,
    read_secret,
    write_keys,
)
from actorflow.comm.options import Context, SocketOptions, open_context
from actorflow.comm.shared import Attached, SharedBlock, attach, machine
from actorflow.comm.socket import Incoming, Peer, Socket
from actorflow.comm.wire import DTYPES, Frame, Limits, decode, encode

__all__ = [
    "DTYPES",
    "Attached",
    "Authenticator",
    "ClientKeys",
    "Compressor",
    "Context",
    "Frame",
    "Incoming",
    "Keys",
    "Limits",
    "Peer",
    "ServerKeys",
    "SharedBlock",
    "Socket",
    "SocketOptions",
    "attach",
    "check_address",
    "decode",
    "decompress",
    "encode",
    "is_loopback",
    "machine",
    "open_context",
    "public_of",
    "read_public",
    "read_secret",
    "write_keys",
]
