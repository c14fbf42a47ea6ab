"""Lists of images, `.lst` files: what will be packed, in which order, with which labels.

A line is `number, tab, label, tab, (more labels, tab,) path`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from actorflow.errors import FormatError
from actorflow.recordio.storage import open_sink, read_all

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ListEntry", "read_list", "write_list"]

_MIN_FIELDS: Final = 3


class ListEntry(NamedTuple):
    """A line of a list."""

    number: int
    """The record's key in the index."""

    labels: tuple[float, ...]
    """At least one."""

    path: str
    """Relative to a folder that the list does not name."""


def read_list(path: str | os.PathLike[str]) -> list[ListEntry]:
    """The lines of a list; empty ones do not count.

    Args:
      path: a path, or a URL that fsspec opens.

    Raises:
      FormatError: a line is no such line; the message names it.
      OSError: the file cannot be read.
      MissingExtraError: it is a URL, and fsspec is missing.
    """
    entries = []
    name = os.fspath(path)
    for number, line in enumerate(read_all(name).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = line.decode().strip("\r\n").split("\t")
            if len(fields) < _MIN_FIELDS or not fields[-1].strip():
                raise ValueError(f"{len(fields)} fields")  # noqa: TRY301 -- told below
            labels = tuple(float(field) for field in fields[1:-1])
            entries.append(ListEntry(int(fields[0]), labels, fields[-1].strip()))
        except ValueError as error:
            shown = line[:80].decode(errors="replace").strip()
            raise FormatError(
                f"read_list: {name}, line {number} is {shown!r}; needs a number, labels and a "
                "path with tabs between them"
            ) from error
    return entries


def write_list(path: str | os.PathLike[str], entries: Iterable[ListEntry]) -> None:
    """Write a list that `read_list` and MXNet read.

    Args:
      path: a path, or a URL that fsspec opens.
      entries: the lines.

    Raises:
      ValueError: a path has a tab or a line's end in it, or is not in UTF-8; nothing is written.
      OSError: the file cannot be written.
    """
    lines = []
    for number, labels, name in entries:
        if any(sign in name for sign in "\t\r\n"):
            raise ValueError(f"write_list: the path {name!r} has a tab or a line's end in it")
        lines.append("\t".join([str(number), *(f"{label:f}" for label in labels), name]) + "\n")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"write_list: the path {name!r} is not in UTF-8, as lists are"
            ) from None
    content = "".join(lines).encode()
    sink = open_sink(os.fspath(path))
    try:
        sink.write(content)
    finally:
        sink.close()
