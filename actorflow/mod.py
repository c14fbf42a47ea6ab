"""Modules: symbols with parameters, and runs of training: early MXNet's `mx.mod`."""

from actorflow.training.base_module import BaseModule
from actorflow.training.bucketing import BucketingModule
from actorflow.training.module import Module
from actorflow.training.python_module import PythonLossModule, PythonModule
from actorflow.training.report import Report
from actorflow.training.sequential import SequentialModule

__all__ = [
    "BaseModule",
    "BucketingModule",
    "Module",
    "PythonLossModule",
    "PythonModule",
    "Report",
    "SequentialModule",
]
