"""The memory of this machine: one pool for each context that lives in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow import settings
from actorflow.device.context import Context, as_context
from actorflow.device.storage import Storage

if TYPE_CHECKING:
    from actorflow.device.storage import StorageStatistics

__all__ = ["HostMemory"]


class HostMemory:
    """The pools of all contexts that live in host memory, each made at first use.

    Args:
      options: the arguments of each `Storage`, its name aside.
    """

    def __init__(self, **options: int | None) -> None:
        self._options: dict[str, Any] = options
        self._pools: dict[Context, Storage] = {}

    def storage(self, context: Context) -> Storage:
        """The pool of `context`.

        Raises:
          ContextError: the context is a GPU.
          TypeError: it is no context.
        """
        pool = self._pools.get(context)
        if pool is None:
            as_context(context, "storage").require_memory()
            pool = Storage(name=context.name, **self._options)
            pool = self._pools.setdefault(context, pool)  # another thread may have been faster
        return pool

    def attainable_nbytes(self) -> int:
        """The most bytes that an array can ever have here, whatever else is given back."""
        capacity = self._options.get("capacity_nbytes")
        most = settings.attainable_nbytes()
        return most if capacity is None else min(most, capacity)

    def statistics(self) -> dict[Context, StorageStatistics]:
        """The figures of each pool that was made so far."""
        return {context: pool.statistics() for context, pool in list(self._pools.items())}

    def trim(self) -> int:
        """Give all cached memory back to the system; return its size in bytes."""
        return sum(pool.trim() for pool in list(self._pools.values()))
