"""Words of error messages: what somebody passed, and which name was meant."""

from __future__ import annotations

import difflib
import reprlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["described", "meant"]


def described(value: object) -> str:
    """What a user passed, in a few words.

    Arrays are told by type and shape: their elements would fill the screen, and those of a lazy
    array may not be there yet, so that an error would wait for them.
    """
    kind = type(value).__name__
    article = "an" if kind.lower().startswith(("a", "e", "i", "o", "u", "nd")) else "a"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{article} {kind} of shape {shape}"
    plain = str | int | float | complex | None
    if isinstance(value, list | tuple) and not all(isinstance(each, plain) for each in value):
        return f"{article} {kind} of {len(value)}"
    return reprlib.repr(value)


def meant(name: str, known: Collection[str]) -> str:
    """Which of some names one that is none of them may stand for: near ones, or all of them."""
    near = difflib.get_close_matches(str(name), known, 3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(known)}" if known else "there are none"
