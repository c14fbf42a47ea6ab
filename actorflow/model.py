"""Checkpoints: early MXNet's `mx.model`."""

from actorflow.training.checkpoint import (
    load_checkpoint,
    load_params,
    save_checkpoint,
    save_checkpoint_async,
)

__all__ = ["load_checkpoint", "load_params", "save_checkpoint", "save_checkpoint_async"]
