"""Stores of arrays by key that devices share: early MXNet's `mx.kv`."""

from actorflow.kvstore import KVStore, create

__all__ = ["KVStore", "create"]
