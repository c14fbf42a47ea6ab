"""Lazy arrays. `actorflow.nd` is what users import."""

from actorflow.ndarray.array import NDArray
from actorflow.ndarray.block import Block, host_memory
from actorflow.ndarray.explain import explain

__all__ = ["Block", "NDArray", "explain", "host_memory"]
