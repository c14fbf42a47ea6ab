"""The engine's faces: scripts, trio and asyncio."""

import asyncio
import threading

import pytest
import trio

from actorflow import Engine
from actorflow.engine import Resource, current_engine, current_operation, default_engine
from actorflow.errors import EngineClosedError, EngineError, WouldBlockError
from tests.engine.helpers_faults import KINDS, Gate, engine_threads, fail, open_engine, within


def _asyncio_run(main):
    return asyncio.run(main())


@pytest.fixture(params=["trio", "asyncio"])
def run(request):
    """Run an async function in a loop of either kind."""
    return {"trio": trio.run, "asyncio": _asyncio_run}[request.param]


# -- Scripts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_makes_its_engine_the_current_one(kind):
    with Engine(2, engine_type=kind) as engine:
        assert current_engine() is engine
        assert engine.push(lambda: 42).wait() == 42
        assert not engine.closed
    assert engine.closed
    assert current_engine() is not engine
    with pytest.raises(EngineClosedError):
        engine.push(lambda: None)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_nest(kind):
    with Engine(1, engine_type=kind) as outer:
        with Engine(1, engine_type=kind) as inner:
            assert current_engine() is inner
        assert current_engine() is outer


@pytest.mark.parametrize("kind", KINDS)
def test_inside_an_operation_its_engine_is_the_current_one(kind):
    with Engine(1, engine_type=kind) as engine, Engine(1, engine_type=kind):
        operation = engine.push(lambda: (current_engine(), current_operation()))
        assert operation.wait() == (engine, operation)
    assert current_operation() is None


def test_a_script_needs_no_block():
    engine = default_engine()
    assert current_engine() is engine is default_engine()
    assert engine.push(lambda: 1).wait() == 1


def test_a_thread_has_the_default_engine():
    with Engine(1) as engine:
        assert within(current_engine) is not engine


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_is_entered_once_at_a_time(kind):
    with Engine(1, engine_type=kind) as engine:
        with pytest.raises(EngineError, match="entered once"), engine:
            pass
        assert current_engine() is engine
        assert engine.push(lambda: 1).wait() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_engine_is_not_entered_again(kind, run):
    with Engine(1, engine_type=kind) as engine:
        pass
    with pytest.raises(EngineClosedError), engine:
        pass

    async def main():
        async with engine:
            pass

    with pytest.raises(EngineClosedError):
        run(main)


def test_a_wait_that_times_out_changes_nothing():
    with open_engine() as engine:
        gate, resource = Gate("late"), Resource("r")
        operation = engine.push(gate, writes=(resource,))
        for target in (operation, resource):
            with pytest.raises(TimeoutError):
                engine.wait(target, timeout=0)
        with pytest.raises(TimeoutError):
            engine.wait_all(timeout=0)
        gate.open()
        assert within(engine.wait, operation, timeout=10) == "late"
        within(engine.wait, resource, timeout=10)


def test_without_workers_a_wait_with_a_timeout_runs_operations_too():
    with open_engine(0) as engine:
        operation = engine.push(lambda: 1)
        assert engine.wait(operation, timeout=0.5) == 1
        engine.push(lambda: 2)
        engine.wait_all(timeout=0.5)


# -- Both loops ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_await_gives_the_result(kind, run):
    async def main():
        async with Engine(2, engine_type=kind) as engine:
            assert current_engine() is engine
            resource = Resource("r")
            operation = engine.push(lambda: "done", writes=(resource,))
            assert await operation == "done"
            assert await operation == "done"
            assert await engine.wait_async(resource) is None
            assert await engine.read_async(lambda: "read", (resource,)) == "read"
            await engine.wait_all_async()
            await engine.wait_room()
        assert engine.closed

    before = engine_threads()
    run(main)
    assert engine_threads() <= before


@pytest.mark.parametrize("kind", KINDS)
def test_await_raises_what_the_operation_raised(kind, run):
    async def main():
        async with Engine(2, engine_type=kind) as engine:
            resource = Resource("r")
            operation = engine.push(fail, writes=(resource,))
            with pytest.raises(ValueError, match="broken"):
                await operation
            with pytest.raises(ValueError, match="broken"):
                await engine.wait_async(resource)
            with pytest.raises(ValueError, match="broken"):
                await engine.read_async(lambda: None, (resource,))

    run(main)


