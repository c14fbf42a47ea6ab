"""Names of new symbols: early MXNet's `mx.name`."""

from actorflow.symbol.naming import NameManager, Prefix

__all__ = ["NameManager", "Prefix"]
