"""Files that fsspec opens: what a URL names, and what is said when it cannot be had."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RemoteSink", "RemoteSource", "remote_exists"]

# What our extras install; fsspec knows further protocols, and says what they need.
_EXTRAS: Final = {
    "http": ("http", "aiohttp"),
    "https": ("http", "aiohttp"),
    "s3": ("s3", "s3fs"),
    "s3a": ("s3", "s3fs"),
    "hdfs": ("hdfs", "pyarrow, and Hadoop's libhdfs with Java"),
    "arrow_hdfs": ("hdfs", "pyarrow, and Hadoop's libhdfs with Java"),
    "webhdfs": ("hdfs", "requests"),
}


class RemoteSource:
    """A file that is read by requests, each for a range of bytes.

    Args:
      url: what fsspec opens.

    Raises:
      OSError: there is no such file, or the server does not say how long it is.
      MissingExtraError: fsspec is missing, or what it needs for such URLs.
      ValueError: fsspec knows no such protocol.
    """

    block_nbytes = 2**22
    guess_nbytes = 2**16  # one more byte costs less than one more request

    def __init__(self, url: str) -> None:
        self.name = url
        self._system, self._path = _file_system(url)
        self._pid = os.getpid()
        with _told(url):
            found = self._system.info(self._path)
        size = found.get("size")
        if found.get("type") == "directory":
            raise IsADirectoryError(21, "is a folder; needs a file", url)
        if size is None:
            raise OSError(29, "the server does not say how long the file is", url)
        self._size = int(size)

    def size(self) -> int:
        """How long the file was when it was opened, in bytes."""
        return self._size

    def read(self, offset: int, nbytes: int) -> bytes:
        """The bytes from `offset` on, by one request.

        Raises:
          OSError: it failed, or the server gives no parts of files.
        """
        end = min(offset + nbytes, self._size)
        if end <= offset:
            return b""
        if self._pid != os.getpid():  # connections of the parent are not for us
            self._system, self._path = _file_system(self.name)
            self._pid = os.getpid()
        with _told(self.name):
            data = bytes(self._system.cat_file(self._path, start=offset, end=end))
        if len(data) > end - offset:
            what = (
                f"asked for {end - offset} bytes at {offset}, got {len(data)}: the server gives no "
                "parts of files; 'simplecache::' before the URL copies the file first"
            )
            raise OSError(95, what, self.name)
        return data

    def close(self) -> None:
        """There is nothing to give back: each read is a request of its own."""


class RemoteSink:
    """A file that is written from its beginning; it appears when it is closed."""

    def __init__(self, url: str) -> None:
        self.name = url
        self.position = 0
        system, path = _file_system(url)
        with _told(url):
            self._stream = system.open(path, "wb")

    def write(self, data: bytes) -> None:
        """Append `data`."""
        with _told(self.name):
            self._stream.write(data)
        self.position += len(data)

    def sync(self) -> None:
        """Hand on what the file system lets itself be handed before the end."""
        with _told(self.name):
            self._stream.flush()

    def close(self) -> None:
        """Let the file appear."""
        with _told(self.name):
            self._stream.close()


def remote_exists(url: str) -> bool:
    """Whether there is such a file."""
    system, path = _file_system(url)
    with _told(url):
        return bool(system.exists(path))


def _file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of `url`, and the path in it."""
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 -- an extra
    except ImportError as error:
        extra, _ = _EXTRAS.get(_protocol(url), ("remote", ""))
        message = f"{url} is a URL, which needs fsspec: pip install 'actorflow[{extra}]'"
        raise MissingExtraError(message) from error
    try:
        with _told(url):
            system, path = url_to_fs(url)
    except ImportError as error:
        known = _EXTRAS.get(_protocol(url))
        if known is None:
            raise MissingExtraError(f"{url}: fsspec says: {error}") from error
        extra, package = known
        message = f"{url} needs {package}: pip install 'actorflow[{extra}]' ({error})"
        raise MissingExtraError(message) from error
    return system, str(path)


def _protocol(url: str) -> str:
    """That of the innermost URL: fsspec takes `simplecache::s3://bucket/file`."""
    return url.rsplit("::", maxsplit=1)[-1].split("://", maxsplit=1)[0]


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Make an `OSError` with the URL of whatever a file system of fsspec's raises.

    Errors of the system, of arguments and of missing packages stay what they are.
    """
    try:
        yield
    except FileNotFoundError as error:
        if error.filename is not None:
            raise
        # fsspec says so of whatever it gets no answer to; what it got is the cause.
        raise FileNotFoundError(2, str(error.__cause__ or "No such file"), url) from error
    except (OSError, ImportError, ValueError):
        raise
    except Exception as error:  # each file system of fsspec's has errors of its own
        raise OSError(5, f"{type(error).__name__}: {error}", url) from error
