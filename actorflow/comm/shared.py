"""Arrays in memory that processes of one machine share.

A block is memory without a name (`memfd_create`), so there is nothing to clean up: the system frees
it when the last process that has it open or mapped ends, however it ends. Another process opens it
through the owner's descriptor in /proc, which the system allows the same user only. A random token
in the block's label tells whether that descriptor is still the block it was.

A block cannot shrink (it is sealed): a file that gets shorter kills who has it mapped.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import secrets
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from actorflow.comm.messages import Shared
from actorflow.comm.wire import DTYPES, Array
from actorflow.errors import CommunicationError, FormatError

__all__ = ["Attached", "SharedBlock", "attach", "machine"]

_TOKEN: Final = re.compile(r"[0-9a-f]{32}")
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_ALIGNMENT: Final = 64


def machine() -> str:
    """A word that is the same for processes that can share memory: one start of one system."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}/{os.getuid()}"


class SharedBlock:
    """Memory that this process owns and others may attach.

    Args:
      nbytes: how much; at least 1.

    Raises:
      OSError: there is no memory, or no descriptor left.
    """

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.token = secrets.token_hex(16)
        self._descriptor = os.memfd_create(
            _label(self.token), os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        )
        try:
            os.ftruncate(self._descriptor, nbytes)
            fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS)
            self._map: mmap.mmap | None = mmap.mmap(self._descriptor, nbytes)
        except BaseException:
            os.close(self._descriptor)
            raise

    def array(self, dtype: str, shape: tuple[int, ...], offset: int = 0) -> Array:
        """An array in this block. It may be used after `close`, which only closes it to others.

        Raises:
          ValueError: it does not fit, or the offset is not a multiple of 64.
        """
        if self._map is None:
            raise ValueError("the shared block is closed")
        return _array(self._map, self.notice(dtype, shape, offset))

    def notice(self, dtype: str, shape: tuple[int, ...], offset: int = 0) -> Shared:
        """What to tell another process, so that it finds an array in this block.

        Raises:
          ValueError: it does not fit, or the offset is not a multiple of 64.
        """
        notice = Shared(
            os.getpid(), self._descriptor, self.token, self.nbytes, offset, dtype, list(shape)
        )
        wrong = _misfit(notice)
        if wrong:
            raise ValueError(wrong)
        return notice

    def close(self) -> None:
        """Let nobody attach it any more. Once is enough.

        The memory is free when the last array in it is gone, here and elsewhere.
        """
        if self._map is not None:
            self._map = None
            os.close(self._descriptor)


@attrs.frozen(eq=False)
class Attached:
    """Another process's block."""

    token: str
    nbytes: int
    _map: mmap.mmap = attrs.field(repr=False)
    _writable: bool

    def array(self, notice: Shared) -> Array:
        """The array that a notice describes: a view of the block, read-only unless attached so.

        Its values are the owner's to change at any moment.

        Raises:
          FormatError: the notice is of another block, or does not fit into this one.
        """
        if (notice.token, notice.nbytes) != (self.token, self.nbytes):
            raise FormatError("a notice of another shared block")
        wrong = _misfit(notice)
        if wrong:
            raise FormatError(wrong)
        array = _array(self._map, notice)
        array.flags.writeable = self._writable
        return array


def attach(notice: Shared, *, max_nbytes: int, writable: bool = False) -> Attached:
    """Map another process's block, or one's own once more.

    Args:
      notice: of `SharedBlock.notice`, as it came from the other process.
      max_nbytes: the longest block to map.
      writable: whether its arrays may be written.

    Raises:
      FormatError: the notice is none, or of something that is not such a block of this size.
      CommunicationError: the owner or its block is no more.
    """
    if not _TOKEN.fullmatch(notice.token) or not 0 < notice.nbytes <= max_nbytes:
        raise FormatError(
            f"a shared block of {notice.nbytes} bytes, token {notice.token[:32]!r}; "
            f"at most {max_nbytes}"
        )
    path = Path(f"/proc/{notice.pid}/fd/{notice.descriptor}")
    label = f"/memfd:{_label(notice.token)} (deleted)"
    try:
        # Before it is opened, because to open a terminal or a pipe would have effects.
        found = str(path.readlink())
        if found != label:
            raise CommunicationError(f"shared block {notice.token} of process {notice.pid} is gone")
        flags = os.O_RDWR if writable else os.O_RDONLY
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if isinstance(error, CommunicationError):
            raise
        raise CommunicationError(
            f"shared block {notice.token} of process {notice.pid}: {error.strerror}"
        ) from error
    try:
        # And once more what was opened in fact.
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()) != label:
            raise CommunicationError(f"shared block {notice.token} of process {notice.pid} is gone")
        seals, size = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS), os.fstat(descriptor).st_size
        if seals & _SEALS != _SEALS or size != notice.nbytes:
            raise FormatError(
                f"shared block {notice.token} has {size} bytes and seals {seals:#x}; the notice "
                f"says {notice.nbytes}, and it needs {_SEALS:#x}"
            )
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        return Attached(notice.token, size, mmap.mmap(descriptor, size, access=access), writable)
    finally:
        os.close(descriptor)


def _label(token: str) -> str:
    return f"actorflow-{token}"


def _misfit(notice: Shared) -> str:
    """Why the array of a notice is not in its block; an empty string if it is."""
    dtype = DTYPES.get(notice.dtype)
    if dtype is None:
        return f"shared array of {notice.dtype[:32]!r}; needs one of {', '.join(DTYPES)}"
    nbytes = dtype.itemsize
    for length in notice.shape:
        nbytes *= length
    if 0 in notice.shape or notice.offset % _ALIGNMENT or notice.offset + nbytes > notice.nbytes:
        return (
            f"shared array {notice.dtype}{tuple(notice.shape)} at {notice.offset} of "
            f"{notice.nbytes} bytes; needs elements, room, and an offset that {_ALIGNMENT} divides"
        )
    return ""


def _array(memory: mmap.mmap, notice: Shared) -> Array:
    array: Array = np.ndarray(notice.shape, DTYPES[notice.dtype], memory, notice.offset)
    return array
