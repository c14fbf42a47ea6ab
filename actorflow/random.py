"""Random numbers: early MXNet's `mx.random`. What is promised: see `actorflow.ndarray.random`."""

from actorflow.ndarray.random import (
    Stream,
    get_state,
    normal,
    permutation,
    randint,
    seed,
    set_state,
    shuffle,
    stream,
    uniform,
)

__all__ = [
    "Stream",
    "get_state",
    "normal",
    "permutation",
    "randint",
    "seed",
    "set_state",
    "shuffle",
    "stream",
    "uniform",
]
