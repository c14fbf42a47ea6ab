"""The engine: resources, operations, devices and policies."""

from actorflow.engine.ambient import (
    close_default_engine as close_default_engine,
)
from actorflow.engine.ambient import (
    current_engine as current_engine,
)
from actorflow.engine.ambient import (
    current_operation as current_operation,
)
from actorflow.engine.ambient import (
    default_engine as default_engine,
)
from actorflow.engine.base import Engine as Engine
from actorflow.engine.base import EngineStatistics as EngineStatistics
from actorflow.engine.instrument import Instrument as Instrument
from actorflow.engine.instrument import OperationStatistics as OperationStatistics
from actorflow.engine.instrument import Statistics as Statistics
from actorflow.engine.instrument import StatisticsReport as StatisticsReport
from actorflow.engine.operation import Completion as Completion
from actorflow.engine.operation import Failure as Failure
from actorflow.engine.operation import Operation as Operation
from actorflow.engine.policy import FifoPolicy as FifoPolicy
from actorflow.engine.policy import Policy as Policy
from actorflow.engine.policy import PriorityPolicy as PriorityPolicy
from actorflow.engine.resource import Accessible as Accessible
from actorflow.engine.resource import Link as Link
from actorflow.engine.resource import Region as Region
from actorflow.engine.resource import Resource as Resource
from actorflow.engine.worker import Device as Device
from actorflow.engine.worker import Worker as Worker
