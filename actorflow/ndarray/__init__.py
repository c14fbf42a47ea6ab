"""Lazy arrays. `actorflow.nd` is what users import."""

from actorflow.ndarray.array import NDArray
from actorflow.ndarray.block import Block, host_memory

__all__ = ["Block", "NDArray", "host_memory"]
