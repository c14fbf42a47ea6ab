"""Closing an engine: with work in flight, twice, too soon, from the wrong place."""

import gc
import threading
import weakref

import pytest
import trio

from actorflow import Engine
from actorflow.engine import Link, Resource
from actorflow.errors import (
    ActorflowError,
    DeadlockError,
    EngineClosedError,
    OperationCancelled,
)
from tests.engine.helpers_faults import (
    KINDS,
    Gate,
    engine_threads,
    in_threads,
    open_engine,
    within,
)


def test_closing_waits_for_work_in_flight():
    calls, resource = [], Resource("r")
    engine = Engine(2, engine_type="threaded")
    gate = Gate()
    engine.push(gate, writes=(resource,))
    for number in range(10):
        engine.push(lambda number=number: calls.append(number), updates=(resource,))
    engine.push(gate.open, device="io")
    within(engine.close)
    assert calls == list(range(10))
    assert engine.closed
    assert engine.statistics().in_flight == 0


@pytest.mark.parametrize("kind", KINDS)
def test_closing_twice_does_nothing(kind):
    engine = Engine(2, engine_type=kind)
    engine.push(lambda: None)
    within(engine.close)
    within(engine.close)
    within(engine.close, timeout=0, cancel=True)
    with engine_exit(engine):
        pass


