"""Whatever breaks inside the engine: every wait ends with a clear error, none hangs."""

import ctypes
import threading

import pytest
import trio

from actorflow import Engine
from actorflow.engine import FifoPolicy, Instrument, Resource
from actorflow.errors import DeadlockError, EngineError
from tests.engine.helpers_faults import (
    KINDS,
    Gate,
    engine_threads,
    flatten,
    open_engine,
    within,
)

# -- Operations that raise what is no Exception -------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (kind, error)
        for kind in KINDS
        for error in (SystemExit, KeyboardInterrupt, GeneratorExit, BaseException)
        # The naive engine runs in the thread that is interrupted: its push raises that.
        if (kind, error) != ("naive", KeyboardInterrupt)
    ],
)
def test_whatever_an_operation_raises_is_its_failure(kind, error):
    def break_it():
        raise error("on purpose")

    with Engine(2, engine_type=kind) as engine:
        resource = Resource("r")
        operation = engine.push(break_it, writes=(resource,), device="io")
        engine.push(lambda: None, reads=(resource,))
        for target in (operation, resource):
            with pytest.raises(error, match="on purpose"):
                engine.wait(target, timeout=10)
        # The workers live.
        assert [within(engine.push(lambda: 1).wait) for _ in range(5)] == [1] * 5


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_exception_is_told_at_close_too(kind):
    def leave():
        raise SystemExit(3)

    engine = Engine(1, engine_type=kind)
    engine.push(leave, device="io")
    engine.wait_all(timeout=10)
    with pytest.raises(BaseExceptionGroup) as caught:
        within(engine.close)
    assert [type(error) for error in flatten(caught.value)] == [SystemExit]


class Injected(BaseException):
    """Thrown into a thread."""


def throw_into(thread):
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(Injected)
    )


def test_an_exception_thrown_into_a_running_operation_is_its_failure():
    with open_engine(1) as engine:
        entered, stop = threading.Event(), threading.Event()

        def spin():
            entered.set()
            while not stop.is_set():
                pass

        operation = engine.push(spin, device="io")
        assert entered.wait(10)
        (thread,) = engine._devices["io"].threads
        throw_into(thread)
        with pytest.raises(Injected):
            engine.wait(operation, timeout=10)
        stop.set()
        assert engine.wait(engine.push(lambda: 1, device="io"), timeout=10) == 1


def broken(engine, *targets):
    """Check that everything that can be asked of the engine ends with an EngineError."""
    for target in targets:
        with pytest.raises(EngineError):
            within(engine.wait, target)
        with pytest.raises(EngineError):
            within(engine.wait, target, timeout=5)

        async def wait(target=target):
            with trio.fail_after(5):
                await engine.wait_async(target)

        with pytest.raises(EngineError):
            within(trio.run, wait)
    with pytest.raises(EngineError, match="stopped"):
        within(engine.push, lambda: None)
    with pytest.raises(EngineError, match="stopped"):
        within(engine.wait_all)
    with pytest.raises(BaseExceptionGroup) as caught:
        within(engine.close)
    assert any(isinstance(error, EngineError) for error in flatten(caught.value))
    within(engine.close)


def test_a_worker_that_dies_idle():
    """The exception strikes when the worker wakes up for an operation, which is lost by that."""
    before = engine_threads()
    with open_engine(1) as engine:
        engine.wait(engine.push(lambda: None, device="io"), timeout=10)
        (thread,) = engine._devices["io"].threads
        throw_into(thread)
        resource = Resource("r")
        lost = engine.push(lambda: 1, writes=(resource,), device="io")
        queued = engine.push(lambda: 2, updates=(resource,), device="io")
        thread.join(10)
        assert not thread.is_alive()
        broken(engine, lost, queued, resource)
    for left in engine_threads() - before:
        left.join(10)
        assert not left.is_alive()


def test_who_waits_when_a_worker_dies():
    """Threads and tasks that wait already are told."""
    with open_engine(1) as engine:
        engine.wait(engine.push(lambda: None, device="io"), timeout=10)
        (thread,) = engine._devices["io"].threads
        gate, errors = Gate(), []
        running = engine.push(gate)
        gate.wait_entered()

        def wait(call):
            try:
                call()
            except EngineError as error:
                errors.append(error)

        async def task():
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(engine.wait_async, running)

        waits = [running.wait, engine.wait_all, lambda: engine.wait(running, timeout=60)]
        threads = [threading.Thread(target=wait, args=(call,), daemon=True) for call in waits]
        for waiting in threads:
            waiting.start()
        while len(engine._parked) < len(waits):
            threads[0].join(0)
        throw_into(thread)
        engine.push(lambda: None, device="io")
        for waiting in threads:
            waiting.join(10)
            assert not waiting.is_alive()
        assert len(errors) == len(waits)
        with pytest.raises(BaseExceptionGroup) as caught:
            within(trio.run, task)
        assert {type(error) for error in flatten(caught.value)} == {EngineError}
        gate.open()


# -- Policies --------------------------------------------------------------------------------------


