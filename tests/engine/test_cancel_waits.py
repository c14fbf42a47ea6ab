"""Cancelled waits and cancelled blocks: nobody else notices."""

import asyncio
import random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actorflow import Engine
from actorflow.engine import Resource
from actorflow.errors import OperationCancelled
from tests.engine.helpers_faults import Gate, Stage, engine_threads, within

NOT_STARTED = ("data", "link", "ready")


@pytest.mark.parametrize("point", [*NOT_STARTED, "running"])
@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_a_cancelled_wait_leaves_the_operation_alone(point, loop):
    async def wait_for(engine, stage, what):
        if what == "operation":
            await stage.target
        elif what == "resource":
            await engine.wait_async(stage.resource)
        elif what == "read":
            await engine.read_async(lambda: stage.calls.append("read"), (stage.resource,))
        else:
            await engine.wait_all_async()

    async def cancelled_in_trio(engine, stage):
        for what in ("operation", "resource", "read", "all"):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait_for, engine, stage, what)
                    await wait_all_tasks_blocked()
                    scope.cancel()
            assert scope.cancelled_caught

    async def cancelled_in_asyncio(engine, stage):
        for what in ("operation", "resource", "read", "all"):
            task = asyncio.create_task(wait_for(engine, stage, what))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    cancelled = cancelled_in_trio if loop == "trio" else cancelled_in_asyncio

    async def main():
        async with Engine(1, engine_type="threaded") as engine:
            stage = Stage(engine, point)
            await cancelled(engine, stage)
            after = engine.push(lambda: "after", updates=(stage.resource,))
            stage.gate.open()
            assert await stage.target in ("ran", "gate")
            assert await after == "after"
            await stage.reader
            assert "read" not in stage.calls

    within(trio.run, main) if loop == "trio" else within(lambda: asyncio.run(main()))


def test_a_cancelled_wait_for_room_leaves_the_others_theirs():
    async def main():
        async with Engine(1, engine_type="threaded", max_ops=1) as engine:
            gate = Gate()
            engine.push(gate)
            got = []

            async def wait(number):
                await engine.wait_room()
                got.append(number)

            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as inner:
                        inner.start_soon(wait, 0)
                        await wait_all_tasks_blocked()
                        scope.cancel()
                nursery.start_soon(wait, 1)
                await wait_all_tasks_blocked()
                assert got == []
                gate.open()
            assert got == [1]

    within(trio.run, main)


@pytest.mark.parametrize("seed", range(20))
def test_random_cancelled_waits_change_no_result(seed):
    def program(engine, values, resources, rng):
        """Push one operation; its result depends on the order of all before it."""
        target, source = rng.sample(range(len(values)), 2)
        number = rng.randrange(100)

        def step():
            values[target] = (values[target] * 31 + values[source] + number) % 1_000_003
            return values[target]

        return engine.push(step, reads=(resources[source],), updates=(resources[target],))

    def expected():
        rng, values = random.Random(seed), [1] * 5
        resources = [Resource(f"r{i}") for i in range(5)]
        with Engine(engine_type="naive") as engine:
            operations = [program(engine, values, resources, rng) for _ in range(60)]
            return [operation.wait() for operation in operations]

    async def main():
        rng, cancels, values = random.Random(seed), random.Random(seed + 1), [1] * 5
        resources = [Resource(f"r{i}") for i in range(5)]

        async def impatient(engine, operation):
            with trio.CancelScope() as scope:
                if cancels.random() < 0.5:
                    scope.cancel()
                kind = cancels.randrange(3)
                if kind == 0:
                    await operation
                elif kind == 1:
                    await engine.wait_async(cancels.choice(resources))
                else:
                    await engine.read_async(lambda: None, cancels.sample(resources, 2))

        async with Engine(2, engine_type="threaded") as engine:
            operations = []
            async with trio.open_nursery() as nursery:
                for _ in range(60):
                    operations.append(program(engine, values, resources, rng))
                    nursery.start_soon(impatient, engine, operations[-1])
                    if cancels.random() < 0.3:
                        await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            return [await operation for operation in operations]

    assert within(trio.run, main) == expected()


# -- Leaving a block -------------------------------------------------------------------------------


def check_left(operations, calls):
    assert operations[0].wait() == "ran to its end"
    for operation in operations[1:]:
        with pytest.raises(OperationCancelled):
            operation.wait()
    assert calls == []


def push_queue(engine, gate):
    """One that runs, and a queue behind it."""
    resource, calls = Resource("r"), []
    operations = [engine.push(gate, writes=(resource,))]
    operations += [
        engine.push(lambda: calls.append(1), updates=(resource,), name=f"queued {i}")
        for i in range(5)
    ]
    gate.wait_entered()
    return operations, calls


def test_a_cancelled_block_skips_what_waits_and_waits_for_what_runs():
    async def main():
        gate, left, told = Gate("ran to its end"), [], []

        async def block(scope):
            with scope:
                async with Engine(2, engine_type="threaded") as engine:
                    told.append(push_queue(engine, gate))
                    await trio.sleep_forever()
            assert scope.cancelled_caught
            left.append(engine)

        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(block, scope)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert left == []  # it waits for what runs
            gate.open()
        assert left[0].closed
        check_left(*told[0])

    before = engine_threads()
    within(trio.run, main)
    assert engine_threads() <= before


def test_a_block_cancelled_while_it_ends_does_the_same():
    async def main():
        gate, left, told = Gate("ran to its end"), [], []

        async def block(scope):
            with scope:
                async with Engine(2, engine_type="threaded") as engine:
                    told.append(push_queue(engine, gate))
            assert scope.cancelled_caught
            left.append(engine)

        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(block, scope)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert left == []
            gate.open()
        check_left(*told[0])

    within(trio.run, main)


@pytest.mark.parametrize("cancels", [1, 3])
def test_a_cancelled_block_of_asyncio_does_the_same(cancels):
    async def main():
        gate, told, entered = Gate("ran to its end"), [], asyncio.Event()

        async def block():
            async with Engine(2, engine_type="threaded") as engine:
                told.append(push_queue(engine, gate))
                entered.set()
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(block())
        await entered.wait()
        for _ in range(cancels):
            task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
        assert not task.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await task
        check_left(*told[0])

    before = engine_threads()
    within(lambda: asyncio.run(main()))
    assert engine_threads() <= before


def test_an_exception_in_the_block_does_the_same():
    gate, told = Gate("ran to its end"), []

    def block():
        with Engine(2, engine_type="threaded") as engine:
            told.append(push_queue(engine, gate))
            cancel_all = engine.cancel_all
            engine.cancel_all = lambda: (cancel_all(), gate.open())
            raise KeyError("body")

    with pytest.raises(KeyError, match="body"):
        within(block)
    check_left(*told[0])
