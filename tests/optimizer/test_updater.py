"""States by weight, saved in the middle of a run and restored."""

import json
import pickle
import threading

import numpy as np
import pytest
import trio
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd
from actorflow.engine import Engine
from actorflow.errors import FormatError, ParameterError, ShapeError, WouldBlockError
from actorflow.ndarray import dumps, loads
from actorflow.optimizer import Updater, create, get_updater
from tests.optimizer._references import CASES

SHAPES = [(3, 4), (5,), (70, 30)]
NAMES = ["a_weight", 3, "c_bias"]


def optimizer(case):
    name, own = CASES.get(case, (case, {}))
    scheduler = af.lr_scheduler.CosineScheduler(30, base_lr=0.1, warmup_steps=3)
    return create(name, 0.5, wd=0.1, lr_scheduler=scheduler, begin_num_update=2, **own)


def go_on(updater, weights, first, last):
    """Steps from one to the other, with gradients by their numbers."""
    for step in range(first, last):
        generator = np.random.default_rng(step)
        grads = [nd.array(generator.normal(size=each.shape), dtype=each.dtype) for each in weights]
        updater.update_all(NAMES[:2], grads[:2], weights[:2])
        if step % 2:  # so that the counts differ
            updater(NAMES[2], grads[2], weights[2])


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [*CASES, "test"])
def test_a_run_goes_on_with_the_same_bits(case, dtype, described, engine):
    weights = [nd.array(np.random.default_rng(0).normal(size=s), dtype=dtype) for s in SHAPES]
    updater = get_updater(optimizer(case))
    go_on(updater, weights, 0, 9)
    saved, kept = updater.get_states(dump_optimizer=described), [each.copy() for each in weights]
    assert isinstance(saved, bytes)
    go_on(updater, weights, 9, 20)

    again = get_updater(create(CASES.get(case, (case,))[0]) if described else optimizer(case))
    again.set_states(saved)
    assert again.get_states(dump_optimizer=described) == saved
    go_on(again, kept, 9, 20)
    for one, other in zip(weights, kept, strict=True):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())
    assert again.optimizer.num_update == updater.optimizer.num_update == 22
    assert again.optimizer._index_update_count == updater.optimizer._index_update_count
    assert again.get_states() == updater.get_states()


def test_states_go_where_their_weights_are():
    updater = get_updater(create("adam"))
    updater(0, nd.ones((2,)), nd.ones((2,)))
    saved = updater.get_states()
    updater.set_states(saved)
    far = [nd.ones((2,), ctx=af.cpu(1)) for _ in range(2)]
    updater.update_all([0], far[:1], far[1:])
    assert {each.context for each in updater.states[0]} == {af.cpu(1)}
    assert get_updater(create("adam")).get_states() != saved


def test_states_are_those_of_the_call(engine):
    updater, weight = get_updater(create("sgd", momentum=0.9)), nd.zeros((2000,))
    updater("w", nd.ones((2000,)), weight)
    saved = updater.get_states()
    updater("w", nd.ones((2000,)), weight)
    updater.set_states(saved)
    np.testing.assert_allclose(updater.states["w"].asnumpy(), -0.01)


def test_no_code_is_in_the_bytes():
    updater = get_updater(create("sgd", momentum=0.9))
    updater("w", nd.ones((2,)), nd.ones((2,)))
    (numbers, mom), names = loads(updater.get_states(dump_optimizer=True))
    assert names == ["numbers", "0"]
    assert json.loads(numbers.tobytes())["optimizer"]["name"] == "sgd"
    np.testing.assert_allclose(mom, -0.01)
    with pytest.raises(FormatError, match=r"Updater\.set_states, byte 0: not a file of arrays"):
        updater.set_states(pickle.dumps({"w": [0.5] * 20}))


