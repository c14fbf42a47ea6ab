"""What is called after each batch or epoch: checkpoints, speed, numbers, a bar.

A callback that may have to wait, for parameters or a metric, is an object with two ways: calling it
waits, blocking; `await callback.call_async(...)` does the same in a trio or asyncio task.
"""

from __future__ import annotations

import inspect
import logging
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

import attrs

from actorflow.errors import MissingExtraError, ParameterError
from actorflow.training.checkpoint import save_checkpoint, save_checkpoint_async

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from actorflow.ndarray import NDArray
    from actorflow.symbol import Symbol
    from actorflow.training.evaluation import EvalMetric

__all__ = [
    "BatchEndParam",
    "LogValidationMetricsCallback",
    "ProgressBar",
    "Speedometer",
    "do_checkpoint",
    "log_train_metric",
    "module_checkpoint",
]

_log: Final = logging.getLogger(__name__)


@attrs.frozen
class BatchEndParam:
    """What a callback is told after a batch.

    Attributes:
      epoch: the number of the epoch.
      nbatch: the number of the batch in it.
      eval_metric: the metric, or None.
      locals: whatever else the caller has by name, or None.
    """

    epoch: int
    nbatch: int
    eval_metric: EvalMetric | None
    locals: Mapping[str, Any] | None = None


def _period(who: str, period: int) -> int:
    if not isinstance(period, int) or period < 1:
        raise ParameterError(f"{who}: the period is an integer of at least 1, got {period!r}")
    return period


class do_checkpoint:  # noqa: N801 -- early MXNet's function
    """Write a checkpoint at the end of every `period`-th epoch; see `save_checkpoint`.

    Args:
      prefix: what the files' names begin with.
      period: how many epochs lie between.

    Raises:
      ParameterError: `period` is less than 1.
    """

    def __init__(self, prefix: str | os.PathLike[str], period: int = 1) -> None:
        self._prefix = prefix
        self._period = _period("do_checkpoint", period)

    def __call__(
        self,
        iter_no: int,
        sym: Symbol | None,
        arg: Mapping[str, NDArray],
        aux: Mapping[str, NDArray],
    ) -> None:
        """Write the checkpoint of epoch `iter_no`, from 0 on, whose file has the next number."""
        if (iter_no + 1) % self._period == 0:
            save_checkpoint(self._prefix, iter_no + 1, sym, arg, aux)

    async def call_async(
        self,
        iter_no: int,
        sym: Symbol | None,
        arg: Mapping[str, NDArray],
        aux: Mapping[str, NDArray],
    ) -> None:
        """Do the same in a trio or asyncio task."""
        if (iter_no + 1) % self._period == 0:
            await save_checkpoint_async(self._prefix, iter_no + 1, sym, arg, aux)


class module_checkpoint:  # noqa: N801 -- MXNet's function
    """Have a module write its checkpoint at the end of every `period`-th epoch.

    Args:
      mod: what has `save_checkpoint(prefix, epoch, save_optimizer_states)`; in tasks its
        `save_checkpoint_async` is used where there is one.
      prefix: what the files' names begin with.
      period: how many epochs lie between.
      save_optimizer_states: whether to write the optimizer's states too.

    Raises:
      ParameterError: `period` is less than 1.
    """

    def __init__(
        self,
        mod: Any,  # noqa: ANN401 -- whatever has the method
        prefix: str | os.PathLike[str],
        period: int = 1,
        save_optimizer_states: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self._mod = mod
        self._prefix = prefix
        self._period = _period("module_checkpoint", period)
        self._save_optimizer_states = save_optimizer_states

    def __call__(self, iter_no: int, *_params: object) -> None:
        """Write the checkpoint of epoch `iter_no`, from 0 on."""
        if (iter_no + 1) % self._period == 0:
            self._mod.save_checkpoint(self._prefix, iter_no + 1, self._save_optimizer_states)

    async def call_async(self, iter_no: int, *_params: object) -> None:
        """Do the same in a trio or asyncio task."""
        if (iter_no + 1) % self._period:
            return
        save = getattr(self._mod, "save_checkpoint_async", self._mod.save_checkpoint)
        waiting = save(self._prefix, iter_no + 1, self._save_optimizer_states)
        if inspect.isawaitable(waiting):
            await waiting


class _OfMetric:
    """A callback that says a metric's numbers after some batches."""

    def __call__(self, param: BatchEndParam) -> None:
        """Look at a batch that has ended; may wait for the metric."""
        if self._is_due(param):
            metric = param.eval_metric
            self._say(param, [] if metric is None else metric.get_name_value())

    async def call_async(self, param: BatchEndParam) -> None:
        """Do the same in a trio or asyncio task."""
        if self._is_due(param):
            metric = param.eval_metric
            self._say(param, [] if metric is None else await metric.get_name_value_async())

    def _is_due(self, param: BatchEndParam) -> bool:
        raise NotImplementedError

    def _say(self, param: BatchEndParam, values: list[tuple[str, float]]) -> None:
        raise NotImplementedError


class log_train_metric(_OfMetric):  # noqa: N801 -- early MXNet's function
    """Log the metric after every `period`-th batch.

    Args:
      period: how many batches lie between.
      auto_reset: begin the metric again each time, but for `get_global`.

    Raises:
      ParameterError: `period` is less than 1.
    """

    def __init__(self, period: int, auto_reset: bool = False) -> None:  # noqa: FBT001, FBT002
        self._period = _period("log_train_metric", period)
        self._auto_reset = auto_reset

    def _is_due(self, param: BatchEndParam) -> bool:
        return param.eval_metric is not None and param.nbatch % self._period == 0

    def _say(self, param: BatchEndParam, values: list[tuple[str, float]]) -> None:
        for name, value in values:
            _log.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
        if self._auto_reset and param.eval_metric is not None:
            param.eval_metric.reset_local()


class LogValidationMetricsCallback(_OfMetric):
    """Log the metric of a validation that has ended."""

    def _is_due(self, param: BatchEndParam) -> bool:
        return param.eval_metric is not None

    def _say(self, param: BatchEndParam, values: list[tuple[str, float]]) -> None:
        for name, value in values:
            _log.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)


