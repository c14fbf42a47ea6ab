"""The processes that run users' functions beside this one."""

from __future__ import annotations

import os
import threading
from concurrent.futures import BrokenExecutor, Future
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ProcessPoolExecutor

    from actorflow.ops import Memory, Shape

__all__ = ["submit"]

_ADVICE = (
    "a process for run_in='process' ended before its function did. Each of them imports the "
    "program's main module first: what a script does has to stand under "
    '`if __name__ == "__main__":`'
)


def _start() -> ProcessPoolExecutor:
    # Only who uses processes pays for importing what they take.
    import multiprocessing  # noqa: PLC0415
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    return ProcessPoolExecutor(
        max_workers=max(len(os.sched_getaffinity(0)), 2),
        # A fork would copy the locks of the engine's threads as they are just now.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=threadpoolctl.threadpool_limits,
        initargs=(1,),
    )


class _Pool:
    """The processes, started when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        with self._lock:
            if self._executor is None:
                self._executor = _start()
            executor = self._executor
        try:
            return executor.submit(function, *arguments)
        except BrokenExecutor:
            self.forget(executor)
            return self.submit(function, *arguments)

    def forget(self, executor: ProcessPoolExecutor | None = None) -> None:
        """Start afresh next time: the processes are broken, or belong to this one's parent."""
        if executor is None:
            self._lock = threading.Lock()
            self._executor = None
            return
        with self._lock:
            if self._executor is executor:
                self._executor = None


_pool = _Pool()
os.register_at_fork(after_in_child=_pool.forget)


def submit(
    function: Callable[..., Any], inputs: list[Memory], blank: list[tuple[Shape, str]] | None
) -> Future[Any]:
    """Call a function in another process.

    Args:
      function: what to call; importable by its name.
      inputs: its first arguments; they may change as soon as the future is done.
      blank: shapes and data types of arrays that the function takes last and fills, or None if it
        returns its results.

    Returns:
      A future of what it returns, or of a tuple of the arrays that it filled.
    """
    result: Future[Any] = Future()

    def done(inner: Future[Any]) -> None:
        error = inner.exception()
        if isinstance(error, BrokenExecutor):
            error = RuntimeError(_ADVICE)
        if error is None:
            result.set_result(inner.result())
        else:
            result.set_exception(error)

    _pool.submit(_call, function, inputs, blank).add_done_callback(done)
    return result


def _call(
    function: Callable[..., Any], inputs: list[Memory], blank: list[tuple[Shape, str]] | None
) -> Any:  # noqa: ANN401
    """Call the function; in the other process."""
    for each in inputs:
        each.flags.writeable = False
    if blank is None:
        return function(*inputs)
    outputs = tuple(np.zeros(shape, dtype) for shape, dtype in blank)
    result = function(*inputs, *outputs)
    if result is not None:
        raise TypeError(
            f"{getattr(function, '__name__', function)}: with fills=True it returns None, but it "
            f"returned a {type(result).__name__}"
        )
    return outputs
