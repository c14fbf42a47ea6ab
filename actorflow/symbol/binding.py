"""Where symbols find the executor, which lies above them and is built on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.errors import ActorflowError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["binder", "set_binder"]

_binders: list[tuple[Callable[..., Any], Callable[..., Any]]] = []


def set_binder(bind: Callable[..., Any], simple_bind: Callable[..., Any]) -> None:
    """Say what `Symbol.bind` and `Symbol.simple_bind` call; `actorflow.executor` does."""
    _binders[:] = [(bind, simple_bind)]


def binder() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What was said last.

    Raises:
      ActorflowError: nothing yet.
    """
    if not _binders:
        message = "to bind a symbol takes actorflow.executor: import actorflow"
        raise ActorflowError(message)
    return _binders[0]
