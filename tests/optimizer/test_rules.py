"""Every rule against its formula, over many steps."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd
from actorflow.engine import Engine
from tests.optimizer._references import CASES, REFERENCES, Rates

SHAPES = {"a_weight": (3, 4), "b_bias": (5,), "c_gamma": (2, 1), "d_weight": (300, 300)}
LR_MULT = {"a_weight": 0.5}
WD_MULT = {"d_weight": 3.0}
STEPS = 20


def draw(seed):
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape) for name, shape in SHAPES.items()}


def shared(plain):
    if plain:
        return {"learning_rate": 0.05}
    return {"wd": 0.1, "rescale_grad": 0.5, "clip_gradient": 0.4, "learning_rate": 0.05}


def made(case, plain=False, schedule=True):
    name, own = CASES[case]
    scheduler = af.lr_scheduler.FactorScheduler(6, 0.5) if schedule else None
    optimizer = af.optimizer.create(name, lr_scheduler=scheduler, **shared(plain), **own)
    optimizer.set_lr_mult(LR_MULT)
    optimizer.set_wd_mult(WD_MULT)
    return optimizer


def wanted(case, plain=False, schedule=True, steps=STEPS):
    name, own = CASES[case]
    weights, states = draw(0), {key: {} for key in SHAPES}
    for t in range(1, steps + 1):
        grads = draw(t)
        for key, weight in weights.items():
            given = shared(plain)
            lr = given.pop("learning_rate") * (0.5 ** ((t - 1) // 6) if schedule else 1)
            wd = given.pop("wd", 0) * (0 if key == "b_bias" else WD_MULT.get(key, 1))
            rates = Rates(lr * LR_MULT.get(key, 1), wd, **given)
            weights[key] = REFERENCES[name](weight, grads[key], states[key], rates, t, **own)
    return weights


def trained(optimizer, dtype="float64", steps=STEPS, at_once=True, updater=None, start=0):
    """The weights after some steps, in a list of arrays that stay the same."""
    updater = updater or af.optimizer.get_updater(optimizer)
    names = [*SHAPES]
    weights = [nd.array(each, dtype=dtype) for each in draw(0).values()]
    grads = [nd.zeros(each.shape, dtype=dtype) for each in weights]
    for t in range(start + 1, start + steps + 1):
        for grad, value in zip(grads, draw(t).values(), strict=True):
            grad[:] = value
        if at_once:
            updater.update_all(names, grads, weights)
        else:
            for index, grad, weight in zip(names, grads, weights, strict=True):
                updater(index, grad, weight)
    return {name: each.asnumpy() for name, each in zip(names, weights, strict=True)}


def assert_same(found, other):
    for name, each in found.items():
        np.testing.assert_array_equal(each, other[name], err_msg=name)


@pytest.mark.parametrize(("dtype", "near"), [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "all"])
@pytest.mark.parametrize("case", CASES)
def test_formula(case, plain, dtype, near):
    # NAG's two formulas are one as long as the rate is.
    schedule = not case.startswith("nag")
    found = trained(made(case, plain, schedule), dtype)
    for name, value in wanted(case, plain, schedule).items():
        assert found[name].dtype == dtype
        np.testing.assert_allclose(found[name], value, rtol=near, atol=near, err_msg=name)


def test_float16_is_near():
    found = trained(made("sgd-momentum"), "float16")
    for name, value in wanted("sgd-momentum").items():
        np.testing.assert_allclose(found[name], value, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("case", CASES)
def test_all_engines_and_both_ways_have_the_same_bits(case):
    with Engine(engine_type="naive"):
        one_by_one = trained(made(case), "float32", at_once=False)
        assert_same(trained(made(case), "float32"), one_by_one)
    with Engine(workers=2, engine_type="threaded"):
        assert_same(trained(made(case), "float32"), one_by_one)
        assert_same(trained(made(case), "float32", at_once=False), one_by_one)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_arrays_made_anew_each_time_give_the_same_bits(case, dtype):
    """They are never known from the step before, so nothing that was noted is used."""
    optimizer = made(case)
    states, weights = {}, {name: nd.array(each, dtype=dtype) for name, each in draw(0).items()}
    for t in range(1, 7):
        for name, value in draw(t).items():
            weight = weights[name].copy()
            state = states.setdefault(name, optimizer.create_state(name, weight))
            optimizer.update(name, weight, nd.array(value, dtype=dtype), state)
            weights[name] = weight
    found = {name: each.asnumpy() for name, each in weights.items()}
    assert_same(found, trained(made(case), dtype, steps=6))


# -- Langevin dynamics -----------------------------------------------------------------------------


def langevin(seed, kind="threaded"):
    with Engine(engine_type=kind):
        af.random.seed(seed)
        return trained(af.optimizer.create("sgld", learning_rate=0.1, wd=0.1), "float64", steps=3)


def test_the_seed_decides_the_noise():
    first = langevin(3)
    assert_same(langevin(3), first)
    assert_same(langevin(3, "naive"), first)
    assert (langevin(4)["a_weight"] != first["a_weight"]).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_langevin_noise_and_slope(dtype):
    af.random.seed(0)
    weight, grad = nd.zeros((200_000,), dtype=dtype), nd.ones((200_000,), dtype=dtype)
    optimizer = af.optimizer.create("sgld", learning_rate=0.25, rescale_grad=2)
    optimizer.update(0, weight, grad, None)
    found = weight.asnumpy().astype("float64")
    assert abs(found.mean() + 0.25) < 0.005  # lr / 2 * 2 * 1
    assert abs(found.std() - 0.5) < 0.005  # sqrt(lr)
    halves = found[:100_000], found[100_000:]
    assert abs(np.corrcoef(*halves)[0, 1]) < 0.02


def test_each_weight_of_one_operation_has_noise_of_its_own():
    af.random.seed(0)
    weights = [nd.zeros((8,)) for _ in range(2)]
    af.optimizer.create("sgld").update_all([0, 1], weights, [nd.zeros((8,))] * 2, [None, None])
    assert (weights[0].asnumpy() != weights[1].asnumpy()).all()


# -- Single things ---------------------------------------------------------------------------------


def test_the_optimizer_of_tests_adds(engine):
    weight, grad = nd.ones((2,)), nd.full((2,), 3)
    updater = af.optimizer.get_updater(af.optimizer.create("test", 2))
    updater(0, grad, weight)
    updater.update_all([0], [grad], [weight])
    np.testing.assert_array_equal(weight.asnumpy(), [13, 13])
    np.testing.assert_array_equal(updater.states[0].asnumpy(), [13, 13])
    np.testing.assert_array_equal(grad.asnumpy(), [3, 3])
    assert updater.optimizer.num_update == 2


def test_ftrl_makes_weights_zero():
    found = trained(made("ftrl"))
    assert any((each == 0).any() for each in found.values())


def test_a_variance_that_rounding_makes_negative_is_no_error():
    """Equal gradients have none, and in float32 some steps find less than that."""
    weight, grad = nd.zeros((1000,)), nd.array(np.linspace(1000, 3000, 1000))
    updater = af.optimizer.get_updater(af.optimizer.create("rmsprop", epsilon=1e-8))
    for _ in range(200):
        updater(0, grad, weight)
    assert np.isfinite(weight.asnumpy()).all()


def test_a_rate_of_none_changes_nothing():
    weight = nd.ones((3,))
    updater = af.optimizer.get_updater(af.optimizer.create("sgd", momentum=0.9))
    updater.optimizer.set_lr_mult({0: 0})
    for _ in range(3):
        updater(0, nd.ones((3,)), weight)
    np.testing.assert_array_equal(weight.asnumpy(), 1)
