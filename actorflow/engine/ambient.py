"""What surrounds an operation: the current engine, the worker, and the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback
from contextvars import ContextVar
from typing import TYPE_CHECKING

from actorflow.engine import blas
from actorflow.errors import ForkedEngineError

if TYPE_CHECKING:
    from actorflow.engine.base import Engine
    from actorflow.engine.operation import Operation
    from actorflow.engine.worker import Runner

__all__ = ["current_engine", "current_operation", "default_engine", "prioritised"]

# The engine of the innermost block around this task, or of the worker that runs this thread.
engine_here: ContextVar[Engine | None] = ContextVar("actorflow_engine", default=None)
# The asynchronous operation whose task this is.
operation_of_task: ContextVar[Operation | None] = ContextVar("actorflow_operation", default=None)


class _Thread(threading.local):
    worker: Runner | None = None
    priority: int = 0  # of operations that are pushed without one


here = _Thread()

_default: Engine | None = None
_default_lock = threading.RLock()  # a finalizer may come by while the engine is made


def current_engine() -> Engine:
    """The engine that new operations go to.

    That is the engine of the innermost `with` or `async with` block, inside an operation the engine
    that runs it, and otherwise the default engine. A thread that is started inside a block
    is outside of it: pass it the engine, or a copy of the context.

    Raises:
      EngineClosedError, EngineError: the engine of the block was closed, or broke.
    """
    engine = engine_here.get()
    if engine is None:
        return default_engine()
    if engine._stopped is not None:
        engine._refuse()
    return engine


def default_engine() -> Engine:
    """The engine of scripts: started at first use, closed at the end of the process.

    A process that was forked gets a fresh one.
    """
    global _default  # noqa: PLW0603 -- the one default
    engine = _default
    if engine is None or engine._stopped is not None:
        from actorflow.engine.base import Engine  # noqa: PLC0415 -- it needs this module

        with _default_lock:
            engine = _default
            if engine is None or engine._stopped is not None:
                made = Engine()  # type: ignore[abstract]
                engine = _default
                if engine is None or engine._stopped is not None:
                    engine = _default = made
    return engine


def current_operation() -> Operation | None:
    """The operation inside which this code runs, or None."""
    worker = here.worker
    if worker is not None:
        # A finalizer or a signal handler may strike before an operation that was taken begins, or
        # after its function has returned: this thread has it in hand all the same.
        operation = worker.operation or worker.handed
        if operation is not None:
            return operation
    return operation_of_task.get()


class prioritised:  # noqa: N801 -- used like a function
    """A block in which operations that are pushed without a priority get this one.

    For code that hands on the work of others, such as an update rule, which knows of no priority.
    It holds for this thread, so there must be no `await` inside.

    Args:
      priority: higher goes first where the engine's policy looks at it.
    """

    __slots__ = ("_before", "_priority")

    def __init__(self, priority: int) -> None:
        self._priority = priority

    def __enter__(self) -> None:
        self._before = here.priority
        here.priority = self._priority

    def __exit__(self, *_: object) -> None:
        here.priority = self._before


def enter_worker(engine: Engine, worker: Runner) -> None:
    """This thread is a worker's from now on."""
    here.worker = worker
    engine_here.set(engine)


def close_default_engine(*, cancel: bool = False) -> None:
    """Wait for the default engine's work and close it; a later use starts a fresh one.

    Args:
      cancel: skip what has not started.

    Raises:
      ExceptionGroup: the failures that nobody was told of.
    """
    engine = _default
    if engine is not None and engine._stopped is None:
        engine.close(cancel=cancel)


def _after_fork_in_child() -> None:
    """The threads of all engines stayed in the parent: nothing may wait for them here."""
    global _default, _default_lock  # noqa: PLW0603 -- see default_engine
    from actorflow.engine.base import engines  # noqa: PLC0415 -- it needs this module

    _default = None
    _default_lock = threading.RLock()
    blas.after_fork_in_child()
    here.worker = None
    engine_here.set(None)
    for engine in list(engines):
        if engine._stopped is None:
            message = (
                "this engine was started before the process was forked and its workers stayed in "
                "the parent: use a fresh engine here, or start processes by spawn or forkserver"
            )
            engine._stopped = ForkedEngineError(message)
        engine._after_fork_in_child()


def _at_exit() -> None:
    try:
        # A script that died, or was interrupted, does not want the rest of its work any more.
        died = getattr(sys, "last_value", None) is not None and not hasattr(sys, "ps1")
        close_default_engine(cancel=died)
    except BaseException as error:  # noqa: BLE001 -- nobody is left to raise it to
        traceback.print_exception(error)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
