"""actorflow: MXNet's design of 2015 as actors and messages."""

from actorflow import engine as engine
from actorflow import errors as errors
from actorflow import nd as nd
from actorflow import random as random
from actorflow.device import Context as Context
from actorflow.device import cpu as cpu
from actorflow.device import cpu_pinned as cpu_pinned
from actorflow.device import current_context as current_context
from actorflow.device import gpu as gpu
from actorflow.engine import Engine as Engine
from actorflow.engine import current_engine as current_engine
from actorflow.ndarray import NDArray as NDArray
from actorflow.ndarray import explain as explain

__all__ = [
    "Context",
    "Engine",
    "NDArray",
    "__version__",
    "cpu",
    "cpu_pinned",
    "current_context",
    "current_engine",
    "engine",
    "errors",
    "explain",
    "gpu",
    "nd",
    "random",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 -- slow to import, rarely asked for

        return version("actorflow")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
