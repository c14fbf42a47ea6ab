"""Tasks: checkpoints, deadlines, and many of them at a time."""

import asyncio

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from actorflow import Engine
from actorflow.engine import Resource, current_engine
from tests.engine.helpers_faults import KINDS, Gate, within


def _asyncio_run(main):
    return asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_every_await_is_a_checkpoint(kind):
    async def main():
        async with Engine(1, engine_type=kind) as engine:
            resource = Resource("r")
            operation = engine.push(lambda: 1, writes=(resource,))
            await operation
            with assert_checkpoints():
                await operation
            with assert_checkpoints():
                await engine.wait_async(resource)
            with assert_checkpoints():
                await engine.wait_all_async()
            with assert_checkpoints():
                await engine.wait_room()
            with assert_checkpoints():
                await engine.read_async(lambda: 1, (resource,))

    trio.run(main)


def test_a_deadline_ends_the_wait_and_nothing_else():
    async def main():
        resource, gate = Resource("r"), Gate("late")
        async with Engine(2) as engine:
            operation = engine.push(gate, writes=(resource,))
            with trio.move_on_after(5) as scope:
                await operation
            assert scope.cancelled_caught
            with pytest.raises(trio.TooSlowError), trio.fail_after(5):
                await engine.wait_async(resource)
            with trio.move_on_after(5) as scope:
                await engine.wait_all_async()
            assert scope.cancelled_caught
            with trio.move_on_after(5) as scope:
                await engine.read_async(lambda: 1, (resource,))
            assert scope.cancelled_caught
            assert trio.current_time() >= 20
            gate.open()
            engine.push(lambda: None, updates=(resource,))
        assert await operation == "late"

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_a_deadline_of_asyncio_ends_the_wait_and_nothing_else():
    async def main():
        gate = Gate("late")
        async with Engine(2) as engine:
            operation = engine.push(gate)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await operation
            gate.open()
            assert await operation == "late"

    asyncio.run(main())


def test_tasks_of_a_block_inherit_its_engine():
    seen = []

    async def child():
        seen.append(current_engine())
        await trio.lowlevel.checkpoint()

    async def main():
        async with Engine(1) as engine, trio.open_nursery() as nursery:
            nursery.start_soon(child)
        assert seen == [engine]

    trio.run(main)


def test_fifty_tasks_await_ten_thousand_results():
    tasks, each = 50, 200

    async def one(engine, resources, number, sums):
        operations = [
            engine.push(
                lambda value=value: number + value,
                reads=(resources[value % 7],),
                updates=(resources[7 + number % 5],),
            )
            for value in range(each)
        ]
        sums[number] = sum([await operation for operation in operations])

    async def with_trio():
        resources, sums = [Resource(f"r{i}") for i in range(12)], {}
        async with Engine(2) as engine, trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(one, engine, resources, number, sums)
        return sums

    async def with_asyncio():
        resources, sums = [Resource(f"r{i}") for i in range(12)], {}
        async with Engine(2) as engine, asyncio.TaskGroup() as group:
            for number in range(tasks):
                group.create_task(one(engine, resources, number, sums))
        return sums

    expected = {n: each * n + sum(range(each)) for n in range(tasks)}
    assert within(trio.run, with_trio) == expected
    assert within(_asyncio_run, with_asyncio) == expected


def test_fifty_tasks_await_one_result():
    results = []

    async def one(operation):
        results.append(await operation)

    async def main():
        gate = Gate("shared")
        async with Engine(1) as engine:
            operation = engine.push(gate)
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(one, operation)
                await wait_all_tasks_blocked()
                assert results == []
                gate.open()

    within(trio.run, main)
    assert results == ["shared"] * 50
