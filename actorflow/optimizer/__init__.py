"""Update rules: how weights change by their gradients.

Early MXNet's `mx.optimizer`. Learning rates over time are in `actorflow.lr_scheduler`.
"""

from actorflow.optimizer.adaptive import AdaDelta, AdaGrad, Adam, Ftrl, RMSProp
from actorflow.optimizer.descent import DCASGD, NAG, SGD, SGLD, Test, ccSGD
from actorflow.optimizer.optimizer import Optimizer, create, from_description, register
from actorflow.optimizer.schedule import (
    CosineScheduler,
    FactorScheduler,
    LRScheduler,
    MultiFactorScheduler,
    PolyScheduler,
)
from actorflow.optimizer.updater import Updater, get_updater

__all__ = [
    "DCASGD",
    "NAG",
    "SGD",
    "SGLD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "CosineScheduler",
    "FactorScheduler",
    "Ftrl",
    "LRScheduler",
    "MultiFactorScheduler",
    "Optimizer",
    "PolyScheduler",
    "RMSProp",
    "Test",
    "Updater",
    "ccSGD",
    "create",
    "from_description",
    "get_updater",
    "register",
]
