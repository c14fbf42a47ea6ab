"""Any program of a store does what the same lines do in NumPy, with the same bits on any engine."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd
from tests.engine._helpers import SeededPolicy

# The first two are gathered into messages, the last is one of its own.
SHAPES = {"a": (3,), 1: (2, 5), "big": (50_000,)}
CONTEXTS = 3

keys = st.lists(st.sampled_from(list(SHAPES)), min_size=1, max_size=3, unique=True)
devices = st.lists(st.integers(0, CONTEXTS - 1), min_size=1, max_size=3)
calls = st.one_of(
    st.tuples(st.just("push"), keys, devices, st.integers(0, 99)),
    st.tuples(st.just("pull"), keys, devices, st.integers(0, 99)),
    st.tuples(st.just("updater"), st.booleans()),
    st.tuples(st.just("barrier")),
)


def values(key, number, seed):
    """What device `number` pushes."""
    generator = np.random.default_rng([seed, number])
    return generator.standard_normal(SHAPES[key]).astype(np.float32)


def in_numpy(program):
    """What each pull of a program gives."""
    stored = {key: np.ones(shape, np.float32) for key, shape in SHAPES.items()}
    updates, found = False, []
    for call in program:
        if call[0] == "updater":
            updates = call[1]
        elif call[0] == "push":
            for key in call[1]:
                first, *rest = (values(key, number, call[3]) for number in call[2])
                for each in rest:
                    first += each
                stored[key] = stored[key] - np.float32(0.5) * first if updates else first
        elif call[0] == "pull":
            found += [stored[key].tobytes() for key in call[1] for _ in call[2]]
    return found


def in_store(program, kind, engine):
    """The same, of a store; nothing is waited for before the end."""

    def update(key, recv, stored):
        stored -= 0.5 * recv

    with engine:
        store = af.kv.create(kind)
        store.init({key: nd.ones(shape) for key, shape in SHAPES.items()})
        pulled = []
        for call in program:
            if call[0] == "updater":
                store.set_updater(update if call[1] else None)
            elif call[0] == "barrier":
                store.barrier()
            elif call[0] == "push":
                given = [
                    [nd.array(values(key, number, call[3]), af.cpu(number)) for number in call[2]]
                    for key in call[1]
                ]
                store.push(call[1], given, priority=-call[3])
            else:
                out = [
                    [nd.empty(SHAPES[key], af.cpu(number)) for number in call[2]] for key in call[1]
                ]
                store.pull(call[1], out, priority=-call[3])
                pulled += [each for arrays in out for each in arrays]
        return [each.asnumpy().tobytes() for each in pulled]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(calls, max_size=12), st.sampled_from(["local", "device"]), st.integers(0, 9))
def test_a_program_does_what_numpy_does(program, kind, seed):
    expected = in_numpy(program)
    assert in_store(program, kind, af.Engine(engine_type="naive")) == expected
    for policy in ("priority", lambda: SeededPolicy(seed)):
        engine = af.Engine(workers=2, policy=policy, engine_type="threaded")
        assert in_store(program, kind, engine) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "device"])
def test_a_run_that_updates_again_and_again(kind):
    program = [("updater", True)]
    for step in range(20):
        program += [("push", list(SHAPES), [0, 1, 2], step), ("pull", list(SHAPES), [0, 1], 0)]
    engine = af.Engine(workers=2, engine_type="threaded")
    assert in_store(program, kind, engine) == in_numpy(program)
