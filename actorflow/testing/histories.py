"""Recorded runs against the promises of their consistency model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actorflow.kvstore.checker import check
from actorflow.kvstore.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actorflow.kvstore.consistency import Consistency
    from actorflow.kvstore.history import Happened

__all__ = ["check_history"]

_SHOWN = 20


def check_history(
    history: History | Iterable[Happened] | str | os.PathLike[str],
    model: Consistency | str,
    by_key: Mapping[int | str, Consistency | str] | None = None,
) -> None:
    """Check that a run of a KVStore has kept what its consistency model promises.

    The rules are in the guide to the KVStore's design, and with `actorflow.kvstore.checker.check`,
    which gives complaints instead of raising.

    Args:
      history: what happened, or the name of a file of JSON lines that `History.save` wrote.
      model: of all keys: "sequential", "bounded:N", "eventual" or a store's name like "dist_ssp:2".
      by_key: the models of single keys.

    Raises:
      AssertionError: it has not; the message names the events.
      FormatError: the file is no history.
      ParameterError: there is no such model.
    """
    if isinstance(history, str | os.PathLike):
        history = History.load(history)
    complaints = check(history, model, by_key)
    if complaints:
        shown = "\n".join(complaints[:_SHOWN])
        more = len(complaints) - _SHOWN
        rest = f"\nand {more} more" if more > 0 else ""
        raise AssertionError(f"check_history: not {model}:\n{shown}{rest}")
