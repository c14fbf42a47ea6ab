"""Contexts: names of places, default places per task."""

import asyncio
import pickle
import threading

import numpy as np
import pytest
import trio
import trio.testing

from actorflow.device import Context, cpu, cpu_pinned, current_context, gpu
from actorflow.errors import ContextError


@pytest.mark.parametrize(
    ("context", "kind", "typeid", "text"),
    [
        (Context("cpu"), "cpu", 1, "cpu(0)"),
        (Context("gpu", 3), "gpu", 2, "gpu(3)"),
        (Context("cpu_pinned", device_id=1), "cpu_pinned", 3, "cpu_pinned(1)"),
        (cpu(2), "cpu", 1, "cpu(2)"),
        (gpu(), "gpu", 2, "gpu(0)"),
        (cpu_pinned(), "cpu_pinned", 3, "cpu_pinned(0)"),
    ],
)
def test_names(context, kind, typeid, text):
    assert (context.device_type, context.device_typeid) == (kind, typeid)
    assert str(context) == repr(context) == context.name == text


def test_equality_and_hash_go_by_type_and_number():
    assert cpu(1) == Context("cpu", np.int64(1))
    assert hash(cpu(1)) == hash(Context("cpu", 1))
    assert len({cpu(0), cpu(1), gpu(0), cpu_pinned(0), Context(cpu(1))}) == 4
    assert cpu(0) != "cpu(0)"


def test_a_context_makes_a_context():
    assert Context(gpu(2)) == gpu(2)


@pytest.mark.parametrize("kind", ["tpu", "", "CPU", 1, None, ["cpu"]])
def test_unknown_type(kind):
    with pytest.raises(ContextError, match="'cpu', 'gpu', 'cpu_pinned'"):
        Context(kind)


@pytest.mark.parametrize("number", [-1, 2**31, 0.0, "0", None, True])
def test_bad_number(number):
    with pytest.raises(ContextError, match="integer from 0 to 2147483647"):
        Context("cpu", number)


def test_immutable():
    context = cpu(1)
    with pytest.raises(AttributeError, match=r"cpu\(1\) cannot be changed"):
        context.device_id = 2
    with pytest.raises(AttributeError, match="make a new Context"):
        del context.device_id
    with pytest.raises(AttributeError):
        context.colour = "red"
    assert context == cpu(1)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(protocol):
    assert pickle.loads(pickle.dumps(cpu_pinned(7), protocol)) == cpu_pinned(7)  # noqa: S301


def test_blocks_nest_and_one_context_may_be_entered_twice():
    outer = cpu(1)
    assert current_context() == cpu(0)
    with outer as entered:
        assert entered is outer
        with gpu(0):
            assert current_context() == gpu(0)
            with outer:
                assert current_context() is outer
            assert current_context() == gpu(0)
        assert current_context() is outer
    assert current_context() == cpu(0)


def test_an_exception_leaves_the_block():
    with pytest.raises(KeyError), cpu(1):
        raise KeyError
    assert current_context() == cpu(0)


def test_leaving_out_of_order_is_an_error():
    first, second = cpu(1), cpu(2)
    first.__enter__()
    try:
        with pytest.raises(ContextError, match="out of order"):
            second.__exit__(None, None, None)
    finally:
        first.__exit__(None, None, None)


def test_another_thread_starts_with_the_default():
    seen = []
    with cpu(5):
        thread = threading.Thread(target=lambda: seen.append(current_context()))
        thread.start()
        thread.join()
    assert seen == [cpu(0)]


def test_trio_tasks_do_not_see_each_others_blocks():
    seen = {}
    shared = cpu(9)

    async def task(context, others):
        with shared, context:
            others.set()
            await trio.testing.wait_all_tasks_blocked()
            seen[context] = current_context()

    async def main():
        async with trio.open_nursery() as nursery:
            with cpu(8):
                for number in range(3):
                    nursery.start_soon(task, cpu(number), trio.Event())
                assert current_context() == cpu(8)

    trio.run(main)
    assert seen == {cpu(number): cpu(number) for number in range(3)}


def test_asyncio_tasks_do_not_see_each_others_blocks():
    async def task(context):
        with context:
            await asyncio.sleep(0)
            return current_context()

    async def main():
        return await asyncio.gather(*(task(cpu(number)) for number in range(3)))

    assert asyncio.run(main()) == [cpu(0), cpu(1), cpu(2)]


def test_a_gpu_can_be_named_but_holds_no_memory():
    cpu(1).require_memory()
    cpu_pinned(1).require_memory()
    with pytest.raises(ContextError, match=r"gpu\(1\): no CUDA backend is installed"):
        gpu(1).require_memory()
