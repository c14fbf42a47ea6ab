"""Iterators as users write them, what batches hold, and loops to run tasks in."""

import asyncio

import numpy as np
import trio

from actorflow import io, nd

LOOPS = {"trio": trio.run, "asyncio": lambda function: asyncio.run(function())}


class Boom(Exception):  # noqa: N818 -- an exception of a user's
    """What a source raises here."""


class Numbers(io.DataIter):
    """Batches of one number; raises at one of them, once."""

    def __init__(self, count, boom_at=None, name="data", pad=0):
        super().__init__(1)
        self.count, self.boom_at, self.name, self.pad = count, boom_at, name, pad
        self.at = 0
        self.closed = False

    @property
    def provide_data(self):
        return [io.DataDesc(self.name, (1,))]

    @property
    def provide_label(self):
        return []

    def reset(self):
        self.at = 0

    def next(self):
        if self.at == self.boom_at:
            self.boom_at = None
            raise Boom(self.at)
        if self.at == self.count:
            raise StopIteration
        self.at += 1
        return io.DataBatch([nd.array([self.at - 1])], [], self.pad)

    def close(self):
        self.closed = True


class Kept(Numbers):
    """The same, and it can say where it is."""

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


def content(batch):
    """A batch as plain data."""
    return [
        [array.asnumpy().tolist() for array in batch.data],
        [array.asnumpy().tolist() for array in batch.label or ()],
        batch.pad,
        None if batch.index is None else np.asarray(batch.index).tolist(),
        batch.bucket_key,
    ]


def contents(iterator):
    """The rest of an epoch."""
    return [content(batch) for batch in iterator]


def first(iterator):
    """The first number of each batch."""
    return [int(batch.data[0].asnumpy().reshape(-1)[0]) for batch in iterator]
