"""The engine: resources, operations, devices and policies."""

from actorflow.engine.ambient import (
    close_default_engine as close_default_engine,
    current_engine as current_engine,
    current_operation as current_operation,
    default_engine as default_engine,
    prioritised as prioritised,
)
from actorflow.engine.base import Engine as Engine, EngineStatistics as EngineStatistics
from actorflow.engine.instrument import (
    Instrument as Instrument,
    OperationStatistics as OperationStatistics,
    Statistics as Statistics,
    StatisticsReport as StatisticsReport,
)
from actorflow.engine.naive import NaiveEngine as NaiveEngine
from actorflow.engine.operation import (
    Completion as Completion,
    Failure as Failure,
    Operation as Operation,
    Site as Site,
    capture_line as capture_line,
    describe_site as describe_site,
)
from actorflow.engine.policy import (
    FifoPolicy as FifoPolicy,
    Policy as Policy,
    PriorityPolicy as PriorityPolicy,
)
from actorflow.engine.resource import (
    Accessible as Accessible,
    Link as Link,
    Region as Region,
    Resource as Resource,
)
from actorflow.engine.threaded import ThreadedEngine as ThreadedEngine
from actorflow.engine.worker import Device as Device, Worker as Worker

__all__ = [
    "Accessible",
    "Completion",
    "Device",
    "Engine",
    "EngineStatistics",
    "Failure",
    "FifoPolicy",
    "Instrument",
    "Link",
    "NaiveEngine",
    "Operation",
    "OperationStatistics",
    "Policy",
    "PriorityPolicy",
    "Region",
    "Resource",
    "Site",
    "Statistics",
    "StatisticsReport",
    "ThreadedEngine",
    "Worker",
    "capture_line",
    "close_default_engine",
    "current_engine",
    "current_operation",
    "default_engine",
    "describe_site",
    "prioritised",
]
