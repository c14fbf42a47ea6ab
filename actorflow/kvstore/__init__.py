"""Stores of arrays by key that devices share: early MXNet's `mx.kvstore`."""

from actorflow.kvstore.store import KVStore, create

__all__ = ["KVStore", "create"]