class BrokenPolicy(FifoPolicy):
    """Breaks at one of its methods, for operations called "bad"."""

    def __init__(self, where):
        super().__init__()
        self.where = where
        accept = self.push

        def push(operation):
            if where == "push" and operation.name == "bad":
                message = "policy broke in push"
                raise ValueError(message)
            accept(operation)

        self.push = push

    def pop(self, worker):
        if self._queue and self._queue[0].name == "bad":
            if self.where == "pop":
                message = "policy broke in pop"
                raise ValueError(message)
            if self.where == "none":
                return None
        return super().pop(worker)


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("where", ["push", "pop", "none"])
def test_a_policy_that_breaks_stops_the_engine(where, workers):
    with open_engine(workers, policy=lambda: BrokenPolicy(where)) as engine:
        resource = Resource("r")
        good = engine.push(lambda: "good")
        assert within(good.wait) == "good"
        operations = []

        def work():
            operations.append(engine.push(lambda: None, writes=(resource,), name="bad"))
            operations.append(engine.push(lambda: None, updates=(resource,)))
            operations[0].wait()

        with pytest.raises((EngineError, ValueError)):
            within(work)
        broken(engine, *operations)
        assert within(good.wait) == "good"  # what is known is known


def test_a_factory_that_makes_no_policy_is_refused_at_once():
    with pytest.raises(TypeError, match="lacks push"):
        Engine(1, policy=object)
    with pytest.raises(ValueError, match="no policy is called"):
        Engine(1, policy="best")


# -- Instruments -----------------------------------------------------------------------------------


class BrokenInstrument(Instrument):
    """Breaks at one of its hooks, for operations called "bad"."""

    def __init__(self, where):
        def hook(operation):
            if operation.name == "bad":
                message = f"instrument broke in {where}"
                raise ValueError(message)

        setattr(self, where, hook)


HOOKS = ["pushed", "granted", "started", "finished"]


@pytest.mark.parametrize("device", ["io", "cpu(0)"])
@pytest.mark.parametrize("where", HOOKS)
def test_an_instrument_that_breaks_stops_the_engine(where, device):
    """Whether a worker runs the operation (on io) or the caller that waits, having no worker."""
    with open_engine(0, instruments=[BrokenInstrument(where)]) as engine:
        resource, operations = Resource("r"), []

        def work():
            operations.append(
                engine.push(lambda: None, writes=(resource,), name="bad", device=device)
            )
            operations.append(engine.push(lambda: None, updates=(resource,), device=device))
            operations[0].wait()

        with pytest.raises((EngineError, ValueError)):
            within(work)
        broken(engine, *operations)


@pytest.mark.parametrize("where", ["started", "finished"])
def test_an_instrument_that_breaks_in_a_caller_that_helps(where):
    with open_engine(1, instruments=[BrokenInstrument(where)]) as engine:
        gate = Gate()
        resource = Resource("r")
        first = engine.push(gate, writes=(resource,))
        gate.wait_entered()
        bad = engine.push(lambda: None, updates=(resource,), name="bad")
        gate.open()
        within(first.wait)
        with pytest.raises((EngineError, ValueError)):
            within(bad.wait)
        broken(engine, bad)


def test_an_instrument_that_breaks_when_an_asynchronous_operation_is_completed():
    with open_engine(1, instruments=[BrokenInstrument("finished")]) as engine:
        resource, told = Resource("r"), []
        started = threading.Event()

        def start(completion):
            told.append(completion)
            started.set()

        bad = engine.push_async(start, writes=(resource,), name="bad")
        after = engine.push(lambda: None, updates=(resource,))
        assert started.wait(10)
        with pytest.raises((EngineError, ValueError)):
            told[0].succeed()
        broken(engine, bad, after)


def test_an_instrument_that_breaks_for_an_operation_that_is_skipped():
    with open_engine(1, instruments=[BrokenInstrument("finished")]) as engine:
        gate, resource = Gate(), Resource("r")
        engine.push(gate, writes=(resource,))
        gate.wait_entered()
        bad = engine.push(lambda: None, updates=(resource,), name="bad")
        assert bad.cancel()
        gate.open()
        with pytest.raises(EngineError):
            within(engine.wait_all)
        broken(engine, bad)


# -- Waits that are refused leave nothing behind ---------------------------------------------------


@pytest.mark.parametrize("wait", ["read", "wait"])
def test_a_refused_wait_inside_an_operation_leaves_no_reader_behind(wait):
    """The operation waits for what it writes itself; afterwards the resource is free."""
    with open_engine(1) as engine:
        resource = Resource("r")

        def inside():
            if wait == "read":
                engine.read(lambda: None, (resource,))
            else:
                engine.wait(resource)

        operation = engine.push(inside, writes=(resource,), name="waits for itself")
        with pytest.raises(DeadlockError, match="waits for itself"):
            within(operation.wait)
        after = engine.push(lambda: "free", writes=(resource,))
        assert engine.wait(after, timeout=5) == "free"
        within(engine.close)
