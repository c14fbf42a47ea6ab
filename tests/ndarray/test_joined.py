"""`weight -= rate * gradient` is one operation where nobody can tell, and the same bits always."""

import contextvars
import random
import sys
import threading

import numpy as np
import pytest

from actorflow import nd
from actorflow.engine import Engine
from actorflow.ops.blocks import BLOCK

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="from 3.14 on nothing can be told, and nothing is joined"
)


class Held:
    """An engine in which everything that reads `gradient` waits until `run`."""

    def __init__(self, shape=(3, 5), dtype="float32"):
        draw = np.random.default_rng(1)
        self.engine = Engine(workers=2, engine_type="threaded").__enter__()
        self.before = [(draw.random(shape) * 9).astype(dtype) for _ in range(2)]
        self.weight, self.gradient = (nd.array(each, dtype=dtype) for each in self.before)
        nd.waitall()
        self._gate = threading.Event()
        self._hold()

    def _hold(self):
        self._gate.clear()
        self.engine.push(self._gate.wait, updates=[self.gradient.resource])
        self._first = self.engine.in_flight

    @property
    def pushed(self):
        """How many operations were pushed while it was held."""
        return self.engine.in_flight - self._first

    def run(self):
        self._gate.set()
        self.engine.wait_all()


@pytest.fixture
def held():
    made = []

    def make(*args, **kwargs):
        made.append(Held(*args, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each._gate.set()
        each.engine.__exit__(None, None, None)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (BLOCK,), (BLOCK + 1,), (3, BLOCK - 7)])
def test_one_operation_gives_the_bits_of_two(held, shape, dtype):
    scene = held(shape, dtype)
    weight, gradient = scene.before
    scene.weight -= 0.1 * scene.gradient
    scene.weight += scene.gradient * 0.3
    scene.weight -= 2 / (scene.gradient)
    assert scene.pushed == 3
    scene.run()
    kind = gradient.dtype.type
    with np.errstate(all="ignore"):
        weight = weight - kind(0.1) * gradient
        weight = weight + gradient * kind(0.3)
        weight = weight - kind(2) / gradient
    np.testing.assert_array_equal(scene.weight.asnumpy(), weight)


def test_in_a_list_and_an_attribute(held):
    scene = held()
    weights = [scene.weight]
    weights[0] -= 0.5 * scene.gradient
    assert scene.pushed == 1
    scene.run()
    np.testing.assert_array_equal(
        weights[0].asnumpy(), scene.before[0] - np.float32(0.5) * scene.before[1]
    )


def test_a_product_with_a_name_stays(held):
    scene = held()
    product = scene.gradient * 0.5
    scene.weight -= product
    assert scene.pushed == 2
    scene.run()
    np.testing.assert_array_equal(product.asnumpy(), scene.before[1] * np.float32(0.5))


def test_a_product_that_somebody_else_has_a_part_of_stays(held):
    scene = held()
    parts = []

    def seen(array):
        parts.append(array[1])
        return array

    scene.weight -= seen(scene.gradient * 0.5)
    assert scene.pushed == 2
    scene.run()
    np.testing.assert_array_equal(parts[0].asnumpy(), scene.before[1][1] * np.float32(0.5))


def test_a_function_that_keeps_the_product(held):
    scene = held()
    kept = []

    def keep(array):
        kept.append(array)
        return array

    scene.weight -= keep(scene.gradient * 0.5)
    assert scene.pushed == 2
    scene.run()
    np.testing.assert_array_equal(kept[0].asnumpy(), scene.before[1] * np.float32(0.5))


def test_what_another_thread_pushed_between_comes_between(held):
    scene = held()

    def meanwhile(array):
        context = contextvars.copy_context()  # of which the engine is a part
        other = threading.Thread(target=context.run, args=(scene.gradient.__imul__, 4))
        other.start()
        other.join()
        return array

    scene.weight -= meanwhile(scene.gradient * 0.5)
    assert scene.pushed == 3
    scene.run()
    np.testing.assert_array_equal(
        scene.weight.asnumpy(), scene.before[0] - np.float32(0.5) * scene.before[1]
    )


def test_of_itself(held):
    scene = held()
    scene.gradient -= 0.5 * scene.gradient
    scene.run()
    np.testing.assert_array_equal(scene.gradient.asnumpy(), scene.before[1] * np.float32(0.5))


def test_parts_broadcasts_and_other_types(held):
    scene = held((4, 3))
    row = nd.ones((3,))
    wide = nd.ones((4, 3), dtype="float64")
    part = scene.weight[1:3]
    part -= scene.gradient[0:2] * 2
    scene.weight -= row * 0.5
    scene.weight -= wide * 0.5
    scene.run()
    expected = scene.before[0].copy()
    expected[1:3] -= scene.before[1][0:2] * np.float32(2)
    expected -= np.float32(0.5)
    expected = (expected.astype(np.float64) - 0.5).astype(np.float32)
    np.testing.assert_array_equal(scene.weight.asnumpy(), expected)


def test_a_target_that_is_not_writable(held):
    scene = held()
    fixed = nd.array(np.ones((3, 5)))
    fixed._writable = False
    with pytest.raises(ValueError, match="not writable"):
        fixed -= 0.1 * scene.gradient


@pytest.mark.parametrize("seed", range(20))
def test_programs_give_the_bits_of_the_naive_engine(seed):
    def run(engine, *, gated):
        rng = random.Random(seed)
        with engine:
            arrays = [nd.array(np.arange(6, dtype=np.float32) * k) for k in range(1, 5)]
            gates = []
            for _ in range(150):
                a, b = rng.randrange(4), rng.randrange(4)
                kind = rng.randrange(5)
                if kind == 0:
                    if not gated:
                        continue
                    gates.append(threading.Event())
                    engine.push(gates[-1].wait, updates=[arrays[b].resource])
                    if len(gates) > 1:
                        gates[-2].set()
                elif kind == 1:
                    arrays[a] -= 0.25 * arrays[b]
                elif kind == 2:
                    arrays[a] += arrays[b] * 0.125
                elif kind == 3:
                    part = arrays[a][1:4]
                    part -= 0.5 * arrays[b][2:5]
                else:
                    arrays[a] = arrays[a] * 0.5
            for gate in gates:
                gate.set()
            return [each.asnumpy() for each in arrays]

    ours = run(Engine(workers=3, engine_type="threaded"), gated=True)
    for each, plain in zip(ours, run(Engine(engine_type="naive"), gated=False), strict=True):
        np.testing.assert_array_equal(each, plain)
