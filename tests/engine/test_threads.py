"""Pushes from everywhere: many threads, finalizers, signal handlers, in the middle of a turn."""

import gc
import signal
import weakref

import pytest

from actorflow import Engine
from actorflow.engine import FifoPolicy, Instrument, Resource
from actorflow.errors import EngineError
from tests.engine.helpers_faults import (
    Gate,
    TurnHolder,
    in_threads,
    open_engine,
    run_script,
    within,
)

# -- Many threads ----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_each_threads_own_order_is_kept(workers):
    threads, each = 6, 300
    log = []
    with Engine(workers, engine_type="threaded") as engine:
        resource = Resource("r")

        def push(name):
            return [
                engine.push(lambda number=number: log.append((name, number)), updates=(resource,))
                for number in range(each)
            ]

        pushed = in_threads(*[lambda name=name: push(name) for name in range(threads)])
        within(engine.wait_all)
        assert all(operation.done for operations in pushed for operation in operations)
    assert len(log) == threads * each
    for name in range(threads):
        assert [number for who, number in log if who == name] == list(range(each))


def test_updates_of_many_threads_lose_nothing():
    """Read, then write in two steps: without exclusion some additions would be lost."""
    totals = [0] * 3
    with Engine(4, engine_type="threaded") as engine:
        resources = [Resource(f"r{i}") for i in range(3)]

        def add(index):
            value = totals[index]
            for _ in range(20):
                pass
            totals[index] = value + 1

        def push():
            for number in range(300):
                engine.push(lambda index=number % 3: add(index), updates=(resources[number % 3],))

        in_threads(*[push] * 5)
        within(engine.wait_all)
    assert totals == [500] * 3


def test_threads_push_and_wait_across_each_other():
    with Engine(2, engine_type="threaded") as engine:
        a, b = Resource("a"), Resource("b")

        def forth(source, target):
            results = []
            for number in range(100):
                operation = engine.push(
                    lambda number=number: number, reads=(source,), updates=(target,)
                )
                results.append(operation.wait())
                engine.wait(source)
            return results

        results = in_threads(*[lambda: forth(a, b), lambda: forth(b, a)] * 3)
        assert results == [list(range(100))] * 6


def test_threads_install_wait_cancel_and_explain_at_once():
    with Engine(2, engine_type="threaded") as engine:
        resources = [Resource(f"r{i}") for i in range(4)]

        def push():
            for number in range(200):
                engine.push(lambda: None, updates=(resources[number % 4],))

        def cancel():
            for _ in range(50):
                engine.push(lambda: None, updates=resources).cancel()
                engine.cancel_all()

        def look():
            for number in range(100):
                engine.statistics()
                assert engine.explain(resources[number % 4])

        def wait():
            for _ in range(50):
                engine.wait_all()

        in_threads(push, push, cancel, look, wait)
        within(engine.wait_all)
        engine.push(lambda: None, writes=resources)
        for resource in resources:
            within(engine.wait, resource)


def test_a_push_never_waits_for_who_has_the_turn():
    holder = TurnHolder()
    with open_engine(2, instruments=[holder]) as engine:
        holder.hold(engine)
        operation = within(engine.push, lambda: "pushed", seconds=5)
        assert not operation.done
        holder.gate.open()
        assert within(operation.wait) == "pushed"


def test_threads_name_a_new_context_at_once():
    with Engine(1, engine_type="threaded") as engine:
        results = in_threads(
            *[lambda: engine.push(lambda: 1, device="cpu(3)").wait()] * 8,
        )
        assert results == [1] * 8


# -- In the middle of a turn -----------------------------------------------------------------------


class Interruption(FifoPolicy):
    """Runs something in the middle of a turn, as a finalizer or a signal handler may."""

    def __init__(self, what, where):
        super().__init__()
        self.what, self.where = what, where
        accept = self.push

        def push(operation):
            accept(operation)
            if where == "push":
                self.interrupt()

        self.push = push

    def interrupt(self):
        what, self.what = self.what, None
        if what is not None:
            what()

    def pop(self, worker):
        if self.where == "pop":
            self.interrupt()
        return super().pop(worker)


def drop(action):
    """An object whose end calls `action`, by `__del__` at the next collection."""

    class Doomed:
        def __del__(self):
            action()

    doomed = Doomed()
    doomed.itself = doomed


def forget(action):
    """The same, by a weak reference's callback."""

    class Doomed:
        pass

    doomed = Doomed()
    doomed.itself = doomed
    keep.append(weakref.ref(doomed, lambda _: action()))


keep = []


def by_signal(action):
    """The same, by a signal's handler."""
    signal.signal(signal.SIGUSR1, lambda *_: action())


WAYS = {
    "del": (drop, gc.collect),
    "weakref": (forget, gc.collect),
    "signal": (by_signal, lambda: signal.raise_signal(signal.SIGUSR1)),
}


