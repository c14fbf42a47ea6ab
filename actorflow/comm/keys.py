"""CURVE keys: files of them, and which address needs them. The rule itself does no I/O.

CURVE is ZeroMQ's own security (Bernstein, Curve25519 and CurveZMQ, RFC 26 of the ZeroMQ project):
both sides prove that they hold the secret key to a public one, and everything is encrypted with a
key made for the connection. Each side must know the other's public key beforehand.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import Final

import attrs
import zmq

from actorflow.errors import FormatError, InsecureAddressError

__all__ = [
    "ClientKeys",
    "Keys",
    "ServerKeys",
    "check_address",
    "is_loopback",
    "read_public",
    "read_secret",
    "write_keys",
]

_PUBLIC: Final = "actorflow-public-key"
_SECRET: Final = "actorflow-secret-key"  # noqa: S105 -- a label
_Z85: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_MOST_NBYTES: Final = 2**20  # of a file of keys


@attrs.frozen
class ServerKeys:
    """Who binds: its secret key, and the public keys of those who may come."""

    secret: bytes = attrs.field(repr=False)  # Z85, 40 bytes, as all keys here
    allowed: frozenset[bytes]


@attrs.frozen
class ClientKeys:
    """Who connects: its secret key, and the public key of whom it expects to find."""

    secret: bytes = attrs.field(repr=False)
    server: bytes


Keys = ServerKeys | ClientKeys


def is_loopback(address: str) -> bool:
    """Whether a ZeroMQ address can be reached from this machine only.

    These are ipc:// and inproc://, and tcp:// with a number in 127.0.0.0/8 or ::1. A name is none,
    `localhost` included: what it stands for is decided elsewhere.
    """
    transport, separator, rest = address.partition("://")
    if not separator:
        return False
    if transport in {"ipc", "inproc"}:
        return True
    # ZeroMQ allows tcp://<where from>;<where to>.
    return transport == "tcp" and all(_is_loopback_host(part) for part in rest.split(";"))


def check_address(address: str, keys: Keys | None, *, insecure: bool) -> None:
    """Refuse an address that others can reach where nothing keeps them out.

    Args:
      address: what to bind or to connect to, such as "tcp://127.0.0.1:5000".
      keys: the keys that the socket has.
      insecure: whether the user said that anybody may come.

    Raises:
      InsecureAddressError: it is not a loopback address, there are no keys, and nobody allowed it.
    """
    if keys is None and not insecure and not is_loopback(address):
        raise InsecureAddressError(
            f"{address} can be reached from other machines; needs keys (`actorflow keygen` makes "
            "them), or insecure=True where everybody who can reach it is trusted, or a loopback "
            "address such as tcp://127.0.0.1:5000"
        )


def write_keys(prefix: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Make a pair of keys, in files that only their owner may read or write.

    Args:
      prefix: the files are PREFIX.public and PREFIX.secret.

    Returns:
      The paths of the public and of the secret key.

    Raises:
      FileExistsError: one of the files is there already; nothing was changed.
      OSError: they cannot be written.
    """
    public, secret = zmq.curve_keypair()
    paths = Path(f"{os.fspath(prefix)}.public"), Path(f"{os.fspath(prefix)}.secret")
    made: list[Path] = []
    try:
        for path, label, key in zip(paths, (_PUBLIC, _SECRET), (public, secret), strict=True):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o600)
            made.append(path)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{label} {key.decode()}\n")
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        for path in made:
            path.unlink()
        raise
    return paths


def read_public(path: str | os.PathLike[str]) -> list[bytes]:
    """The public keys in a file: one in what `write_keys` made, more in such files put together.

    Raises:
      FormatError: there is something else in it, or nothing.
      OSError: it cannot be read.
    """
    return _read(path, _PUBLIC)


def read_secret(path: str | os.PathLike[str]) -> bytes:
    """The secret key in a file.

    Raises:
      FormatError: it is not one secret key.
      PermissionError: others than its owner may read or write the file.
      OSError: it cannot be read.
    """
    found = _read(path, _SECRET)
    if len(found) != 1:
        raise FormatError(f"{os.fspath(path)} has {len(found)} secret keys; needs one")
    return found[0]


def public_of(secret: bytes) -> bytes:
    """The public key that belongs to a secret one."""
    key: bytes = zmq.curve_public(secret)
    return key


def _read(path: str | os.PathLike[str], label: str) -> list[bytes]:
    with Path(path).open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if label == _SECRET and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise PermissionError(
                13, f"is open to others (mode {stat.S_IMODE(mode):o}); needs 600", os.fspath(path)
            )
        data = file.read(_MOST_NBYTES + 1)
    if len(data) > _MOST_NBYTES:
        raise FormatError(f"{os.fspath(path)} is longer than {_MOST_NBYTES} bytes")
    keys = []
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found, _, key = line.strip().partition(" ")
        # The line itself is not shown: it may be a secret in the wrong file.
        if found != label or not _Z85.fullmatch(key):
            raise FormatError(f"{os.fspath(path)}, line {number}: needs `{label} <40 characters>`")
        keys.append(key.encode())
    if not keys:
        raise FormatError(f"{os.fspath(path)} has no key; needs `{label} <40 characters>`")
    return keys


def _is_loopback_host(text: str) -> bool:
    host = text.rpartition(":")[0]
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.IPv4Network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1")
