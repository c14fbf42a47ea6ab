"""Where symbols find the executor, which lies above them and is built on them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["binder"]


def binder(name: str) -> Callable[..., Any]:
    """`actorflow.executor`'s function of that name, which `Symbol`'s method of that name calls.

    It is found by its name, when it is first needed: what lies below imports nothing from above.
    """
    found: Callable[..., Any] = getattr(import_module("actorflow.executor"), name)
    return found
