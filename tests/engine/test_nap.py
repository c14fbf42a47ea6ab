"""Naps: a task blocks its event loop for a moment before it goes to sleep."""

import asyncio
import threading

import pytest
import trio
import trio.testing

from actorflow import Engine
from actorflow.engine import Resource, nap
from actorflow.engine.waiting import AsyncioWaiter, ThreadWaiter, TrioWaiter

LONG = 10.0  # seconds: what takes longer hangs

RUNS = {"trio": trio.run, "asyncio": lambda fn: asyncio.run(fn())}


@pytest.fixture(params=RUNS)
def run(request):
    return RUNS[request.param]


@pytest.fixture
def sleeps(monkeypatch):
    """What tasks have gone to sleep."""
    seen = []
    for kind in (TrioWaiter, AsyncioWaiter):

        async def wait(self, wait=kind.wait):
            seen.append(type(self).__name__)
            await wait(self)

        monkeypatch.setattr(kind, "wait", wait)
    return seen


def test_a_short_operation_is_awaited_in_a_nap(run, sleeps, monkeypatch):
    monkeypatch.setattr(nap, "_NAP", LONG)

    async def main():
        async with Engine(workers=2) as engine:
            resource = Resource()
            for number in range(50):
                assert (
                    await engine.push(lambda number=number: number, updates=(resource,)) == number
                )
            await engine.wait_async(resource)

    run(main)
    assert sleeps == []


def test_naps_in_vain_get_rarer_and_one_that_helps_brings_them_back(run, monkeypatch):
    naps = []
    told = []
    in_vain = True

    def wait(self, timeout=None):
        naps.append(timeout)
        return self._lock.acquire(timeout=0 if in_vain else LONG)

    monkeypatch.setattr(ThreadWaiter, "wait", wait)

    async def main():
        async with Engine(workers=1) as engine:

            async def vain():
                go_on = threading.Event()
                operation = engine.push(lambda: go_on.wait(LONG))
                before = len(naps)
                await with_helper(operation, go_on)
                told.append(len(naps) - before)

            for _ in range(2 + 4 + 8 + 4):
                await vain()
            assert told == [1, 0, 0, 1, 0, 0, 0, 0, 1, *[0] * 8, 1]
            nonlocal in_vain
            in_vain = False
            told.clear()
            for _ in range(16 + 3):
                before = len(naps)
                await engine.push(int)
                told.append(len(naps) - before)
            assert told == [*[0] * 16, 1, 1, 1]

    async def with_helper(operation, go_on):
        # Somebody lets the operation end once this task sleeps: the loop is free for it then.
        if asyncio._get_running_loop() is not None:
            asyncio.get_running_loop().call_soon(go_on.set)
            await operation
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, go_on.set)
                await operation

    run(main)


def test_what_interrupts_a_nap_leaves_nothing_behind(monkeypatch):
    class Interrupted(BaseException):
        pass

    def wait(self, timeout=None):
        raise Interrupted

    async def main():
        async with Engine(workers=1) as engine:
            go_on = threading.Event()
            operation = engine.push(lambda: go_on.wait(LONG))
            with monkeypatch.context() as patch:
                patch.setattr(ThreadWaiter, "wait", wait)
                with pytest.raises(Interrupted):
                    await operation
            assert not operation.waiters
            go_on.set()
            assert await operation

    trio.run(main)


@pytest.mark.parametrize("workers", [0, 1])
def test_nobody_naps_inside_an_operation_or_without_threads(monkeypatch, workers):
    who = []

    def note(self, target, nap=nap.Naps._nap):
        who.append(self.current_operation())
        return nap(self, target)

    monkeypatch.setattr(nap.Naps, "_nap", note)

    async def main():
        async with Engine(workers=workers) as engine:

            async def inside():
                return await engine.push(lambda: 3)

            assert await engine.push_async(inside) == 3
            await engine.wait_all_async()

    trio.run(main)
    assert who == [None] * workers


def test_a_nap_is_a_checkpoint(monkeypatch):
    monkeypatch.setattr(nap, "_NAP", LONG)

    async def main():
        async with Engine(workers=1) as engine:
            with trio.testing.assert_checkpoints():
                await engine.push(int)
            with trio.CancelScope() as scope:
                scope.cancel()
                await engine.push(int)
            assert scope.cancelled_caught

    trio.run(main)
