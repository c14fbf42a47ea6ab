"""Operations that end later than their function returns."""

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import threading

import pytest
import trio

from actorflow import Engine
from actorflow.engine import Link, Resource, current_engine, current_operation
from actorflow.errors import ActorflowError, DeadlockError, EngineError, OperationCancelled
from tests.engine.helpers_faults import KINDS, Gate, fail, flatten, open_engine, within


@pytest.fixture(params=["trio", "asyncio"])
def run(request):
    """Run an async function in a loop of either kind."""
    return trio.run if request.param == "trio" else lambda main: asyncio.run(main())


class Deferred:
    """A function that starts something and leaves its completion to the test."""

    def __init__(self):
        self.completion = None
        self.started = threading.Event()

    def __call__(self, completion):
        self.completion = completion
        self.started.set()

    def take(self):
        assert self.started.wait(10)
        completion, self.completion = self.completion, None
        return completion


# -- Completions -----------------------------------------------------------------------------------


def test_resources_stay_granted_until_the_completion():
    with open_engine(1) as engine:
        start, resource, link, order = Deferred(), Resource("r"), Link(1), []
        operation = engine.push_async(start, writes=(resource,), uses=(link,))
        after = engine.push(lambda: order.append("after"), reads=(resource,))
        linked = engine.push(lambda: order.append("linked"), uses=(link,))
        completion = start.take()
        other = engine.push(lambda: order.append("other"))  # the one worker is free
        within(other.wait)
        assert not operation.done
        assert not completion.done
        assert order == ["other"]
        completion.succeed("result")
        assert completion.done
        assert within(operation.wait) == "result"
        within(after.wait)
        within(linked.wait)


@pytest.mark.parametrize("kind", KINDS)
def test_it_may_be_completed_before_its_function_returns(kind):
    with Engine(1, engine_type=kind) as engine:
        operation = engine.push_async(lambda completion: completion.succeed(5))
        assert within(operation.wait) == 5
        failed = engine.push_async(lambda completion: completion.fail(ValueError("no")))
        with pytest.raises(ValueError, match="no"):
            within(failed.wait)


@pytest.mark.parametrize("kind", KINDS)
def test_it_may_be_completed_by_another_thread(kind):
    with Engine(1, engine_type=kind) as engine:

        def start(completion):
            threading.Thread(target=completion.succeed, args=("there",)).start()

        assert within(lambda: engine.push_async(start).wait()) == "there"


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_goes_where_the_result_would_have_been(kind):
    with Engine(1, engine_type=kind) as engine:
        resource, calls = Resource("r"), []

        def start(completion):
            completion.fail(ValueError("broken"))

        def push():
            operation = engine.push_async(start, writes=(resource,), name="my transfer")
            engine.push(lambda: calls.append(1), reads=(resource,))
            return operation

        operation = within(push)
        with pytest.raises(ValueError, match="broken") as caught:
            within(engine.wait, resource)
        assert "'my transfer'" in caught.value.__notes__[0]
        assert operation.failure.exception is caught.value
        assert calls == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_that_raises_fails_the_operation(kind):
    with Engine(1, engine_type=kind) as engine:
        operation = within(engine.push_async, lambda completion: fail())
        with pytest.raises(ValueError, match="broken"):
            within(operation.wait)


@pytest.mark.parametrize("kind", KINDS)
def test_raising_after_the_completion_is_told_at_close(kind):
    def start(completion):
        completion.succeed("result")
        fail("too late")

    engine = Engine(1, engine_type=kind)
    operation = within(engine.push_async, start, name="late")
    assert within(operation.wait) == "result"
    with pytest.raises(ExceptionGroup) as caught:
        within(engine.close)
    assert [str(error) for error in flatten(caught.value)] == ["too late"]


def test_completing_twice_is_an_error_and_changes_nothing():
    with open_engine(1) as engine:
        start = Deferred()
        operation = engine.push_async(start)
        completion = start.take()
        completion.succeed(1)
        for again in (lambda: completion.succeed(2), lambda: completion.fail(ValueError("x"))):
            with pytest.raises(ActorflowError, match="completed twice"):
                again()
        assert within(operation.wait) == 1
        within(engine.close)


