"""Operations: the messages that the engine sends to resources."""

from __future__ import annotations

import contextlib
import linecache
import sys
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from actorflow.errors import ActorflowError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import FrameType, TracebackType

    from actorflow.engine.base import Engine
    from actorflow.engine.parts import Access
    from actorflow.engine.resource import Accessible, Link
    from actorflow.engine.waiting import Waiter
    from actorflow.engine.worker import Device

__all__ = [
    "Completion",
    "Failure",
    "Operation",
    "Site",
    "capture_line",
    "describe_site",
    "make_operation",
]

Site: TypeAlias = tuple[Any, ...]  # code, instruction, code, instruction, ...

# The life of an operation. It only ever moves to a higher state.
SENT: Final = 0  # in the mailbox, not yet told to its resources
WAITING: Final = 1  # some resource, or a link, has not granted it yet
READY: Final = 2  # in its device's queue
RUNNING: Final = 3  # a worker has it, or (asynchronous) it waits for its completion
ENDED: Final = 4  # it ran; its end lies in the mailbox
DONE: Final = 5  # its resources are released and its outcome is final

STATE_NAMES: Final = ("sent", "waiting", "ready", "running", "ended", "done")

_PACKAGE = str(Path(__file__).parent.parent)


# The names of files of code that are known to lie outside of this package, or inside.
users_files: Final[set[str]] = set()
_own_files: Final[set[str]] = set()


def _is_users(file_name: str) -> bool:
    if file_name in _own_files:
        return False
    if file_name in users_files:
        return True
    own = file_name.startswith(_PACKAGE)
    (_own_files if own else users_files).add(file_name)
    return not own


