"""Texts in files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write"]


def write(fname: str | os.PathLike[str], text: str) -> None:
    """Write a file beside its place and move it there.

    Raises:
      OSError: it cannot be written; its `filename` is `fname`.
    """
    path = Path(fname).resolve()  # a link is to stay a link
    try:
        _replace(path, text)
    except OSError as error:
        if error.errno is None:
            raise
        # Its own file name, if it has one, is that of a draft that nobody knows of.
        raise OSError(error.errno, error.strerror, os.fspath(fname)) from error


def _replace(path: Path, text: str) -> None:
    # Not by `tempfile`, whose files nobody else may read.
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # without it the new name may be lost with the power
    finally:
        os.close(folder)