def test_await_sees_the_writes_before_it_and_waits_for_none_after(run):
    async def main():
        async with Engine(2) as engine:
            resource, first, second = Resource("r"), Gate(), Gate()
            engine.push(first, writes=(resource,))
            waiting = engine.wait_async(resource)
            first.open()
            await waiting
            engine.push(second, updates=(resource,))
            assert not second.opened.is_set()
            second.open()
            await engine.wait_async(resource)

    run(main)


def test_a_large_read_is_made_by_a_worker(run):
    async def main():
        async with Engine(1) as engine:
            resource = Resource("r")
            small = await engine.read_async(threading.get_ident, (resource,), nbytes=100)
            large = await engine.read_async(threading.get_ident, (resource,), nbytes=2_000_000)
            assert small == threading.get_ident() != large

    run(main)


@pytest.mark.parametrize(
    ("what", "block"),
    [
        ("operation", lambda engine, operation, resource: operation.wait()),
        ("timeout", lambda engine, operation, resource: engine.wait(operation, timeout=1)),
        ("resource", lambda engine, operation, resource: engine.wait(resource)),
        ("read", lambda engine, operation, resource: engine.read(lambda: 1, (resource,))),
        ("all", lambda engine, operation, resource: engine.wait_all()),
        ("close", lambda engine, operation, resource: engine.close()),
        ("exit", lambda engine, operation, resource: engine.__exit__(None, None, None)),
    ],
)
def test_blocking_in_a_loop_is_an_error_that_names_await(what, block, run):
    async def main():
        with open_engine() as engine:
            resource, gate = Resource("r"), Gate(7)
            operation = engine.push(gate, writes=(resource,))
            with pytest.raises(WouldBlockError, match="await"):
                block(engine, operation, resource)
            gate.open()
            assert await operation == 7
            await engine.wait_all_async()
            block(engine, operation, resource)  # now there is nothing to wait for

    assert what
    run(main)


def test_await_without_a_loop_is_a_clear_error():
    with open_engine() as engine:
        gate = Gate()
        operation = engine.push(gate)
        with pytest.raises(RuntimeError, match="trio or asyncio"):
            operation.__await__().send(None)
        gate.open()
        within(operation.wait)


def test_async_with_without_a_loop_is_a_clear_error():
    engine = Engine(1)
    with pytest.raises(RuntimeError, match="trio or asyncio"):
        engine.__aenter__().send(None)
    assert engine.push(lambda: 1).wait() == 1
    engine.close()


def test_one_engine_serves_several_loops_at_once(run):
    gate = Gate("for all")
    with open_engine() as engine:
        operation = engine.push(gate)
        attached = threading.Barrier(4)

        async def main():
            attached.wait()
            return await operation

        results = []
        threads = [
            threading.Thread(target=lambda loop=loop: results.append(loop(main)), daemon=True)
            for loop in (trio.run, run, _asyncio_run)
        ]
        for thread in threads:
            thread.start()
        attached.wait()
        gate.open()
        for thread in threads:
            thread.join(10)
        assert results == ["for all"] * 3


def test_one_engine_serves_one_loop_after_the_other(run):
    with open_engine() as engine:

        async def main():
            return await engine.push(lambda: 5)

        assert [run(main), trio.run(main), _asyncio_run(main)] == [5, 5, 5]


def test_without_workers_await_ends(run):
    """There is no thread to run it: the caller that waits does, or is told."""

    async def main():
        engine = Engine(0, engine_type="threaded")
        try:
            return await engine.push(lambda: 1)
        except EngineError:
            return 1

    assert within(run, main, seconds=3) == 1


def test_leaving_while_another_task_still_pushes():
    """Its operations are waited for, or refused; the engine is closed either way."""

    async def push_on(engine):
        for _ in range(100):
            gate = Gate()
            try:
                engine.push(gate)
            except EngineClosedError:
                return
            await trio.lowlevel.checkpoint()
            gate.open()

    async def main():
        async with trio.open_nursery() as nursery:
            async with Engine(2) as engine:
                nursery.start_soon(push_on, engine)
                await trio.lowlevel.checkpoint()
            assert engine.closed

    before = engine_threads()
    within(trio.run, main)
    assert engine_threads() <= before
