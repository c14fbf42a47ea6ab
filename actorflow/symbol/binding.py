"""Where symbols find the executor, which lies above them and is built on them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["binder", "set_binder"]

_binders: list[tuple[Callable[..., Any], Callable[..., Any]]] = []


def set_binder(bind: Callable[..., Any], simple_bind: Callable[..., Any]) -> None:
    """Say what `Symbol.bind` and `Symbol.simple_bind` call; `actorflow.executor` does."""
    _binders[:] = [(bind, simple_bind)]


def binder() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What was said last."""
    if not _binders:
        # By its name, when it is first needed: a symbol is no reason to load executors.
        import_module("actorflow.executor")
    return _binders[0]
