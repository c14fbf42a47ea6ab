"""Iterators over iterators: other epochs, reading ahead, several at once."""

import threading

import numpy as np
import pytest

import actorflow as af
from actorflow import io
from actorflow.errors import ActorflowError
from tests.io._sources import Boom, Kept, Numbers, contents, first


def test_resize(engine):
    iterator = io.ResizeIter(Numbers(3), 5)
    assert first(iterator) == [0, 1, 2, 0, 1]
    assert first(iterator) == []
    iterator.reset()
    assert first(iterator) == [0, 1, 2, 0, 1]
    going_on = io.ResizeIter(Numbers(3), 2, reset_internal=False)
    assert first(going_on) == [0, 1]
    going_on.reset()
    assert first(going_on) == [2, 0]
    assert going_on.provide_data == [("data", (1,))]
    with pytest.raises(ActorflowError, match="Numbers has no batch, also after reset"):
        next(io.ResizeIter(Numbers(0), 2))
    with pytest.raises(TypeError, match="data_iter has to be a DataIter, got list"):
        io.ResizeIter([1], 2)
    with pytest.raises(ValueError, match="size must be an integer of at least 1, got 0"):
        io.ResizeIter(Numbers(3), 0)


def test_prefetching_joins_and_renames(engine):
    iters = [Numbers(3), Numbers(3)]
    iterator = io.PrefetchingIter(iters, rename_data=[{"data": "a"}, {"data": "b"}])
    assert iterator.provide_data == [("a", (1,)), ("b", (1,))]
    for _ in range(2):
        told = contents(iterator)
        assert [batch[0] for batch in told] == [[[i], [i]] for i in range(3)]
        iterator.reset()
    assert next(iterator).provide_data == iterator.provide_data
    iterator.close()
    iterator.close()
    engine.wait_all()
    assert [each.closed for each in iters] == [True, True]
    with pytest.raises(ActorflowError, match="PrefetchingIter: it was closed"):
        next(iterator)


def test_prefetching_of_buckets_keeps_their_shapes(engine):
    inner = io.BucketSentenceIter([[1, 2], [3, 4], [5, 6, 7], [8, 9, 10]], 2)
    iterator = io.PrefetchingIter(inner, rename_data=[{"data": "words"}])
    assert iterator.default_bucket_key == 3
    for batch in iterator:
        assert batch.provide_data == [("words", (2, batch.bucket_key))]
        assert batch.data[0].shape == (2, batch.bucket_key)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "needs at least one"),
        (([Numbers(1), 3],), TypeError, r"iters\[1\] has to be a DataIter, got int"),
        (([Numbers(1), Numbers(1)],), ValueError, "name would come twice: data, data"),
        ((Numbers(1), [{}, {}]), ValueError, "rename_data needs a dict for each of 1"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        io.PrefetchingIter(*arguments)


@pytest.mark.parametrize(
    ("other", "said"),
    [(Numbers(2, name="b"), "Numbers has ended"), (Numbers(3, name="b", pad=1), "pads 1")],
)
def test_iterators_that_do_not_end_together(engine, other, said):
    other.reset()
    iterator = io.PrefetchingIter([Numbers(3), other])
    with pytest.raises(ValueError, match=said):
        contents(iterator)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_what_a_source_raises_reaches_next(engine, depth):
    iterator = io.PrefetchingIter(Kept(5, boom_at=2), prefetch_buffer=depth)
    seen = []
    with pytest.raises(Boom) as caught:
        seen += [int(batch.data[0].asscalar()) for batch in iter(lambda: next(iterator), None)]
    for _ in range(3):  # and again, until it is told to go on
        with pytest.raises(Boom) as again:
            next(iterator)
        assert again.value is caught.value
        assert len(list(again.traceback)) < 12
    iterator.load_state_dict(iterator.state_dict())  # another try
    assert first(iterator) == [2, 3, 4]
    iterator.reset()
    assert first(iterator) == [0, 1, 2, 3, 4]


def test_a_failure_that_nobody_came_to_does_not_fail_the_engine():
    with af.Engine(workers=2, engine_type="threaded") as engine:
        iterator = io.PrefetchingIter(Numbers(5, boom_at=1), prefetch_buffer=4)
        next(iterator)
        engine.wait_all()
        iterator.close()


def test_reading_ahead_is_bounded():
    with af.Engine(workers=2, engine_type="threaded") as engine:
        source = Numbers(100)
        iterator = io.PrefetchingIter(source, prefetch_buffer=3)
        for taken in range(1, 4):
            next(iterator)
            engine.wait_all()
            assert source.at == taken + 3


class Gate(Numbers):
    """A source that reads until somebody lets it go on."""

    def __init__(self, count):
        super().__init__(count)
        self.entered, self.open = threading.Event(), threading.Event()

    def next(self):
        if self.at == 1:
            self.entered.set()
            self.open.wait()
        return super().next()


def test_closing_and_resetting_wait_for_nothing():
    threads = set(threading.enumerate())
    with af.Engine(workers=1, engine_type="threaded"):
        source = Gate(5)
        iterator = io.PrefetchingIter(source, prefetch_buffer=4)
        next(iterator)
        source.entered.wait()
        iterator.reset()  # while the source is in the middle of reading
        iterator.close()
        assert not source.closed
        source.open.set()
    assert source.closed
    assert source.at == 2  # what had not begun was taken back
    assert set(threading.enumerate()) == threads


def test_an_iterator_outlives_engines():
    iterator = io.NDArrayIter(np.arange(6), None, 2)
    for expected in ([0, 1], [2, 3], [4, 5]):
        with af.Engine(workers=1, engine_type="threaded"):
            assert next(iterator).index.tolist() == expected
    iterator.close()
