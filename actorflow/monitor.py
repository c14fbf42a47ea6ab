"""Looking inside networks while they are trained: early MXNet's `mx.monitor`."""

from actorflow.training.monitor import Monitor

__all__ = ["Monitor"]
