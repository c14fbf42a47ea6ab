"""Lazy arrays. `actorflow.nd` is what users import."""

from actorflow.ndarray.array import NDArray
from actorflow.ndarray.block import Block, host_memory
from actorflow.ndarray.creation import array, empty, zeros
from actorflow.ndarray.explain import explain
from actorflow.ndarray.invoke import copy_into
from actorflow.ndarray.kernels import quietly
from actorflow.ndarray.params_format import dumps, loads, pieces
from actorflow.ndarray.random import (
    checked_state,
    draw_into,
    get_state,
    seed,
    set_state,
    stream,
)
from actorflow.ndarray.replace_file import replace_file
from actorflow.ndarray.serialize import load, load_async, save, save_async
from actorflow.ndarray.update import update_each

__all__ = [
    "Block",
    "NDArray",
    "array",
    "checked_state",
    "copy_into",
    "draw_into",
    "dumps",
    "empty",
    "explain",
    "get_state",
    "host_memory",
    "load",
    "load_async",
    "loads",
    "pieces",
    "quietly",
    "replace_file",
    "save",
    "save_async",
    "seed",
    "set_state",
    "stream",
    "update_each",
    "zeros",
]
