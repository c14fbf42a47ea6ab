"""Bounds on the operations and bytes in flight."""

import threading

import pytest
import trio

from actorflow import Engine
from actorflow.engine import Instrument, Resource
from actorflow.errors import BackPressureError, WouldBlockError
from tests.engine.helpers_faults import Gate, in_threads, open_engine, within


class HighWater(Instrument):
    """Notes how much was in flight whenever something became ready (that is inside a turn)."""

    def __init__(self):
        self.engine = None
        self.operations = self.nbytes = 0

    def granted(self, operation):
        del operation
        self.operations = max(self.operations, self.engine.in_flight)
        self.nbytes = max(self.nbytes, self.engine.nbytes_in_flight)

    def watch(self, engine):
        self.engine = engine
        engine.install(self)
        return self


def test_a_loop_of_pushes_stays_within_the_bound_of_operations():
    with Engine(2, engine_type="threaded", max_ops=100) as engine:
        seen = HighWater().watch(engine)
        resource, calls = Resource("r"), []
        for number in range(3000):
            engine.push(lambda number=number: calls.append(number), updates=(resource,))
        within(engine.wait_all)
        assert calls == list(range(3000))
        assert seen.operations <= 100


def test_a_loop_of_pushes_stays_within_the_bound_of_bytes():
    mb = 1 << 20
    with Engine(2, engine_type="threaded", max_nbytes=20 * mb) as engine:
        seen = HighWater().watch(engine)
        resource = Resource("r")
        for _ in range(2000):
            engine.push(lambda: None, updates=(resource,), nbytes=mb)
        within(engine.wait_all)
        assert mb <= seen.nbytes <= 20 * mb
        assert engine.statistics().nbytes_in_flight == 0


@pytest.mark.parametrize(
    ("options", "nbytes"), [({"max_ops": 1}, 0), ({"max_nbytes": 100}, 60), ({"max_nbytes": 1}, 1)]
)
def test_a_push_past_the_bound_blocks_until_there_is_room(options, nbytes):
    with open_engine(2, **options) as engine:
        gate, order = Gate(), []
        first = engine.push(lambda: (gate(), order.append("first")), nbytes=nbytes, device="io")
        gate.wait_entered()

        def push():
            operation = engine.push(lambda: order.append("second"), nbytes=nbytes)
            order.append("pushed")
            return operation

        thread = threading.Thread(target=lambda: push().wait(), daemon=True)
        thread.start()
        while not engine._parked:
            thread.join(0)
        assert order == []
        gate.open()
        thread.join(10)
        assert order[0] == "first"
        assert sorted(order) == ["first", "pushed", "second"]
        within(first.wait)


@pytest.mark.parametrize("max_nbytes", [1, 100])
def test_one_operation_alone_may_be_larger_than_the_bound(max_nbytes):
    async def main():
        async with Engine(2, max_nbytes=max_nbytes, engine_type="threaded") as engine:
            for number in range(5):
                await engine.wait_room(1000)
                assert await engine.push(lambda number=number: number, nbytes=1000) == number

    with Engine(2, engine_type="threaded", max_nbytes=max_nbytes) as engine:
        operations = [within(engine.push, lambda i=i: i, nbytes=1000) for i in range(5)]
        assert [within(operation.wait) for operation in operations] == list(range(5))
    within(trio.run, main)


@pytest.mark.parametrize("nbytes", [-1, 1.5, "1"])
def test_bytes_are_a_number_of_at_least_0(nbytes):
    for kind in ("threaded", "naive"):
        with Engine(1, engine_type=kind) as engine:
            with pytest.raises((ValueError, TypeError)):
                engine.push(lambda: None, nbytes=nbytes)
            assert within(engine.push(lambda: 1).wait) == 1


