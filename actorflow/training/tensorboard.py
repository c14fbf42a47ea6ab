"""Numbers of a run in event files, which TensorBoard shows; written by tensorboardX."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from actorflow.errors import MissingExtraError
from actorflow.training.callback import _OfMetric, _period

if TYPE_CHECKING:
    from actorflow.training.callback import BatchEndParam

__all__ = ["LogMetricsCallback", "summary_writer"]


def summary_writer(who: str, logging_dir: str | os.PathLike[str]) -> Any:  # noqa: ANN401
    """A tensorboardX `SummaryWriter`, which makes the folder if there is none.

    Args:
      who: who asks, for the message.
      logging_dir: the folder; each writer writes a file of its own into it.

    Raises:
      MissingExtraError: tensorboardX is not installed.
      OSError: the folder or the file cannot be made.
    """
    try:
        from tensorboardX import SummaryWriter  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise MissingExtraError(
            f"{who}: event files are written by tensorboardX, which is not installed: "
            "pip install 'actorflow[tensorboard]'"
        ) from error
    return SummaryWriter(os.fspath(logging_dir))


class LogMetricsCallback(_OfMetric):
    """Write the metric into event files, which TensorBoard shows.

    As a `batch_end_callback` it writes after every `frequent`-th batch, and waits for it; as an
    `eval_end_callback` after each validation. The numbers of a curve count its points, so training
    and validation need a callback each.

    Args:
      logging_dir: the folder of the event files.
      prefix: what the curves' names begin with, followed by `-`.
      frequent: of how many calls one is written.

    Raises:
      MissingExtraError: tensorboardX is not installed.
      ParameterError: `frequent` is less than 1.
      OSError: the folder or the file cannot be made.
    """

    def __init__(
        self,
        logging_dir: str | os.PathLike[str],
        prefix: str | None = None,
        frequent: int = 1,
    ) -> None:
        self._prefix = "" if prefix is None else f"{prefix}-"
        self._frequent = _period("LogMetricsCallback", frequent)
        self._calls = 0
        self.summary_writer = summary_writer("LogMetricsCallback", logging_dir)

    def close(self) -> None:
        """Write what is still in memory, and close the file."""
        self.summary_writer.close()

    def _is_due(self, param: BatchEndParam) -> bool:
        self._calls += 1
        return param.eval_metric is not None and self._calls % self._frequent == 0

    def _say(self, param: BatchEndParam, values: list[tuple[str, float]]) -> None:  # noqa: ARG002
        for name, value in values:
            self.summary_writer.add_scalar(self._prefix + name, value, self._calls)
