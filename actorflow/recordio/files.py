"""Record files as MXNet's programs read and write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Self

from actorflow.recordio.framing import MAX_LENGTH, frame
from actorflow.recordio.reading import Lost, Scan, end_of_records
from actorflow.recordio.storage import can_go_on, open_sink, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from actorflow.recordio.storage import Sink, Source

__all__ = ["MXRecordIO"]

_FLAGS: Final = ("r", "w", "a")


class MXRecordIO:
    """A file of records, read or written from beginning to end.

    What `write` has returned from is with the operating system: a process that is killed loses at
    most the record that it was writing, and whoever reads the file gets all the others.
    A power cut may take more, but for what `sync` was called after. A remote file appears when it
    is closed.

    A reader keeps its position itself, so that a pickled one, which opens the file again at its
    beginning, and one in a forked child do not disturb each other. One object is for one thread at
    a time.

    Args:
      uri: a path, or a URL that fsspec opens (with the extra `remote`).
      flag: "r" reads; "w" writes a new file, in place of an older one; "a" goes on writing behind
        the last whole record of a local file, and cuts off what a crash left behind it.
      recover: when reading, go on behind damaged records instead of raising an error; `lost` says
        what was skipped.
      begin: the offset of the first record to read, in bytes: 0 or what `part_range` gave.
      end: the offset at which to stop; None for the end of the file.

    Attributes:
      uri, flag, recover, begin, end: as given.
      is_open: whether it can be used.
      writable: whether it writes.

    Raises:
      ValueError: `flag` is something else, or `recover`, `begin` or `end` is given for writing.
      OSError: the file cannot be opened.
      FormatError: with "a", the file has something else than records.
      MissingExtraError: `uri` is a URL, and fsspec is missing.
    """

    # Here and not in `__init__`, because what never got that far is closed, too.
    is_open = False
    _pid = 0  # who opened it for writing
    _source: Source | None = None
    _sink: Sink | None = None
    _scan: Scan | None = None

    def __init__(
        self,
        uri: str | os.PathLike[str],
        flag: str,
        *,
        recover: bool = False,
        begin: int = 0,
        end: int | None = None,
    ) -> None:
        if flag not in _FLAGS:
            raise ValueError(f"{self._name}: flag={flag!r}; needs 'r', 'w' or 'a'")
        if flag != "r" and (recover or begin or end is not None):
            raise ValueError(
                f"{self._name}: recover, begin and end are for reading; flag is {flag!r}"
            )
        if begin < 0 or (end is not None and end < begin):
            raise ValueError(f"{self._name}: begin={begin}, end={end}; needs 0 <= begin <= end")
        if not isinstance(uri, str | os.PathLike):
            raise TypeError(f"{self._name}: uri is a {type(uri).__name__}; needs a path or a URL")
        self.uri = os.fspath(uri)
        self.flag = flag
        self.writable = flag != "r"
        self.recover = recover
        self.begin = begin
        self.end = end
        self.open()

    @property
    def _name(self) -> str:
        return type(self).__name__

    @property
    def lost(self) -> Lost:
        """What was skipped since the file was opened or reset; nothing without `recover`."""
        return self._reading("lost").lost

    def open(self) -> None:
        """Open the file again after `close`; does nothing if it is open.

        Raises:
          OSError: the file cannot be opened.
        """
        if self.is_open:
            return
        if self.flag == "r":
            self._source = open_source(self.uri)
            self._scan = self._new_scan(self._source)
        else:
            self._sink = open_sink(self.uri, self._end_of_records() if self.flag == "a" else 0)
            self._pid = os.getpid()
        self.is_open = True

    def close(self) -> None:
        """Close the file; does nothing if it is closed."""
        self.is_open = False
        source, sink = self._source, self._sink
        self._source = self._sink = self._scan = None
        if source is not None:
            source.close()
        if sink is not None and self._pid == os.getpid():
            sink.close()

    def reset(self) -> None:
        """Go back to the first record. A writer begins again with an empty file; "a" reopens it."""
        self.close()
        self.open()

    def read(self) -> bytes | None:
        """The next record, or None at the end.

        Raises:
          FormatError: the record is damaged, and `recover` was not asked for; the message names
            the file and the offset. The next call raises the same.
          OSError: the file cannot be read.
          ValueError: it is closed, or open for writing.
        """
        view = self._reading("read").view(f"{self._name}.read")
        return None if view is None else bytes(view)

    def read_view(self) -> memoryview | None:
        """Do like `read` without copying.

        The bytes behind the view are never written again, so it may be kept; while it is, so is
        the block in which it lies: half a megabyte of a local file.
        """
        return self._reading("read_view").view(f"{self._name}.read_view")

    def write(self, buf: bytes | bytearray | memoryview) -> None:
        """Append a record.

        If it raises, the file is as long as before.

        Args:
          buf: its payload, less than 2**29 bytes.

        Raises:
          TypeError: `buf` is something else.
          ValueError: `buf` is too long, or the file is closed or open for reading.
          OSError: the file cannot be written.
          RuntimeError: the file was opened in the parent of this process.
        """
        sink = self._writing("write")
        if not isinstance(buf, bytes | bytearray | memoryview):
            raise TypeError(f"{self._name}.write: buf is a {type(buf).__name__}; needs bytes")
        data = bytes(buf)
        if len(data) > MAX_LENGTH:
            raise ValueError(
                f"{self._name}.write: a record of {len(data)} bytes; needs at most {MAX_LENGTH}"
            )
        sink.write(frame(data))

    def tell(self) -> int:
        """The offset of the next record to be written or read, in bytes."""
        if self.writable:
            return self._writing("tell").position
        return self._reading("tell").position

    def sync(self) -> None:
        """Wait until all that was written would survive a power cut."""
        self._writing("sync").sync()

    def __iter__(self) -> Iterator[bytes]:
        """The records from the next one to the end; see `read`."""
        while (record := self.read()) is not None:
            yield record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        if self.writable and self.is_open:
            raise TypeError(
                f"{self._name}: {self.uri} is open for writing; needs to be closed to be pickled"
            )
        state = dict(self.__dict__)
        state.update(_source=None, _sink=None, _scan=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        was_open = state["is_open"]
        self.__dict__.update(state)
        self.is_open = False
        if was_open:
            self.open()

    def _new_scan(self, source: Source) -> Scan:
        return Scan(source, begin=self.begin, end=self.end, recover=self.recover)

    def _end_of_records(self) -> int:
        """Where to go on writing: behind the last whole record."""
        if not can_go_on(self.uri):
            return 0
        return end_of_records(self.uri, f"{self._name}.open")

    def _reading(self, method: str) -> Scan:
        if self._scan is None:
            raise ValueError(f"{self._name}.{method}: {self.uri} is {self._state('reading')}")
        return self._scan

    def _writing(self, method: str) -> Sink:
        if self._sink is None:
            raise ValueError(f"{self._name}.{method}: {self.uri} is {self._state('writing')}")
        if self._pid != os.getpid():
            raise RuntimeError(
                f"{self._name}.{method}: {self.uri} was opened by process {self._pid}, this is "
                f"{os.getpid()}; only one may write it"
            )
        return self._sink

    def _state(self, wanted: str) -> str:
        if not self.is_open:
            return "closed; open() or reset() opens it"
        return f"not open for {wanted}: flag is {self.flag!r}"
