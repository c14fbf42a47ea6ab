"""Iterators over arrays: every mode covers exactly the epoch, in an order that the seed decides."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import io, nd
from tests.io._sources import Boom, contents


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 30),
    size=st.integers(1, 12),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**70),
    last=st.sampled_from(["pad", "discard", "roll_over"]),
)
def test_batches_cover_the_epochs(count, size, shuffle, seed, last):
    if last != "pad" and size > count:
        with pytest.raises(ValueError, match=f"batch_size is {size}, .*only {count} rows"):
            io.NDArrayIter(np.arange(count), None, size, last_batch_handle=last)
        return
    iterator = io.NDArrayIter(
        np.arange(count), np.arange(count) * 2, size, shuffle, last, seed=seed
    )
    epochs = []
    with af.Engine(engine_type="naive"):
        for _ in range(3):
            epochs.append([])
            for batch in iterator:
                rows = batch.index
                assert batch.data[0].asnumpy().tolist() == rows.tolist()
                assert batch.label[0].asnumpy().tolist() == (rows * 2).tolist()
                epochs[-1].append(rows[: size - batch.pad].tolist())
            iterator.reset()
    seen = [list(chain.from_iterable(epoch)) for epoch in epochs]
    if last == "pad":
        assert all(sorted(rows) == list(range(count)) for rows in seen)
    elif last == "discard":
        assert all(len(rows) == len(set(rows)) == count // size * size for rows in seen)
    else:
        together = list(chain.from_iterable(seen))
        whole = len(together) // count * count
        for start in range(0, whole, count):
            assert sorted(together[start : start + count]) == list(range(count))
        assert len(together) == 3 * count // size * size
        assert len(set(together[whole:])) == len(together) - whole


def test_the_seed_alone_decides_the_order():
    def order(seed, workers):
        with af.Engine(workers=workers, engine_type="threaded"):
            iterator = io.NDArrayIter(np.arange(50), None, 7, shuffle=True, seed=seed)
            epochs = [contents(iterator)]
            iterator.reset()
            return [*epochs, contents(iterator)]

    first = order(3, 1)
    assert first == order(3, 2) == order(3, 3)
    assert first[0] != first[1]
    assert first != order(4, 1)


def test_the_order_stays_the_same_from_release_to_release():
    iterator = io.NDArrayIter(np.arange(8), None, 8, shuffle=True, seed=1)
    assert next(iterator).index.tolist() == [1, 7, 0, 4, 6, 3, 5, 2]


def test_all_kinds_of_data(engine):
    half = nd.array(np.arange(8).reshape(4, 2), dtype="float16")
    iterator = io.NDArrayIter({"b": half, "a": np.arange(4)}, batch_size=3)
    assert [(each.name, each.dtype) for each in iterator.provide_data] == [
        ("a", np.float32),
        ("b", np.float16),
    ]
    batch = iterator.next()
    assert batch.data[1].dtype == np.float16
    assert batch.data[1].asnumpy().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert iterator.getdata() is batch.data
    assert iterator.getlabel() == []
    assert (iterator.getpad(), iterator.getindex().tolist()) == (0, [0, 1, 2])
    half += 1  # what is written later is seen
    iterator.reset()
    assert next(iterator).data[1].asnumpy().tolist()[0] == [1, 2]


def test_a_batch_is_a_copy(engine):
    data = nd.zeros((4,))
    iterator = io.NDArrayIter(data, batch_size=2)
    batch = next(iterator)
    batch.data[0] += 1
    assert data.asnumpy().tolist() == [0, 0, 0, 0]


def test_what_an_array_failed_with_is_raised_by_next():
    with af.Engine(workers=2, engine_type="threaded"):
        data = nd.zeros((4,))

        def fail():
            raise Boom("source")

        af.current_engine().push(fail, writes=[data.resource])
        iterator = io.NDArrayIter(data, batch_size=2)
        for _ in range(2):
            with pytest.raises(Boom, match="source"):
                next(iterator)
        data[:] = 5
        iterator.reset()
        assert next(iterator).data[0].asnumpy().tolist() == [5, 5]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "data has no array"),
        ((np.zeros((0, 3)),), ValueError, "no rows"),
        (([1, 2],), TypeError, "a list is taken as a list of arrays"),
        (("words",), TypeError, "array of numbers"),
        ((np.zeros(3), np.zeros(4)), ValueError, "data 3, softmax_label 4"),
        ((np.zeros(3), None, 0), ValueError, "batch_size must be .* at least 1, got 0"),
        ((np.zeros(3), None, 1, False, "drop"), ValueError, "pad, discard, roll_over, got 'drop'"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        io.NDArrayIter(*arguments)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0, got -1"):
        io.NDArrayIter(np.zeros(3), seed=-1)


def test_hard_reset_forgets_what_would_roll_over(engine):
    iterator = io.NDArrayIter(np.arange(5), None, 2, last_batch_handle="roll_over")
    contents(iterator)
    iterator.hard_reset()
    assert next(iterator).index.tolist() == [0, 1]
    iterator.reset()  # in the middle of an epoch nothing rolls over
    assert next(iterator).index.tolist() == [0, 1]


def test_small_and_large_batches_wait_only_for_themselves(engine):
    iterator = io.NDArrayIter(np.ones((6, 3000)), None, 2, prefetch_buffer=5)
    assert [float(batch.data[0].sum().asscalar()) for batch in iterator] == [6000.0] * 3
    with pytest.raises(StopIteration):
        iterator.next()
    assert not iterator.iter_next()
