"""Updates of weights in place."""

import gc
import weakref
from threading import Thread

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


@pytest.mark.parametrize("where", ["in place", "new"])
def test_several_weights_in_one_operation_are_what_each_is_alone(where):
    shapes = [(3, 4), (5,), (2, 70_000)]
    given = [[draw.normal(size=shape) for _ in range(3)] for shape in shapes]
    rates, decays = [0.1, 0.2, 0.1], [0, 0.01, 0]
    options = {"momentum": 0.9, "rescale_grad": 0.5, "clip_gradient": 1}
    one, several = ([[nd.array(x) for x in each] for each in given] for _ in range(2))
    wanted = [
        nd.sgd_mom_update(
            *each, lr=lr, wd=wd, out=each[0] if where == "in place" else None, **options
        )
        for each, lr, wd in zip(one, rates, decays, strict=True)
    ]
    weights = [each[0] for each in several]
    found = nd.multi_sgd_mom_update(
        *(array for each in several for array in each),
        lrs=rates,
        wds=decays,
        num_weights=3,
        out=weights if where == "in place" else None,
        **options,
    )
    for each, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(each.asnumpy(), other.asnumpy())
    for each, other in zip(several, one, strict=True):
        np.testing.assert_array_equal(each[2].asnumpy(), other[2].asnumpy())
    if where == "in place":
        assert all(each is weight for each, weight in zip(found, weights, strict=True))
    else:
        np.testing.assert_array_equal(weights[0].asnumpy(), given[0][0].astype("float32"))


def test_several_without_momentum():
    (w, g, v, h), (weight, grad, other, its) = arrays(4)
    nd.multi_sgd_update(weight, grad, other, its, lrs=[1, 2], wds=[0, 0], out=[weight, other])
    np.testing.assert_allclose(weight.asnumpy(), w - g)
    np.testing.assert_allclose(other.asnumpy(), v - 2 * h)
    assert nd.multi_sgd_update(lrs=[], wds=[]) == []


def test_what_does_not_fit_among_several_is_refused_before_anything_changes():
    (w, _, _, _), (weight, grad, other, its) = arrays(4)
    both, rates = (weight, grad, other, its), {"lrs": [1, 1], "wds": [0, 0]}
    with pytest.raises(ParameterError, match="multi_sgd_update: wds has 1, but 2 weights need 2"):
        nd.multi_sgd_update(*both, lrs=[1, 1], wds=[0])
    with pytest.raises(ParameterError, match="data has 4, but 2 weights need 6"):
        nd.multi_sgd_mom_update(*both, **rates)
    with pytest.raises(ParameterError, match="out has 1, but 2 weights need 2"):
        nd.multi_sgd_update(*both, **rates, out=[weight])
    with pytest.raises(ParameterError, match="lrs has 2, but 1 weights need 1"):
        nd.multi_sgd_update(*both, **rates, num_weights=1)
    with pytest.raises(ShapeError, match="grad has shape") as caught:
        nd.multi_sgd_update(*both[:3], nd.ones((2,), dtype="float64"), **rates, out=[weight, other])
    assert caught.value.__notes__[0].startswith("asked by multi_sgd_update, for the weight of num")
    with pytest.raises(ValueError, match="weight of number 1 and out of number 0 have memory"):
        nd.multi_sgd_update(weight, grad, weight, its, **rates, out=[weight, other])
    top, bottom = weight[0:2], weight[1:3]
    with pytest.raises(ValueError, match="have memory in common, and one is written"):
        nd.multi_sgd_update(top, grad[0:2], bottom, its[1:3], **rates, out=[top, bottom])
    far = [nd.ones((3, 4), ctx=cpu(1), dtype="float64") for _ in range(2)]
    with pytest.raises(ContextError, match=r"one weight is in cpu\(1\), another in cpu\(0\)"):
        nd.multi_sgd_update(weight, grad, *far, **rates, out=[weight, far[0]])
    np.testing.assert_array_equal(weight.asnumpy(), w)


# -- The same again: what was checked once is kept ------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0, 3), (3, 4), (300, 301)])
@pytest.mark.parametrize("wd", [0, 0.01])
def test_the_same_update_again_has_the_same_bits(dtype, shape, wd):
    values, (weight, grad, mom) = arrays(3, dtype, shape)
    w, g, m = (nd.array(value, dtype=dtype) for value in values)
    for step in range(6):
        for each in (grad, g):
            each[:] = step - 2.5
        rate = 0.1 if step < 4 else 0.05
        nd.sgd_mom_update(weight, grad, mom, rate, 0.9, wd, 0.5, 2, out=weight)
        # Views made anew are never the same arrays again.
        fresh = w.reshape(shape), g.reshape(shape), m.reshape(shape)
        nd.sgd_mom_update(*fresh, rate, 0.9, wd, 0.5, 2, out=fresh[0])
    np.testing.assert_array_equal(weight.asnumpy(), w.asnumpy())
    np.testing.assert_array_equal(mom.asnumpy(), m.asnumpy())


def test_another_array_beside_the_same_weight_is_another_update():
    (w, *_), (weight, one, two, mom) = arrays(4)
    for _ in range(3):
        nd.sgd_update(weight, one, lr=1, out=weight)
    nd.sgd_update(weight, two, lr=1, out=weight)
    np.testing.assert_allclose(weight.asnumpy(), w - 3 * one.asnumpy() - two.asnumpy())
    with pytest.raises(ValueError, match=r"in common|twice"):
        nd.sgd_mom_update(weight, one, one, lr=1, out=weight)
    with pytest.raises(ParameterError):
        nd.sgd_update(weight, one, lr=-1, out=weight)
    nd.sgd_mom_update(weight, one, mom, lr=1, out=weight)


def test_arrays_that_are_gone_are_not_kept():
    _, (weight, grad) = arrays(2, shape=(1000, 1000))
    for _ in range(3):
        nd.multi_sgd_update(weight, grad, lrs=[0.1], wds=[0], out=[weight])
    nd.waitall()
    block = weakref.ref(weight._block)
    del weight
    gc.collect()
    assert block() is None


def test_the_same_updates_in_many_threads():
    _, (weight, grad) = arrays(2, "float32")
    weight[:] = 0
    grad[:] = 1

    def update():
        for _ in range(100):
            nd.sgd_update(weight, grad, lr=1, out=weight)

    threads = [Thread(target=update) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (weight.asnumpy() == -400).all()
