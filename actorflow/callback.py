"""What is called after each batch or epoch: early MXNet's `mx.callback`."""

from actorflow.training.callback import (
    BatchEndParam,
    LogValidationMetricsCallback,
    ProgressBar,
    Speedometer,
    do_checkpoint,
    log_train_metric,
    module_checkpoint,
)
from actorflow.training.tensorboard import LogMetricsCallback

__all__ = [
    "BatchEndParam",
    "LogMetricsCallback",
    "LogValidationMetricsCallback",
    "ProgressBar",
    "Speedometer",
    "do_checkpoint",
    "log_train_metric",
    "module_checkpoint",
]
