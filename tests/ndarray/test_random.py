"""Random numbers: the same on every engine."""

import json

import numpy as np
import pytest

from actorflow import nd, random
from actorflow.device import cpu
from actorflow.engine import Engine
from actorflow.errors import DTypeError, FormatError, ShapeError


def program():
    """Draws of all kinds; the numbers that came out."""
    random.seed(42)
    drawn = []
    for size in (1, 7, 1000):
        drawn.append(random.uniform(-1, 1, (size,)))
        drawn.append(random.normal(2, 3, (size, 2), dtype="float64"))
        drawn.append(random.randint(0, 100, (size,)))
        drawn.append(drawn[0] * 2)
    drawn.append(random.permutation(20))
    drawn.append(random.shuffle(nd.arange(10)))
    with cpu(1):
        drawn.append(random.uniform(shape=(5,)))
    half = nd.empty((10,), dtype="float16")
    drawn.append(random.uniform(out=half))
    random.normal(out=drawn[1])
    return [each.asnumpy().tobytes() for each in drawn]


def engines():
    yield Engine(engine_type="naive")
    for workers in (1, 2, 8):
        yield Engine(workers=workers, engine_type="threaded")
    yield Engine(workers=2, verify=True)


def test_a_seed_gives_the_same_bits_on_every_engine():
    results = []
    for engine in engines():
        with engine:
            results.append(program())
    assert all(each == results[0] for each in results)


def test_draws_and_seeds_differ(engine):
    random.seed(1)
    first, second = random.uniform(shape=(10,)), random.uniform(shape=(10,))
    random.seed(2)
    third = random.uniform(shape=(10,))
    random.seed(1)
    again = random.uniform(shape=(10,))
    elsewhere = random.uniform(shape=(10,), ctx=cpu(1))
    numbers = [each.asnumpy().tobytes() for each in (first, second, third, elsewhere)]
    assert len(set(numbers)) == 4
    assert again.asnumpy().tobytes() == numbers[0]


def test_a_draw_has_its_numbers_from_the_moment_of_the_call(engine):
    random.seed(5)
    x = random.normal(shape=(100,))
    random.seed(6)
    random.seed(5)
    assert random.normal(shape=(100,)).asnumpy().tolist() == x.asnumpy().tolist()


def test_a_program_that_never_seeds_begins_with_seed_0():
    code = (
        "from actorflow import random\n"
        "a = random.uniform(shape=(3,)).asnumpy().tolist()\n"
        "random.seed(0)\n"
        "assert a == random.uniform(shape=(3,)).asnumpy().tolist()\n"
    )
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603


def test_shapes_types_and_places(engine):
    assert random.uniform().shape == (1,)
    assert random.uniform().dtype == np.float32
    assert random.normal(shape=3, dtype="float16").dtype == np.float16
    assert random.randint(0, 3).dtype == np.int32
    assert random.randint(0, 3, (2,), dtype="uint8").dtype == np.uint8
    assert random.uniform(shape=(2, 3), ctx=cpu(1)).context == cpu(1)
    with cpu(2):
        assert random.uniform(shape=(2, 3)).context == cpu(2)
    out = nd.zeros((3, 4), dtype="float64")
    assert random.uniform(1, 2, out=out) is out
    values = out.asnumpy()
    assert ((values >= 1) & (values < 2)).all()
    part = nd.zeros((4, 2))
    random.normal(out=part[1:3])
    zero = part.asnumpy() == 0
    assert zero.tolist() == [[True, True], [False, False], [False, False], [True, True]]


def test_moments(engine):
    random.seed(0)
    x = random.uniform(2, 6, (100_000,)).asnumpy()
    assert abs(x.mean() - 4) < 0.02
    assert (x.min() >= 2) & (x.max() <= 6)
    x = random.normal(1, 3, (100_000,)).asnumpy()
    assert abs(x.mean() - 1) < 0.05
    assert abs(x.std() - 3) < 0.05
    assert np.bincount(random.randint(0, 4, (100_000,)).asnumpy()).min() > 24_000