@pytest.mark.parametrize("cycle", [False, True])
def test_a_dropped_completion_fails_the_operation(cycle):
    with open_engine(1) as engine:
        resource, start = Resource("r"), Deferred()
        operation = engine.push_async(start, writes=(resource,), name="forgetful")
        after = engine.push(lambda: None, updates=(resource,))
        completion = start.take()
        if cycle:
            knot = [completion]
            knot.append(knot)
            del knot
        del completion
        gc.collect()
        for what in (operation, after):
            with pytest.raises(EngineError, match="dropped its completion") as caught:
                within(what.wait)
            assert "'forgetful'" in caught.value.__notes__[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_completion_dropped_at_once_fails_the_operation(kind):
    with Engine(1, engine_type=kind) as engine:
        operation = within(engine.push_async, lambda completion: None)
        with pytest.raises(EngineError, match="dropped its completion"):
            within(operation.wait)


def test_a_running_one_is_not_cancelled():
    with open_engine(1) as engine:
        start = Deferred()
        operation = engine.push_async(start)
        completion = start.take()
        assert not operation.cancel()
        engine.cancel_all()
        completion.succeed("kept")
        assert within(operation.wait) == "kept"


def test_one_that_has_not_started_is_cancelled():
    with open_engine(1) as engine:
        gate, resource, start = Gate(), Resource("r"), Deferred()
        engine.push(gate, writes=(resource,))
        operation = engine.push_async(start, updates=(resource,))
        assert operation.cancel()
        gate.open()
        with pytest.raises(OperationCancelled):
            within(operation.wait)
        assert not start.started.is_set()


# -- Futures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_future_completes_it(kind):
    with Engine(1, engine_type=kind) as engine, concurrent.futures.ThreadPoolExecutor(1) as pool:
        good = within(engine.push_async, lambda completion: pool.submit(lambda: 5))
        bad = within(engine.push_async, lambda completion: pool.submit(fail))
        assert within(good.wait) == 5
        with pytest.raises(ValueError, match="broken"):
            within(bad.wait)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_future_fails_it(kind):
    with Engine(1, engine_type=kind) as engine:
        future = concurrent.futures.Future()
        assert future.cancel()
        operation = within(engine.push_async, lambda completion: future)
        with pytest.raises(concurrent.futures.CancelledError):
            within(operation.wait)


# -- Async functions -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_loop_it_runs_in_one_of_the_engine(kind):
    async def where():
        await trio.lowlevel.checkpoint()
        return threading.current_thread(), current_operation(), current_engine()

    with Engine(1, engine_type=kind) as engine:
        operation = within(engine.push_async, where)
        thread, inside, current = within(operation.wait)
        assert thread is not threading.current_thread()
        assert inside is operation
        assert current is engine
    thread.join(10)
    assert not thread.is_alive()


def test_in_a_block_it_runs_in_the_loop_of_the_block(run):
    async def where():
        return threading.current_thread(), current_operation(), current_engine()

    async def main():
        async with Engine(1, engine_type="threaded") as engine:
            operation = engine.push_async(where)
            assert await operation == (threading.current_thread(), operation, engine)

    run(main)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_of_it_is_its_failure(kind, run):
    async def broken():
        fail("in a task")

    async def main():
        async with Engine(1, engine_type=kind) as engine:
            resource = Resource("r")
            operation = engine.push_async(broken, writes=(resource,), name="my task")
            with pytest.raises(ValueError, match="in a task") as caught:
                await operation
            assert "'my task'" in caught.value.__notes__[0]
            with pytest.raises(ValueError, match="in a task"):
                await engine.wait_async(resource)

    within(run, main)


def test_the_end_of_the_block_waits_for_it(run):
    async def main():
        gate, calls = Gate(), []

        async def inner():
            await engine.push(gate, device="io")
            calls.append("done")

        async with Engine(1, engine_type="threaded") as engine:
            engine.push_async(inner)
            gate.open()
        assert calls == ["done"]

    within(run, main)


def test_cancelling_the_block_cancels_its_task():
    async def main():
        operations = []
        with trio.CancelScope() as scope:
            async with Engine(1, engine_type="threaded") as engine:
                started = trio.Event()

                async def forever():
                    started.set()
                    await trio.sleep_forever()

                operations.append(engine.push_async(forever, name="endless"))
                await started.wait()
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        with pytest.raises(OperationCancelled, match="'endless' was cancelled"):
            operations[0].wait()

    within(trio.run, main)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_worker_is_enough_for_those_that_await_operations(workers):
    def work():
        with Engine(workers, engine_type="threaded") as engine:
            resource = Resource("r")

            async def outer(depth):
                if depth == 0:
                    return await engine.push(lambda: 1)
                inner = engine.push_async(functools.partial(outer, depth - 1))
                first = await engine.push(lambda: depth, reads=(resource,))
                return first + await inner

            return engine.push_async(functools.partial(outer, 100)).wait()

    assert within(work) == sum(range(101)) + 1


def test_in_the_callers_loop_too(run):
    async def main():
        async with Engine(1, engine_type="threaded") as engine:

            async def outer(depth):
                if depth == 0:
                    return 1
                return 1 + await engine.push_async(functools.partial(outer, depth - 1))

            return await engine.push_async(functools.partial(outer, 100))

    assert within(run, main) == 101


def test_one_that_awaits_what_comes_after_it_is_told():
    def work():
        with Engine(1, engine_type="threaded") as engine:
            resource = Resource("r")

            async def outer():
                await engine.push(lambda: None, updates=(resource,), name="inner")

            return engine.push_async(outer, writes=(resource,), name="outer").wait()

    with pytest.raises(DeadlockError, match="outer"):
        within(work)


def test_many_run_at_a_time():
    """Each waits for all the others, so they have to overlap; no worker is kept by them."""
    count = 200

    async def main():
        arrived, everybody = [], trio.Event()

        async def one():
            arrived.append(current_operation())
            if len(arrived) == count:
                everybody.set()
            await everybody.wait()

        async with Engine(1, engine_type="threaded") as engine:
            for _ in range(count):
                engine.push_async(one, device="io")
        assert len(set(arrived)) == count

    within(trio.run, main)


def test_tasks_do_not_mix_up_their_operations():
    async def main():
        variable = contextvars.ContextVar("variable", default=0)

        async def one(number):
            variable.set(number)
            before = current_operation()
            await engine.push(lambda: None)
            return variable.get() == number and current_operation() is before

        async with Engine(2, engine_type="threaded") as engine:
            operations = [engine.push_async(functools.partial(one, i)) for i in range(20)]
            assert [await operation for operation in operations] == [True] * 20
        assert variable.get() == 0

    within(trio.run, main)


def test_system_exit_in_a_task_fails_its_operation():
    async def leave():
        raise SystemExit(3)

    engine = Engine(1, engine_type="threaded")
    operation = engine.push_async(leave, name="leaver")
    with pytest.raises((SystemExit, OperationCancelled)):
        within(operation.wait)
    within(engine.close)
