"""Lazy arrays. `actorflow.nd` is what users import."""

from actorflow.ndarray.array import NDArray
from actorflow.ndarray.block import Block, host_memory
from actorflow.ndarray.creation import array, empty, zeros
from actorflow.ndarray.explain import explain
from actorflow.ndarray.invoke import copy_into
from actorflow.ndarray.kernels import quietly
from actorflow.ndarray.params_format import dumps, loads
from actorflow.ndarray.random import seed, stream
from actorflow.ndarray.replace_file import replace_file
from actorflow.ndarray.update import update_each

__all__ = [
    "Block",
    "NDArray",
    "array",
    "copy_into",
    "dumps",
    "empty",
    "explain",
    "host_memory",
    "loads",
    "quietly",
    "replace_file",
    "seed",
    "stream",
    "update_each",
    "zeros",
]