class Operation:
    """One message: a function and the resources that it reads, writes, updates or uses.

    Made by `Engine.push`. The engine owns all fields; they may be looked at from anywhere.

    Attributes:
      name: the operator's name, for people.
      priority: higher goes first where the policy looks at it.
      quick: whether a task that awaits it may run it in the event loop's thread.
      nbytes: bytes counted against the engine's budget until the operation has ended.
      device: where it runs.
      reads: what it reads.
      writes: what it writes or updates.
      inherits: what it reads or updates, that is, whose errors it passes on.
      result: what its function returned, once it is done.
      failure: why it failed or was skipped, once it is done; None if it succeeded.
    """

    __slots__ = (
        "__weakref__",
        "_code",
        "_instruction",
        "device",
        "engine",
        "failure",
        "fn",
        "inherits",
        "name",
        "nbytes",
        "next_link",
        "number",
        "pending",
        "priority",
        "quick",
        "reads",
        "result",
        "state",
        "uses",
        "waiters",
        "writes",
    )

    name: str
    priority: int
    quick: bool
    nbytes: int
    device: Device
    reads: tuple[Accessible, ...]
    writes: tuple[Accessible, ...]
    inherits: tuple[Accessible, ...]
    result: Any
    failure: Failure | None
    engine: Engine
    fn: Any  # None once it has run, and for a wait
    uses: tuple[tuple[Link, int], ...] | None
    state: int
    waiters: list[Waiter] | None
    pending: int  # accesses that have not been granted to it yet
    next_link: int  # how many of `uses` it has asked for; set together with them
    number: int  # how many had arrived with it; set when it is admitted
    _code: CodeType | Site | None
    _instruction: int

    def __repr__(self) -> str:
        return f"<operation {self.name!r} {STATE_NAMES[self.state]}{describe_site(self.site)}>"

    @property
    def site(self) -> Site | None:
        """Where it was pushed, as far as that was noted; `describe_site` says it in words."""
        code = self._code
        return (code, self._instruction) if isinstance(code, CodeType) else code

    @site.setter
    def site(self, site: Site | None) -> None:
        self._code = site

    @property
    def done(self) -> bool:
        """Whether the operation has ended, in whatever way."""
        return self.state == DONE

    @property
    def predecessors(self) -> list[Operation]:
        """Whom it waits for directly. In a turn, so for policies and the engine only."""
        return list(dict.fromkeys(o for access in self._touched() for o in access._before(self)))

    @property
    def successors(self) -> list[Operation]:
        """Who waits for it directly so far. In a turn, so for policies and the engine only."""
        return list(dict.fromkeys(o for access in self._touched() for o in access._after(self)))

    def _touched(self) -> Iterator[Access]:
        for accessible in (*self.reads, *self.writes):
            yield from accessible._accesses()

    def wait(self, timeout: float | None = None) -> Any:  # noqa: ANN401 -- the function's value
        """Wait, blocking, until the operation is done; return what its function returned.

        Args:
          timeout: at most so many seconds.

        Raises:
          WouldBlockError: inside a running event loop, if it is not done: `await` it there.
          DeadlockError: called inside an operation that this one waits for.
          TimeoutError: the time is over.
          Exception: the first cause of its failure.
        """
        return self.engine.wait(self, timeout)

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait without blocking the event loop (trio or asyncio); see `wait`."""
        return self.engine.wait_async(self).__await__()

    def cancel(self) -> bool:
        """Skip the operation if it has not started; say whether it was skipped.

        What it would have written then carries `OperationCancelled`, and so do its readers.
        """
        return self.engine.cancel(self)


def make_operation(
    engine: Engine,
    fn: Callable[..., Any] | None,
    reads: tuple[Accessible, ...],
    writes: tuple[Accessible, ...],
    inherits: tuple[Accessible, ...],
    device: Device,
    priority: int,
    name: str,
    nbytes: int,
) -> Operation:
    """Make an operation that has not been sent yet.

    A function and not `Operation.__init__`, which Python 3.11 and 3.12 call much more slowly.
    """
    operation = Operation()
    operation.engine = engine
    operation.fn = fn
    operation.reads = reads
    operation.writes = writes
    operation.inherits = inherits
    operation.device = device
    operation.priority = priority
    operation.name = name
    operation.nbytes = nbytes
    operation._code = None
    operation.state = SENT
    operation.result = None
    operation.pending = 0
    operation.failure = None
    operation.waiters = None
    operation.quick = False
    operation.uses = None
    return operation


class Failure:
    """Why an operation failed: the first cause, shared by all that it made fail.

    Attributes:
      exception: what the user's function raised.
      seen: whether it was raised to anybody.
    """

    __slots__ = ("_traceback", "exception", "seen")

    def __init__(self, exception: BaseException, operation: Operation) -> None:
        self.exception = exception
        self._traceback: TracebackType | None = exception.__traceback__
        self.seen = False
        note = (
            f"actorflow: operation {operation.name!r}{describe_site(operation.site, source=True)}"
        )
        with contextlib.suppress(Exception):  # some exceptions take no note
            exception.add_note(note)

    def raise_(self) -> NoReturn:
        """Raise the cause where the caller waits."""
        self.seen = True
        # The same object may be raised often and in several threads: each starts afresh from
        # the traceback of the operation, so that it does not grow with every raise.
        raise self.exception.with_traceback(self._traceback)


class Completion:
    """How an asynchronous operation says that it is done. Its methods may be called in any thread.

    If it is dropped without a word, the operation fails instead of waiting for ever.
    """

    __slots__ = ("__weakref__", "_operation")

    def __init__(self, operation: Operation) -> None:
        # A list of one: to pop it is atomic, so of two who complete it one is told off.
        self._operation = [operation]

    def _take(self) -> Operation:
        try:
            return self._operation.pop()
        except IndexError:
            message = "an asynchronous operation was completed twice"
            raise ActorflowError(message) from None

    @property
    def done(self) -> bool:
        """Whether `succeed` or `fail` was called."""
        return not self._operation

    def succeed(self, result: Any = None) -> None:  # noqa: ANN401
        """End the operation; `result` is what awaiting it gives."""
        operation = self._take()
        operation.engine._complete(operation, result, None)

    def fail(self, exception: BaseException, *, seen: bool = False) -> None:
        """End the operation with a failure; `seen` says that somebody knows of it already."""
        operation = self._take()
        operation.engine._complete(operation, None, exception, seen=seen)

    def __del__(self) -> None:
        if self._operation:
            message = "the asynchronous operation dropped its completion without completing it"
            self.fail(EngineError(message))


def capture_line() -> Site | None:
    """Note the innermost line of the user's code, without keeping its frames alive.

    The frame that calls this is taken for the package's own.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        file_name = code.co_filename
        if file_name not in _own_files and _is_users(file_name):
            return (code, frame.f_lasti)
        frame = frame.f_back
    return None


def capture_stack() -> Site | None:
    """Note all lines of the user's code that lead here, the innermost first."""
    frame: FrameType | None = sys._getframe(2)
    site: list[Any] = []
    while frame is not None:
        code = frame.f_code
        if _is_users(code.co_filename):
            site += (code, frame.f_lasti)
        frame = frame.f_back
    return tuple(site) or None


def _line_number(code: CodeType, instruction: int) -> int:
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def describe_site(site: Site | None, *, source: bool = False, verb: str = "pushed") -> str:
    """Say in words where an operation was pushed (or `verb`); empty where that was not noted."""
    if not site:
        return ""
    parts = []
    for code, instruction in zip(site[::2], site[1::2], strict=True):
        line = _line_number(code, instruction)
        text = f"{code.co_filename}:{line}, in {code.co_name}"
        if source and (quote := linecache.getline(code.co_filename, line).strip()):
            text += f"\n    {quote}"
        parts.append(text)
    return f", {verb} at " + "\n  called from ".join(parts)
