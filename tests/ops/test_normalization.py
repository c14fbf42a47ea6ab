"""Normalization: values against the formulas, states, shapes, errors, gradients."""

import attrs
import numpy as np
import pytest

from actorflow.errors import DTypeError, GradientError, ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.batch_norm import BatchNorm
from actorflow.ops.lrn import LRN
from tests.ops._gradients import check_gradient


def arrays_for(layer, data, seed=0):
    """Data that is not near 0, parameters and states."""
    draw = np.random.default_rng(seed)
    shapes, _ = layer.infer_shape(data, *[None] * 4)
    made = [draw.normal(size=shape) for shape in shapes]
    return [made[0] * 2 + 5, *made[1:4], np.abs(made[4]) + 0.5]


def normalized(layer, data, gamma, beta, mean, var):
    shape = [1] * data.ndim
    shape[layer.axis] = -1
    scale = 1 if layer.fix_gamma else gamma.reshape(shape)
    deviation = np.sqrt(var.reshape(shape) + layer.eps)
    return (data - mean.reshape(shape)) / deviation * scale + beta.reshape(shape)


SHAPES = [((5, 3, 4, 2), 1), ((7, 3), 1), ((2, 3, 5, 4), -1), ((3, 4, 2), 0), ((6, 3), 0)]


@pytest.mark.parametrize("fix_gamma", [False, True])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_training_normalizes_with_the_batch(shape, axis, fix_gamma):
    layer = BatchNorm(axis=axis, fix_gamma=fix_gamma)
    data, gamma, beta, moving_mean, moving_var = arrays_for(layer, shape)
    before = moving_mean.copy(), moving_var.copy()
    output, mean, inverse = eager.apply(layer, data, gamma, beta, moving_mean, moving_var)
    axes = tuple(each for each in range(data.ndim) if each != axis % data.ndim)
    want_mean, want_var = data.mean(axes), data.var(axes)
    np.testing.assert_allclose(mean, want_mean)
    np.testing.assert_allclose(inverse, 1 / np.sqrt(want_var + 1e-3))
    np.testing.assert_allclose(
        output, normalized(layer, data, gamma, beta, want_mean, want_var), atol=1e-12
    )
    np.testing.assert_allclose(moving_mean, 0.9 * before[0] + 0.1 * want_mean)
    np.testing.assert_allclose(moving_var, 0.9 * before[1] + 0.1 * want_var)
    skipped = ("gamma",) if fix_gamma else ()
    wrt = [name for name in layer.inputs if name not in skipped]
    check_gradient(layer, data, gamma, beta, states=(moving_mean, moving_var), wrt=wrt)
    if fix_gamma:
        grads = eager.gradient(
            layer, (data, gamma, beta), (output, mean, inverse), (output, None, None)[:1]
        )
        assert not grads[1].any()


@pytest.mark.parametrize("fix_gamma", [False, True])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_moving_averages(shape, axis, fix_gamma):
    layer = BatchNorm(axis=axis, fix_gamma=fix_gamma, eps=1e-2)
    same = layer.at_inference()
    assert same == attrs.evolve(layer, use_global_stats=True)
    arrays = arrays_for(layer, shape)
    states = [each.copy() for each in arrays[3:]]
    output, mean, inverse = eager.apply(same, *arrays)
    np.testing.assert_allclose(output, normalized(layer, *arrays), atol=1e-12)
    np.testing.assert_array_equal(mean, states[0])
    np.testing.assert_allclose(inverse, 1 / np.sqrt(states[1] + 1e-2))
    for ours, before in zip(arrays[3:], states, strict=True):
        np.testing.assert_array_equal(ours, before)
    wrt = ("data", "beta") if fix_gamma else None
    check_gradient(same, *arrays[:3], states=states, wrt=wrt)


