"""Lists of the images in a folder, split and shuffled as MXNet's program does it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

from actorflow.recordio import ListEntry, write_list

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["find_images", "make_lists"]


def find_images(root: str, *, recursive: bool, exts: Collection[str]) -> Iterator[ListEntry]:
    """The images in a folder, in the order of their names.

    Args:
      root: the folder.
      recursive: whether to go into folders, links to folders included. Then each folder that has
        images is a label: 0 for the first one. Otherwise all have label 0.
      exts: how the names of images end, in small letters.

    Raises:
      OSError: a folder cannot be read.
    """
    number, label = 0, 0
    seen: set[str] = set()  # a link may lead back up
    for folder, folders, files in os.walk(root, onerror=_raise, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        images = [name for name in sorted(files) if os.path.splitext(name)[1].lower() in exts]  # noqa: PTH122
        for name in images:
            path = os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118
            yield ListEntry(number, (float(label),), path)
            number += 1
        label += bool(images)
        if not recursive:
            return


def make_lists(
    prefix: str,
    root: str,
    *,
    recursive: bool,
    exts: Collection[str],
    shuffle: bool,
    seed: int,
    chunks: int,
    train_ratio: float,
    test_ratio: float,
) -> list[tuple[Path, int]]:
    """Write the lists `--list` asks for; return each one's path and number of images.

    The folder of the prefix is made if it is missing.

    Raises:
      ValueError: the ratios are more than the whole, or there are no images, or fewer than lists.
      OSError: a folder cannot be read, or a list not be written.
    """
    if train_ratio + test_ratio > 1:
        raise ValueError(
            f"--train-ratio {train_ratio} and --test-ratio {test_ratio} are more than 1 together"
        )
    entries = list(find_images(root, recursive=recursive, exts=exts))
    if not entries:
        where = "in or below" if recursive else "(without --recursive) in"
        raise ValueError(f"no images {where} {root}: no name ends in {', '.join(exts)}")
    if shuffle:
        random.Random(seed).shuffle(entries)  # noqa: S311 -- an order, no secret
    if chunks > len(entries):
        raise ValueError(
            f"--chunks {chunks} of {len(entries)} images; needs an image for each list"
        )
    Path(prefix).parent.mkdir(parents=True, exist_ok=True)
    size = -(-len(entries) // chunks)
    made = []
    for index in range(chunks):
        chunk = entries[index * size : (index + 1) * size]
        stem = f"{prefix}_{index}" if chunks > 1 else prefix
        for name, part in _split(chunk, size, train_ratio, test_ratio).items():
            path = Path(f"{stem}{name}.lst")
            write_list(path, part)
            made.append((path, len(part)))
    return made


def _split(
    chunk: Sequence[ListEntry], size: int, train_ratio: float, test_ratio: float
) -> dict[str, Sequence[ListEntry]]:
    """What goes into which list, by what follows the prefix in its name."""
    if train_ratio == 1:
        return {"": chunk}
    test, train = int(size * test_ratio), int(size * train_ratio)
    parts = {"_train": chunk[test : test + train]}
    if test_ratio:
        parts["_test"] = chunk[:test]
    if train_ratio + test_ratio < 1:
        parts["_val"] = chunk[test + train :]
    return parts


def _raise(error: OSError) -> None:
    raise error
