"""The operation that was pushed last may be made to do more, as if it had been pushed as that."""

import threading

import pytest

from actorflow.engine import Engine, Instrument, Link, Resource
from actorflow.errors import EngineError
from tests.engine._helpers import Boom, boom, close

GATES = []  # what a failed test may have left closed


class Scene:
    """An operation that waits behind a gate, and what ran in which order."""

    def __init__(self, engine, **options):
        self.engine = engine
        self.gate = threading.Event()
        GATES.append(self.gate)
        self.source, self.between, self.target = Resource("s"), Resource("b"), Resource("t")
        self.ran = []
        engine.push(self.gate.wait, updates=[self.source])
        self.product = engine.push(
            self.step("product"), reads=[self.source], writes=[self.between], **options
        )

    def step(self, name):
        return lambda: self.ran.append(name)

    def extend(self):
        return self.engine.extend_last(self.product, self.step("joined"), self.target, "joined")

    def end(self):
        self.gate.set()
        self.engine.wait_all()


@pytest.fixture
def one():
    """An engine with one worker beside the one that waits at a gate."""
    engine = Engine(workers=2, engine_type="threaded")
    yield engine
    while GATES:
        GATES.pop().set()
    close(engine)


def test_it_runs_the_other_function_in_its_place(one):
    scene = Scene(one)
    assert scene.extend()
    assert scene.product.name == "joined"
    after = one.push(scene.step("after"), reads=[scene.target])
    assert scene.product in after.predecessors
    scene.end()
    assert scene.ran == ["joined", "after"]


def test_it_waits_for_who_has_the_target(one):
    target_gate = threading.Event()
    scene = Scene(one)
    one.push(target_gate.wait, updates=[scene.target])
    scene.product = one.push(scene.step("product"), reads=[scene.source], writes=[scene.between])
    assert scene.extend()
    scene.gate.set()
    one.wait(scene.source)
    assert not scene.product.done
    target_gate.set()
    one.wait_all()
    assert scene.ran == ["product", "joined"]


def test_it_inherits_the_failure_of_the_target(one):
    scene = Scene(one)
    one.push(boom, updates=[scene.target])
    scene.product = one.push(scene.step("product"), reads=[scene.source], writes=[scene.between])
    assert scene.extend()
    scene.gate.set()
    with pytest.raises(Boom):
        scene.product.wait()
    assert scene.ran == ["product"]


def test_what_was_pushed_since_refuses(one):
    scene = Scene(one)
    one.push(scene.step("other"), updates=[scene.source])
    assert not scene.extend()
    scene.end()
    assert scene.ran == ["product", "other"]


def test_what_waits_for_nothing_refuses(one):
    scene = Scene(one)
    scene.end()
    assert not scene.extend()
    assert scene.target.idle
    assert scene.ran == ["product"]


def test_what_waits_for_a_link_refuses(one):
    link, gate = Link(1), threading.Event()
    one.push(gate.wait, uses=[link])
    scene = Scene(one, uses=[link])
    scene.gate.set()
    one.wait(scene.source)
    assert not scene.extend()
    gate.set()
    scene.end()
    assert scene.ran == ["product"]


def test_what_is_cancelled_refuses(one):
    scene = Scene(one)
    assert scene.product.cancel()
    assert not scene.extend()
    scene.end()
    assert scene.ran == []


def test_another_engines_target_refuses(one):
    scene = Scene(one)
    gate = threading.Event()
    with Engine(workers=1) as other:
        other.push(gate.wait, updates=[scene.target])
        with pytest.raises(EngineError, match="another engine"):
            scene.extend()
        gate.set()
    scene.end()
    assert scene.ran == ["product"]


def test_a_watched_engine_refuses():
    class Watch(Instrument):
        def pushed(self, operation):
            pass

    with Engine(workers=1, instruments=[Watch()]) as engine:
        scene = Scene(engine)
        assert not scene.extend()
        scene.end()


def test_the_naive_engine_refuses():
    with Engine(engine_type="naive") as engine:
        done = engine.push(int)
        assert not engine.extend_last(done, int, Resource(), "more")