def test_shuffling(engine):
    x = nd.array(np.arange(20).reshape(10, 2))
    shuffled = random.shuffle(x).asnumpy()
    assert sorted(map(tuple, shuffled)) == [tuple(row) for row in x.asnumpy()]
    assert random.shuffle(x, out=x) is x
    assert sorted(map(tuple, x.asnumpy())) == sorted(map(tuple, shuffled))
    assert sorted(random.permutation(50).asnumpy().tolist()) == list(range(50))


def test_wrong_arguments_are_refused_at_the_call():
    with pytest.raises(ValueError, match="uniform: low 2 is greater than high 1"):
        random.uniform(2, 1)
    with pytest.raises(DTypeError, match="normal: draws float16, float32 or float64, not int32"):
        random.normal(dtype="int32")
    with pytest.raises(DTypeError, match="uniform: draws"):
        random.uniform(out=nd.zeros((2,), dtype="int64"))
    with pytest.raises(ShapeError, match="uniform: out has shape"):
        random.uniform(shape=(3,), out=nd.zeros((2,)))
    with pytest.raises(ValueError, match="the seed is not negative"):
        random.seed(-1)
    with pytest.raises(TypeError, match="integer"):
        random.seed("x")
    with pytest.raises(ValueError, match="randint: needs low < high"):
        random.randint(3, 3)


def test_draws_of_one_context_overlap():
    """They read the generator: none waits for another."""
    with Engine(workers=2) as engine:
        source = random.stream(cpu(0)).resource(engine)
        x = nd.empty((3,))
        random.uniform(out=x)
        nd.waitall()
        assert source.idle
        assert source.name == "random cpu(0)"


def test_a_state_gives_the_same_numbers(engine):
    random.seed(11)
    random.uniform(shape=(3,))
    with cpu(1):
        random.normal(shape=(2,))
    state = json.loads(json.dumps(random.get_state()))

    def draws():
        places = [cpu(0), cpu(1), cpu(1), cpu(2)]
        return [random.uniform(shape=(5,), ctx=each).asnumpy().tobytes() for each in places]

    numbers = draws()
    assert len(set(numbers)) == 4
    random.seed(5)
    random.uniform(shape=(9,), ctx=cpu(2))
    random.set_state(state)
    assert draws() == numbers
    random.set_state(state)
    assert random.get_state()["seed"] == 11


def test_a_draw_before_set_state_keeps_its_numbers(engine):
    random.seed(3)
    state = random.get_state()
    expected = random.uniform(shape=(4,)).asnumpy().tobytes()
    random.set_state(state)
    drawn = random.uniform(shape=(4,))
    random.set_state({"version": 1, "seed": 8, "draws": []})
    assert drawn.asnumpy().tobytes() == expected


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"seed": -1},
        {"seed": True},
        {"seed": "1"},
        {"draws": None},
        {"draws": [1]},
        {"draws": [["cpu", 0]]},
        {"draws": [["tpu", 0, 1]]},
        {"draws": [["cpu", 0, -1]]},
        {"draws": [["cpu", 0, 1.0]]},
        {"draws": [["cpu", 0, 1 << 64]]},
        {"draws": [["cpu", 0, 1], ["cpu", 0, 2]]},
    ],
)
def test_what_is_no_state(change):
    random.seed(2)
    state = random.get_state()
    with pytest.raises(FormatError, match="set_state: "):
        random.set_state(state | change)
    with pytest.raises(TypeError, match="needs what get_state"):
        random.set_state([state])
    assert random.get_state() == state


@pytest.mark.parametrize(
    ("draw", "arguments", "named"),
    [
        (random.uniform, ((2, 3),), "uniform: low"),
        (random.normal, ((2, 3),), "normal: loc"),
        (random.normal, (0, (2, 3)), "normal: scale"),
        (random.randint, (0, (2, 3)), "randint: high"),
    ],
)
def test_a_shape_in_the_place_of_a_number(draw, arguments, named):
    with pytest.raises(
        TypeError, match=rf"^{named} has to be a number, got \(2, 3\); a shape .* shape=\(2, 3\)\)"
    ):
        draw(*arguments)
    with pytest.raises(TypeError, match=r"^uniform: low has to be a number, got 'a'$"):
        random.uniform("a")
