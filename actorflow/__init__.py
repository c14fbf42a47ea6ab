"""actorflow: MXNet's design of 2015 as actors and messages."""

from typing import TYPE_CHECKING

from actorflow import (
    engine as engine,
    errors as errors,
    executor as executor,
    nd as nd,
    operator as operator,
    random as random,
    sym as sym,
    testing as testing,
    viz as viz,
)
from actorflow.device import (
    Context as Context,
    cpu as cpu,
    cpu_pinned as cpu_pinned,
    current_context as current_context,
    gpu as gpu,
)
from actorflow.engine import Engine as Engine, current_engine as current_engine
from actorflow.executor import Executor as Executor
from actorflow.ndarray import NDArray as NDArray, explain as explain
from actorflow.symbol import AttrScope as AttrScope, Symbol as Symbol

if TYPE_CHECKING:
    from actorflow import (
        callback as callback,
        init as init,
        initializer as initializer,
        io as io,
        kv as kv,
        kvstore as kvstore,
        lr_scheduler as lr_scheduler,
        metric as metric,
        mod as mod,
        model as model,
        monitor as monitor,
        networks as networks,
        optimizer as optimizer,
        recordio as recordio,
    )

__all__ = [
    "AttrScope",
    "Context",
    "Engine",
    "Executor",
    "NDArray",
    "Symbol",
    "__version__",
    "callback",
    "cpu",
    "cpu_pinned",
    "current_context",
    "current_engine",
    "engine",
    "errors",
    "executor",
    "explain",
    "gpu",
    "init",
    "initializer",
    "io",
    "kv",
    "kvstore",
    "lr_scheduler",
    "metric",
    "mod",
    "model",
    "monitor",
    "nd",
    "networks",
    "operator",
    "optimizer",
    "random",
    "recordio",
    "sym",
    "testing",
    "viz",
]

_LATER = frozenset(
    {
        "callback",
        "init",
        "initializer",
        "io",
        "kv",
        "kvstore",
        "lr_scheduler",
        "metric",
        "mod",
        "model",
        "monitor",
        "networks",
        "optimizer",
        "recordio",
    }
)
"""Modules that are imported when somebody first asks for them."""


def __getattr__(name: str) -> object:
    if name in _LATER:
        from importlib import import_module  # noqa: PLC0415 -- not every program needs them

        return import_module(f"actorflow.{name}")
    if name == "__version__":
        # Slow to import, rarely asked for.
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            return version("actorflow")
        except PackageNotFoundError as error:
            # Else help(actorflow), which asks for the version, would say this and nothing else.
            message = "actorflow is used from its sources without being installed: no version"
            raise AttributeError(message) from error
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