@pytest.fixture
def _signals():
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)
    keep.clear()


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("where", ["push", "pop"])
@pytest.mark.parametrize("way", WAYS)
def test_a_push_in_the_middle_of_a_turn(way, where):
    prepare, trigger = WAYS[way]
    pushed, calls = [], []
    engine = Engine(0, engine_type="threaded", policy=lambda: Interruption(trigger, where))
    resource = Resource("r")

    def action():
        pushed.append(engine.push(lambda: calls.append("inner"), updates=(resource,)))

    prepare(action)
    outer = engine.push(lambda: calls.append("outer"), updates=(resource,))
    outer.wait()
    assert len(pushed) == 1
    pushed[0].wait()
    # A turn of `io`'s policy may have come first; each resource's order is that of the pushes.
    assert sorted(calls) == ["inner", "outer"]
    engine.close()


@pytest.mark.parametrize("way", ["del", "weakref"])
def test_a_wait_in_the_middle_of_a_turn_is_refused(way):
    prepare, trigger = WAYS[way]
    errors = []
    engine = Engine(0, engine_type="threaded", policy=lambda: Interruption(trigger, "push"))
    resource = Resource("r")

    def action():
        for wait in (engine.wait_all, lambda: engine.wait(resource), engine.cancel_all):
            try:
                wait()
            except EngineError as error:
                errors.append(str(error))

    prepare(action)
    operation = within(engine.push, lambda: 1, updates=(resource,))
    assert operation.wait() == 1
    assert len(errors) == 3
    assert all("cannot wait" in error for error in errors)
    engine.close()


@pytest.mark.parametrize("hook", ["pushed", "granted", "started", "finished"])
def test_hooks_may_push(hook):
    class Pushes(Instrument):
        def __init__(self):
            setattr(self, hook, self.tell)
            self.pushed_operations = []

        def tell(self, operation):
            if operation.name == "outer":
                self.pushed_operations.append(engine.push(lambda: "inner", name="inner"))

    pushes = Pushes()
    with open_engine(1, instruments=[pushes]) as engine:
        assert within(engine.push(lambda: "outer", name="outer").wait) == "outer"
        within(engine.wait_all)
        assert [within(operation.wait) for operation in pushes.pushed_operations] == ["inner"]


def test_what_a_function_holds_may_push_when_it_goes():
    """The engine drops the function outside a turn."""
    pushed = []

    class Held:
        def __del__(self):
            pushed.append(engine.push(lambda: "last"))

        def __call__(self):
            return "first"

    with open_engine(1) as engine:
        operation = engine.push(Held(), name="held")
        assert within(operation.wait) == "first"
        within(engine.wait_all)
        gc.collect()
        assert [within(last.wait) for last in pushed] == ["last"]
        gate = Gate()
        engine.push(gate)
        gate.wait_entered()
        cancelled = engine.push(Held(), name="held")
        cancelled.cancel()
        gate.open()
        within(engine.wait_all)
        assert len(pushed) == 2
        within(pushed[1].wait)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_signal_handler_pushes_all_the_time():
    process = run_script("""
        import signal
        import actorflow as af
        from actorflow.engine import Resource
        engine, resource, calls = af.Engine(2), Resource("r"), []
        pushed = 0
        def handler(*_):
            global pushed
            pushed += 1
            engine.push(lambda: calls.append("handler"), updates=(resource,))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        for number in range(20000):
            engine.push(lambda: calls.append("loop"), updates=(resource,))
        while pushed < 100:
            engine.wait_all()
        signal.setitimer(signal.ITIMER_REAL, 0)
        engine.close()
        assert calls.count("loop") == 20000
        assert calls.count("handler") == pushed
        print("done")
    """)
    assert process.stdout == "done\n"


# -- Locks beside the engine's: a finalizer may strike whoever holds one ---------------------------

FINALIZER = """
    import gc, sys
    gc.disable()
    import actorflow as af
    from actorflow.engine import Resource, current_engine
    class Doomed:
        def __del__(self):
            pushed.append({push})
    pushed = []
    doomed = Doomed()
    doomed.itself = doomed
    del doomed
    {first}
    gc.collect()
    assert len(pushed) == 1
    pushed[0].wait()
    print("done")
"""


@pytest.mark.slow
def test_a_finalizer_pushes_while_the_default_engine_is_made():
    """The collector strikes while `Engine()` is built under a lock."""
    first = """
    from actorflow import settings
    original = settings.memory_nbytes
    def collecting():
        gc.collect()
        return original()
    settings.memory_nbytes = collecting
    current_engine().push(lambda: 1).wait()
    """
    push = "current_engine().push(lambda: 2)"
    assert run_script(FINALIZER.format(first=first, push=push), seconds=20).stdout == "done\n"


@pytest.mark.slow
def test_a_finalizer_pushes_while_blas_is_being_limited():
    """The collector strikes while the first worker starts; its push starts another device's."""
    first = """
    import threadpoolctl
    original = threadpoolctl.ThreadpoolController
    def collecting():
        gc.collect()
        return original()
    threadpoolctl.ThreadpoolController = collecting
    engine = af.Engine(1)
    engine.push(lambda: 1).wait()
    engine.wait(engine.push(lambda: 1, device="cpu(1)"), timeout=10)
    """
    push = 'current_engine().push(lambda: 2, device="io")'
    assert run_script(FINALIZER.format(first=first, push=push), seconds=20).stdout == "done\n"
