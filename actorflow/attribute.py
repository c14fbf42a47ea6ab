"""Attributes of new symbols: early MXNet's `mx.attribute`."""

from actorflow.symbol.naming import AttrScope

__all__ = ["AttrScope"]
