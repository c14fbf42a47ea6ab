"""The processes of a run: started together, watched, and ended together.

Every process is a guard (`guard.py`) with the rank below it. To end a rank is to close the standard
input of its guard, which also happens when this process is killed.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = ["GRACE", "Process", "supervise"]

GRACE: Final = 5.0  # seconds between SIGTERM and SIGKILL
_PATIENCE: Final = 5.0  # seconds more, after which a guard that does not answer is killed
_LINE_MAX: Final = 1 << 20  # bytes; a longer line is cut
_TAIL: Final = 200  # lines of errors that are kept for each rank
_SIGNALLED: Final = 128
_TRACEBACK: Final = b"Traceback (most recent call last):"
_Stream: TypeAlias = io.RawIOBase
_COLOURS: Final = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91)


@attrs.frozen
class Process:
    """One process to start.

    Attributes:
      name: what its lines begin with, `worker 0`.
      essential: whether the run ends when all such processes have (workers are, servers are not).
      argv: the guard's command with the rank's behind it.
      environ: all of its variables.
    """

    name: str
    essential: bool
    argv: tuple[str, ...]
    environ: Mapping[str, str]


async def supervise(
    processes: Sequence[Process],
    *,
    grace: float = GRACE,
    colours: bool = True,
    stdout: _Stream | None = None,
    stderr: _Stream | None = None,
) -> int:
    """Run processes until all essential ones have exited, then end the others.

    A process that fails ends all, as SIGINT, SIGTERM and SIGHUP do; a second signal does not wait
    for output that nobody takes. Lines are never mixed with each other, and none is lost. The last
    lines on standard error are those of the process that failed first.

    Args:
      processes: what to start.
      grace: seconds that guards give after SIGTERM; the same as in their words.
      colours: whether names are coloured where the lines go to a terminal.
      stdout: where the lines of standard output go, without a buffer; None for this process's.
      stderr: the same for errors.

    Returns:
      0, the status of the process that failed first, or 128 and a signal's number.

    Raises:
      OSError: the lines cannot be written. All processes have been ended.
    """
    # Not through buffers: what a broken pipe leaves there would fail again at the exit.
    out = stdout or io.FileIO(sys.stdout.fileno(), "w", closefd=False)
    err = stderr or io.FileIO(sys.stderr.fileno(), "w", closefd=False)
    run = _Run(outs=(_Output.of(out, colours), _Output.of(err, colours)), grace=grace)
    run.ranks = [_Rank(process, index, run) for index, process in enumerate(processes)]
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as outer:
            outer.start_soon(run.watch, signals, outer.cancel_scope)
            async with trio.open_nursery() as nursery:
                for rank in run.ranks:
                    nursery.start_soon(rank.run)
            if run.failed is not None:
                await run.outs[1].write(run.failed.report())
            outer.cancel_scope.cancel()
    return run.status


@attrs.define(eq=False)
class _Run:
    """What all ranks share."""

    outs: tuple[_Output, _Output]
    grace: float
    ranks: list[_Rank] = attrs.field(factory=list)
    stopping: trio.Event = attrs.field(factory=trio.Event)
    failed: _Rank | None = None
    status: int = 0

    async def watch(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        """End the run at the first signal, and stop waiting for output at the second."""
        seen = 0
        async for number in signals:
            seen += 1
            if seen > 1:
                scope.cancel()
            if not self.stopping.is_set():
                self.status = _SIGNALLED + number
                self.stopping.set()

    def exited(self, rank: _Rank, status: int) -> None:
        """Decide whether the exit of a rank is the end of the run."""
        if self.stopping.is_set():
            return
        if status != 0:
            self.failed, self.status = rank, status
            self.stopping.set()
        elif all(other.done for other in self.ranks if other.process.essential):
            self.stopping.set()


@attrs.define(eq=False)
class _Rank:
    """One process while it runs. `status` is None before it has exited."""

    process: Process
    index: int
    shared: _Run
    status: int | None = None
    tail: deque[bytes] = attrs.field(factory=lambda: deque(maxlen=_TAIL))
    receiving: list[trio.CancelScope] = attrs.field(factory=list)

    @property
    def done(self) -> bool:
        return self.status is not None

    async def run(self) -> None:
        """Start it, pass on what it says, and return when it has exited."""
        pipes = [os.pipe(), os.pipe()]
        streams = [trio.lowlevel.FdStream(outer) for outer, _ in pipes]
        try:
            process = await trio.lowlevel.open_process(
                self.process.argv,
                stdin=subprocess.PIPE,
                stdout=pipes[0][1],
                stderr=pipes[1][1],
                env=self.process.environ,
                start_new_session=True,  # Ctrl-C in a terminal is for the launcher
            )
        except BaseException:
            for stream in streams:
                with trio.CancelScope(shield=True):
                    await stream.aclose()
            raise
        finally:
            for _, inner in pipes:
                os.close(inner)
        async with trio.open_nursery() as nursery:
            for stream, out in zip(streams, self.shared.outs, strict=True):
                nursery.start_soon(self._pass_on, stream, out)
            await self._until_exit(process)

    async def _until_exit(self, process: trio.Process) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop, process)
                self.status = self._reported(await process.wait())
                nursery.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                with trio.CancelScope(shield=True):
                    await self._end(process)
        for scope in self.receiving:
            scope.cancel()
        self.shared.exited(self, self.status or 0)

    async def _stop(self, process: trio.Process) -> None:
        await self.shared.stopping.wait()
        await self._end(process)

    async def _end(self, process: trio.Process) -> None:
        assert process.stdin is not None  # noqa: S101 -- for the type checker
        await process.stdin.aclose()
        with trio.move_on_after(self.shared.grace + _PATIENCE):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()

    async def _pass_on(self, stream: trio.lowlevel.FdStream, out: _Output) -> None:
        """Copy whole lines until the process has exited and nothing is left.

        Somebody whom the process has started may hold the pipe for longer than it lives, so its
        exit ends the waiting, not the end of the stream.
        """
        rest = b""
        async with stream:
            while True:
                chunk = b""
                scope = trio.CancelScope()
                self.receiving.append(scope)
                if self.done:
                    scope.cancel()
                with scope:
                    chunk = await stream.receive_some(1 << 16)
                self.receiving.remove(scope)
                if scope.cancelled_caught:
                    chunk = _read_now(stream.fileno())
                if not chunk:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LINE_MAX:
                    lines, rest = [*lines, rest], b""
                await self._say(lines, out)
        if rest:
            await self._say([rest], out)

    async def _say(self, lines: list[bytes], out: _Output) -> None:
        if out is self.shared.outs[1]:
            self.tail.extend(lines)
        begin = out.coloured(f"[{self.process.name}] ", self.index)
        await out.write(b"".join(b"%b%b\n" % (begin, line) for line in lines))

    def _reported(self, status: int) -> int:
        return status if status >= 0 else _SIGNALLED - status  # the guard itself was killed

    def report(self) -> bytes:
        """What the launcher says about a rank that has failed: its traceback, if it has one."""
        lines = list(self.tail)
        begin = next((at for at, line in enumerate(lines) if line.startswith(_TRACEBACK)), None)
        if begin is None:
            begin = max(0, len(lines) - 10)
        text = f"actorflow launch: {self.process.name} failed with {_meaning(self.status or 0)}"
        return b"\n".join([text.encode(), *lines[begin:], b""])


@attrs.define(eq=False)
class _Output:
    """A stream that many write whole lines to."""

    stream: _Stream
    colours: bool
    lock: trio.Lock = attrs.field(factory=trio.Lock)

    @classmethod
    def of(cls, stream: _Stream, colours: bool) -> _Output:  # noqa: FBT001 -- private
        return cls(stream, colours and stream.isatty() and not os.environ.get("NO_COLOR"))

    def coloured(self, text: str, index: int) -> bytes:
        if self.colours:
            text = f"\x1b[{_COLOURS[index % len(_COLOURS)]}m{text}\x1b[0m"
        return text.encode()

    async def write(self, data: bytes) -> None:
        """Write lines, in a thread: a terminal or pipe may be slow, and signals are to be heard."""
        if data:
            async with self.lock:
                await trio.to_thread.run_sync(self._write, data, abandon_on_cancel=True)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self.stream.write(view)
            if written is None:  # it does not block, and is full
                select.select([], [self.stream], [])
            view = view[written or 0 :]


def _read_now(descriptor: int) -> bytes:
    """What lies in a pipe that does not block; nothing at its end."""
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, 1 << 16)
    return b""


def _meaning(status: int) -> str:
    with contextlib.suppress(ValueError):
        return f"exit status {status} ({signal.Signals(status - _SIGNALLED).name})"
    return f"exit status {status}"
