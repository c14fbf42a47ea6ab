"""Executors: symbols that are bound to arrays and computed on the engine."""

from actorflow.executor.bind import bind, simple_bind
from actorflow.executor.executor import Executor

__all__ = ["Executor", "bind", "simple_bind"]
