"""Stores of one process: what is pulled, where it is computed, and in which order."""

import asyncio
import contextvars
import threading

import numpy as np
import pytest
import trio

import actorflow as af
from actorflow import nd
from tests.engine._helpers import run_all, stepping

KINDS = ("local", "device")


def arrays(values, contexts=(0, 1), shape=(2, 3), dtype="float32"):
    """One array for each context, filled with the values."""
    made = []
    for value, number in zip(values, contexts, strict=False):
        with af.cpu(number):
            made.append(nd.full(shape, value, dtype=dtype))
    return made


def pulled(store, key, shape=(2, 3)):
    out = arrays((-1, -1), shape=shape)
    store.pull(key, out)
    first, second = (each.asnumpy() for each in out)
    assert (first == second).all()
    return first


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_is_the_sum_over_devices(engine, kind):
    store = af.kv.create(kind)
    store.init("w", nd.ones((2, 3)))
    assert (pulled(store, "w") == 1).all()
    store.push("w", arrays((2, 3)))
    assert (pulled(store, "w") == 5).all()
    store.push("w", arrays((7,)))
    assert (pulled(store, "w") == 7).all()
    store.push("w", arrays((1, 2, 3, 4), range(4)))
    assert (pulled(store, "w") == 10).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_updater_changes_what_is_stored(engine, kind):
    store = af.kv.create(kind)
    store.init(3, nd.ones((2, 3)))

    def update(key, recv, stored):
        seen.append(key)
        stored += recv * 2

    seen = []
    store.set_updater(update)
    store.push(3, arrays((1, 2)))
    store.push(3, arrays((4,)))
    assert (pulled(store, 3) == 1 + 2 * 3 + 2 * 4).all()
    assert seen == [3, 3]
    store._set_updater(None)
    store.push(3, arrays((4, 5)))
    assert (pulled(store, 3) == 9).all()


def test_an_updater_may_change_a_part(engine):
    store = af.kv.create()
    store.init("w", nd.zeros((2, 3)))

    def update(key, recv, stored):
        stored[0] += recv[0]
        stored[1] -= recv[1]

    store.set_updater(update)
    for _ in range(3):
        store.push("w", arrays((1, 2)))
    assert pulled(store, "w")[:, 0].tolist() == [9, -9]


def test_lists_and_mappings_of_keys(engine):
    store = af.kv.create()
    store.init(["a", 1], [nd.zeros((2, 3)), nd.zeros((2, 3))])
    store.init({"b": nd.ones((2, 3))})
    store.push(["a", 1], [arrays((1, 2)), arrays((3, 4))])
    assert [pulled(store, key)[0, 0] for key in ("a", 1, "b")] == [3, 7, 1]
    # A key that is given twice has the arrays of both.
    store.push(["a", "a", 1], [nd.full((2, 3), value) for value in (1, 2, 4)])
    store.push({"b": arrays((5, 6))})
    out = {key: arrays((0, 0)) for key in ("a", 1, "b")}
    store.pull(out)
    found = {key: [each.asnumpy()[0, 0] for each in two] for key, two in out.items()}
    assert found == {"a": [3, 3], 1: [4, 4], "b": [11, 11]}
    one, again = nd.zeros((2, 3)), nd.zeros((2, 3))
    store.pull(["a", "a"], [one, again])
    assert one.asnumpy()[0, 0] == again.asnumpy()[0, 0] == 3


def test_the_program_of_the_article(engine):
    class Net:
        """A network of two layers on two devices, whose gradient is its weights."""

        def __init__(self):
            self.w = {f"fc{n}": arrays((0, 0)) for n in (1, 2)}
            self.g = {f"fc{n}": arrays((0, 0)) for n in (1, 2)}

        def forward_backward(self):
            for name, weights in self.w.items():
                for weight, grad in zip(weights, self.g[name], strict=True):
                    grad[:] = weight

    net = Net()
    kv = af.kv.create("device")
    kv.init({name: nd.full((2, 3), 16) for name in net.w})

    def update(key, recv, stored):
        stored -= 0.25 * recv

    kv.set_updater(update)
    for _ in range(3):
        kv.pull(net.w)
        net.forward_backward()
        kv.push(net.g)
    kv.pull(net.w)
    assert {each.asnumpy()[0, 0] for two in net.w.values() for each in two} == {2}


