"""Devices: where arrays live (contexts), and the memory that they live in.

Files in the order in which an array meets them: `context` names the place, `host` has a pool
for each, `storage` lends its memory, `poison` marks in verification mode what nobody has written
yet.
"""

from actorflow.device.context import Context, as_context, cpu, cpu_pinned, current_context, gpu
from actorflow.device.host import HostMemory
from actorflow.device.poison import count_poisoned, is_poisoned, poison
from actorflow.device.storage import Storage, StorageStatistics, size_class

__all__ = [
    "Context",
    "HostMemory",
    "Storage",
    "StorageStatistics",
    "as_context",
    "count_poisoned",
    "cpu",
    "cpu_pinned",
    "current_context",
    "gpu",
    "is_poisoned",
    "poison",
    "size_class",
]