def test_blocks_do_not_show(monkeypatch):
    layer = BatchNorm(fix_gamma=False)
    arrays = arrays_for(layer, (7, 3, 4, 5))
    results = []
    for block in (1, 25, 130, 1 << 20):
        monkeypatch.setattr("actorflow.ops.batch_norm._BLOCK", block)
        outputs = eager.apply(layer, *[each.copy() for each in arrays])
        grads = eager.gradient(layer, arrays[:3], outputs, (np.sin(arrays[0]),))
        results.append((*outputs, *grads))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_data_may_be_far_from_zero():
    data = (np.random.default_rng(0).normal(size=(64, 2, 50)) + 1000).astype(np.float32)
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    output, mean, inverse = eager.apply(
        BatchNorm(eps=0), data, ones, zeros, zeros.copy(), ones.copy()
    )
    wide = data.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean((0, 2)), rtol=1e-7)
    np.testing.assert_allclose(inverse, 1 / wide.std((0, 2)), rtol=1e-6)
    moments = wide.mean((0, 2)), wide.var((0, 2))
    wanted = normalized(BatchNorm(eps=0), wide, ones, zeros, *moments)
    np.testing.assert_allclose(output, wanted, atol=1e-4)


def test_half_data_has_single_parameters():
    layer = BatchNorm(fix_gamma=False)
    half, single = np.dtype("float16"), np.dtype("float32")
    found, outputs = layer.infer_type(half, None, None, None, None)
    assert found == (half, *[single] * 4)
    assert outputs == (half, single, single)
    wide = arrays_for(layer, (5, 3, 4))
    arrays = [wide[0].astype(half), *(each.astype(single) for each in wide[1:])]
    narrow = eager.apply(layer, *[each.copy() for each in arrays])
    full = eager.apply(layer, *[each.astype(np.float64) for each in arrays])
    np.testing.assert_allclose(narrow[0], full[0], rtol=2e-3, atol=2e-3)
    above = np.cos(full[0]).astype(half)
    grads = eager.gradient(layer, arrays[:3], narrow, (above,))
    wanted = eager.gradient(
        layer, [each.astype(np.float64) for each in arrays[:3]], full, (above.astype(np.float64),)
    )
    for ours, theirs, array in zip(grads, wanted, arrays, strict=False):
        assert ours.dtype == array.dtype
        np.testing.assert_allclose(ours, theirs, rtol=5e-3, atol=5e-3)
    with pytest.raises(DTypeError, match="gamma is float16, but float16 needs float32"):
        layer.infer_type(half, half, None, None, None)
    with pytest.raises(DTypeError, match="BatchNorm: data is int32, but needs a floating type"):
        layer.infer_type(np.dtype("int32"), None, None, None, None)


def test_only_wanted_gradients_are_computed():
    layer = BatchNorm(fix_gamma=False)
    arrays = arrays_for(layer, (4, 3, 5))
    outputs = eager.apply(layer, *arrays)
    made = []
    layer.gradient(lambda *given: made.append(given) or (), arrays[:3], outputs, (outputs[0],))
    gradient, *inputs = made[0]
    full = eager.apply(gradient, *inputs)
    work = gradient.scratch([each.shape for each in inputs], [each.dtype for each in inputs])
    for index in range(3):
        some = [None] * 3
        some[index] = np.full_like(full[index], np.nan)
        gradient.forward(*inputs, *some, *(np.empty(*each) for each in work))
        np.testing.assert_array_equal(some[index], full[index])


def test_in_place():
    layer = BatchNorm(fix_gamma=False)
    arrays = arrays_for(layer, (4, 3, 5))
    output, mean, inverse = eager.apply(layer, *[each.copy() for each in arrays])
    (grad, *_) = eager.gradient(layer, arrays[:3], (output, mean, inverse), (np.sin(output),))
    data, (shape, dtype) = arrays[0].copy(), layer.scratch([arrays[0].shape], [output.dtype])[0]
    layer.forward(data, *arrays[1:], data, mean, inverse, np.empty(shape, dtype))
    np.testing.assert_array_equal(data, output)
    made = []
    layer.gradient(lambda *given: made.append(given) or (), arrays, (output, mean, inverse), (0,))
    for index in (0, 4):
        inputs = [arrays[0].copy(), arrays[1], mean, inverse, np.sin(output)]
        work = [np.empty(shape, dtype) for _ in range(2)]
        made[0][0].forward(*inputs, inputs[index], None, None, *work)
        np.testing.assert_array_equal(inputs[index], grad)


