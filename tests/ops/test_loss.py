"""Losses: outputs, and gradients by their definition."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import DTypeError, ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.blocks import BLOCK
from actorflow.ops.loss import MakeLoss, SoftmaxOutput
from actorflow.ops.regression import (
    LinearRegressionOutput,
    LogisticRegressionOutput,
    MAERegressionOutput,
)

FLOATS = ("float16", "float32", "float64")
ROUGH = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-13}


def draw(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def classes(k, *shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).integers(0, k, shape).astype(dtype)


def softmax(x, axis):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def run(layer, data, label, out_grad=None):
    """The output and the gradient of the data."""
    (output,) = eager.apply(layer, data, label)
    grad, none = eager.gradient(layer, [data, label], [output], [out_grad])
    assert none is None
    return output, grad


def numeric(loss, x, eps=1e-6):
    found = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = eps
        found[place] = (loss(x + step) - loss(x - step)) / (2 * eps)
    return found


# -- Softmax ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("label_type", ["float32", "int32", "uint8", "same"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 60), (BLOCK // 4, 10), (5, BLOCK // 2)])
def test_softmax_output(shape, label_type, dtype):
    n, k = shape
    label = classes(min(k, 200), n, dtype=dtype if label_type == "same" else label_type)
    data = draw(*shape, dtype=dtype)
    output, grad = run(SoftmaxOutput(), data, label)
    wanted = softmax(data.astype("float64"), 1)
    assert output.dtype == grad.dtype == dtype
    np.testing.assert_allclose(output, wanted, rtol=ROUGH[dtype], atol=1e-7)
    wanted[np.arange(n), label.astype(int)] -= 1
    np.testing.assert_allclose(grad, wanted, rtol=ROUGH[dtype], atol=ROUGH[dtype])


@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize(
    ("shape", "parameters", "label_shape", "axis"),
    [
        ((4, 3), {}, (4,), 1),
        ((4, 3), {}, (4, 1), 1),
        ((2, 3, 4), {"multi_output": True}, (2, 4), 1),
        ((2, 3, 2, 2), {"multi_output": True}, (2, 2, 2), 1),
        ((2, 3, 2, 2), {"multi_output": True}, (2, 4), 1),
        ((2, 3, 2, 2), {"multi_output": True}, (2, 1, 2, 2), 1),
        ((2, 3, 4), {"preserve_shape": True}, (2, 3), 2),
    ],
)
def test_gradient_is_that_of_cross_entropy(shape, parameters, label_shape, axis, alpha):
    data, k = draw(*shape), shape[axis]
    label = classes(k, *label_shape)
    layer = SoftmaxOutput(smooth_alpha=alpha, **parameters)
    output, grad = run(layer, data, label)
    np.testing.assert_allclose(output, softmax(data, axis))
    whole = label.reshape(np.delete(shape, axis)).astype(int)
    chances = np.moveaxis(np.eye(k)[whole], -1, axis)
    chances = chances * (1 - alpha) + (1 - chances) * alpha / (k - 1)
    wanted = numeric(lambda x: -(chances * np.log(softmax(x, axis))).sum(), data)
    places = whole[0].size if "multi_output" in parameters else 1
    np.testing.assert_allclose(grad, wanted / places, atol=1e-8)
    output, same = run(layer, data, label.astype("int64"))
    np.testing.assert_array_equal(grad, same)


def test_all_of_a_sample_is_one_softmax():
    data, label = draw(3, 2, 4), classes(8, 3)
    output, grad = run(SoftmaxOutput(), data, label)
    flat_output, flat_grad = run(SoftmaxOutput(), data.reshape(3, 8), label)
    np.testing.assert_array_equal(output.reshape(3, 8), flat_output)
    np.testing.assert_array_equal(grad.reshape(3, 8), flat_grad)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4)])
def test_labels_may_be_chances(shape, dtype):
    data = draw(*shape, dtype=dtype)
    label = softmax(draw(*shape, seed=1), 1).astype("float32")
    multi = len(shape) > 2
    output, grad = run(SoftmaxOutput(2, multi_output=multi, normalization="batch"), data, label)
    wanted = 2 * (output - label.astype("float64"))
    np.testing.assert_allclose(grad, wanted, atol=ROUGH[dtype])
    above = draw(*shape, seed=2, dtype=dtype)
    _, grad = run(SoftmaxOutput(2, multi_output=multi, out_grad=True), data, label, above)
    np.testing.assert_allclose(grad, wanted * above, atol=3 * ROUGH[dtype])


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.lists(st.integers(1, 3), max_size=2),
    st.sampled_from(["null", "batch", "valid"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 0.5, -3]),
    st.integers(0, 1000),
)
def test_scales(n, k, rest, normalization, use_ignore, out_grad, grad_scale, seed):
    shape = (n, k, *rest)
    data, above = draw(*shape, seed=seed), draw(*shape, seed=seed + 1)
    multi = bool(rest)
    label = classes(k, n, *rest, seed=seed)
    layer = SoftmaxOutput(
        grad_scale,
        ignore_label=1,
        multi_output=multi,
        use_ignore=use_ignore,
        normalization=normalization,
        out_grad=out_grad,
    )
    assert layer.is_loss is not out_grad
    if label.shape == shape:
        return
    _output, grad = run(layer, data, label, above if out_grad else None)
    wanted = np.moveaxis(softmax(data, 1), 1, -1) - np.eye(k)[label.astype(int)]
    if use_ignore:
        wanted[label == 1] = 0
    wanted *= grad_scale
    if normalization == "valid":
        wanted /= max(1, (label != 1).sum())
    else:
        wanted /= int(np.prod(rest)) if multi else 1
        wanted /= n if normalization == "batch" else 1
    wanted = np.moveaxis(wanted, -1, 1)
    np.testing.assert_allclose(grad, wanted * above if out_grad else wanted, atol=1e-12)


@pytest.mark.parametrize("scale", [1, 0.5])
def test_gradient_takes_the_place_of_the_output(scale):
    layer = SoftmaxOutput(scale, use_ignore=True, ignore_label=0)
    data, label = draw(BLOCK // 8, 12), classes(12, BLOCK // 8)
    output, grad = run(layer, data, label)
    nodes = []
    layer.gradient(lambda op, *_: nodes.append(op) or (None,), (data, label), (output,), ())
    nodes[0].forward(output, label, output)
    np.testing.assert_array_equal(output, grad)


def test_ignored_labels_may_be_no_classes():
    data, label = draw(4, 3), np.array([0, 255, 2, 255.0])
    _, grad = run(SoftmaxOutput(use_ignore=True, ignore_label=255), data, label)
    np.testing.assert_array_equal(grad[[1, 3]], 0)
    with pytest.raises(IndexError, match="label has the class 255, but data has 3 classes, 0 to 2"):
        run(SoftmaxOutput(), data, label)
    with pytest.raises(IndexError, match="has the class -1"):
        run(SoftmaxOutput(), data, np.array([0, 1, -1, 2]))


def test_softmax_output_infers_its_label():
    def label(data, given=None, **parameters):
        return SoftmaxOutput(**parameters).infer_shape(data, given)[0][1]

    assert label((8, 10)) == (8,)
    assert label((8, 10), (8, 1)) == (8, 1)
    assert label((8, 2, 5)) == (8,)
    assert label((8, 2, 5), preserve_shape=True) == (8, 2)
    assert label((8, 3, 4, 5), multi_output=True) == (8, 20)
    assert label((8, 3), multi_output=True) == (8,)
    assert SoftmaxOutput().infer_shape(None, (8,)) == ((None, (8,)), (None,))
    with pytest.raises(ShapeError, match=r"SoftmaxOutput: label has shape \(7,\).*needs \(8,\)"):
        label((8, 10), (7,))
    with pytest.raises(ShapeError, match="multi_output needs"):
        label((8,), multi_output=True)
    f32, i32 = np.dtype("float32"), np.dtype("int32")
    assert SoftmaxOutput().infer_type(f32, None) == ((f32, f32), (f32,))
    assert SoftmaxOutput().infer_type(f32, i32) == ((f32, i32), (f32,))
    with pytest.raises(DTypeError, match="SoftmaxOutput: data is int32"):
        SoftmaxOutput().infer_type(i32, None)
    with pytest.raises(ParameterError, match="SoftmaxOutput: normalization needs 'null'"):
        SoftmaxOutput.of(normalization="sum")


# -- Regression ---------------------------------------------------------------------------------

REGRESSIONS = {
    LinearRegressionOutput: (lambda x: x, lambda y, t: y - t),
    LogisticRegressionOutput: (lambda x: 1 / (1 + np.exp(-x)), lambda y, t: y - t),
    MAERegressionOutput: (lambda x: x, lambda y, t: np.sign(y - t)),
}


@pytest.mark.parametrize("kind", REGRESSIONS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scale", [1, 0.3])
@pytest.mark.parametrize("shape", [(6,), (6, 4), (3, BLOCK), (2, 3, 4)])
def test_regression(kind, dtype, scale, shape):
    forward, error = REGRESSIONS[kind]
    data, label = draw(*shape, dtype=dtype), draw(*shape, seed=1, dtype="float32")
    output, grad = run(kind(scale), data, label)
    assert output.dtype == grad.dtype == dtype
    wide = data.astype("float64")
    np.testing.assert_allclose(output, forward(wide), rtol=ROUGH[dtype])
    wanted = error(output.astype("float64"), label) * scale / np.prod(shape[1:])
    np.testing.assert_allclose(grad, wanted, rtol=ROUGH[dtype], atol=ROUGH[dtype])


def test_regression_is_the_gradient_of_its_loss():
    data, label = draw(3, 2), np.random.default_rng(1).random((3, 2))

    def logistic(x):
        chance = 1 / (1 + np.exp(-x))
        return -(label * np.log(chance) + (1 - label) * np.log(1 - chance)).sum() / 2

    losses = {
        LinearRegressionOutput: lambda x: ((x - label) ** 2).sum() / 4,
        LogisticRegressionOutput: logistic,
        MAERegressionOutput: lambda x: np.abs(x - label).sum() / 2,
    }
    for kind, loss in losses.items():
        _, grad = run(kind(), data, label)
        np.testing.assert_allclose(grad, numeric(loss, data), atol=1e-8)


@pytest.mark.parametrize("kind", REGRESSIONS)
def test_labels_of_regression(kind):
    assert kind().infer_shape((5, 1), None)[0][1] == (5,)
    assert kind().infer_shape((5, 2), None)[0][1] == (5, 2)
    assert kind().infer_shape((5, 2), (5, 2, 1))[0][1] == (5, 2, 1)
    for wrong in ((5,), (2, 5)):
        with pytest.raises(ShapeError, match=f"{kind.name}: label has shape"):
            kind().infer_shape((5, 2), wrong)
    _, grad = run(kind(), draw(5, 1, dtype="float32"), np.arange(5))
    assert grad.shape == (5, 1)
    assert kind.of(grad_scale="0.5f").grad_scale == 0.5
    assert kind().is_loss


# -- MakeLoss -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, BLOCK)])
def test_make_loss(shape, dtype):
    data = draw(*shape, dtype=dtype)
    counts = {"null": 1, "batch": shape[0], "valid": (data > 0.1).sum()}
    for normalization, count in counts.items():
        layer = MakeLoss(3, valid_thresh=0.1, normalization=normalization)
        (output,) = eager.apply(layer, data)
        np.testing.assert_array_equal(output, data)
        (grad,) = eager.gradient(layer, [data], [output], [None])
        np.testing.assert_allclose(grad, np.full(shape, 3 / count), rtol=ROUGH[dtype])
        assert grad.dtype == dtype
    nothing = np.zeros((2, 2))
    (grad,) = eager.gradient(MakeLoss(normalization="valid"), [nothing], [nothing], [None])
    np.testing.assert_array_equal(grad, 1)  # nothing is valid


def test_a_softmax_that_is_no_loss_multiplies_what_comes_from_above():
    data, label = draw(3, 4), classes(4, 3)
    layer = SoftmaxOutput(out_grad=True)
    above = np.repeat(draw(3, 1, seed=2), 4, 1)
    _, grad = run(layer, data, label, above)

    def loss(x):
        return -(above[:, 0] * np.log(softmax(x, 1))[np.arange(3), label.astype(int)]).sum()

    np.testing.assert_allclose(grad, numeric(loss, data), atol=1e-8)
    with pytest.raises(ShapeError, match="SoftmaxOutput_gradient: grad has shape"):
        run(layer, data, label, above[:2])


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (3, 0)])
@pytest.mark.parametrize(
    "op",
    [
        SoftmaxOutput(normalization="valid"),
        SoftmaxOutput(preserve_shape=True),
        SoftmaxOutput(multi_output=True, normalization="batch"),
        *(kind() for kind in REGRESSIONS),
    ],
    ids=str,
)
def test_arrays_without_elements(op, shape):
    label = np.empty(op.infer_shape(shape, None)[0][1])
    output, grad = run(op, np.empty(shape), label)
    assert output.shape == grad.shape == shape
