"""`async for` under both event loops: it blocks no loop, and a cancellation loses no batch."""

import asyncio
import threading

import numpy as np
import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import io
from actorflow.errors import ActorflowError, WouldBlockError
from tests.io._images import write
from tests.io._sources import LOOPS, Boom, Kept, Numbers


@pytest.fixture(params=list(LOOPS))
def run(request):
    return LOOPS[request.param]


async def numbers(iterator):
    return [int((await batch.data[0]).reshape(-1)[0]) async for batch in iterator]


def makers(csv, mnist):
    return [
        lambda: Numbers(4),
        lambda: io.NDArrayIter(np.arange(4)),
        lambda: io.CSVIter(csv[0], (2,), batch_size=1),
        lambda: io.MNISTIter(*mnist, batch_size=1, shuffle=False),
        lambda: io.ResizeIter(Numbers(2), 4),
        lambda: io.PrefetchingIter(Numbers(4)),
        lambda: io.ResizeIter(io.PrefetchingIter(io.NDArrayIter(np.arange(2))), 4),
        lambda: io.BucketSentenceIter([[i, i] for i in range(4)], 1),
    ]


@pytest.mark.parametrize("engine_type", ["naive", "threaded"])
def test_the_same_batches_as_for(run, csv, mnist, engine_type):
    expected = []
    with af.Engine(engine_type="naive"):
        for make in makers(csv, mnist):
            iterator = make()
            told = [int(batch.data[0].asnumpy().reshape(-1)[0]) for batch in iterator]
            iterator.reset()
            expected.append(told + [int(b.data[0].asnumpy().reshape(-1)[0]) for b in iterator])

    async def main():
        async with af.Engine(workers=1, engine_type=engine_type):
            for make, wanted in zip(makers(csv, mnist), expected, strict=True):
                async with make() as iterator:
                    told = await numbers(iterator)
                    iterator.reset()
                    assert told + await numbers(iterator) == wanted

    run(main)


def test_a_failure_reaches_the_loop_and_the_iterator_goes_on(run):
    async def main():
        async with af.Engine(workers=2):
            iterator = io.PrefetchingIter(Kept(4, boom_at=2), prefetch_buffer=3)
            with pytest.raises(Boom):
                await numbers(iterator)
            iterator.reset()
            assert await numbers(iterator) == [0, 1, 2, 3]
            plain = Numbers(3, boom_at=1)
            with pytest.raises(Boom):
                await numbers(plain)
            assert await numbers(plain) == [1, 2]
            iterator.close()
            with pytest.raises(ActorflowError, match="it was closed"):
                await numbers(iterator)

    run(main)


class Slow(Numbers):
    """Its second batch comes when the gate opens."""

    def __init__(self, count):
        super().__init__(count)
        self.waits, self.gate = threading.Event(), threading.Event()

    def next(self):
        if self.at == 1:
            self.waits.set()
            assert self.gate.wait(60)
        return super().next()


@pytest.mark.parametrize("wrap", [lambda source: source, io.PrefetchingIter])
def test_trio_cancelled_and_resumed(wrap):
    async def main():
        async with af.Engine(workers=1):
            source = Slow(4)
            iterator = wrap(source)
            seen, turns, enough = [], [], trio.Event()

            async def consume():
                async for batch in iterator:
                    value = (await batch.data[0])[0]
                    seen.append(int(value))

            async def tick():
                await trio.to_thread.run_sync(source.waits.wait)
                while len(turns) < 100:  # the loop is not blocked
                    turns.append(1)
                    await trio.lowlevel.checkpoint()
                enough.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(consume)
                nursery.start_soon(tick)
                await enough.wait()
                nursery.cancel_scope.cancel()
            assert seen == [0]
            source.gate.set()
            assert await numbers(iterator) == [1, 2, 3]  # the batch that was waited for, too

    trio.run(main)


