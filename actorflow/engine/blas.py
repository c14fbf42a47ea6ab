"""BLAS libraries bring threads of their own: workers times those must not exceed the cores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BlasLimit", "after_fork_in_child"]

_wanted: Final[list[BlasLimit]] = []  # the limits in force: the smallest holds
_controller: Any = None  # threadpoolctl's view of the libraries in this process
_restore: Callable[[], None] | None = None
_changed: Final[list[None]] = []  # not empty: `_wanted` has changed since the libraries were told
_lock = threading.Lock()


class BlasLimit:
    """A wish that one BLAS call should use at most so many threads, while it is applied."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def apply(self) -> None:
        """Put it in force, once."""
        if self not in _wanted:
            _wanted.append(self)
            _update()

    def lift(self) -> None:
        """Take it back; with the last one the libraries get back what they had."""
        if self in _wanted:
            _wanted.remove(self)
            _update()


def _update() -> None:
    """Tell the libraries, or leave it to whoever is at it: a finalizer must not wait here."""
    _changed.append(None)
    while _changed and _lock.acquire(blocking=False):
        try:
            _changed.clear()
            _tell_libraries()
        finally:
            _lock.release()


def _tell_libraries() -> None:
    global _controller, _restore  # noqa: PLW0603 -- BLAS has one setting per process
    if _restore is not None:
        _restore()
        _restore = None
    limits = [wish.threads for wish in list(_wanted)]
    if limits:
        if _controller is None:
            import threadpoolctl  # noqa: PLC0415 -- takes time, and only workers need it

            _controller = threadpoolctl.ThreadpoolController()
        _restore = _controller.limit(limits=min(limits), user_api="blas").restore_original_limits


def after_fork_in_child() -> None:
    """Another thread of the parent may have been in the middle of it."""
    global _lock  # noqa: PLW0603 -- a copied lock may be held by nobody
    _lock = threading.Lock()
    _wanted.clear()
