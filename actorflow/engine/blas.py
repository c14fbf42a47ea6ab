"""BLAS libraries bring threads of their own: workers times those must not exceed the cores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BlasLimit"]

_lock: Final = threading.Lock()
_wanted: Final[list[BlasLimit]] = []  # the limits in force: the smallest holds
_controller: Any = None  # threadpoolctl's view of the libraries in this process
_restore: Callable[[], None] | None = None


class BlasLimit:
    """A wish that one BLAS call should use at most so many threads, while it is applied."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def apply(self) -> None:
        """Put it in force, once."""
        with _lock:
            if self not in _wanted:
                _wanted.append(self)
                _update()

    def lift(self) -> None:
        """Take it back; with the last one the libraries get back what they had."""
        with _lock:
            if self in _wanted:
                _wanted.remove(self)
                _update()


def _update() -> None:
    global _controller, _restore  # noqa: PLW0603 -- BLAS has one setting per process
    if _restore is not None:
        _restore()
        _restore = None
    if _wanted:
        if _controller is None:
            import threadpoolctl  # noqa: PLC0415 -- takes time, and only workers need it

            _controller = threadpoolctl.ThreadpoolController()
        limit = min(wish.threads for wish in _wanted)
        _restore = _controller.limit(limits=limit, user_api="blas").restore_original_limits
