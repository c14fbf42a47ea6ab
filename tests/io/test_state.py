"""Where an iterator stands can be saved at any point, and what follows is the same."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import io
from actorflow.errors import FormatError
from tests.io._sources import Kept, Numbers, content, contents

SENTENCES = [[i, i + 1, i + 2][: 2 + i % 2] for i in range(17)]


def kinds(csv, mnist):
    data, labels = csv
    rows = np.arange(10)
    return {
        "pad": lambda: io.NDArrayIter(rows, rows, 3, shuffle=True, seed=5),
        "discard": lambda: io.NDArrayIter(rows, rows, 3, last_batch_handle="discard"),
        "roll": lambda: io.NDArrayIter(rows, rows, 4, shuffle=True, last_batch_handle="roll_over"),
        "csv": lambda: io.CSVIter(data, (2,), labels, batch_size=2),
        "csv whole": lambda: io.CSVIter(data, (2,), batch_size=2, round_batch=False),
        "mnist": lambda: io.MNISTIter(*mnist, batch_size=2, seed=3),
        "sentences": lambda: io.BucketSentenceIter(SENTENCES, 3, seed=2),
        "resize": lambda: io.ResizeIter(io.NDArrayIter(rows, rows, 3, shuffle=True), 6),
        "resize on": lambda: io.ResizeIter(
            io.CSVIter(data, (2,), batch_size=2), 4, reset_internal=False
        ),
        "prefetch": lambda: io.PrefetchingIter(
            io.NDArrayIter(rows, rows, 4, shuffle=True, last_batch_handle="roll_over"),
            prefetch_buffer=3,
        ),
        "prefetch two": lambda: io.PrefetchingIter([Kept(4, name="a"), Kept(4, name="b")]),
    }


NAMES = list(kinds((None, None), (None, None)))


@pytest.mark.parametrize("name", NAMES)
def test_resume_at_every_point(engine, csv, mnist, name):
    make = kinds(csv, mnist)[name]
    with make() as iterator:
        told, states = [], []
        for _ in range(3):
            while True:
                states.append((len(told), json.dumps(iterator.state_dict())))
                try:
                    told.append(content(iterator.next()))
                except StopIteration:
                    break
            told.append("end")
            iterator.reset()
    used = make()
    for at, state in states:
        for resumed in (make(), used):  # one that is fresh, one that stands elsewhere
            resumed.load_state_dict(json.loads(state))
            assert json.loads(json.dumps(resumed.state_dict())) == json.loads(state)
            rest = []
            while len(rest) < min(6, len(told) - at):
                try:
                    rest.append(content(resumed.next()))
                except StopIteration:
                    rest.append("end")
                    resumed.reset()
            assert rest == told[at : at + len(rest)]
    used.close()


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(3, 20),
    size=st.integers(1, 3),
    steps=st.lists(st.sampled_from(["next", "reset", "save", "load"]), max_size=25),
    wrap=st.booleans(),
)
def test_any_order_of_calls(count, size, steps, wrap):
    """What is read ahead is never seen: the same calls on an iterator that does not read ahead."""

    def make(ahead):
        inner = io.NDArrayIter(
            np.arange(count), None, size, True, "roll_over", seed=9, prefetch_buffer=ahead
        )
        return io.PrefetchingIter(inner, prefetch_buffer=ahead) if wrap and ahead else inner

    def run(iterator):
        told, saved = [], iterator.state_dict()
        for step in steps:
            if step == "next":
                told.append(next(iterator, None) and iterator.getindex().tolist())
            elif step == "reset":
                iterator.reset()
            elif step == "save":
                saved = iterator.state_dict()
            else:
                iterator.load_state_dict(saved)
        return told

    with af.Engine(workers=2, engine_type="threaded"):
        assert run(make(3)) == run(make(0))


def test_a_state_of_something_else_is_refused(csv, mnist):
    made = kinds(csv, mnist)
    states = {name: make().state_dict() for name, make in made.items()}
    for name, make in made.items():
        iterator = make()
        for other, state in states.items():
            if other == name:
                continue
            with pytest.raises(FormatError, match=r"load_state_dict: the state is of"):
                iterator.load_state_dict(state)
        assert iterator.state_dict() == states[name]


def test_a_damaged_state_is_refused():
    iterator = io.NDArrayIter(np.arange(10), None, 3)
    good = iterator.state_dict()

    def refused(message, error=FormatError, **changes):
        with pytest.raises(error, match=message):
            iterator.load_state_dict({**good, **changes})

    refused("version 2; this release reads 1", version=2)
    refused("no 'data' or no 'position'", position=None)
    refused("epoch is None", position={})
    refused(
        "batch is 5, and needs to be an integer from 0 to 4",
        position=dict(good["position"], batch=5),
    )
    refused("batch is True", position=dict(good["position"], batch=True))
    with pytest.raises(TypeError, match="needs what state_dict"):
        iterator.load_state_dict([1])
    other = io.NDArrayIter(np.arange(10) + 1, None, 3)
    with pytest.raises(FormatError, match="the state is of other data: arrays was"):
        other.load_state_dict(good)
    rolling = io.NDArrayIter(np.arange(10), None, 3, last_batch_handle="roll_over")
    state = rolling.state_dict()
    state["position"]["carried"] = 1
    with pytest.raises(FormatError, match="nothing can roll over into epoch 0"):
        rolling.load_state_dict(state)
    prefetching = io.PrefetchingIter(iterator)
    for iters in (None, [], [1], [[good, -1]], [[{**good, "version": 0}, 0]]):
        with pytest.raises(FormatError):
            prefetching.load_state_dict({**prefetching.state_dict(), "position": {"iters": iters}})
    assert len(contents(prefetching)) == 4


def test_who_cannot_say_where_it_is_says_so():
    for iterator in (Numbers(3), io.PrefetchingIter(Numbers(3)), io.ResizeIter(Numbers(3), 2)):
        next(iterator)
        with pytest.raises(NotImplementedError, match="Numbers does not define state_dict"):
            iterator.state_dict()
