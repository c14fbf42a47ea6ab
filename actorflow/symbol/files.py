"""Symbols from files; `json_format` has the format."""

from __future__ import annotations

import os
from pathlib import Path

from actorflow.errors import FormatError
from actorflow.symbol import json_format
from actorflow.symbol.symbol import Symbol

__all__ = ["load", "load_json"]


def load(fname: str | os.PathLike[str]) -> Symbol:
    """Read a symbol that `Symbol.save`, or MXNet from 0.5 to 1.9.1, wrote.

    Args:
      fname: the file.

    Raises:
      FormatError: not a symbol file, or damaged, or it has an operator or a parameter that is not
        known; the message names the file and the node.
      OSError: the file cannot be read.
    """
    try:
        text = Path(fname).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"{os.fspath(fname)}: this symbol file is no text: {error}"
        raise FormatError(message) from error
    return Symbol(json_format.loads(text, str(os.fspath(fname))))


def load_json(json_str: str) -> Symbol:
    """Make a symbol from the text of a file, as `Symbol.tojson` gives it.

    Raises:
      FormatError: as with `load`.
    """
    return Symbol(json_format.loads(json_str, "load_json"))