class Speedometer(_OfMetric):
    """Log the speed, in samples per second, and the metric after every `frequent`-th batch.

    The speed is that of the batches since the last time. Where there is a metric, the batches are
    computed by then; else some may still be under way.

    Args:
      batch_size: samples in a batch.
      frequent: how many batches lie between.
      auto_reset: begin the metric again each time, but for `get_global`, so that its number is that
        of the batches since the last time, too.

    Raises:
      ParameterError: `frequent` is less than 1.
    """

    clock = staticmethod(time.perf_counter)
    """What tells the time, in seconds."""

    def __init__(
        self,
        batch_size: int,
        frequent: int = 50,
        auto_reset: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.batch_size = batch_size
        self.frequent = _period("Speedometer", frequent)
        self.auto_reset = auto_reset
        self._began: tuple[int, float] | None = None  # the batch behind which, and when
        self._last = (0, 0)

    def _is_due(self, param: BatchEndParam) -> bool:
        epoch, batch = self._last
        self._last = param.epoch, param.nbatch
        if self._began is None or param.epoch != epoch or param.nbatch < batch:
            self._began = param.nbatch, self.clock()
            return False
        return param.nbatch % self.frequent == 0

    def _say(self, param: BatchEndParam, values: list[tuple[str, float]]) -> None:
        assert self._began is not None  # noqa: S101 -- it is due
        batch, began = self._began
        now = self.clock()
        samples = (param.nbatch - batch) * self.batch_size
        speed = samples / (now - began) if now > began else float("inf")
        said = "".join(f"\t{name}={value:f}" for name, value in values)
        _log.info(
            "Epoch[%d] Batch [%d]\tSpeed: %.2f samples/sec%s",
            param.epoch,
            param.nbatch,
            speed,
            said,
        )
        if self.auto_reset and param.eval_metric is not None:
            param.eval_metric.reset_local()
        # From here on, since to read the metric may have waited.
        self._began = param.nbatch, now


class ProgressBar:
    """Show how far an epoch is, as a bar on the terminal, drawn by rich.

    Args:
      total: how many batches an epoch has.
      length: of the bar, in characters.
      file: where to draw; by default the standard error stream.

    Raises:
      MissingExtraError: rich is not installed.
      ParameterError: `total` is less than 1.
    """

    def __init__(self, total: int, length: int = 80, file: TextIO | None = None) -> None:
        try:
            from rich.console import Console  # noqa: PLC0415 -- an extra
        except ImportError as error:
            raise MissingExtraError(
                "ProgressBar: draws by rich, which is not installed: "
                "pip install 'actorflow[progress]'"
            ) from error
        self.total = _period("ProgressBar", total)
        self.length = length
        self._console = Console(file=file, stderr=file is None)
        self._first = 0
        self._epoch: int | None = None
        self._advance: Callable[[int], None] = _nothing
        self._close: Callable[[], object] = _nothing

    def __call__(self, param: BatchEndParam) -> None:
        """Move the bar to a batch; the first of another epoch begins another bar."""
        if param.epoch != self._epoch:
            self._begin(param)
        self._advance(param.nbatch - self._first + 1)
        if param.nbatch - self._first + 1 >= self.total:
            self.close()

    def close(self) -> None:
        """Leave the bar as it is; called by itself at the end of an epoch and of the process."""
        self._close()

    def _begin(self, param: BatchEndParam) -> None:
        from rich import progress  # noqa: PLC0415 -- an extra

        self.close()
        self._epoch = param.epoch
        self._first = min(param.nbatch, 1)  # batches are counted from 0 or from 1
        bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(self.length),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            console=self._console,
        )
        task = bar.add_task(f"Epoch {param.epoch}", total=self.total)
        bar.start()
        self._advance = lambda done: bar.update(task, completed=done)
        # The terminal's cursor is hidden until then.
        self._close = weakref.finalize(self, bar.stop)


def _nothing(*_args: object) -> None:
    """There is no bar."""