def test_the_sum_is_made_in_the_order_of_the_list(engine):
    store = af.kv.create()
    store.init("w", nd.zeros((40_000,)))
    random = np.random.default_rng(5)
    parts = [random.standard_normal(40_000).astype(np.float32) * 10.0**n for n in range(4)]
    store.push("w", [nd.array(part) for part in parts])
    expected = ((parts[0] + parts[1]) + parts[2]) + parts[3]
    assert pulled(store, "w", (40_000,)).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "uint8"])
def test_data_types(engine, dtype):
    store = af.kv.create()
    store.init(0, nd.ones((5,), dtype=dtype))
    store.push(0, arrays((3, 4), shape=(5,), dtype=dtype))
    out = nd.zeros((5,), dtype=dtype)
    store.pull(0, out)
    assert out.asnumpy().tolist() == [7] * 5


def test_the_first_value_is_copied_and_so_is_what_is_pulled(engine):
    store = af.kv.create()
    value, out = nd.ones((2, 3)), nd.zeros((2, 3))
    store.init("w", value)
    value[:] = 5
    store.pull("w", out)
    out[:] = 6
    assert (pulled(store, "w") == 1).all()


def test_views_are_pushed_and_pulled(engine):
    store = af.kv.create()
    store.init("w", nd.zeros((3,)))
    whole = nd.array(np.arange(12).reshape(4, 3))
    store.push("w", [whole[1], whole[2]])
    store.pull("w", [whole[0], whole[3]])
    assert whole.asnumpy()[[0, 3]].tolist() == [[9, 11, 13], [9, 11, 13]]


def test_one_device_hands_its_gradient_to_the_updater(engine):
    store = af.kv.create()
    store.init("w", nd.zeros((2, 3)))
    received = []
    store.set_updater(lambda key, recv, stored: received.append((recv, stored.context)))
    (grad,) = arrays((1,), (1,))
    store.push("w", grad)
    assert received == [(grad, af.cpu(1))]  # the key has gone to where it is updated
    (other,) = arrays((1,), (0,))
    store.push("w", [other])
    recv, context = received[1]
    assert recv is not other
    assert recv.context == context == af.cpu(1)


def test_keys_of_a_device_store_are_spread_by_size(engine):
    store = af.kv.create("device")
    sizes = {"a": 10, "b": 1000, "c": 600, "d": 500}
    store.init({key: nd.zeros((size,)) for key, size in sizes.items()})
    contexts = {}
    store.set_updater(lambda key, recv, stored: contexts.update({key: stored.context.device_id}))
    store.push({key: arrays((1, 1), shape=(size,)) for key, size in sizes.items()})
    assert contexts == {"a": 0, "b": 0, "c": 1, "d": 1}


def test_a_local_store_keeps_keys_where_they_began(engine):
    store = af.kv.create("local")
    with af.cpu(1):
        store.init("w", nd.zeros((2, 3)))
    contexts = []
    store.set_updater(lambda key, recv, stored: contexts.append((recv.context, stored.context)))
    store.push("w", arrays((1, 1)))
    assert contexts == [(af.cpu(1), af.cpu(1))]


def test_names_of_stores():
    for name in ("local", "local_update_cpu", "local_allreduce_cpu"):
        assert af.kv.create(name).type == name
    for name in ("device", "local_update_device", "LOCAL_allreduce_device"):
        assert af.kvstore.create(name).type == name.lower()
    store = af.kv.create()
    assert isinstance(store, af.kv.KVStore)
    assert (store.type, store.rank, store.num_workers) == ("local", 0, 1)


# -- The order -------------------------------------------------------------------------------------


def test_what_the_first_layer_needs_overtakes():
    with stepping("priority") as engine:
        store = af.kv.create()
        store.init(list(range(3)), [nd.zeros((2, 3))] * 3)
        grads, out = [arrays((1, 1)) for _ in range(3)], [arrays((0, 0)) for _ in range(3)]
        run_all(engine)
        order = []
        engine.install(_Noting(order))
        for key in (2, 1, 0):  # as backward comes to them
            store.push(key, grads[key], priority=-key)
            store.pull(key, out[key], priority=-key)
        run_all(engine)
    both = ("kvstore_push", "kvstore_pull")
    assert order == [(name, -key) for key in (0, 1, 2) for name in both]


