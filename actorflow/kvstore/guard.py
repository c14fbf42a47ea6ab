"""A process above each rank, which ends the rank when whoever started it is gone.

The launcher holds the other end of its standard input. When that closes, because the launcher wants
it or because it was killed, on this machine or across ssh, the guard ends the rank with all that it
has started: SIGTERM, then SIGKILL. Only the standard library, so that it starts quickly as a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]

_PR_SET_PDEATHSIG: Final = 1
_NOT_FOUND: Final = 127  # what shells give for a program that is not there
_SIGNALLED: Final = 128  # and, added to its number, for a signal


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command until it exits, or until standard input ends.

    Args:
      argv: seconds between SIGTERM and SIGKILL, then the command; None for this process's words.

    Returns:
      The command's exit status; 128 and the signal's number if one killed it, 127 if there is no
      such program.
    """
    words = sys.argv[1:] if argv is None else argv
    grace, command = float(words[0]), words[1:]
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _note)
    try:
        rank = subprocess.Popen(  # noqa: S603 -- what the user asked for
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_dies_with_parent(),  # noqa: PLW1509 -- there are no threads here
        )
    except OSError as error:
        sys.stderr.write(f"actorflow: cannot run {command[0]}: {error.strerror}\n")
        return _NOT_FOUND
    _wait(rank.pid, wake, grace)
    _signal(rank.pid, signal.SIGKILL)  # what it has left behind; not reaped yet, so it is its group
    status = rank.wait()
    return status if status >= 0 else _SIGNALLED - status


def _wait(pid: int, wake: int, grace: float) -> None:
    """Return when the process has exited or was given SIGKILL."""
    deadline: float | None = None
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        timeout = None if deadline is None else deadline - time.monotonic()
        if timeout is not None and timeout <= 0:
            return
        inputs = [wake] if deadline is not None else [wake, 0]
        ready, _, _ = select.select(inputs, [], [], timeout)
        ending = 0 in ready and not os.read(0, 4096)
        if wake in ready:
            ending |= any(number != signal.SIGCHLD for number in os.read(wake, 4096))
        if ending and deadline is None:
            deadline = time.monotonic() + grace
            _signal(pid, signal.SIGTERM)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # none left that we may signal
        os.killpg(pid, number)


def _dies_with_parent() -> Callable[[], None] | None:
    """For Linux: what a child calls to be killed when the guard itself is killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    guard = os.getpid()

    def call() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:  # it was killed before the call
            os._exit(1)

    return call


def _note(_number: int, _frame: object) -> None:
    """The number comes through the wakeup descriptor."""


if __name__ == "__main__":
    sys.exit(main())
