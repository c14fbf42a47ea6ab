"""Convolutions: values against sums written out, shapes, errors, gradients."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.convolution import Convolution, planned
from tests.ops._gradients import check_gradient


def by_points(layer, data, weight, bias=None):
    """The definition, a point of the kernel at a time, in float64."""
    axes = len(layer.kernel)
    stride, dilate = layer.stride or (1,) * axes, layer.dilate or (1,) * axes
    pad = layer.pad or (0,) * axes
    data = np.pad(data.astype(np.float64), [(0, 0), (0, 0), *((p, p) for p in pad)])
    (n, f), groups = (len(data), len(weight)), layer.num_group
    out = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(data.shape[2:], layer.kernel, stride, dilate, strict=True)
    ]
    found = np.zeros((n, groups, f // groups, *out))
    data = data.reshape(n, groups, -1, *data.shape[2:])
    weight = weight.astype(np.float64).reshape(groups, f // groups, *weight.shape[1:])
    for point in itertools.product(*map(range, layer.kernel)):
        seen = tuple(
            slice(i * d, i * d + (o - 1) * s + 1, s)
            for i, d, s, o in zip(point, dilate, stride, out, strict=True)
        )
        found += np.einsum("ngc...,gfc->ngf...", data[(..., *seen)], weight[(..., *point)])
    found = found.reshape(n, f, *out)
    return found if bias is None else found + bias.reshape(-1, *[1] * axes)


def arrays_for(layer, data, seed=0, dtype=np.float64):
    draw = np.random.default_rng(seed)
    shapes, _ = layer.infer_shape(data, *[None] * (len(layer.inputs) - 1))
    return [draw.normal(size=shape).astype(dtype) for shape in shapes]


CASES = [
    # data, and the layer: each way to compute, each number of axes.
    ((2, 3, 7, 6), {"kernel": (3, 2), "num_filter": 4}),
    ((2, 20, 7, 6), {"kernel": (3, 3), "num_filter": 2, "pad": (1, 1)}),
    ((2, 20, 9, 8), {"kernel": (3, 3), "num_filter": 2, "pad": (2, 1), "dilate": (2, 3)}),
    ((3, 2, 9, 8), {"kernel": (3, 3), "num_filter": 2, "stride": (2, 3), "pad": (1, 2)}),
    ((2, 2, 13, 18), {"kernel": (3, 3), "num_filter": 2, "stride": (2, 3), "pad": (1, 2)}),
    ((2, 20, 9, 10), {"kernel": (3, 3), "num_filter": 2, "stride": (1, 2), "pad": (0, 1)}),
    ((3, 2, 3, 2), {"kernel": (2, 2), "num_filter": 192}),
    ((3, 4, 3, 2), {"kernel": (2, 2), "num_filter": 384, "num_group": 2, "pad": (1, 0)}),
    ((2, 4, 6, 6), {"kernel": (1, 1), "num_filter": 3}),
    ((2, 4, 3, 5), {"kernel": (1, 1), "num_filter": 3, "stride": (2, 2)}),
    ((3, 4, 2, 2), {"kernel": (1, 1), "num_filter": 192}),
    ((2, 4, 8, 8), {"kernel": (3, 3), "num_filter": 6, "num_group": 2}),
    ((2, 4, 5, 5), {"kernel": (3, 3), "num_filter": 4, "num_group": 4, "no_bias": True}),
    ((2, 3, 9), {"kernel": (3,), "num_filter": 2, "stride": 2, "pad": 1, "layout": "NCW"}),
    ((2, 50, 40), {"kernel": (3,), "num_filter": 2, "dilate": 2}),
    ((2, 2, 4, 3, 5), {"kernel": (2, 2, 3), "num_filter": 2, "pad": (1, 0, 1)}),
    ((1, 8, 4, 3, 5), {"kernel": (2, 2, 3), "num_filter": 2, "stride": (1, 1, 2)}),
]


@pytest.mark.parametrize(("data", "made"), CASES)
def test_convolution_is_the_sum_over_the_kernel(data, made):
    layer = Convolution.of(**made)
    arrays = arrays_for(layer, data)
    (output,) = eager.apply(layer, *arrays)
    np.testing.assert_allclose(output, by_points(layer, *arrays), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("data", "made"), [case for case in CASES if case[1]["num_filter"] < 192])
def test_gradients_are_those_of_differences(data, made):
    layer = Convolution.of(**made)
    check_gradient(layer, *arrays_for(layer, data))


@pytest.mark.parametrize(("data", "made"), CASES)
def test_gradients_are_the_transposed_maps(data, made):
    """The layer is linear in the data and in the weights."""
    layer = Convolution.of(**made)
    arrays = arrays_for(layer, data)
    (output,) = eager.apply(layer, *arrays)
    if not layer.no_bias:
        output -= arrays[2].reshape(-1, *[1] * len(layer.kernel))
    above = np.random.default_rng(1).normal(size=output.shape)
    grads = eager.gradient(layer, arrays, (output,), (above,))
    for array, grad in zip(arrays[:2], grads[:2], strict=True):
        np.testing.assert_allclose((array * grad).sum(), (output * above).sum())
    if not layer.no_bias:
        np.testing.assert_allclose(grads[2], above.sum((0, *range(2, above.ndim))))


def ways(plan):
    return ("lines" if plan.by_lines else "merged" if plan.merged else "batched", plan.pointwise)


def test_the_cases_go_every_way():
    found = {ways(planned(Convolution.of(**made), data)) for data, made in CASES}
    wanted = {("lines", False), ("merged", False), ("merged", True), ("batched", False)}
    assert found == wanted | {("batched", True)}


@pytest.mark.parametrize("block", [1, 700])
@pytest.mark.parametrize(
    ("data", "made"), [CASES[1], CASES[2], CASES[3], CASES[4], CASES[6], CASES[15]]
)
def test_blocks_do_not_show(monkeypatch, data, made, block):
    monkeypatch.setattr("actorflow.ops.tiling._BLOCK", block)
    monkeypatch.setattr("actorflow.ops.tiling._MERGED", block)
    planned.cache_clear()
    layer = Convolution.of(**made)
    arrays = arrays_for(layer, data)
    (output,) = eager.apply(layer, *arrays)
    above = np.random.default_rng(1).normal(size=output.shape)
    grads = eager.gradient(layer, arrays, (output,), (above,))
    monkeypatch.undo()
    planned.cache_clear()
    np.testing.assert_allclose(output, by_points(layer, *arrays), rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(grads, eager.gradient(layer, arrays, (output,), (above,)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tol"), [("float16", 2e-2), ("float32", 1e-4)])
@pytest.mark.parametrize(("data", "made"), [CASES[0], CASES[1], CASES[6], CASES[8]])
def test_other_types(data, made, dtype, tol):
    layer = Convolution.of(**made)
    arrays = arrays_for(layer, data, dtype=dtype)
    (output,) = eager.apply(layer, *arrays)
    assert output.dtype == dtype
    np.testing.assert_allclose(output, by_points(layer, *arrays), rtol=tol, atol=tol)
    above = np.random.default_rng(1).normal(size=output.shape)
    narrow = eager.gradient(layer, arrays, (output,), (above.astype(dtype),))
    wide = [array.astype(np.float64) for array in arrays]
    for ours, theirs in zip(narrow, eager.gradient(layer, wide, (), (above,)), strict=True):
        assert ours.dtype == dtype
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=tol, atol=tol * scale)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_window(data):
    axes = data.draw(st.integers(1, 3))

    def draw(least, most):
        return data.draw(st.tuples(*[st.integers(least, most)] * axes))

    groups = data.draw(st.integers(1, 2))
    layer = Convolution(
        kernel=draw(1, 3),
        num_filter=groups * data.draw(st.integers(1, 3)),
        stride=draw(1, 3),
        dilate=draw(1, 2),
        pad=draw(0, 2),
        num_group=groups,
        no_bias=True,
    )
    channels = groups * data.draw(st.sampled_from([1, 2, 30]))
    arrays = arrays_for(layer, (data.draw(st.integers(1, 3)), channels, *draw(5, 7)))
    (output,) = eager.apply(layer, *arrays)
    np.testing.assert_allclose(output, by_points(layer, *arrays), rtol=1e-11, atol=1e-11)
    above = np.random.default_rng(1).normal(size=output.shape)
    for array, grad in zip(arrays, eager.gradient(layer, arrays, (output,), (above,)), strict=True):
        np.testing.assert_allclose((array * grad).sum(), (output * above).sum(), atol=1e-9)


def test_only_wanted_gradients_are_computed():
    layer = Convolution((3, 3), 2)
    arrays = arrays_for(layer, (2, 3, 5, 5))
    made = []
    layer.gradient(lambda *given: made.append(given) or ("d", "w", "b"), arrays, (), ("above",))
    gradient = made[0][0]
    above = np.ones((2, 2, 3, 3))
    full = eager.apply(gradient, *arrays[:2], above)
    work = gradient.scratch([a.shape for a in (*arrays[:2], above)], [above.dtype] * 3)
    for index in range(3):
        outputs = [np.full_like(each, np.nan) for each in full]
        some = [each if place == index else None for place, each in enumerate(outputs)]
        gradient.forward(*arrays[:2], above, *some, *(np.empty(*each) for each in work))
        np.testing.assert_array_equal(outputs[index], full[index])


def test_no_images():
    layer = Convolution((3, 3), 2, pad=(1, 1))
    arrays = arrays_for(layer, (0, 3, 5, 5))
    (output,) = eager.apply(layer, *arrays)
    assert output.shape == (0, 2, 5, 5)
    for grad in eager.gradient(layer, arrays, (output,), (output,))[1:]:
        assert not grad.any()


@pytest.mark.parametrize(
    ("layer", "data"),
    [
        (Convolution((3, 3), 64, pad=(1, 1)), (128, 64, 112, 112)),
        (Convolution((7, 7), 100), (512, 512, 7, 7)),
        (Convolution((3, 3), 128), (512, 64, 20, 20)),
        (Convolution((1, 1), 100), (512, 2000, 14, 14)),
        (Convolution((11, 11), 96, (4, 4)), (64, 3, 224, 224)),
        (Convolution((3, 3), 512, pad=(1, 1)), (64, 512, 7, 7)),
    ],
)
def test_scratch_is_bounded(layer, data):
    shapes, (out,) = layer.infer_shape(data, None, None)
    made = []
    layer.gradient(lambda *given: made.append(given[0]) or (), shapes, (), (out,))
    weights = np.prod(shapes[1]) * 4
    for operator, inputs in ((layer, shapes), (made[0], (*shapes[:2], out))):
        for shape, dtype in operator.scratch(inputs, [np.dtype("float32")] * 3):
            assert np.prod(shape) * dtype.itemsize <= max(9 << 20, weights)


@pytest.mark.parametrize(
    ("shape", "weight", "message"),
    [
        ((2, 3, 5), None, r"Convolution: data has shape \(2, 3, 5\), but kernel=\(3, 3\) needs"),
        ((2, 3, 5, 5), (2, 3, 3, 2), r"weight has shape .* num_filter=2 needs \(2, 3, 3, 3\)"),
        ((2, 3, 2, 5), None, r"data has shape .* smaller than the kernel: .* be \(0, 3\)"),
    ],
)
def test_wrong_shapes(shape, weight, message):
    with pytest.raises(ShapeError, match=message):
        Convolution((3, 3), 2).infer_shape(shape, weight, None)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"kernel": (3, 3, 3, 3)}, "kernel is .* needs 1 to 3 axes"),
        ({"kernel": ()}, "kernel is .* needs 1 to 3 axes"),
        ({"stride": (2,)}, r"stride is \(2,\), but the kernel has 2 axes"),
        ({"layout": "NHWC"}, "layout needs 'NCW' or 'NCHW' or 'NCDHW'"),
        ({"layout": "NCW"}, "layout is 'NCW', but a kernel with 2 axes needs 'NCHW'"),
        ({"num_group": 3}, "num_filter is 4, which num_group=3 does not divide"),
        ({"num_filters": 3}, "did you mean 'num_filter'"),
    ],
)
def test_wrong_parameters(made, message):
    with pytest.raises(ParameterError, match=f"Convolution: .*{message}"):
        Convolution.of(**{"kernel": (3, 3), "num_filter": 4, **made})


def test_files_spell_it():
    layer = Convolution.of(
        kernel="(5, 5)", num_filter="20", stride="(1, 1)", cudnn_tune="off", workspace="512"
    )
    assert layer == Convolution((5, 5), 20, (1, 1), cudnn_tune="off", workspace=512)
    assert Convolution.of(kernel="(3,)", num_filter=1, layout="None").layout is None
