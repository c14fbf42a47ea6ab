"""Files that appear whole, in place of older ones, or not at all."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write a file beside its place and move it there: it appears whole, or not at all.

    Args:
      path: its place.
      chunks: what is in it, one behind the other.

    Raises:
      OSError: it cannot be written.
    """
    # Not by `tempfile`, whose files nobody else may read.
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("xb") as file:
            file.writelines(chunks)
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
