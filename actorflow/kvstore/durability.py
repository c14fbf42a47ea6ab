"""A server's log on disk or in shared memory, its snapshots, and recovery from both.

::

    lock                       held by the process whose folder it is
    snapshot-0000000000000003  what the server knew when the log of that number began
    log-0000000000000003       the events since then

A snapshot is written under another name and renamed, so it is there whole or not at all. Then the
next log begins, and what came before is deleted. A process that is killed loses nothing that it
has appended, because the system has it; a machine that fails loses what was not synchronized, so
`fsync=True` is for those who fear that.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from actorflow.errors import EngineError, FormatError
from actorflow.kvstore.core import Event, ServerCore
from actorflow.kvstore.members import Worker
from actorflow.kvstore.records import Record, Torn, encode, file_header, read_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from actorflow.kvstore.core import Key
    from actorflow.kvstore.records import Array

__all__ = ["Journal", "Recovered", "event_of", "record_of", "restore", "snapshot_of"]

_DIGITS = 16
MIN_LOG = 64 << 20
"""Bytes of a log below which no snapshot is worth its time."""


@attrs.frozen
class Recovered:
    """What a folder had.

    Attributes:
      snapshot: the records of the last snapshot; none if there never was one.
      records: what was appended since, in order.
      torn: the record that was being written when the process died, and which was dropped; it had
        not been acknowledged. None if the log ended well.
    """

    snapshot: tuple[Record, ...]
    records: tuple[Record, ...]
    torn: Torn | None


class Journal:
    """The log of one server, for one process at a time.

    Arrays in `recovered` are views of the files, read when they are looked at. Call `close`, or use
    it in a `with` statement.

    Args:
      folder: made if it is not there. In /dev/shm it costs memory and no disk, and survives the
        process; on a disk it survives the machine.
      fsync: whether `append` returns only when the disk has it.

    Raises:
      FormatError: a file is damaged before its end, or missing.
      BlockingIOError: another process has the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], *, fsync: bool = False) -> None:
        self.folder = Path(folder)
        self.fsync = fsync
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.folder)
        self._file = -1
        try:
            self._number = max(_numbers(self.folder, "snapshot"), default=0)
            self.recovered, self._size = self._recover()
            self._snapshot_size = self._snapshot_path().stat().st_size if self._number else 0
            self._file = self._open_log(self._size)
            self._clean()
        except BaseException:
            self.close()
            raise

    @property
    def nbytes(self) -> int:
        """The size of the log since the last snapshot."""
        return self._size

    @property
    def is_snapshot_due(self) -> bool:
        """Whether the log has 4 times the bytes of the last snapshot, and 64 MB at least."""
        return self._size > max(MIN_LOG, 4 * self._snapshot_size)

    def append(self, *records: Record) -> None:
        """Append records; when it returns, they survive this process.

        If it fails, as on a full disk, none of them is in the log.

        Raises:
          OSError: the system did not take them.
          DTypeError: an array has no numbers.
          EngineError: the journal is closed, or could not be repaired after an error before.
        """
        if self._file < 0:
            raise EngineError(f"{self.folder}: the journal is closed")
        pieces = [piece for record in records for piece in encode(record)]
        try:
            written = _write(self._file, pieces)
            if self.fsync:
                os.fdatasync(self._file)
        except BaseException:
            self._repair()
            raise
        self._size += written

    def snapshot(self, records: Iterable[Record]) -> None:
        """Save all that a server knows, and begin a new log.

        If it fails before the snapshot has its name, the log goes on as if nothing had been asked.

        Raises:
          OSError: the system did not take it.
        """
        if self._file < 0:
            raise EngineError(f"{self.folder}: the journal is closed")
        number = self._number + 1
        partial = self._path("snapshot", number).with_suffix(".partial")
        count = size = 0
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            size += _write(file, [file_header(number)])
            for record in records:
                size += _write(file, encode(record))
                count += 1
            size += _write(file, encode(Record({"end": count})))
            # Also without fsync: what it replaces is about to be deleted.
            os.fdatasync(file)
        finally:
            os.close(file)
        partial.rename(self._path("snapshot", number))
        _sync_folder(self.folder)
        self._number, self._snapshot_size = number, size
        os.close(self._file)
        self._file = -1  # stays so if the next line fails: then nothing can be acknowledged
        self._file = self._open_log(0)
        self._clean()

    def close(self) -> None:
        """Let go of the folder. Closing again does nothing."""
        for name in ("_file", "_lock"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _path(self, kind: str, number: int) -> Path:
        return self.folder / f"{kind}-{number:0{_DIGITS}}"

    def _snapshot_path(self) -> Path:
        return self._path("snapshot", self._number)

    def _recover(self) -> tuple[Recovered, int]:
        """What the folder has, and how much of the log is good."""
        number = self._number
        later = [each for each in _numbers(self.folder, "log") if each > number]
        if later:
            raise FormatError(f"{self.folder}: log {later[0]} is there without its snapshot")
        snapshot: list[Record] = []
        if number:
            path = self._snapshot_path()
            found = list(read_records(_mapped(path), number, str(path)))
            last = found[-1] if found else None
            if not isinstance(last, Record) or last.plain != {"end": len(found) - 1}:
                raise FormatError(f"{path}: the snapshot does not end as one does")
            snapshot = [each for each in found[:-1] if isinstance(each, Record)]
        path = self._path("log", number)
        data = _mapped(path) if path.exists() else memoryview(b"")
        read = list(read_records(data, number, str(path)))
        records = tuple(each for each in read if isinstance(each, Record))
        torn = next((each for each in read if isinstance(each, Torn)), None)
        size = torn.offset if torn is not None else len(data)
        return Recovered(tuple(snapshot), records, torn if len(data) else None), size

    def _open_log(self, size: int) -> int:
        """The current log, cut after its good records, as a file to append to."""
        file = os.open(
            self._path("log", self._number),
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        os.ftruncate(file, size)
        self._size = size or _write(file, [file_header(self._number)])
        if self.fsync:
            os.fdatasync(file)
            _sync_folder(self.folder)
        return file

    def _clean(self) -> None:
        """Delete what the last snapshot has made superfluous."""
        for kind in ("log", "snapshot"):
            for number in _numbers(self.folder, kind):
                if number < self._number:
                    self._path(kind, number).unlink()
        for path in self.folder.glob("snapshot-*.partial"):
            path.unlink()

    def _repair(self) -> None:
        """Cut off what a failed append has left, or never append again."""
        file, self._file = self._file, -1
        os.ftruncate(file, self._size)
        self._file = file


def record_of(event: Event) -> Record:
    """An event as the log has it."""
    plain: dict[str, Any] = {"kind": event.kind}
    if event.key is not None:
        plain["key"] = event.key
    if event.worker is not None:
        plain["worker"] = list(event.worker)
    if event.seq:
        plain["seq"] = event.seq
    if event.kind == "init":
        plain["consistency"] = event.consistency
    return Record(plain, event.value)


def event_of(record: Record) -> Event:
    """The event that `record_of` made a record of.

    Raises:
      FormatError: it is none.
    """
    plain = record.plain
    kind, key, worker = plain.get("kind"), plain.get("key"), plain.get("worker")
    seq, consistency = plain.get("seq", 0), plain.get("consistency", "")
    is_right = (
        isinstance(kind, str)
        and isinstance(key, int | str | None)
        and isinstance(seq, int)
        and isinstance(consistency, str)
    )
    if worker is not None:
        is_right = is_right and isinstance(worker, list) and len(worker) == len(Worker._fields)
        is_right = is_right and all(isinstance(number, int) for number in worker)
    if not is_right:
        raise FormatError(f"log: no event: {dict(plain)}")
    who = None if worker is None else Worker(*worker)
    return Event(str(kind), key, who, seq, consistency, record.array)


def snapshot_of(
    core: ServerCore, values: Mapping[Key, Array], extra: Mapping[str, Any] | None = None
) -> Iterator[Record]:
    """What a server knows, as records.

    Args:
      core: what it has decided.
      values: the value of each key.
      extra: plain data of the caller's, such as an optimizer's description.
    """
    plain, pending = core.to_plain()
    yield Record({"core": plain, "pending": len(pending), "extra": dict(extra or {})})
    for value in pending:
        yield Record({}, value)
    for key, value in values.items():
        yield Record({"key": key}, value)


def restore(
    recovered: Recovered, core: ServerCore
) -> tuple[ServerCore, dict[Key, Array], dict[str, Any]]:
    """What the snapshot says; the events in `recovered.records` are to be replayed after it.

    Args:
      recovered: what a folder had.
      core: a fresh one, for when there is no snapshot.

    Returns:
      The core, the value of each key, and the caller's plain data.

    Raises:
      FormatError: the snapshot is none of a server.
    """
    if not recovered.snapshot:
        return core, {}, {}
    first, *rest = recovered.snapshot
    try:
        count = first.plain["pending"]
        pending = [record.array for record in rest[:count]]
        values = {record.plain["key"]: record.array for record in rest[count:]}
        extra = dict(first.plain["extra"])
        saved = ServerCore.from_plain(first.plain["core"], pending)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"snapshot: no server's: {error!r}") from error
    return saved, {key: value for key, value in values.items() if value is not None}, extra


def _numbers(folder: Path, kind: str) -> list[int]:
    """The numbers of the files of a kind, in order."""
    names = (path.name.removeprefix(f"{kind}-") for path in folder.glob(f"{kind}-*"))
    return sorted(int(name) for name in names if len(name) == _DIGITS and name.isdecimal())


def _locked(folder: Path) -> int:
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise BlockingIOError(f"{folder}: another process has this journal") from error
    return file


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write(file: int, pieces: list[bytes | memoryview]) -> int:
    """Write all of it, however often the system takes only a part; the number of bytes."""
    views = [memoryview(piece) for piece in pieces if len(piece)]
    total = sum(len(view) for view in views)
    limit = os.sysconf("SC_IOV_MAX")
    while views:
        done = os.writev(file, views[:limit])
        while views and done >= len(views[0]):
            done -= len(views.pop(0))
        if views:
            views[0] = views[0][done:]
    return total
