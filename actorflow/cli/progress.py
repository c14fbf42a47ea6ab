"""How far a long job is, on the terminal: by rich, which comes with the extra `images`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(name: str, total: int, done: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Show a bar while the block runs; the block calls what it gets after each step.

    Args:
      name: what is being done.
      total: how many steps it has.
      done: how many were done before.
      shown: whether to show anything.
    """
    if not shown:
        yield _nothing
        return
    try:
        from rich import progress  # noqa: PLC0415 -- an extra
        from rich.console import Console  # noqa: PLC0415
    except ImportError:
        hint = "no progress bar without rich: pip install 'actorflow[images]'"
        print(f"{name}: {hint}", file=sys.stderr)
        yield _nothing
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total, completed=done)
        yield lambda: bar.advance(task)


def _nothing() -> None:
    """Nobody wants to know."""
