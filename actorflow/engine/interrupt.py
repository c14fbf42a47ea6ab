"""Ctrl-C never strikes in the middle of the engine's own work.

Python raises KeyboardInterrupt in the main thread between any two instructions, also between taking
a lock and the `try` that would release it. So while the innermost code that is not the user's is
the engine's, the interrupt is put off: a push raises it at its end, and the handler has the signal
sent again a moment later, for all else. Waits and users' functions are interrupted at once.

trio has a way of its own for the same, which is told of the engine's functions; an asyncio loop
started by `asyncio.run` before the engine keeps its own handler.
"""

from __future__ import annotations

import _thread
import signal
import threading
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType

__all__ = [
    "OPEN",
    "PENDING",
    "call_open",
    "install",
    "protect_under_trio",
    "raise_pending",
]

_HERE: Final = str(Path(__file__).parent)

# Signals that were put off: not empty is a reason for `raise_pending`.
PENDING: Final[list[int]] = []

# Functions of the engine that wait or call the user's code: they may be interrupted.
OPEN: Final[set[CodeType]] = set()


def call_open(fn: Callable[[], Any]) -> Any:  # noqa: ANN401 -- what the user's function returns
    """Call a function that may be interrupted."""
    return fn()


OPEN.add(call_open.__code__)

_DELAY: Final = 0.0005  # seconds; the engine's own work takes microseconds


def _send_again(number: int) -> None:
    """Send the main thread a signal a moment later, if it is still due. In a thread of its own."""
    sleep(_DELAY)
    main = threading.main_thread().ident
    if PENDING and main is not None:
        signal.pthread_kill(main, number)


def raise_pending() -> None:
    """Raise an interrupt that was put off, if this is the thread that it was meant for."""
    if threading.current_thread() is threading.main_thread() and PENDING:
        PENDING.clear()
        raise KeyboardInterrupt


class _Handler:
    """A handler of SIGINT like Python's own, but for putting it off."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        step = frame
        while step is not None and step.f_code not in OPEN:
            if step.f_code.co_filename.startswith(_HERE):
                PENDING.append(number)
                _thread.start_new_thread(_send_again, (number,))
                return
            step = step.f_back
        PENDING.clear()
        signal.default_int_handler(number, frame)

    # trio puts its own handler in the place of Python's, and may in that of this one, too.
    def __eq__(self, other: object) -> bool:
        return other is signal.default_int_handler or other is self

    def __hash__(self) -> int:
        return hash(signal.default_int_handler)


_handler: Final = _Handler()
_protected = False


def install() -> None:
    """Put interrupts off from now on, if this is the main thread and nobody else handles them."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _handler)


def protect_under_trio(functions: Iterable[Any]) -> None:
    """Have trio put interrupts off in these functions, once."""
    global _protected  # noqa: PLW0603 -- it marks functions, of which there is one set
    if not _protected:
        _protected = True
        import trio  # noqa: PLC0415 -- running already

        for function in functions:
            trio.lowlevel.enable_ki_protection(function)
