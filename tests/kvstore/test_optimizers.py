"""Stores that update weights by an optimizer."""

import threading

import numpy as np
import pytest
import trio

import actorflow as af
from actorflow import nd
from actorflow.errors import FormatError, WouldBlockError
from tests.engine._helpers import run_all, stepping

SHAPES = {"fc1_weight": (5, 4), "fc1_bias": (5,), "fc2_weight": (300, 300)}


def gradients(step, devices):
    generator = np.random.default_rng(step)
    return {
        key: [
            nd.array(generator.standard_normal(shape), af.cpu(number)) for number in range(devices)
        ]
        for key, shape in SHAPES.items()
    }


def store_of(kind="local", **options):
    store = af.kv.create(kind)
    store.init({key: nd.ones(shape) for key, shape in SHAPES.items()})
    store.set_optimizer(af.optimizer.SGD(learning_rate=0.5, momentum=0.9, wd=0.1, **options))
    return store


def weights(store):
    out = {key: nd.empty(shape) for key, shape in SHAPES.items()}
    store.pull(out)
    return {key: each.asnumpy().tobytes() for key, each in out.items()}


def reference(steps, devices):
    """What gradient descent with momentum gives, in float64."""
    found = {}
    for key, shape in SHAPES.items():
        weight, momentum = np.ones(shape), np.zeros(shape)
        for step in steps:
            grad = sum(each.asnumpy().astype(float) for each in gradients(step, devices)[key])
            decay = 0.1 if key.endswith("_weight") else 0.0
            momentum = 0.9 * momentum - 0.5 * (grad + decay * weight)
            weight = weight + momentum
        found[key] = weight
    return found


@pytest.mark.parametrize("kind", ["local", "device"])
@pytest.mark.parametrize("devices", [1, 2])
def test_weights_follow_the_rule(engine, kind, devices):
    store = store_of(kind)
    for step in range(3):
        store.push(gradients(step, devices), priority=-step)
    found = weights(store)
    for key, expected in reference(range(3), devices).items():
        got = np.frombuffer(found[key], np.float32).reshape(SHAPES[key])
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_one_call_or_many_and_one_store_or_another_give_the_same_bits(engine):
    found = []
    for kind in ("local", "device"):
        for together in (True, False):
            store = store_of(kind)
            for step in range(3):
                grads = gradients(step, 2)
                if together:
                    store.push(grads)
                else:
                    for key in reversed(SHAPES):
                        store.push(key, grads[key])
            found.append(weights(store))
    assert found[1:] == found[:-1]


def test_an_updater_of_an_optimizer_is_one(engine, tmp_path):
    store, other = store_of(), af.kv.create()
    other.init({key: nd.ones(shape) for key, shape in SHAPES.items()})
    rule = af.optimizer.SGD(learning_rate=0.5, momentum=0.9, wd=0.1)
    other.set_updater(af.optimizer.get_updater(rule))
    for each in (store, other):
        each.push(gradients(0, 2))
        each.save_optimizer_states(tmp_path / "states")
    assert weights(store) == weights(other)


def test_many_small_keys_are_two_messages_and_one_if_there_is_one_device():
    with stepping() as engine:
        keys = list(range(40))
        store = af.kv.create()
        store.init(keys, [nd.ones((8,)) for _ in keys])
        store.set_optimizer(af.optimizer.SGD(learning_rate=0.5, momentum=0.9))
        one, two = (
            [[nd.ones((8,), af.cpu(n)) for n in range(count)] for _ in keys] for count in (1, 2)
        )
        store.push(keys, one)  # the first makes the states
        run_all(engine)
        store.push(keys, one)
        assert len(run_all(engine)) == 1
        store.push(keys, two)
        assert len(run_all(engine)) == 2


def test_what_the_first_layer_needs_is_updated_first():
    with stepping("priority") as engine:
        store = af.kv.create()
        keys = [0, 1, 2]
        store.init(keys, [nd.ones((8,)) for _ in keys])
        store.set_optimizer(af.optimizer.SGD(learning_rate=0.5, momentum=0.9))
        grads = [nd.ones((8,)) for _ in keys]
        store.push(keys, grads)
        run_all(engine)
        operations = []

        class Noting(af.engine.Instrument):
            def started(self, operation):
                operations.append(operation.priority)

        engine.install(Noting())
        for key in reversed(keys):
            store.push(key, grads[key], priority=-key)
        run_all(engine)
        assert operations == [0, -1, -2]


@pytest.mark.parametrize("kind", ["local", "device"])
def test_a_run_goes_on_from_its_states_with_the_same_bits(engine, kind, tmp_path):
    path = tmp_path / "states"
    store = store_of(kind)
    store.push(gradients(0, 2))
    store.save_optimizer_states(path)
    assert [each.name for each in tmp_path.iterdir()] == ["states"]
    out = {key: nd.empty(shape) for key, shape in SHAPES.items()}
    store.pull(out)
    again = af.kv.create(kind)
    again.init(out)
    again.set_optimizer(af.optimizer.SGD(learning_rate=0.5, momentum=0.9, wd=0.1))
    again.load_optimizer_states(path)
    for each in (store, again):
        each.push(gradients(1, 2))
    assert weights(store) == weights(again)


def test_a_file_of_something_else(engine, tmp_path):
    path = tmp_path / "states"
    path.write_bytes(b"no states")
    store = store_of()
    with pytest.raises(FormatError):
        store.load_optimizer_states(path)
    with pytest.raises(FileNotFoundError):
        store.load_optimizer_states(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        store.save_optimizer_states(tmp_path / "none" / "states")


def test_states_are_saved_in_a_task(tmp_path):
    path = tmp_path / "states"

    async def main():
        async with af.Engine(workers=1, engine_type="threaded") as engine:
            store = store_of()
            gate = threading.Event()
            grads = gradients(0, 1)
            engine.push(gate.wait, updates=[two[0].resource for two in grads.values()])
            store.push(grads)
            with pytest.raises(WouldBlockError) as caught:
                store.save_optimizer_states(path)
            assert "save_optimizer_states_async" in "".join(caught.value.__notes__)
            assert not path.exists()
            gate.set()
            await store.save_optimizer_states_async(path, dump_optimizer=True)
            other = store_of()
            other.set_optimizer(af.optimizer.SGD(momentum=0.5))
            other.load_optimizer_states(path)
            assert other._rules.optimizer.momentum == 0.9

    trio.run(main)
    assert path.exists()
