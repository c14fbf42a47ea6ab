"""Updates against the formulas, in place, in every floating type."""

import itertools

import numpy as np
import pytest

from actorflow.errors import DTypeError, GradientError, ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.blocks import BLOCK
from actorflow.ops.update import AdamUpdate, SGDMomUpdate, SGDUpdate

FLOATS = ("float16", "float32", "float64")
ROUGH = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-13}


def draw(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def clip(grad, bound):
    return np.where(np.abs(grad) > bound, np.sign(grad) * bound, grad) if bound > 0 else grad


def plain(op, weight, grad, *states):
    """One step, one formula after the other, in float64; gives the weight and the states."""
    weight, grad, *states = (each.astype("float64") for each in (weight, grad, *states))
    grad = op.rescale_grad * grad
    if op.name == "adam_update":
        grad = clip(grad + op.wd * weight, op.clip_gradient)
        mean = op.beta1 * states[0] + (1 - op.beta1) * grad
        var = op.beta2 * states[1] + (1 - op.beta2) * grad**2
        return weight - op.lr * mean / (var**0.5 + op.epsilon), mean, var
    grad = clip(grad, op.clip_gradient)
    if op.name == "sgd_update":
        return (weight * (1 - op.lr * op.wd) - op.lr * grad,)
    mom = op.momentum * states[0] - op.lr * op.wd * weight - op.lr * grad
    return weight + mom, mom


KINDS = [(SGDUpdate, {}), (SGDMomUpdate, {"momentum": 0.9}), (AdamUpdate, {"epsilon": 1e-3})]
CASES = [
    kind(lr=0.1, wd=wd, rescale_grad=rescale, clip_gradient=bound, **more)
    for (kind, more), wd, rescale, bound in itertools.product(
        KINDS, (0, 0.01), (1, 0.25), (-1, 0.5)
    )
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(3, 4), (2 * BLOCK + 5,)])
@pytest.mark.parametrize("op", CASES, ids=str)
def test_update(op, shape, dtype):
    weight, grad = draw(*shape, dtype=dtype), draw(*shape, seed=1, dtype=dtype)
    states = [np.abs(draw(*shape, seed=2 + i, dtype=dtype)) for i in range(len(op.auxiliary))]
    wanted = plain(op, weight, grad, *states)
    kept = [each.copy() for each in (weight, grad)]
    before = [each.copy() for each in states]
    (new,) = eager.apply(op, weight, grad, *states)
    for found, formula in zip((new, *states), wanted, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, formula, rtol=ROUGH[dtype], atol=ROUGH[dtype])
    np.testing.assert_array_equal([weight, grad], kept)

    # The same bits where the new weight takes the place of the old one.
    room = [
        np.empty(*each) for each in op.scratch([shape] * 4, [weight.dtype] * len(states + kept))
    ]
    op.forward(weight, grad, *before, weight, *room)
    np.testing.assert_array_equal([weight, *before], [new, *states])


def test_a_decay_below_the_last_digit_counts():
    little = 0.4 * 2**-24  # alone, 1 - little is 1 in float32, but 1 - 2 * little is not
    grad = np.array([little, 0], "float32")
    (new,) = eager.apply(SGDUpdate(lr=1, wd=little), np.ones(2, "float32"), grad)
    np.testing.assert_array_equal(new, np.array([1 - 2.0**-24, 1], "float32"))


@pytest.mark.parametrize("rescale", [0, 1e-30, -2])
def test_a_decay_beside_any_factor_of_the_gradient(rescale):
    weight, grad = np.full(2, 4, "float32"), np.full(2, 8, "float32")
    (new,) = eager.apply(SGDUpdate(lr=0.5, wd=0.5, rescale_grad=rescale), weight, grad)
    np.testing.assert_allclose(new, 4 - 0.5 * (8 * rescale + 2))


def test_updates_go_downhill():
    target = draw(5, seed=3)
    for op in (
        SGDUpdate(lr=0.1),
        SGDMomUpdate(lr=0.02, momentum=0.9),
        AdamUpdate(lr=0.01),
    ):
        weight, states = draw(5), [np.zeros(5) for _ in op.auxiliary]
        for _ in range(1000):
            (weight,) = eager.apply(op, weight, weight - target, *states)
        np.testing.assert_allclose(weight, target, atol=1e-3)


def test_not_a_number_stays():
    for op in (SGDUpdate(lr=1, clip_gradient=1), AdamUpdate(lr=1, clip_gradient=1)):
        states = [np.zeros(1) for _ in op.auxiliary]
        (new,) = eager.apply(op, np.ones(1), np.array([np.nan]), *states)
        assert np.isnan(new).all()


def test_updates_say_what_they_need():
    assert SGDMomUpdate(lr=1).infer_shape(None, (2, 3), None) == (((2, 3),) * 3, ((2, 3),))
    assert SGDMomUpdate(lr=1).auxiliary == ("mom",)
    with pytest.raises(ShapeError, match=r"sgd_mom_update: mom has shape \(3,\).*\(2,\)"):
        SGDMomUpdate(lr=1).infer_shape((2,), (2,), (3,))
    with pytest.raises(DTypeError, match="adam_update: grad is float64, but needs float32"):
        eager.apply(AdamUpdate(lr=1), *(np.ones(2, dtype) for dtype in ("f4", "f8", "f4", "f4")))
    with pytest.raises(DTypeError, match="sgd_update: weight is int32"):
        eager.apply(SGDUpdate(lr=1), np.ones(2, "int32"), np.ones(2, "int32"))
    with pytest.raises(ParameterError, match="sgd_update: the parameter 'lr' is missing"):
        SGDUpdate.of(wd=0.1)
    with pytest.raises(ParameterError, match="adam_update: beta1 needs"):
        AdamUpdate.of(lr=0.1, beta1=1.5)
    with pytest.raises(GradientError, match="sgd_update"):
        eager.gradient(SGDUpdate(lr=1), [np.ones(1)] * 2, [np.ones(1)], [np.ones(1)])
    assert AdamUpdate.of(lr="0.1", lazy_update="True") == AdamUpdate(lr=0.1)
