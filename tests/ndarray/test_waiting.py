"""Waiting for arrays, in scripts and in event loops."""

import asyncio
import threading

import numpy as np
import pytest
import trio

from actorflow import nd
from actorflow.engine import Engine
from actorflow.errors import WouldBlockError


def test_an_array_can_be_awaited_under_trio():
    async def main():
        async with Engine(workers=2):
            x = nd.array([1, 2, 3])
            for _ in range(50):
                x = x + 1
            result = await x
            assert isinstance(result, np.ndarray)
            assert result.tolist() == [51, 52, 53]
            part = x[1:]
            part += 1
            assert (await x).tolist() == [51, 53, 54]

    trio.run(main)


def test_an_array_can_be_awaited_under_asyncio():
    async def main():
        async with Engine(workers=2):
            x = nd.ones((4,))
            results = await asyncio.gather(*[_value(x * k) for k in range(20)])
            assert [each[0] for each in results] == list(range(20))

    async def _value(array):
        return await array

    asyncio.run(main())


def test_asyncio_takes_an_array_where_it_takes_awaitables():
    async def main():
        async with Engine(workers=2):
            x, y = nd.ones((2,)), nd.zeros((3,))
            for values, size in zip(await asyncio.gather(x, y), (2, 3), strict=True):
                assert values.shape == (size,)
            assert (await asyncio.ensure_future(x)).tolist() == [1, 1]
            assert (await asyncio.wait_for(y, 10)).tolist() == [0, 0, 0]
            with pytest.raises(TypeError, match="a coroutine was expected"):
                asyncio.create_task(x)  # noqa: RUF006 -- it is refused

    asyncio.run(main())


@pytest.mark.parametrize(
    "run", [trio.run, lambda main: asyncio.run(main())], ids=["trio", "asyncio"]
)
def test_blocking_on_unfinished_work_in_an_event_loop_is_refused(run):
    async def main():
        async with Engine(workers=1) as engine:
            gate = threading.Event()
            x = nd.array([1, 2, 3])
            await x
            engine.push(gate.wait, updates=(x.resource,), name="gate")
            scalar = x[0]
            for blocking in (
                x.asnumpy,
                x.wait_to_read,
                scalar.asscalar,
                scalar.item,
                lambda: np.asarray(x),
                lambda: float(scalar),
                lambda: bool(scalar),
                x.__dlpack__,
                x.__reduce__,
            ):
                with pytest.raises(WouldBlockError, match="await"):
                    blocking()
            text = repr(x)
            assert "<NDArray 3 float32 @cpu(0), WouldBlockError>" in text
            gate.set()
            assert (await x).tolist() == [1, 2, 3]
            # What is there already is given at once.
            assert x.asnumpy().tolist() == [1, 2, 3]
            assert float(await _only(scalar)) == float(scalar) == 1
            assert repr(x) == "[1. 2. 3.]\n<NDArray 3 float32 @cpu(0)>"

    async def _only(array):
        return (await array)[0]

    run(main)


def test_wait_to_read_waits_for_the_writes(engine):
    x = nd.ones((10,))
    for _ in range(10):
        x += 1
    x.wait_to_read()
    assert x.resource.idle
    assert x.asnumpy().tolist() == [11] * 10


def test_wait_to_write_waits_for_the_reads_too():
    with Engine(workers=2) as engine:
        x = nd.ones((10,))
        gate, order = threading.Event(), []

        def read():
            gate.wait()
            order.append("read")

        engine.push(read, reads=(x.resource,))
        x.wait_to_read()
        threading.Timer(0.05, gate.set).start()
        x.wait_to_write()
        order.append("write")
        assert order == ["read", "write"]


def test_waitall_waits_for_all(engine):
    arrays = [nd.ones((100,)) * k for k in range(20)]
    nd.waitall()
    assert all(each.resource.idle for each in arrays)


def fail():
    raise ZeroDivisionError("on purpose")


def test_what_made_an_array_fail_is_raised_where_it_is_waited_for(engine):
    x = nd.ones((3,))
    engine.push(fail, updates=(x.resource,), name="failing")
    y = (x + 1) * 2
    for wait in (y.asnumpy, y.wait_to_read, x.asnumpy, lambda: np.asarray(y)):
        with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
            wait()
        assert "operation 'failing'" in "".join(caught.value.__notes__)
    assert "failed: ZeroDivisionError('on purpose')" in repr(y)
    x[:] = 5
    assert x.asnumpy().tolist() == [5, 5, 5]


def test_a_failure_in_a_part_stays_there(engine):
    x = nd.zeros((4,))
    engine.push(fail, updates=(x[:2].resource,), name="failing")
    x[2:] += 1
    assert x[2:].asnumpy().tolist() == [1, 1]
    with pytest.raises(ZeroDivisionError):
        x.asnumpy()
    x[:2] = 7
    assert x.asnumpy().tolist() == [7, 7, 1, 1]


def test_numbers(engine):
    x = nd.array([2.5])
    assert isinstance(x.asscalar(), np.float32)
    assert isinstance(x.item(), float)
    assert (float(x), int(x), bool(x), bool(x * 0)) == (2.5, 2, True, False)
    assert [10, 20, 30][nd.array([1], dtype="int32")] == 20
    many = nd.ones((2,))
    with pytest.raises(ValueError, match=r"asscalar: the array has shape \(2,\), not one element"):
        many.asscalar()
    with pytest.raises(ValueError, match=r"truth of an array of shape \(2,\) is ambiguous"):
        bool(many)
    with pytest.raises(TypeError, match=r"float: takes an array of one element"):
        float(many)
    with pytest.raises(TypeError, match="only an integer array can be an index, not float32"):
        [1][x]


def test_arrays_used_inside_an_operation(engine):
    x = nd.ones((3,))

    def inside():
        return (x + 1).asnumpy().sum()

    assert engine.push(inside, reads=(x.resource,), name="outer").wait() == 6


def test_arrays_outlive_their_engine():
    with Engine(workers=2):
        x = nd.ones((3,)) + 1
    with Engine(engine_type="naive"):
        assert (x + 1).asnumpy().tolist() == [3, 3, 3]
    with Engine(workers=1):
        assert x.asnumpy().tolist() == [2, 2, 2]
