"""From a list of images to a record file, by several threads, and restartable.

The result grows in `x.rec.partial` and `x.idx.partial` and gets its names when it is whole.
`x.rec.state` says which list and which options it is for; a run that finds one of its own goes on
behind the last record that the index has. Records come in the order of the list, whatever the
number of threads, so that an interrupted run gives the same bytes as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from actorflow.cli.progress import progress_bar
from actorflow.errors import FormatError
from actorflow.recordio import (
    MAX_PIXELS,
    IRHeader,
    ListEntry,
    MXIndexedRecordIO,
    decode_image,
    encode_image,
    opencv,
    pack,
    read_all,
    read_jpeg,
    read_list,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

__all__ = ["Packing", "make_record", "pack_list"]

_COMPONENTS: Final = {1: (3,), 0: (1,), -1: (1, 3)}  # of a JPEG, by `Packing.color`
_CHUNK: Final = (
    4  # images that a thread makes at a time, since waking it takes as long as a small one
)
_WINDOW: Final = 2  # chunks per thread that may be waiting for the one before them
_STATE_VERSION: Final = 2


@attrs.frozen(kw_only=True)
class Packing:
    """What decides, together with the list, what is in a record file."""

    root: str
    resize: int = 0  # pixels of the shorter side; 0 leaves the size
    center_crop: bool = False
    quality: int = 95
    color: int = 1  # as `iscolor` of `decode_image`
    encoding: str = ".jpg"
    pass_through: bool = False
    reencode: bool = False
    pack_label: bool = False


def make_record(entry: ListEntry, options: Packing) -> bytes:
    """The record of one line of a list.

    Raises:
      FormatError: the image is damaged, or of a kind that the encoding does not have.
      OSError: it cannot be read.
      MissingExtraError: OpenCV is missing.
    """
    data = read_all(f"{options.root}/{entry.path}")
    several = options.pack_label and len(entry.labels) > 1
    label = list(entry.labels) if several else entry.labels[0]
    header = IRHeader(0, label, entry.number, 0)
    if options.pass_through:
        return pack(header, data)
    if _fits_already(data, options):
        return pack(header, data)
    pixels = decode_image(data, options.color, min_side=options.resize)
    if options.center_crop:
        pixels = _center(pixels)
    if options.resize:
        pixels = _resize(pixels, options.resize)
    try:
        return pack(header, encode_image(pixels, options.quality, options.encoding))
    except TypeError as error:  # transparency or 16 bits, kept by --color -1
        raise FormatError(str(error)) from error


def pack_list(
    path: Path, options: Packing, *, threads: int, nsplit: int = 1, part: int = 0, progress: bool
) -> int:
    """Pack the images of a list; return how many were left out because they cannot be read.

    Args:
      path: the list.
      options: what to make of each image.
      threads: how many images to work on at a time.
      nsplit: into how many record files the list is split.
      part: which of them to make.
      progress: whether to show a progress bar.

    Raises:
      FormatError: the list is damaged or has a number twice, or no image could be read.
      OSError: the result cannot be written.
      MissingExtraError: OpenCV is missing.
    """
    entries = _entries(path)
    stem = path.with_suffix("")
    if nsplit > 1:
        stem = Path(f"{stem}.part{part:03d}")
        entries = entries[len(entries) * part // nsplit : len(entries) * (part + 1) // nsplit]
    version = "none"
    if not options.pass_through:
        cv2 = opencv("im2rec")
        cv2.setNumThreads(1)  # images side by side are faster than threads within one
        version = cv2.__version__
    target = _Target(stem, _fingerprint(entries, options, version))
    if target.is_finished():
        print(f"{stem}.rec: finished before", file=sys.stderr)
        return 0
    writer, done = target.open(entries)
    skipped = done - len(writer.keys)
    with writer:
        with progress_bar(stem.name, len(entries), done, shown=progress) as step:
            for entry, record in _records(entries[done:], options, threads):
                if isinstance(record, bytes):
                    writer.write_idx(entry.number, record)
                else:
                    print(f"{path}: left out {entry.path}: {record}", file=sys.stderr)
                    skipped += 1
                step()
        writer.sync()
    if entries and skipped == len(entries):
        # More likely a wrong folder than a wrong list: an older result stays.
        raise FormatError(
            f"{path}: none of its {skipped} images could be read: {stem}.rec not made"
        )
    target.finish()
    print(f"{stem}.rec: {len(entries) - skipped} of {len(entries)} images", file=sys.stderr)
    return skipped


def _entries(path: Path) -> list[ListEntry]:
    """The list, in which every number may stand once: it will be a key."""
    entries = read_list(path)
    if len({entry.number for entry in entries}) == len(entries):
        return entries
    seen: set[int] = set()
    for entry in entries:
        if entry.number in seen:
            raise FormatError(f"{path}: the number {entry.number} stands there twice")
        seen.add(entry.number)
    return entries


def _records(
    entries: Sequence[ListEntry], options: Packing, threads: int
) -> Iterator[tuple[ListEntry, bytes | Exception]]:
    """Each line with its record, or with why it has none, in the order of the list."""
    waiting: deque[Future[list[tuple[ListEntry, bytes | Exception]]]] = deque()
    pool = ThreadPoolExecutor(threads, "im2rec")
    try:
        for start in range(0, len(entries), _CHUNK):
            if len(waiting) == threads * _WINDOW:
                yield from waiting.popleft().result()
            waiting.append(pool.submit(_attempt, entries[start : start + _CHUNK], options))
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(
    entries: Sequence[ListEntry], options: Packing
) -> list[tuple[ListEntry, bytes | Exception]]:
    """The records, or why an image has none; other errors end the run."""
    made: list[tuple[ListEntry, bytes | Exception]] = []
    for entry in entries:
        try:
            made.append((entry, make_record(entry, options)))
        except (FormatError, OSError) as error:
            made.append((entry, error))
    return made


def _fingerprint(entries: Sequence[ListEntry], options: Packing, codec: str) -> str:
    """What a state file holds: everything that decides the result, but for the images."""
    digest = hashlib.sha256(repr([tuple(entry) for entry in entries]).encode(errors="replace"))
    state = {
        "version": _STATE_VERSION,
        "list": digest.hexdigest(),
        "codec": codec,
        **attrs.asdict(options),
    }
    return json.dumps(state, sort_keys=True) + "\n"


class _Target:
    """The files of one result, and how far they are."""

    def __init__(self, stem: Path, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._rec, self._idx = Path(f"{stem}.rec"), Path(f"{stem}.idx")
        self._rec_partial, self._idx_partial = (
            Path(f"{stem}.rec.partial"),
            Path(f"{stem}.idx.partial"),
        )
        self._state = Path(f"{stem}.rec.state")

    def is_finished(self) -> bool:
        """Whether a run with this fingerprint was finished, but for the names of its files."""
        if not self._is_ours() or self._idx_partial.exists():
            return False
        self.finish()
        return True

    def finish(self) -> None:
        """Give the files their names, the index first: see `is_finished`."""
        for partial, name in ((self._idx_partial, self._idx), (self._rec_partial, self._rec)):
            if partial.exists():
                partial.replace(name)
        self._state.unlink()

    def open(self, entries: Sequence[ListEntry]) -> tuple[MXIndexedRecordIO, int]:
        """The record file to be written, and how many lines of the list are done."""
        if self._is_ours():
            try:
                return self._go_on(entries)
            except FormatError as error:
                print(f"{self._rec}: begins again: {error}", file=sys.stderr)
        elif self._state.exists():
            what = "an unfinished file of another list, other options or another version of OpenCV"
            print(f"{self._rec}: begins again, in place of {what}", file=sys.stderr)
        self._state.unlink(missing_ok=True)
        writer = MXIndexedRecordIO(self._idx_partial, self._rec_partial, "w")
        # Last: until it is there, the files are no one's.
        temporary = Path(f"{self._state}.new")
        temporary.write_text(self._fingerprint, encoding="utf-8")
        temporary.replace(self._state)
        return writer, 0

    def _is_ours(self) -> bool:
        return self._state.exists() and self._state.read_text(encoding="utf-8") == self._fingerprint

    def _go_on(self, entries: Sequence[ListEntry]) -> tuple[MXIndexedRecordIO, int]:
        writer = MXIndexedRecordIO(self._idx_partial, self._rec_partial, "a")
        if not writer.keys:
            return writer, 0
        # Images that could not be read have no key, so the number of keys does not say it.
        places = {entry.number: place for place, entry in enumerate(entries)}
        done = places.get(writer.keys[-1], -1) + 1
        if done < len(writer.keys):
            writer.close()
            raise FormatError(f"{self._idx_partial} does not fit the list")
        print(f"{self._rec}: goes on behind {done} of {len(entries)} images", file=sys.stderr)
        return writer, done


def _fits_already(data: bytes, options: Packing) -> bool:
    """Whether an image may be taken as it is, since encoding it again would only lose.

    That is a plain JPEG, upright, of the colours and the size that are asked for, and not finer
    than the quality that is. What `read_jpeg` does not take is for the decoder to judge.
    """
    if options.reencode or options.encoding != ".jpg":
        return False
    try:
        found = read_jpeg(data)
    except FormatError:
        return False
    side = min(found.height, found.width)
    return (
        found.components in _COMPONENTS[options.color]
        and found.orientation == 1
        and found.quality <= options.quality
        and options.resize in {0, side}
        and not (options.center_crop and found.height != found.width)
        and found.height * found.width <= MAX_PIXELS
    )


def _center(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The square in the middle."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _resize(pixels: np.ndarray[Any, Any], shorter: int) -> np.ndarray[Any, Any]:
    """The whole image, with `shorter` pixels on its shorter side."""
    cv2 = opencv("im2rec")
    height, width = pixels.shape[:2]
    side = min(height, width)
    size = (width * shorter // side, height * shorter // side)
    if size[0] * size[1] > MAX_PIXELS:  # a strip of one pixel grows without bounds
        raise FormatError(
            f"--resize {shorter} would make {size[1]} x {size[0]} pixels of {height} x {width}; "
            f"at most {MAX_PIXELS} are allowed"
        )
    if size == (width, height):
        return pixels
    # From less than half the pixels on, the mean of an area avoids patterns that are not in the
    # picture. It takes five times as long, and a JPEG comes from its decoder at less than twice
    # the size.
    method = cv2.INTER_AREA if 2 * shorter <= side else cv2.INTER_LINEAR
    resized: np.ndarray[Any, Any] = cv2.resize(pixels, size, interpolation=method)
    return resized