@pytest.mark.parametrize("option", ["max_ops", "max_nbytes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
def test_bounds_are_numbers_of_at_least_1(option, value):
    with pytest.raises(ValueError, match=option):
        Engine(1, **{option: value})


def test_the_bounds_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("AF_MAX_OPS", "7")
    monkeypatch.setenv("AF_MAX_NBYTES", "8000")
    with Engine(1) as engine:
        assert (engine.max_ops, engine.max_nbytes) == (7, 8000)


# -- Event loops -----------------------------------------------------------------------------------


def test_in_a_loop_a_push_past_the_bound_is_an_error_that_names_await():
    async def main():
        async with Engine(2, engine_type="threaded", max_ops=2) as engine:
            gate = Gate()
            operations = [engine.push(gate), engine.push(gate)]
            with pytest.raises(BackPressureError, match=r"await engine\.wait_room"):
                engine.push(gate)
            gate.open()
            for operation in operations:
                await operation
            await engine.wait_room()
            assert await engine.push(lambda: "room") == "room"

    assert issubclass(BackPressureError, WouldBlockError)
    within(trio.run, main)


def test_a_refused_push_has_changed_nothing():
    async def main():
        async with Engine(2, engine_type="threaded", max_ops=1) as engine:
            gate, resource, calls = Gate(), Resource("r"), []
            engine.push(gate, writes=(resource,))
            with pytest.raises(BackPressureError):
                engine.push(lambda: calls.append("refused"), updates=(resource,))
            gate.open()
            await engine.wait_all_async()
            assert calls == []
            await engine.push(lambda: calls.append("later"), updates=(resource,))
            assert calls == ["later"]

    within(trio.run, main)


@pytest.mark.parametrize("nbytes", [0, 300])
def test_a_loop_that_awaits_room_never_meets_the_bound(nbytes):
    async def main():
        async with Engine(2, engine_type="threaded", max_ops=10, max_nbytes=1000) as engine:
            seen = HighWater().watch(engine)
            calls = []
            for number in range(500):
                await engine.wait_room(nbytes)
                engine.push(lambda number=number: calls.append(number), nbytes=nbytes)
            await engine.wait_all_async()
            assert sorted(calls) == list(range(500))
            assert seen.operations <= 10
            assert seen.nbytes <= 1000

    within(trio.run, main)


def test_many_tasks_await_room():
    async def main():
        async with Engine(2, engine_type="threaded", max_ops=3) as engine:
            done = []

            async def one(number):
                for _ in range(10):
                    await engine.wait_room()
                    try:
                        operation = engine.push(lambda: number)
                    except BackPressureError:
                        continue  # another task took the room: allowed, as long as it is told
                    done.append(await operation)

            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(one, number)
            assert len(done) >= 20

    within(trio.run, main)


# -- Operations that push --------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("wait", [False, True])
def test_operations_that_push_past_the_bound_do_not_deadlock(workers, wait):
    calls = []

    def outer(engine, number):
        inner = [engine.push(lambda i=i: calls.append((number, i)), nbytes=50) for i in range(10)]
        if wait:
            for operation in inner:
                operation.wait()

    def work():
        with Engine(workers, engine_type="threaded", max_ops=2, max_nbytes=100) as engine:
            for number in range(10):
                engine.push(lambda number=number: outer(engine, number), nbytes=50)
            engine.wait_all()

    within(work)
    assert sorted(calls) == [(number, i) for number in range(10) for i in range(10)]


def test_an_async_function_that_awaits_room_for_what_it_pushes():
    """It is in flight itself, so it must not wait for its own end."""

    def work():
        with Engine(1, engine_type="threaded", max_ops=1) as engine:

            async def outer():
                await engine.wait_room()
                return await engine.push(lambda: "inner")

            return engine.wait(engine.push_async(outer), timeout=5)

    assert within(work) == "inner"


def test_several_threads_push_past_the_bound():
    with Engine(2, engine_type="threaded", max_ops=20) as engine:
        seen = HighWater().watch(engine)
        resource, calls = Resource("r"), []

        def push(name):
            for number in range(300):
                engine.push(lambda number=number: calls.append((name, number)), updates=(resource,))

        in_threads(*[lambda name=name: push(name) for name in "abcd"])
        within(engine.wait_all)
        assert len(calls) == 1200
        for name in "abcd":  # each thread's own order is kept
            assert [n for who, n in calls if who == name] == list(range(300))
        # As many more as threads push at the same moment.
        assert seen.operations <= 20 + 4
