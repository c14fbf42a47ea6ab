"""What the naive engine does in several threads, with other engines, and when it is interrupted."""

import threading

import pytest

from actorflow.engine import Engine, Instrument, Resource
from actorflow.errors import DeadlockError, EngineError
from tests.engine._helpers import boom, close, finishes


@pytest.fixture
def engine():
    engine = Engine(engine_type="naive")
    yield engine
    close(engine)


class Other:
    """Another thread, inside an operation that it pushed."""

    def __init__(self, engine, **options):
        self.inside, self.go_on = threading.Event(), threading.Event()

        def fn():
            self.inside.set()
            assert self.go_on.wait(10)
            return "other"

        self.thread = threading.Thread(target=lambda: engine.push(fn, **options))
        self.thread.start()
        assert self.inside.wait(10)

    def end_soon(self):
        threading.Timer(0.05, self.go_on.set).start()


def test_waiting_for_what_another_thread_runs(engine):
    resource = Resource()
    other = Other(engine, writes=[resource])
    with pytest.raises(TimeoutError):
        engine.wait(resource, timeout=0.01)
    other.end_soon()
    finishes(lambda: engine.wait(resource))
    assert other.go_on.is_set()
    other.thread.join()


def test_waiting_for_an_asynchronous_operation_of_another_thread(engine):
    resource, completions, begun = Resource(), [], threading.Event()

    def begin(completion):
        completions.append(completion)
        begun.set()

    thread = threading.Thread(target=lambda: engine.push_async(begin, writes=[resource]))
    thread.start()
    assert begun.wait(10)
    late = engine.push(lambda: "late", reads=[resource])  # which the other thread will run
    assert not late.done
    with pytest.raises(TimeoutError):
        engine.wait_all(timeout=0.01)
    threading.Timer(0.05, lambda: completions.pop().succeed()).start()
    assert finishes(late.wait) == "late"
    thread.join()


def test_closing_waits_for_other_threads(engine):
    other = Other(engine)
    other.end_soon()
    finishes(engine.close)
    assert other.go_on.is_set()
    other.thread.join()


def test_what_was_put_off_runs_as_soon_as_it_can(engine):
    """Inside `outer`, an operation that comes only after `middle` can be waited for."""
    resource = Resource()

    def middle():
        return [engine.push(lambda n=n: n, updates=[resource]) for n in range(3)]

    def outer():
        return [later.wait() for later in engine.push(middle, updates=[resource]).wait()]

    assert engine.push(outer).wait() == [0, 1, 2]


def test_one_that_was_put_off_may_wait_for_the_next_one(engine):
    first, second, handles = Resource(), Resource(), []

    def outer():
        engine.push(lambda: handles[0].wait(), updates=[first])  # noqa: PLW0108 -- not there yet
        handles.append(engine.push(lambda: "next", updates=[second]))

    engine.push(outer, updates=[first, second]).wait()
    assert handles[0].wait() == "next"


def test_a_read_keeps_writes_away(engine):
    resource, seen = Resource(), []

    def read():
        engine.push(lambda: seen.append("write"), writes=[resource])
        seen.append("read")

    engine.read(read, [resource])
    assert seen == ["read", "write"]


def test_a_wait_inside_a_read_for_what_comes_after_it(engine):
    resource = Resource()
    with pytest.raises(DeadlockError, match="'read' waits inside itself for 'write'"):
        engine.read(
            lambda: engine.push(lambda: None, writes=[resource], name="write").wait(), [resource]
        )


def test_what_it_works_on_belongs_to_it(engine):
    resource = Resource("mine")

    def steal():
        assert not resource.idle
        with Engine(workers=1) as thief:
            thief.push(lambda: None, writes=[resource])

    with pytest.raises(EngineError, match="'mine'> is in use by another engine"):
        engine.push(steal, writes=[resource]).wait()
    assert resource.idle


def test_ctrl_c_inside_an_operation_reaches_its_caller(engine):
    resource, ran = Resource(), []

    def interrupted():
        engine.push(lambda: ran.append(1), writes=[resource])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.push(interrupted, writes=[resource])
    assert ran == [1]
    engine.wait(resource)
    assert engine.push(lambda: "goes on").wait() == "goes on"


def test_a_late_completion_of_what_was_interrupted_is_ignored(engine):
    completions = []

    def begin(completion):
        completions.append(completion)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.push_async(begin)
    assert completions.pop().done
    engine.wait_all()


@pytest.mark.parametrize("hook", ["granted", "started", "finished"])
def test_an_instrument_that_raises_stops_it(hook):
    instrument = Instrument()
    setattr(instrument, hook, lambda _: boom("instrument"))
    engine = Engine(engine_type="naive", instruments=[instrument])
    with pytest.raises(Exception, match="instrument"):
        engine.push(lambda: None)
    with pytest.raises(EngineError, match="the engine stopped: Boom"):
        engine.push(lambda: None)
    assert close(engine) == ["the engine stopped: Boom in an instrument (instrument)"]
