"""Where the bytes of record files come from and go to: local files, and whatever fsspec opens.

A `Source` is asked for bytes at an offset and keeps no position, so any number of threads, and
the children of a fork, may ask the same one. Local files are read with `pread`, not mapped: who
shortens a mapped file kills its readers with a signal, where `pread` gives fewer bytes and we an
error.
"""

from __future__ import annotations

import os
import stat
from typing import Final, Protocol

from actorflow.recordio.remote import RemoteSink, RemoteSource, remote_exists

__all__ = ["Sink", "Source", "can_go_on", "open_sink", "open_source", "read_all"]

_LOCAL_PREFIX: Final = "file://"


class Source(Protocol):
    """A file that is read."""

    name: str
    block_nbytes: int
    """What to ask for at a time, when everything will be read."""

    guess_nbytes: int
    """What to ask for first, when one record of unknown length will be read."""

    def size(self) -> int:
        """How long the file is now, in bytes."""

    def read(self, offset: int, nbytes: int) -> bytes:
        """The bytes from `offset` on: `nbytes` of them, fewer only where the file ends."""

    def close(self) -> None:
        """Give the file back; once is enough."""


class Sink(Protocol):
    """A file that is written from its beginning, or from where it was cut off."""

    name: str
    position: int
    """How long the file is, in bytes."""

    def write(self, data: bytes) -> None:
        """Append `data` as a whole or, with an `OSError`, not at all."""

    def sync(self) -> None:
        """Return when what was written would survive a power cut."""

    def close(self) -> None:
        """Give the file back; once is enough."""


class _LocalSource:
    # Half a megabyte stays in the processor's cache until it is cut into records.
    block_nbytes = 2**19
    guess_nbytes = 8  # a header; a second call costs a microsecond

    def __init__(self, path: str) -> None:
        self.name = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(self._descriptor).st_mode):
            self.close()
            raise IsADirectoryError(21, "is a folder; needs a file", path)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, nbytes: int) -> bytes:
        data = os.pread(self._descriptor, nbytes, offset)
        while len(data) < nbytes:  # the end of the file, or more than the system reads at once
            more = os.pread(self._descriptor, nbytes - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class _LocalSink:
    def __init__(self, path: str, cut_at: int) -> None:
        self.name = path
        self.position = cut_at
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.ftruncate(self._descriptor, cut_at)

    def write(self, data: bytes) -> None:
        # No buffer of ours: what was written is the system's, and stays when this process dies.
        done, rest = 0, memoryview(data)
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, rest[done:], self.position + done)
        except BaseException:
            os.ftruncate(self._descriptor, self.position)
            raise
        self.position += done

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def open_source(uri: str) -> Source:
    """Open a path or an fsspec URL for reading.

    Raises:
      OSError: it cannot be opened.
      MissingExtraError: it is a URL, and fsspec, or what it needs for such URLs, is missing.
    """
    path = _local_path(uri)
    return RemoteSource(uri) if path is None else _LocalSource(path)


def open_sink(uri: str, cut_at: int = 0) -> Sink:
    """Open a path or an fsspec URL for writing, after cutting it off at `cut_at` bytes.

    Raises:
      OSError: it cannot be opened, or is remote and `cut_at` is not 0.
      MissingExtraError: as with `open_source`.
    """
    path = _local_path(uri)
    if path is not None:
        return _LocalSink(path, cut_at)
    if cut_at:
        raise OSError(95, "cannot be appended to; only a local file can", uri)
    return RemoteSink(uri)


def can_go_on(uri: str) -> bool:
    """Whether there is a file at a path or an fsspec URL that may be appended to.

    Raises:
      OSError: there is one, but it is remote.
    """
    path = _local_path(uri)
    if path is not None:
        return os.path.exists(path)  # noqa: PTH110 -- a path that is a str
    if remote_exists(uri):
        raise OSError(95, "cannot be appended to; only a local file can", uri)
    return False


def read_all(uri: str) -> bytes:
    """The contents of a file: a path or an fsspec URL."""
    source = open_source(uri)
    try:
        return source.read(0, source.size())
    finally:
        source.close()


def _local_path(uri: str) -> str | None:
    """The path of a local file; None if `uri` is another URL."""
    path = uri.removeprefix(_LOCAL_PREFIX)
    return None if "://" in path else path
