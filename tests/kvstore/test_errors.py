"""What is refused, before anything changes, and what becomes of failures in the engine."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd
from actorflow.errors import DTypeError, LaunchError, ParameterError, ShapeError
from tests.engine._helpers import Boom, boom, close, run_all, stepping


def made(*keys):
    store = af.kv.create()
    store.init({key: nd.ones((2, 3)) for key in keys or ("fc1_weight", "fc1_bias", 3)})
    return store


def contents(store):
    out = {key: nd.zeros((2, 3)) for key in ("fc1_weight", "fc1_bias", 3)}
    store.pull(out)
    return {float(each.asnumpy()[0, 0]) for each in out.values()}


GOOD, BAD = [nd.zeros((2, 3))], [nd.zeros((3, 2))]


@pytest.mark.parametrize(
    ("kind", "message", "call"),
    [
        (
            ParameterError,
            "push: there is no key 'fc1_wieght'; give it to init first, or did you mean fc1_weight",
            lambda store: store.push(["fc1_bias", "fc1_wieght"], [GOOD, GOOD]),
        ),
        (
            ParameterError,
            "push: there is no key '3' of type str, but one that looks like it of another type",
            lambda store: store.push(["fc1_bias", "3"], [GOOD, GOOD]),
        ),
        (
            ParameterError,
            "pull: there is no key 4; give it to init first, or there are fc1_weight, fc1_bias, 3",
            lambda store: store.pull(4, GOOD),
        ),
        (
            ParameterError,
            "init: key 'fc1_bias' has a value already",
            lambda store: store.init(["new", "fc1_bias"], [GOOD[0]] * 2),
        ),
        (
            ParameterError,
            "init: key 'new' is given 2 values",
            lambda store: store.init(["new", "new"], [GOOD[0]] * 2),
        ),
        (
            ShapeError,
            r"push: value number 1 of key 3 has shape \(3, 2\), but needs \(2, 3\)",
            lambda store: store.push(["fc1_bias", 3], [GOOD * 2, GOOD + BAD]),
        ),
        (
            ShapeError,
            r"pull: out of key 'fc1_bias' has shape \(3, 2\), but needs \(2, 3\)",
            lambda store: store.pull("fc1_bias", BAD[0]),
        ),
        (
            DTypeError,
            "push: value of key 3 is float64, but needs float32",
            lambda store: store.push(["fc1_bias", 3], [GOOD, nd.zeros((2, 3), dtype="float64")]),
        ),
        (
            ParameterError,
            "push: key 3 has arrays for 2 devices, key 'fc1_bias' for 1; all keys of a call",
            lambda store: store.push(["fc1_bias", 3], [GOOD, GOOD * 2]),
        ),
        (
            ParameterError,
            "push: value has 1 entries for 2 keys",
            lambda store: store.push(["fc1_bias", 3], [GOOD]),
        ),
        (
            ParameterError,
            "push: value of key 3 is an empty list",
            lambda store: store.push(["fc1_bias", 3], [GOOD, []]),
        ),
        (
            TypeError,
            "push: value of key 3 has to be an NDArray or a list of them, got an ndarray of shape",
            lambda store: store.push(["fc1_bias", 3], [GOOD, np.zeros((2, 3))]),
        ),
        (
            TypeError,
            "push: value of key 3 needs NDArrays, but number 1 is 1.5",
            lambda store: store.push(3, [GOOD[0], 1.5]),
        ),
        (
            TypeError,
            "push: value of key 3 has to be an NDArray or a list of them, got None",
            lambda store: store.push(3),
        ),
        (
            TypeError,
            "push: for a list of keys value is a list too, got an NDArray",
            lambda store: store.push([3], GOOD[0]),
        ),
        (TypeError, "push: a key is an integer or a string, got 1.5", lambda s: s.push(1.5, GOOD)),
        (
            TypeError,
            "push: a key is an integer or a string, got True",
            lambda s: s.push([True], [GOOD]),
        ),
        (
            TypeError,
            "push: the keys come with their arrays, and value is given too",
            lambda store: store.push({3: GOOD}, GOOD),
        ),
        (
            TypeError,
            "push: priority has to be an integer, got 0.5",
            lambda store: store.push(3, GOOD, 0.5),
        ),
        (
            ValueError,
            "pull: out of key 3 is not writable",
            lambda store: store.pull(["fc1_bias", 3], [nd.zeros((2, 3)), read_only()]),
        ),
        (TypeError, "set_updater: needs a function, got 3", lambda s: s.set_updater(3)),
        (
            TypeError,
            "set_optimizer: needs an Optimizer, got 'sgd'",
            lambda s: s.set_optimizer("sgd"),
        ),
        (
            ParameterError,
            "save_optimizer_states: there are no states before set_optimizer",
            lambda store: store.save_optimizer_states("states"),
        ),
        (
            ParameterError,
            "load_optimizer_states: there are no states before set_optimizer",
            lambda store: store.load_optimizer_states("states"),
        ),
    ],
)
def test_what_is_refused_changes_nothing(kind, message, call):
    store = made()
    with pytest.raises(kind, match=message):
        call(store)
    assert contents(store) == {1}
    assert not any(each.asnumpy().any() for each in GOOD)


def read_only():
    array = nd.zeros((2, 3))
    array._writable = False
    return array


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("locale", "there is no store called 'locale'; did you mean local"),
        ("local:3", "there is no store called 'local:3'"),
    ],
)
def test_names_that_make_no_store(name, message):
    with pytest.raises(ParameterError, match=message):
        af.kv.create(name)


@pytest.mark.parametrize("name", ["dist_sync", "dist_ssp:4", "distributed_async"])
def test_a_store_of_several_processes_outside_a_run(name, monkeypatch):
    monkeypatch.delenv("AF_ROLE", raising=False)
    with pytest.raises(LaunchError, match="not part of a run: no AF_ROLE"):
        af.kv.create(name)


def test_a_name_is_a_string():
    with pytest.raises(TypeError, match="create: the name is a string, got 3"):
        af.kv.create(3)


def test_a_key_before_any():
    with pytest.raises(ParameterError, match="there is no key 'w'; no key was given to init yet"):
        af.kv.create().push("w", GOOD)


def test_an_updater_that_raises_says_for_which_key():
    store = made()
    store.set_updater(lambda key, recv, stored: boom() if key == 3 else stored.__iadd__(1))
    with pytest.raises(Boom) as caught:
        store.push(["fc1_bias", 3], [GOOD, GOOD])
    assert "KVStore.push: in the updater, for 3" in caught.value.__notes__
    assert contents(store) == {1, 2}


def fail_later(key, recv, stored):
    """An updater whose operation fails in the engine."""
    af.current_engine().push(boom, updates=[stored.resource], name="rule")


def test_an_updater_that_fails_later_reaches_the_pulls():
    with stepping() as engine:
        store = made("bad", "good")
        store.set_updater(fail_later)
        out = {key: nd.zeros((2, 3)) for key in ("bad", "good")}
        store.push("bad", GOOD)  # this line
        store.set_updater(None)
        store.pull(out)
        store.pull("good", out["good"])
        run_all(engine)
        assert (out["good"].asnumpy() == 1).all()
        with pytest.raises(Boom) as caught:
            out["bad"].wait_to_read()
        rule, key = caught.value.__notes__
        assert "'rule'" in rule
        assert "so key 'bad' of a local KVStore has no value" in key
        assert "test_an_updater_that_fails_later_reaches_the_pulls" in key
        with pytest.raises(Boom):
            store.barrier()
        # A value that is written whole mends it.
        store.push("bad", GOOD)
        store.pull("bad", out["bad"])
        run_all(engine)
        assert (out["bad"].asnumpy() == 0).all()


def test_the_push_that_failed_is_named_and_not_a_later_one():
    with stepping() as engine:
        store = made("w")
        store.set_updater(fail_later)
        first(store)
        second(store)
        run_all(engine)
        with pytest.raises(Boom) as caught:
            store.barrier()
        assert ", in first" in caught.value.__notes__[1]
        assert len(caught.value.__notes__) == 2


def first(store):
    store.push("w", GOOD)


def second(store):
    store.push("w", GOOD)


def test_a_gradient_that_failed_leaves_the_key_without_a_value():
    engine = af.Engine(workers=1, engine_type="threaded")
    with engine:
        store = made("w", "v")
        grad = nd.zeros((2, 3))
        engine.push(boom, writes=[grad.resource], name="backward")
        store.push("v", GOOD * 2)
        store.push("w", [grad, GOOD[0]])
        out = nd.zeros((2, 3))
        store.pull("v", out)
        assert not out.asnumpy().any()
        store.pull("w", out)
        with pytest.raises(Boom) as caught:
            out.asnumpy()
        assert "'backward'" in caught.value.__notes__[0]
        assert "so key 'w' of a local KVStore has no value" in "".join(caught.value.__notes__)
    assert close(engine) == []
