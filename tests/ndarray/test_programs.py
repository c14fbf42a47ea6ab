"""Random programs on arrays and parts of them give NumPy's bits on every engine."""

import os
import random

import numpy as np
import pytest

from actorflow import nd
from actorflow.engine import Engine

ROWS, COLUMNS, ARRAYS = 8, 3, 4
LENGTH = int(os.environ.get("AF_PROGRAM_LENGTH", "120"))


def part(rng):
    start = rng.randrange(ROWS)
    return slice(start, rng.randint(start + 1, ROWS))


def statement(rng):
    """One step of a program: its name and arguments, the same for both sides."""
    kind = rng.choice(["new", "update", "scale", "assign", "scatter", "gather", "sum", "copy"])
    target, source = rng.randrange(ARRAYS), rng.randrange(ARRAYS)
    rows = part(rng)
    size = rows.stop - rows.start
    start = rng.randrange(ROWS - size + 1)
    other = slice(start, start + size)
    index = [rng.randrange(ROWS) for _ in range(rng.randint(1, 4))]
    return kind, target, source, rows, other, index, rng.randint(-3, 3)


def run(arrays, program, sigmoid):
    """Run a program on arrays of either kind."""
    for kind, target, source, rows, other, index, number in program:
        x, y = arrays[target], arrays[source]
        if kind == "new":
            arrays[target] = sigmoid(x) + y * 0.5
        elif kind == "update":
            part_of_x = x[rows]
            part_of_x += y[other]
        elif kind == "scale":
            part_of_x = x[rows]
            part_of_x *= number * 0.25
        elif kind == "assign":
            x[rows] = y[other]
        elif kind == "scatter":
            x[np.array(index), number % COLUMNS] = number
        elif kind == "gather":
            x[: len(index)] = y[np.array(index)]
        elif kind == "sum":
            x[rows] = y[other].sum(axis=0)
        elif kind == "copy":
            arrays[target] = y.copy()


def plain_sigmoid(x):
    out = np.exp(-x)
    return np.reciprocal(out + np.float32(1))


def expected(seed, program):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(ROWS, COLUMNS)).astype("float32") for _ in range(ARRAYS)]
    lazy = [nd.array(each) for each in arrays]
    with np.errstate(all="ignore"):
        run(arrays, program, plain_sigmoid)
    return lazy, arrays


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "settings",
    [
        {"engine_type": "naive"},
        {"workers": 1},
        {"workers": 2},
        {"workers": 8},
        {"workers": 2, "verify": True},
        {"workers": 0},
    ],
    ids=str,
)
def test_any_program_gives_numpys_bits(settings, seed):
    rng = random.Random(seed)
    program = [statement(rng) for _ in range(LENGTH)]
    with Engine(**settings):
        lazy, plain = expected(seed, program)
        run(lazy, program, nd.sigmoid)
        for x, y in zip(lazy, plain, strict=True):
            np.testing.assert_array_equal(x.asnumpy(), y)


def test_disjoint_rows_are_written_at_the_same_time():
    import threading

    barrier = threading.Barrier(2, timeout=30)

    def meet(out):
        barrier.wait()
        out[:] = 1

    with Engine(workers=2):
        x = nd.zeros((4, 2))
        x.wait_to_read()
        nd.apply(meet, [], x[:2], fills=True)
        nd.apply(meet, [], x[2:], fills=True)
        assert x.asnumpy().tolist() == [[1, 1]] * 4


def test_many_threads_may_push_at_once():
    import threading

    with Engine(workers=2):
        total = nd.zeros((4,))

        def add():
            for _ in range(200):
                total.__iadd__(1)

        threads = [threading.Thread(target=add) for _ in range(4)]
        # `with` sets the engine for this thread only.
        import contextvars

        for thread in threads:
            context = contextvars.copy_context()
            thread.run = lambda run=thread.run, context=context: context.run(run)
            thread.start()
        for thread in threads:
            thread.join()
        assert total.asnumpy().tolist() == [800] * 4