def test_what_an_updater_sends_has_the_priority_of_its_push():
    with stepping("priority") as engine:
        store = af.kv.create()
        store.init(list(range(3)), [nd.zeros((2, 3))] * 3)
        store.set_updater(lambda key, recv, stored: stored.__iadd__(recv))
        run_all(engine)
        order = []
        engine.install(_Noting(order))
        for key in (2, 1, 0):
            store.push(key, nd.ones((2, 3)), priority=-key)
        nd.ones((1,))
        run_all(engine)
    assert [priority for name, priority in order if "add" in name] == [0, -1, -2]
    assert order[-1][1] == -2


class _Noting(af.engine.Instrument):
    """Notes what begins."""

    def __init__(self, order):
        self.order = order

    def started(self, operation):
        self.order.append((operation.name, operation.priority))


def test_a_pull_waits_for_its_own_key_alone():
    with stepping() as engine:
        store = af.kv.create()
        store.init(["a", "b"], [nd.zeros((2, 3)), nd.zeros((2, 3))])
        run_all(engine)
        late = nd.full((2, 3), 2)
        completions = []
        engine.push_async(completions.append, updates=[late.resource])
        out = {key: nd.zeros((2, 3)) for key in "ab"}
        store.push("a", late)
        store.push("b", nd.ones((2, 3)))
        store.pull("a", out["a"])
        store.pull("b", out["b"])
        run_all(engine)
        assert (out["b"].asnumpy() == 1).all()
        assert not out["a"].resource.idle
        completions.pop().succeed()
        run_all(engine)
        assert (out["a"].asnumpy() == 2).all()


def test_nothing_waits():
    with stepping() as engine:
        store = af.kv.create()
        out = nd.zeros((2, 3))
        store.init("w", nd.zeros((2, 3)))
        store.push("w", arrays((1, 2)))
        store.pull("w", out)
        assert engine.statistics().in_flight > 3
        run_all(engine)
        assert (out.asnumpy() == 3).all()


def test_small_keys_of_one_call_are_one_message():
    with stepping() as engine:
        store = af.kv.create()
        keys = list(range(50))
        store.init(keys, [nd.zeros((20,)) for _ in keys])
        grads = [arrays((1, 2), shape=(20,)) for _ in keys]
        out = [arrays((0, 0), shape=(20,)) for _ in keys]
        run_all(engine)
        store.push(keys, grads)
        store.pull(keys, out)
        assert run_all(engine) == ["kvstore_push", "kvstore_pull"]
        assert {each.asnumpy()[0] for two in out for each in two} == {3}


def test_large_keys_are_messages_of_their_own():
    with stepping() as engine:
        store = af.kv.create()
        sizes = [100_000, 10, 100_000, 10]
        store.init(list(range(4)), [nd.zeros((size,)) for size in sizes])
        grads = [nd.ones((size,)) for size in sizes]
        run_all(engine)
        store.push(list(range(4)), grads)
        assert run_all(engine) == ["kvstore_push"] * 3


# -- Waiting ---------------------------------------------------------------------------------------


def test_a_barrier_is_behind_everything_that_was_sent(engine):
    store = af.kv.create()
    store.init("w", nd.zeros((2, 3)))
    assert store.barrier().done
    out = nd.zeros((2, 3))
    store.push("w", arrays((1, 2)))
    store.pull("w", out)
    assert store._barrier().done
    assert out.resource.idle
    assert af.kv.create().barrier().done  # of a store without keys


@pytest.mark.parametrize("run", [trio.run, lambda main: asyncio.run(main())])
def test_a_barrier_is_awaited_in_a_task(run):
    async def main():
        async with af.Engine(workers=1, engine_type="threaded") as engine:
            store = af.kv.create()
            store.init("w", nd.zeros((2, 3)))
            out = nd.zeros((2, 3))
            gate = threading.Event()
            engine.push(gate.wait, name="gate")  # on the one worker
            store.push("w", nd.ones((300, 300))[0:2, 0:3])
            store.pull("w", out)
            barrier = store.barrier()
            assert not barrier.done
            gate.set()
            await barrier
            assert out.resource.idle
            assert (await out == 1).all()

    run(main)


def test_several_threads_push_to_one_key(engine):
    store = af.kv.create()
    store.init("w", nd.zeros((2, 3)))
    store.set_updater(lambda key, recv, stored: stored.__iadd__(recv))

    def work(values):
        for _ in range(20):
            store.push("w", values)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work, arrays((n, n))))
        for n in range(1, 5)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (pulled(store, "w") == 20 * 2 * (1 + 2 + 3 + 4)).all()