def saved_numbers(**changes):
    """States of one weight, with some of the numbers changed."""
    numbers = {
        "version": 1,
        "kind": "sgd",
        "optimizer": None,
        "begin_num_update": 0,
        "num_update": 1,
        "counts": [["w", 1]],
        "states": [["w", 0]],
    }
    text = json.dumps({**numbers, **changes}).encode()
    return dumps([np.frombuffer(text, np.uint8), np.ones(2, "float32")], ["numbers", "0"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "the version is 2; this release reads 1"),
        ({"kind": "adam"}, "the states are of 'adam', not 'sgd'"),
        ({"num_update": -1}, "num_update is -1, and needs to be a number of updates"),
        ({"num_update": 1 << 60}, "num_update is 1152921504606846976"),
        ({"begin_num_update": True}, "begin_num_update is True"),
        ({"counts": {}}, "counts is {}, and needs to be a list"),
        ({"counts": [["w", 1], ["w", 2]]}, "pairs of different weights"),
        ({"counts": [[1.5, 1]]}, "counts has .1.5, 1."),
        ({"counts": [["w", None]]}, "the count of 'w' is None"),
        ({"states": [["w", 1]]}, "a state is 1, and there are 1 arrays"),
        ({"states": [["w", [0, 0]]]}, "the array 0 is in two states"),
        ({"states": []}, "1 arrays, of which 0 are in states"),
        ({"states": [["w", [[[[[[[[[0]]]]]]]]]]]}, "a state is"),
        ({"optimizer": {"name": "sgd"}}, "needs 'name', a text, and 'arguments'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_changes(changes, says):
    updater = get_updater(create("sgd", momentum=0.9))
    weight = nd.ones((2,))
    updater("w", nd.ones((2,)), weight)
    before = updater.get_states()
    with pytest.raises(FormatError, match=says):
        updater.set_states(saved_numbers(**changes))
    assert updater.get_states() == before
    updater.set_states(saved_numbers())
    assert updater.states["w"].asnumpy().tolist() == [1, 1]


def test_bytes_of_other_kinds():
    updater = get_updater(create("sgd"))
    with pytest.raises(TypeError, match="needs bytes, got dict"):
        updater.set_states({})
    with pytest.raises(FormatError, match="these are arrays, but no states"):
        updater.set_states(dumps([np.ones(2)], ["w"]))
    for text in (b"[" * 100_000, b"{", b"[NaN]", b"1" * 10_000, b"\xff"):
        with pytest.raises(FormatError, match="the numbers are"):
            updater.set_states(dumps([np.frombuffer(text, np.uint8)], ["numbers"]))
    saved = updater.get_states()
    for short in range(len(saved)):
        with pytest.raises(FormatError):
            updater.set_states(saved[:short])


@settings(max_examples=200)
@given(st.data())
def test_damage_is_found_or_harmless(data):
    updater = get_updater(create("sgd", momentum=0.9))
    whole = bytearray(saved_numbers())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        updater.set_states(bytes(whole))
    except FormatError:
        assert updater.states == {}
        assert updater.optimizer.num_update == 0


def test_a_state_that_does_not_fit_its_weight_is_refused():
    updater = get_updater(create("sgd", momentum=0.9))
    updater.set_states(saved_numbers())
    weight = nd.ones((3,))
    with pytest.raises(ShapeError, match="mom has shape"):
        updater("w", nd.ones((3,)), weight)
    assert weight.asnumpy().tolist() == [1, 1, 1]
    updater = get_updater(create("sgd"))
    updater.set_states(saved_numbers(states=[["w", [0]]]))
    updater("w", nd.ones((2,)), nd.ones((2,)))  # a momentum of 0 needs none, and takes it
    updater = get_updater(create("adam"))
    updater.set_states(saved_numbers(kind="adam"))
    with pytest.raises(ParameterError, match="the state of 'w' has 1 arrays, but adam_update need"):
        updater("w", nd.ones((2,)), nd.ones((2,)))


def test_mistakes():
    updater = Updater(create("sgd"))
    with pytest.raises(ParameterError, match="got 2 indices, 1 grads and 2 weights"):
        updater.update_all([0, 1], [nd.ones((1,))], [nd.ones((1,))] * 2)
    with pytest.raises(TypeError, match="a weight is a number or a name"):
        updater(1.5, nd.ones((1,)), nd.ones((1,)))
    with pytest.raises(TypeError, match="weight 0 is no NDArray"):
        updater(0, nd.ones((1,)), np.ones(1))
    updater.states[0] = "mom"
    with pytest.raises(TypeError, match="a state is None, an NDArray or a tuple"):
        updater.get_states()


def test_states_in_an_event_loop():
    async def main():
        updater, weight = get_updater(create("sgd", momentum=0.9)), nd.zeros((2000,))
        gate = threading.Event()
        af.current_engine().push(gate.wait, reads=[weight.resource])
        updater("w", nd.ones((2000,)), weight)
        with pytest.raises(WouldBlockError) as caught:
            updater.get_states()
        assert "await get_states_async" in caught.value.__notes__[-1]
        gate.set()
        saved = await updater.get_states_async(dump_optimizer=True)
        updater.set_states(saved)
        assert await updater.get_states_async(dump_optimizer=True) == saved

    with Engine(workers=2):
        trio.run(main)
