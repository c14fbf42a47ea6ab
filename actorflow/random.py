"""Random numbers: early MXNet's `mx.random`. What is promised: see `actorflow.ndarray.random`."""

from actorflow.ndarray.random import (
    Stream,
    normal,
    permutation,
    randint,
    seed,
    shuffle,
    stream,
    uniform,
)

__all__ = ["Stream", "normal", "permutation", "randint", "seed", "shuffle", "stream", "uniform"]