class engine_exit:  # noqa: N801 -- used like a function
    """Leaves an engine's block again."""

    def __init__(self, engine):
        self.engine = engine

    def __enter__(self):
        return self.engine

    def __exit__(self, *error):
        self.engine.__exit__(None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_closing_inside_the_block(kind):
    with Engine(2, engine_type=kind) as engine:
        operation = engine.push(lambda: 1)
        within(engine.close)
    assert operation.wait() == 1


def test_a_close_that_times_out_leaves_the_engine_open():
    with open_engine() as engine:
        gate = Gate(1)
        operation = engine.push(gate)
        with pytest.raises(TimeoutError):
            within(engine.close, timeout=0)
        assert not engine.closed
        later = engine.push(lambda: 2)
        gate.open()
        assert [within(operation.wait), within(later.wait)] == [1, 2]
        within(engine.close, timeout=10)
        assert engine.closed


def test_closing_with_cancel_skips_what_has_not_started():
    engine = Engine(1, engine_type="threaded")
    gate, resource = Gate(1), Resource("r")
    first = engine.push(gate, writes=(resource,))
    second = engine.push(lambda: 2, updates=(resource,))
    gate.wait_entered()
    with pytest.raises(TimeoutError):
        engine.close(timeout=0, cancel=True)
    gate.open()
    within(engine.close)
    assert first.wait() == 1
    with pytest.raises(OperationCancelled):
        second.wait()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cancel", [False, True])
def test_closing_from_inside_an_operation_is_refused(kind, cancel):
    with Engine(1, engine_type=kind) as engine:
        operation = engine.push(lambda: engine.close(cancel=cancel), name="closer")
        with pytest.raises(DeadlockError, match="'closer'"):
            within(operation.wait)
        assert not engine.closed
        assert within(engine.push(lambda: 1).wait) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_the_block_from_inside_an_operation_of_another_engine(kind):
    def inner():
        with Engine(1, engine_type=kind) as engine:
            return engine.push(lambda: 5).wait()

    with Engine(1, engine_type=kind) as engine:
        assert within(engine.push(inner).wait) == 5


def test_threads_close_it_at_once():
    before = engine_threads()
    engine = Engine(2, engine_type="threaded")
    gate = Gate()
    engine.push(gate)
    engine.push(gate.open, device="io")
    in_threads(*[engine.close] * 4)
    assert engine.closed
    assert engine_threads() <= before


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_engine_refuses_work_and_still_tells_results(kind):
    resource = Resource("r")
    with Engine(2, engine_type=kind) as engine:
        operation = engine.push(lambda: "kept", writes=(resource,))
    assert operation.wait() == "kept"
    for use in (
        lambda: engine.push(lambda: None),
        lambda: engine.push_async(lambda completion: completion.succeed()),
        lambda: engine.push(lambda: None, reads=(resource,)),
    ):
        with pytest.raises(EngineClosedError, match="closed"):
            use()
    within(engine.wait, resource)
    within(engine.wait_all)
    assert "ready" in engine.explain(resource)
    assert within(engine.read, lambda: 3, (resource,)) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_closed_engine_had_another_one_may_use(kind):
    resource = Resource("r")
    with Engine(2, engine_type=kind) as first:
        first.push(lambda: None, writes=(resource,))
    with Engine(2, engine_type=kind) as second:
        assert within(second.push(lambda: 2, updates=(resource,)).wait) == 2


# -- Nothing is left -------------------------------------------------------------------------------


def use_every_kind_of_thread(engine):
    """Workers of several devices, a spare worker, and the thread of async functions."""
    engine.add_device("mine", 2)

    async def of_its_own_loop():
        return await engine.push(lambda: 1)

    def nested():
        return engine.push(lambda: 1, device="mine").wait()

    operations = [engine.push(nested, device=name) for name in ("cpu(0)", "cpu(1)", "io", "mine")]
    operations += [engine.push_async(of_its_own_loop), engine.push(lambda: 1, uses=(Link(1),))]
    assert [operation.wait() for operation in operations] == [1] * 6


def test_no_thread_is_left_by_close():
    before = engine_threads()
    engine = Engine(1, engine_type="threaded")
    within(use_every_kind_of_thread, engine)
    assert engine_threads() > before
    within(engine.close)
    assert engine_threads() <= before


def test_no_thread_is_left_by_an_exception():
    def block():
        with Engine(1, engine_type="threaded") as engine:
            use_every_kind_of_thread(engine)
            raise KeyError("body")

    before = engine_threads()
    with pytest.raises(KeyError):
        within(block)
    assert engine_threads() <= before


def test_no_thread_is_left_by_an_async_block():
    async def main():
        async with Engine(1, engine_type="threaded") as engine:
            await trio.to_thread.run_sync(use_every_kind_of_thread, engine)

    before = engine_threads()
    within(trio.run, main)
    assert engine_threads() <= before


def test_no_thread_before_there_is_work():
    before = engine_threads()
    with Engine(4, engine_type="threaded"):
        assert engine_threads() <= before


def test_the_naive_engine_has_no_thread():
    before = threading.active_count()
    with Engine(4, engine_type="naive") as engine:
        assert engine.push(threading.get_ident).wait() == threading.get_ident()
        assert threading.active_count() == before


def test_a_closed_engine_is_freed():
    engine = Engine(2, engine_type="threaded")
    within(engine.push(lambda: 1).wait)
    within(engine.close)
    reference = weakref.ref(engine)
    del engine
    gc.collect()
    assert reference() is None


# -- Work that comes while it closes ---------------------------------------------------------------


def test_a_push_while_the_workers_end_is_run_or_refused():
    """A worker's thread-local value pushes when its thread ends, in the middle of `close`."""
    local, pushed = threading.local(), []

    class Last:
        def __init__(self, engine):
            self.engine = engine

        def __del__(self):
            try:
                pushed.append(self.engine.push(lambda: "run", writes=(Resource("r"),)))
            except ActorflowError as error:
                pushed.append(error)

    engine = Engine(1, engine_type="threaded")
    # With a timeout the waiting caller does not run it itself: a worker does.
    engine.wait(engine.push(lambda: setattr(local, "last", Last(engine)), device="io"), timeout=10)
    within(engine.close)
    (what,) = pushed
    if isinstance(what, ActorflowError):
        assert isinstance(what, EngineClosedError)
    else:
        # It was taken, so it ends in some way: whoever waits is not left waiting.
        try:
            assert within(what.wait, seconds=5) == "run"
        except ActorflowError as error:
            assert isinstance(error, (EngineClosedError, OperationCancelled))  # noqa: PT017


@pytest.mark.slow
def test_pushes_of_other_threads_while_it_closes_are_run_or_refused():
    for _ in range(30):
        engine = Engine(2, engine_type="threaded")
        started = threading.Event()

        def push_on(engine=engine, started=started):
            operations = []
            try:
                while True:
                    operations.append(engine.push(lambda: 1))
                    if len(operations) > 20:
                        started.set()
            except EngineClosedError:
                return operations

        def close(engine=engine, started=started):
            started.wait(10)
            engine.close()
            return []

        pushed, _ = in_threads(push_on, close)
        assert all(operation.wait(5) == 1 for operation in pushed)


def test_a_close_that_gave_up_has_changed_nothing():
    engine, gate = Engine(1, engine_type="threaded", max_ops=2), Gate()
    engine.push(gate)
    with pytest.raises(TimeoutError):
        within(engine.close, timeout=0)
    pushed = [engine.push(lambda: 1)]
    gate.open()
    pushed += [within(engine.push, lambda: 1) for _ in range(20)]
    within(engine.close)
    assert all(operation.done for operation in pushed)


def test_who_pushes_on_while_it_closes_is_told_and_operations_may_go_on():
    engine, gate = Engine(1, engine_type="threaded", max_ops=4), Gate()
    chain = []

    def link():
        if not chain:
            gate()
        chain.append(None)
        if len(chain) < 50:
            engine.push(link)

    engine.push(link)
    closer = threading.Thread(target=engine.close, daemon=True)
    closer.start()
    while engine._limit >= 0:
        pass
    for _ in range(3):
        engine.push(lambda: 1)
    gate.open()
    with pytest.raises(EngineClosedError, match="closed"):
        within(lambda: [engine.push(lambda: 1) for _ in range(10_000)])
    closer.join(10)
    assert not closer.is_alive()
    assert len(chain) == 50
