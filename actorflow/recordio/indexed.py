"""Record files with an index: any record by its key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import attrs

from actorflow.errors import FormatError
from actorflow.recordio.files import MXRecordIO
from actorflow.recordio.reading import Lost, next_record, read_record
from actorflow.recordio.storage import can_go_on, open_sink, open_source, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from actorflow.recordio.storage import Sink, Source

__all__ = ["MXIndexedRecordIO"]


class MXIndexedRecordIO(MXRecordIO):
    """A file of records, and beside it an index: a line `key, tab, offset` for each record.

    A record is written before its line, so that an index never names a record that is not there: a
    process that is killed loses at most the record that it was writing. With "a", the records that
    the index has are kept and the file goes on behind them.

    `read_idx` may be called by several threads at a time; `read` then goes on behind any of theirs.

    Args:
      idx_path: the index: a path, or a URL that fsspec opens.
      uri, flag, recover: as with `MXRecordIO`; `recover` also leaves out lines of the index that
        are no use.
      key_type: makes a key from its text in the index, and from what `write_idx` is given.

    Attributes:
      idx: the offset of each key, in bytes.
      keys: the keys in the order of the index. A key that is there twice stands for the later
        record.

    Raises:
      FormatError: a line of the index is damaged or names an offset past the end of the file; the
        message names the line.
      Exception: whatever `MXRecordIO` raises.
    """

    _index_sink: Sink | None = None

    def __init__(
        self,
        idx_path: str | os.PathLike[str],
        uri: str | os.PathLike[str],
        flag: str,
        key_type: Callable[[Any], Hashable] = int,
        *,
        recover: bool = False,
    ) -> None:
        self.idx_path = os.fspath(idx_path)
        self.key_type = key_type
        self.idx: dict[Any, int] = {}
        self.keys: list[Any] = []
        self._index_nbytes = 0  # how much of an older index is kept
        self._furthest = 0  # the largest offset in it
        self._useless = 0  # lines of the index that were left out
        super().__init__(uri, flag, recover=recover)

    @property
    def lost(self) -> Lost:
        """What was skipped since the file was opened or reset; nothing without `recover`."""
        return attrs.evolve(super().lost, entries=self._useless)

    def open(self) -> None:
        """Open the file and its index again after `close`; does nothing if they are open."""
        if self.is_open:
            return
        self.idx, self.keys = {}, []
        self._useless = self._index_nbytes = self._furthest = 0
        super().open()
        try:
            if self.flag == "r":
                self._read_index(self._reading("open").source)
            else:
                self._index_sink = open_sink(self.idx_path, self._index_nbytes)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and its index; does nothing if they are closed."""
        super().close()
        sink, self._index_sink = self._index_sink, None
        if sink is not None and self._pid == os.getpid():
            sink.close()

    def seek(self, idx: Any) -> None:  # noqa: ANN401 -- whatever `key_type` makes
        """Make the record of a key the next one to be read.

        Raises:
          KeyError: the index has no such key.
          ValueError: the file is closed, or open for writing.
        """
        self._reading("seek").position = self._offset(idx, "seek")

    def read_idx(self, idx: Any) -> bytes:  # noqa: ANN401 -- whatever `key_type` makes
        """The record of a key; the next one to be read is the one behind it.

        Raises:
          KeyError: the index has no such key.
          FormatError: the record is damaged, or the index names an offset where none begins.
          OSError: the file cannot be read.
          ValueError: it is closed, or open for writing.
        """
        scan = self._reading("read_idx")
        offset = self._offset(idx, "read_idx")
        data, scan.position = read_record(scan.source, offset, f"{self._name}.read_idx({idx!r})")
        return data

    def write_idx(self, idx: Any, buf: bytes | bytearray | memoryview) -> None:  # noqa: ANN401
        """Append a record, then its line to the index.

        Args:
          idx: its key: anything that `key_type` takes.
          buf: its payload.

        Raises:
          ValueError: the key's text has a tab or a line's end; or as with `write`.
          Exception: as with `write`, and whatever `key_type` raises.
        """
        self._writing("write_idx")
        key = self.key_type(idx)
        offset = self.tell()
        line = self._line(key, offset)
        self.write(buf)
        if self._index_sink is not None:
            self._index_sink.write(line)
        self.idx[key] = offset
        self.keys.append(key)

    def sync(self) -> None:
        """Wait until all that was written would survive a power cut."""
        super().sync()
        if self._index_sink is not None:
            self._index_sink.sync()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_index_sink": None}

    def _line(self, key: object, offset: int) -> bytes:
        text = str(key)
        if not text or text != text.strip() or "\t" in text or len(text.splitlines()) != 1:
            raise ValueError(
                f"{self._name}.write_idx: the key's text is {text!r}; needs one line without tabs "
                "and without spaces at its ends"
            )
        return f"{text}\t{offset}\n".encode()

    def _offset(self, key: object, method: str) -> int:
        try:
            return self.idx[key]
        except KeyError:
            raise KeyError(
                f"{self._name}.{method}: {self.idx_path} has no key {key!r}; it has "
                f"{len(self.idx)} others"
            ) from None

    def _read_index(self, source: Source) -> None:
        """Fill `idx` and `keys`.

        A last line without its end is what a crash leaves, or an editor. To go on writing, it is
        left out, and so is its record; to read, it counts if a record begins where it says.
        """
        size = source.size()
        for number, line in enumerate(read_all(self.idx_path).splitlines(keepends=True), start=1):
            torn = not line.endswith((b"\n", b"\r"))
            if not line.strip():
                self._index_nbytes += 0 if torn else len(line)
                continue
            if torn and self.writable:
                break
            try:
                key, offset = self._parse(line, number, size)
                if torn and next_record(source, offset) != offset:
                    raise self._bad_line(number, f"is cut off: no record begins at {offset}")
            except FormatError:
                if not self.recover:
                    raise
                self._useless += 1
                continue
            self._index_nbytes += len(line)
            self._furthest = max(self._furthest, offset)
            self.idx[key] = offset
            self.keys.append(key)

    def _parse(self, line: bytes, number: int, size: int) -> tuple[Any, int]:
        fields = line.strip().split(b"\t")
        try:
            offset = int(fields[1])
            key = self.key_type(fields[0].decode())
        except (IndexError, ValueError) as error:
            shown = line[:80].decode(errors="replace").strip()
            raise self._bad_line(
                number, f"is {shown!r}; needs a key, a tab and an offset"
            ) from error
        if not 0 <= offset < size:
            raise self._bad_line(number, f"names offset {offset}; {self.uri} has {size} bytes")
        return key, offset

    def _bad_line(self, number: int, what: str) -> FormatError:
        return FormatError(f"{self._name}: {self.idx_path}, line {number} {what}")

    def _end_of_records(self) -> int:
        """Read the index, and find where the last record that it has ends; 0 if there is none."""
        if not can_go_on(self.uri):
            return 0
        source = open_source(self.uri)
        try:
            if source.size() == 0 and not can_go_on(self.idx_path):
                return 0
            self._read_index(source)
            end = 0
            if self.keys:
                end = read_record(source, self._furthest, f"{self._name}.open")[1]
            if next_record(source, end + 4) < source.size():
                raise FormatError(
                    f"{self._name}.open: {self.uri} has records behind offset {end} that "
                    f"{self.idx_path} has not; only one, whose writing was cut short, could be lost"
                )
            return end
        finally:
            source.close()