def test_outputs_of_batch_norm():
    assert BatchNorm().hidden == 2
    shown = BatchNorm(output_mean_var=True)
    assert shown.hidden == 0
    with pytest.raises(GradientError, match="BatchNorm: its outputs mean and var give no gradient"):
        shown.gradient(None, (1, 2, 3), (1, 2, 3), (1, 2, None))
    message = r"BatchNorm: beta has shape \(4,\), but data \(2, 3\) with axis=1 needs \(3,\)"
    with pytest.raises(ShapeError, match=message):
        BatchNorm().infer_shape((2, 3), None, (4,), None, None)
    assert BatchNorm().infer_shape(None, None, None, None, None)[1] == (None,) * 3


# -- LRN ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 6, 2, 3), (2, 7), (3, 1, 4), (2, 2, 3)])
@pytest.mark.parametrize(
    "made", [{"nsize": 5, "alpha": 0.5}, {"nsize": 3, "beta": 0.6, "knorm": 1}, {"nsize": 1}]
)
def test_lrn(shape, made):
    layer = LRN.of(**made)
    data = np.random.default_rng(0).normal(size=shape)
    wanted = np.empty_like(data)
    for channel in range(shape[1]):
        first = max(0, channel - layer.nsize // 2)
        around = (data[:, first : channel + layer.nsize // 2 + 1] ** 2).sum(1)
        norm = layer.knorm + layer.alpha / layer.nsize * around
        wanted[:, channel] = data[:, channel] * norm**-layer.beta
    (output,) = eager.apply(layer, data)
    np.testing.assert_allclose(output, wanted, rtol=1e-12)
    check_gradient(layer, data)
    for dtype, tol in (("float32", 1e-5), ("float16", 5e-3)):
        narrow = data.astype(dtype)
        (output,) = eager.apply(layer, narrow)
        assert output.dtype == dtype
        np.testing.assert_allclose(output, wanted, rtol=tol, atol=tol)
        (grad,) = eager.gradient(layer, (narrow,), (output,), (output,))
        (full,) = eager.gradient(layer, (data,), (wanted,), (wanted,))
        assert grad.dtype == dtype
        np.testing.assert_allclose(grad, full, rtol=tol, atol=tol)


def test_lrn_says_what_it_needs():
    with pytest.raises(ParameterError, match="LRN: nsize is 4, but needs to be odd"):
        LRN.of(nsize=4)
    with pytest.raises(ShapeError, match=r"LRN: data has shape \(3,\), but it needs an axis of"):
        LRN(5).output_shape((3,))
    with pytest.raises(DTypeError, match="LRN: data is uint8, but needs a floating type"):
        LRN(5).output_type(np.dtype("uint8"))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("use_global_stats", [False, True])
@pytest.mark.parametrize("axis", [1, -1])
def test_the_output_again_is_the_same_to_the_bit(dtype, use_global_stats, axis):
    layer = BatchNorm(axis=axis, fix_gamma=False, use_global_stats=use_global_stats)
    data, *rest = arrays_for(layer, (6, 3, 5, 4))
    wide = "float32" if dtype == "float16" else dtype
    data, rest = data.astype(dtype), [each.astype(wide) for each in rest]
    output, mean, inverse = eager.apply(layer, data, *rest)
    (again,) = eager.apply(layer.again(), data, *rest[:2], mean, inverse)
    assert again.dtype == output.dtype
    np.testing.assert_array_equal(again, output)
