"""A checkpoint of a run as one folder, which appears whole, and under its name, or not at all.

`<prefix>-resume/` has a folder for each checkpoint, called `00000001` and so on. In it are files,
and `manifest.jsonl`, which names them: a first line of JSON with the length and the SHA-256 of the
second, and a second one with the numbers of the run, and the length and the SHA-256 of each file.

All is written and synchronised in a folder whose name nobody looks for, which then gets its number.
So a process may be killed at any moment. Nothing that a file says is used before its length and its
sum are right, and nothing in it is code.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["KEPT", "MANIFEST", "find", "home_of", "read", "sweep", "turn", "write"]

KEPT: Final = 2
"""How many checkpoints are kept."""

MANIFEST: Final = "manifest.jsonl"

_FORMAT: Final = "actorflow run"
_VERSION: Final = 1
_MOST: Final = 1 << 28  # bytes of a manifest
_DIGITS: Final = 8


_turns: dict[Path, threading.Lock] = {}
# Another thread of the parent may have had one, which nobody would give back there.
os.register_at_fork(after_in_child=_turns.clear)


def turn(home: Path) -> threading.Lock:
    """What whoever works in a folder of checkpoints holds: a run may begin while one ends."""
    return _turns.setdefault(home, threading.Lock())


def home_of(prefix: str | os.PathLike[str]) -> Path:
    """The folder of the checkpoints of a prefix."""
    return Path(f"{os.fspath(prefix)}-resume").resolve()


def find(given: str | os.PathLike[str]) -> Path | None:
    """The checkpoint that a prefix, or a folder itself, stands for; None if there is none.

    Args:
      given: what `checkpoint` was, for the newest one, or the folder of one of them.
    """
    itself = Path(given).resolve()
    if (itself / MANIFEST).is_file():
        return itself
    steps = _steps(home_of(given))
    return steps[-1] if steps else None


def write(home: Path, numbers: Mapping[str, Any], files: Mapping[str, Iterable[Any]]) -> Path:
    """Write a checkpoint, then remove all but the last `KEPT`.

    Args:
      home: the folder of all checkpoints; made if it is not there.
      numbers: plain data.
      files: for each name the bytes, one behind the other.

    Returns:
      The folder of the new one.

    Raises:
      OSError: it cannot be written; those before are as they were.
    """
    if not home.is_dir():
        home.mkdir(parents=True)
        _synchronise(home.parent)
    steps = _steps(home)
    place = home / f"{int(steps[-1].name) + 1 if steps else 1:0{_DIGITS}d}"
    draft = _draft(home)
    draft.mkdir()
    try:
        sums = {name: _written(draft / name, chunks) for name, chunks in files.items()}
        body = json.dumps({"numbers": numbers, "files": sums}, allow_nan=False).encode()
        head = {"format": _FORMAT, "version": _VERSION, **_sum_of([body])}
        _written(draft / MANIFEST, [json.dumps(head).encode(), b"\n", body, b"\n"])
        _synchronise(draft)
        draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _synchronise(home)
    for old in steps[: -(KEPT - 1)]:
        # First its name, so that nobody finds half of it.
        shutil.rmtree(old.rename(_draft(home)))
    return place


def read(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The numbers and the files of a checkpoint.

    Raises:
      FormatError: something is missing, cut off or changed, or of another version.
      OSError: something cannot be read.
    """
    path = folder / MANIFEST
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > _MOST:
            raise FormatError(f"{path}: longer than {_MOST} bytes, and no manifest")
        head, _, body = file.read().partition(b"\n")
    said = _object(path, "the first line", head)
    if said.get("format") != _FORMAT:
        raise FormatError(f"{path}: the format is {said.get('format')!r}, and needs {_FORMAT!r}")
    if said.get("version") != _VERSION:
        got = said.get("version")
        raise FormatError(f"{path}: the version is {got!r}; this release reads {_VERSION}")
    _require(path, said, body.removesuffix(b"\n"))
    found = _object(path, "the second line", body)
    numbers, sums = found.get("numbers"), found.get("files")
    if not isinstance(numbers, dict) or not isinstance(sums, dict):
        raise FormatError(f"{path}: there are no 'numbers' or no 'files'")
    files = {}
    for name, own in sums.items():
        if Path(name).name != name or name in {"", "..", MANIFEST} or not isinstance(own, dict):
            raise FormatError(f"{path}: {name!r} is no file of a checkpoint")
        files[name] = _contents(folder / name, own)
    return numbers, files


def sweep(home: Path) -> None:
    """Remove what a process left that was killed while it wrote."""
    for each in home.glob(".*.tmp"):
        shutil.rmtree(each)


def _steps(home: Path) -> list[Path]:
    """The folders of checkpoints, the newest last."""
    if not home.is_dir():
        return []
    found = [each for each in home.iterdir() if each.name.isascii() and each.name.isdigit()]
    return sorted(found, key=lambda each: int(each.name))


def _draft(home: Path) -> Path:
    return home / f".{secrets.token_hex(8)}.tmp"


def _written(path: Path, chunks: Iterable[Any]) -> dict[str, Any]:
    """Write a file; return its length and its sum."""
    nbytes, total = 0, hashlib.sha256()
    with path.open("xb") as file:
        for each in chunks:
            file.write(each)
            total.update(each)
            nbytes += len(each)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": nbytes, "sha256": total.hexdigest()}


def _sum_of(chunks: Iterable[bytes]) -> dict[str, Any]:
    joined = b"".join(chunks)
    return {"bytes": len(joined), "sha256": hashlib.sha256(joined).hexdigest()}


def _contents(path: Path, said: Mapping[str, Any]) -> bytes:
    try:
        with path.open("rb") as file:
            nbytes = os.fstat(file.fileno()).st_size
            if nbytes != said.get("bytes"):
                raise FormatError(f"{path}: {nbytes} bytes, but the manifest has {said['bytes']}")
            data = file.read()
    except FileNotFoundError as error:
        raise FormatError(f"{path}: is not there, but the manifest names it") from error
    _require(path, said, data)
    return data


def _require(path: Path, said: Mapping[str, Any], data: bytes) -> None:
    """Raise if bytes are not those of which length and sum are given."""
    if said.get("bytes") != len(data):
        message = f"{path}: {len(data)} bytes, but there should be {said.get('bytes')!r}: cut off?"
        raise FormatError(message)
    if said.get("sha256") != hashlib.sha256(data).hexdigest():
        raise FormatError(f"{path}: damaged: its SHA-256 is not what was written down")


def _object(path: Path, what: str, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: {what} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise FormatError(f"{path}: {what} is {type(found).__name__}, and needs to be an object")
    return found


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _synchronise(folder: Path) -> None:
    """Have the names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
