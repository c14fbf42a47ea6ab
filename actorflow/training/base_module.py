"""What every module offers beyond its steps: whole runs, and files of parameters."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from actorflow import nd
from actorflow.errors import ParameterError
from actorflow.io import DataIter
from actorflow.ops import described
from actorflow.training import metric as metrics
from actorflow.training.loop import Run, evaluating, predicting, training
from actorflow.training.parameters import DEFAULT_INITIALIZER, split_params
from actorflow.training.requests import Driven, drive
from actorflow.training.steps import ModuleSteps

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from actorflow.io import DataBatch
    from actorflow.ndarray import NDArray
    from actorflow.training.report import Report
    from actorflow.training.requests import Steps
    from actorflow.training.steps import OptimizerParams

__all__ = ["BaseModule"]


class BaseModule(ModuleSteps):
    """The steps of a module, and runs made of them.

    Attributes:
      report: how the last `fit` went, and where its time went; None before one.
    """

    report: Report | None = None

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logging.getLogger("actorflow") if logger is None else logger

    # -- Training --------------------------------------------------------------------------------

    def forward_backward(self, data_batch: DataBatch) -> None:
        """Compute outputs and gradients of a batch. Waits for nothing."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def fit(self, train_data: DataIter, *args: Any, **kwargs: Any) -> None:
        """Train; see `fit_async`, which has the same arguments but `every`.

        Returns when it is over. `report` says then how it went.
        """
