"""Updates of weights in place."""

import numpy as np
import pytest

from actorflow import cpu, nd
from actorflow.errors import ContextError, DTypeError, ParameterError, ShapeError

draw = np.random.default_rng(0)


def arrays(count, dtype="float64", shape=(3, 4)):
    values = [np.abs(draw.normal(size=shape)) for _ in range(count)]
    return values, [nd.array(value, dtype=dtype) for value in values]


def test_sgd_in_place_and_into_a_new_array():
    (w, g), (weight, grad) = arrays(2)
    wanted = w - 0.1 * (np.clip(2 * g, -1, 1) + 0.01 * w)
    options = {"lr": 0.1, "wd": 0.01, "rescale_grad": 2, "clip_gradient": 1}
    fresh = nd.sgd_update(weight, grad, **options)
    np.testing.assert_allclose(fresh.asnumpy(), wanted)
    np.testing.assert_array_equal(weight.asnumpy(), w)
    assert nd.sgd_update(weight, grad, out=weight, **options) is weight
    np.testing.assert_allclose(weight.asnumpy(), wanted)


def test_momentum_over_steps():
    (w, m), (weight, mom) = arrays(2)
    for _ in range(5):
        (g,), (grad,) = arrays(1)
        m = 0.9 * m - 0.1 * g
        w = w + m
        nd.sgd_mom_update(weight, grad, mom, lr=0.1, momentum=0.9, out=weight)
    np.testing.assert_allclose(weight.asnumpy(), w)
    np.testing.assert_allclose(mom.asnumpy(), m)


def test_adam_over_steps():
    (w, m, v), (weight, mean, var) = arrays(3)
    for _ in range(3):
        (g,), (grad,) = arrays(1)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - 0.01 * m / (np.sqrt(v) + 1e-8)
        nd.adam_update(weight, grad, mean, var, lr=0.01, out=weight)
    np.testing.assert_allclose(weight.asnumpy(), w)
    np.testing.assert_allclose(var.asnumpy(), v)


def test_what_does_not_fit_is_refused_before_anything_changes():
    (w, _), (weight, grad) = arrays(2)
    other = nd.ones((3, 4), ctx=cpu(1), dtype="float64")
    with pytest.raises(ShapeError, match="grad has shape"):
        nd.sgd_update(weight, nd.ones((4,), dtype="float64"), lr=1)
    with pytest.raises(DTypeError):
        nd.sgd_update(weight, nd.ones((3, 4), dtype="float32"), lr=1)
    with pytest.raises(ContextError, match="mom is in"):
        nd.sgd_mom_update(weight, grad, other, lr=1, out=weight)
    with pytest.raises(ParameterError, match="lr needs a number of at least 0"):
        nd.sgd_update(weight, grad, lr=-1)
    with pytest.raises(TypeError, match="grad has to be an NDArray"):
        nd.sgd_update(weight, np.ones((3, 4)), lr=1)
    with pytest.raises(ValueError, match="out is grad"):
        nd.sgd_update(weight, grad, lr=1, out=grad)
    with pytest.raises(ValueError, match="mom and grad have memory in common"):
        nd.sgd_mom_update(weight[0:2], grad[0:2], grad[1:3], lr=1)
    for mom in (weight, grad):
        with pytest.raises(ValueError, match="mom"):
            nd.sgd_mom_update(weight, grad, mom, lr=1, out=weight)
    with pytest.raises(ValueError, match="out overlaps weight"):
        nd.sgd_update(weight[0:2], grad[0:2], lr=1, out=weight[1:3])
    with pytest.raises(DTypeError, match="needs float64"):
        nd.sgd_update(weight, grad, lr=1, out=nd.zeros((3, 4), dtype="float32"))
    np.testing.assert_array_equal(weight.asnumpy(), w)
