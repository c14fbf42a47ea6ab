"""`FeedForward` and checkpoints: early MXNet's `mx.model`."""

from actorflow.training.checkpoint import (
    load_checkpoint,
    load_params,
    save_checkpoint,
    save_checkpoint_async,
)
from actorflow.training.feedforward import FeedForward

__all__ = [
    "FeedForward",
    "load_checkpoint",
    "load_params",
    "save_checkpoint",
    "save_checkpoint_async",
]