@pytest.mark.parametrize("wrap", [lambda source: source, io.PrefetchingIter])
def test_asyncio_cancelled_and_resumed(wrap):
    async def main():
        async with af.Engine(workers=1):
            source = Slow(4)
            iterator = wrap(source)
            seen = []

            async def consume():
                async for batch in iterator:
                    value = (await batch.data[0])[0]
                    seen.append(int(value))

            task = asyncio.create_task(consume())
            await asyncio.to_thread(source.waits.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert seen == [0]
            source.gate.set()
            assert await numbers(iterator) == [1, 2, 3]

    asyncio.run(main())


def test_for_after_a_cancelled_async_for():
    iterator = Slow(3)

    async def main():
        async with af.Engine(workers=1):
            assert int((await (await anext(iterator)).data[0])[0]) == 0
            with trio.move_on_after(0):
                await anext(iterator)
            iterator.gate.set()

    trio.run(main)
    with af.Engine(workers=1):
        assert [int(batch.data[0].asnumpy()[0]) for batch in iterator] == [1, 2]


def test_a_blocking_next_in_a_loop_is_an_error_and_loses_nothing(run):
    async def main():
        async with af.Engine(workers=1):
            source = Slow(3)
            iterator = io.PrefetchingIter(source)
            await anext(iterator)
            await source_waits(source)
            with pytest.raises(WouldBlockError):
                iterator.next()
            source.gate.set()
            assert await numbers(iterator) == [1, 2]

    run(main)


async def source_waits(source):
    await af.current_engine().push(source.waits.wait, device="io")


def test_pushing_waits_for_room(run):
    async def main():
        async with af.Engine(workers=1, max_ops=2):
            iterator = io.NDArrayIter(np.ones((40, 2000)), None, 2, prefetch_buffer=8)
            assert len(await numbers(iterator)) == 20

    run(main)


@settings(max_examples=20, deadline=None)
@given(
    cancelled=st.lists(st.booleans(), min_size=1, max_size=30),
    depth=st.integers(0, 3),
    wrap=st.booleans(),
)
def test_cancelled_at_any_point(cancelled, depth, wrap):
    async def main():
        async with af.Engine(workers=2):
            rows = io.NDArrayIter(np.arange(12), prefetch_buffer=depth)
            iterator = io.ResizeIter(io.PrefetchingIter(rows), 12) if wrap else rows
            seen = []
            for at_once in cancelled:
                with trio.move_on_after(0 if at_once else 60):
                    seen.append((await anext(iterator, None)) and iterator.getindex().tolist()[0])
            told = [each for each in seen if each is not None]
            told += [batch.index.tolist()[0] async for batch in iterator]
            assert told == list(range(12))

    trio.run(main)


def test_closed_while_somebody_waits(run):
    async def main():
        async with af.Engine(workers=1) as engine:
            source = Slow(3)
            iterator = io.PrefetchingIter(source)
            await anext(iterator)

            async def close():
                await source_waits(source)
                iterator.close()
                source.gate.set()

            closing = engine.push_async(close)
            with pytest.raises(ActorflowError, match="closed while its next batch"):
                await anext(iterator)
            await closing

    run(main)


@pytest.mark.parametrize("change", ["close", "reset"])
def test_who_waits_while_it_is_reset_or_closed_is_told(csv, tmp_path, change):
    """And takes it for no end of the epoch."""
    images = write(tmp_path)
    for make in (
        lambda: io.CSVIter(csv[0], (2,), batch_size=1),
        lambda: io.ImageRecordIter(images, (3, 24, 24), 1),
        lambda: io.PrefetchingIter(io.CSVIter(csv[0], (2,), batch_size=1)),
        lambda: io.ResizeIter(io.CSVIter(csv[0], (2,), batch_size=1), 100),
    ):
        trio.run(_changed_while_waiting, make, change)


def _fill(engine, free):
    """Give all workers something to wait for."""
    for _ in range(8):
        for device in ("cpu(0)", "io"):
            engine.push(free.wait, device=device)


async def _changed_while_waiting(make, change):
    free = threading.Event()
    async with af.Engine(workers=1) as engine:
        _fill(engine, free)
        iterator = make()

        async def wait():
            with pytest.raises(ActorflowError, match="it was reset or closed while its next batch"):
                await anext(iterator)

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                getattr(iterator, change)()
        finally:
            free.set()
        if change == "reset":
            await anext(iterator)
        iterator.close()


def test_two_tasks_that_ask_for_one_batch_do_not_both_get_it(csv):
    async def main():
        got, told = [], []
        free = threading.Event()
        async with af.Engine(workers=1) as engine:
            _fill(engine, free)
            iterator = io.CSVIter(csv[0], (2,), batch_size=1)

            async def ask():
                try:
                    got.append((await anext(iterator)).index.tolist())
                except ActorflowError as error:
                    told.append(str(error))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                free.set()
            rest = [batch.index.tolist() async for batch in iterator]
        assert got + rest == [[number] for number in range(5)]
        (message,) = told
        assert message.startswith("CSVIter: another task or thread has taken the batch that this")

    trio.run(main)
