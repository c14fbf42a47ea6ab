"""How a run of `actorflow train` looks: live on a terminal, plain lines or JSON elsewhere."""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from actorflow.training.callback import BatchEndParam
    from actorflow.training.report import Report

__all__ = ["Display", "plain"]

_PERIOD: Final = 0.25  # seconds between two looks at the metric, which wait for the last batch


class Display:
    """Says how a run goes; a context manager, and a callback for the ends of batches.

    Args:
      num_epoch: the epoch that is not begun any more.
      begin_epoch: the first one.
      num_batches: how many an epoch has, if that is known; else the first epoch tells.
      style: "live", "plain", "json" or "quiet".
    """

    def __init__(
        self, num_epoch: int, begin_epoch: int, num_batches: int | None, style: str
    ) -> None:
        self._num_epoch = num_epoch
        self._begin_epoch = begin_epoch
        self._num_batches = num_batches
        self._style = style
        self._bar: Any = None
        self._next_look = 0.0

    def __enter__(self) -> Self:
        if self._style == "live":
            self._bar = _make_bar()
        if self._bar is not None:
            self._bar.start()
            self._show(self._begin_epoch, 0, "")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, param: BatchEndParam) -> None:
        """Show a batch, if it is time to; may wait for the metric."""
        if self._is_due() and param.eval_metric is not None:
            self._look(param, param.eval_metric.get_name_value())

    async def call_async(self, param: BatchEndParam) -> None:
        """Do the same in a task."""
        if self._is_due() and param.eval_metric is not None:
            self._look(param, await param.eval_metric.get_name_value_async())

    def epoch(self, report: Report) -> None:
        """Say how an epoch went."""
        self._num_batches = report.nbatch
        if self._style == "json":
            print(json.dumps(plain(report)), flush=True)
        elif self._style != "quiet":
            self.say(f"epoch {report.epoch + 1}/{self._num_epoch}: {_told(report)}")
        if self._bar is not None:
            self._show(report.epoch + 1, 0, "")

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one, unless nobody wants lines."""
        if self._style not in {"quiet", "json"}:
            print(line, flush=True)

    def _is_due(self) -> bool:
        if self._bar is None or perf_counter() < self._next_look:
            return False
        self._next_look = perf_counter() + _PERIOD
        return True

    def _look(self, param: BatchEndParam, values: list[tuple[str, float]]) -> None:
        assert param.locals is not None  # noqa: S101 -- the loop gives them
        report = param.locals["times"].report("batch", param.epoch, param.nbatch, tuple(values), ())
        told = ", ".join(f"{name} {value:.4f}" for name, value in values)
        starved = report.data + report.communication + report.engine
        self._show(
            param.epoch,
            param.nbatch + 1,
            f"{told}, {report.speed:.0f} samples/s, starved {starved:.0%}: "
            f"data {report.data:.0%}, communication {report.communication:.0%}",
        )

    def _show(self, epoch: int, batches: int, values: str) -> None:
        """Move the bar, which is that of all epochs so that the time left is that of the run."""
        of, total = f"/{self._num_batches}" if self._num_batches else "", None
        done = batches
        if self._num_batches:
            total = (self._num_epoch - self._begin_epoch) * self._num_batches
            done += (epoch - self._begin_epoch) * self._num_batches
        number = min(epoch + 1, self._num_epoch)
        text = f"epoch {number}/{self._num_epoch} batch {batches}{of}"
        self._bar.show(done, total, text, values)


def plain(report: Report) -> dict[str, Any]:
    """A report as plain data. Epochs are counted from 1, as in the names of checkpoints."""
    return {
        "epoch": report.epoch + 1,
        "batches": report.nbatch,
        "training": dict(report.metric),
        "held_out": dict(report.validation),
        "seconds": report.seconds,
        "samples_per_second": report.speed,
        "starved": {
            "data": report.data,
            "communication": report.communication,
            "engine": report.engine,
        },
    }


def _told(report: Report) -> str:
    values = [f"{name} {value:.4f}" for name, value in report.metric]
    values += [f"held-out {name} {value:.4f}" for name, value in report.validation]
    return (
        f"{', '.join(values)}; {report.seconds:.2f} s, {report.speed:.0f} samples/s, starved by "
        f"data {report.data:.0%}, communication {report.communication:.0%}, "
        f"engine {report.engine:.0%}"
    )


def _make_bar() -> Any:  # noqa: ANN401 -- rich is not checked
    """A bar on the standard error stream; None without rich, which is said."""
    try:
        return _Bar()
    except ImportError:
        hint = "no live display without rich: pip install 'actorflow[progress]'"
        print(f"actorflow train: {hint}", file=sys.stderr)
        return None


class _Bar:
    """How far the run is, and below it the numbers: both fit into 80 columns."""

    def __init__(self) -> None:
        from rich import progress  # noqa: PLC0415 -- an extra
        from rich.console import Console, Group  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        self._values = Text(no_wrap=True)
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("", total=None)
        # Lines of the standard output go above the bar if they go to the terminal, too.
        above = sys.stdout.isatty()
        self._live = Live(
            Group(self._progress, self._values),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=above,
        )
        self.start, self.stop = self._live.start, self._live.stop

    def show(self, done: int, total: int | None, text: str, values: str) -> None:
        """Show other numbers from now on."""
        self._progress.update(self._task, completed=done, total=total, description=text)
        self._values.plain = values
        self._live.refresh()
