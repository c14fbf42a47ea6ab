"""Pooling: values against windows looked at one by one, shapes, errors, gradients."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import DTypeError, ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.pooling import Pooling, windows
from tests.ops._gradients import check_gradient


def by_windows(layer, data, above=None):
    """The definition, a window at a time; with `above` the gradient."""
    axes = windows(layer, data.shape)
    out = np.empty(data.shape[:2] + tuple(axis.out for axis in axes))
    below = np.zeros(data.shape)
    for place in np.ndindex(out.shape):
        image, inside, count = place[:2], [], 1
        for axis, at in zip(axes, place[2:], strict=True):
            start = at * axis.stride - axis.pad
            end = min(start + axis.kernel, axis.size + axis.pad)
            inside.append(range(max(start, 0), min(end, axis.size)))
            count *= end - start if layer.count_include_pad is not False else len(inside[-1]) or 1
        points = list(itertools.product(*inside))
        values = [data[(*image, *point)] for point in points]
        scale = 1 / count if layer.pool_type == "avg" else 1
        if layer.pool_type == "max":
            out[place] = max(values, default=np.finfo(data.dtype).min)
            points = [points[values.index(out[place])]] if points else []
        else:
            out[place] = sum(values) * scale
        if above is not None:
            for point in points:
                below[(*image, *point)] += above[place] * scale
    return out if above is None else below


FULL = {"pooling_convention": "full"}
CASES = [
    ((2, 3, 6, 8), {"kernel": (2, 2), "stride": (2, 2)}),
    ((2, 3, 7, 7), {"kernel": (3, 3), "stride": (2, 2)}),
    ((2, 3, 7, 6), {"kernel": (3, 2), "stride": (2, 1), "pad": (1, 1)}),
    ((2, 3, 6, 7), {"kernel": (3, 3), "stride": (2, 2)} | FULL),
    ((1, 2, 3, 5), {"kernel": (2, 2), "stride": (2, 2), "pad": (1, 1)} | FULL),
    ((1, 2, 4, 5), {"kernel": (1, 2), "stride": (2, 3)} | FULL),
    ((1, 2, 4, 5), {"kernel": (3, 3), "pad": (1, 1), "count_include_pad": False}),
    ((1, 2, 2, 2), {"kernel": (4, 4), "pad": (3, 3)}),
    ((1, 2, 1, 1), {"kernel": (3, 3), "pad": (1, 1)}),
    ((2, 3, 9), {"kernel": (3,), "stride": 2, "pad": 1}),
    ((1, 2, 5, 4, 6), {"kernel": (2, 3, 2), "stride": (1, 2, 3), "pad": (0, 1, 1)}),
    ((2, 3, 5, 4), {"global_pool": True}),
    ((2, 3, 5), {"global_pool": True}),
    ((1, 2, 3, 2, 2), {"global_pool": True, "kernel": (7, 7, 7)}),
]


@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
@pytest.mark.parametrize(("shape", "made"), CASES)
def test_pooling(shape, made, kind):
    layer = Pooling.of(pool_type=kind, **made)
    data = np.random.default_rng(0).normal(size=shape)
    (output,) = eager.apply(layer, data)
    np.testing.assert_allclose(output, by_windows(layer, data), rtol=1e-12)
    above = np.random.default_rng(1).normal(size=output.shape)
    (grad,) = eager.gradient(layer, (data,), (output,), (above,))
    np.testing.assert_allclose(grad, by_windows(layer, data, above), rtol=1e-10, atol=1e-12)
    if np.abs(output).max() < 1e9:  # where no window is without data
        check_gradient(layer, data)


def test_the_first_of_equals_gets_the_gradient():
    layer = Pooling((2, 3), stride=(2, 2), pad=(1, 1))
    data = np.random.default_rng(0).integers(0, 3, (2, 3, 7, 8)).astype(np.float64)
    (output,) = eager.apply(layer, data)
    above = np.random.default_rng(1).normal(size=output.shape)
    (grad,) = eager.gradient(layer, (data,), (output,), (above,))
    np.testing.assert_allclose(grad, by_windows(layer, data, above), atol=1e-12)
    everything = Pooling(global_pool=True)
    (output,) = eager.apply(everything, data)
    (grad,) = eager.gradient(everything, (data,), (output,), (np.ones_like(output),))
    np.testing.assert_array_equal(grad, by_windows(everything, data, np.ones_like(output)))


def test_numbers_that_are_none_stay_in_their_windows():
    layer = Pooling((2, 2), stride=(2, 2), pad=(1, 1))
    data = np.full((1, 2, 4, 4), -np.inf)
    data[0, 1] = np.nan
    (output,) = eager.apply(layer, data)
    np.testing.assert_array_equal(output[0, 0], -np.inf)
    assert np.isnan(output[0, 1]).all()
    (grad,) = eager.gradient(layer, (data,), (output,), (np.ones_like(output),))
    assert grad.sum() == output.size
    for channel in grad[0]:
        assert [channel[0, 0], channel[0, 1], channel[1, 1], channel[3, 3]] == [1, 1, 1, 1]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_window(data):
    axes = data.draw(st.integers(1, 3))

    def draw(least, most):
        return data.draw(st.tuples(*[st.integers(least, most)] * axes))

    kernel = draw(1, 4)
    layer = Pooling(
        kernel,
        data.draw(st.sampled_from(["max", "avg", "sum"])),
        stride=draw(1, 4),
        pad=tuple(min(pad, size - 1) for pad, size in zip(draw(0, 2), kernel, strict=True)),
        pooling_convention=data.draw(st.sampled_from(["valid", "full"])),
        count_include_pad=data.draw(st.booleans()),
    )
    values = np.random.default_rng(0).integers(-3, 3, (1, 2, *draw(4, 6))).astype(np.float64)
    (output,) = eager.apply(layer, values)
    np.testing.assert_allclose(output, by_windows(layer, values), rtol=1e-12)
    above = np.random.default_rng(1).normal(size=output.shape)
    (grad,) = eager.gradient(layer, (values,), (output,), (above,))
    np.testing.assert_allclose(grad, by_windows(layer, values, above), atol=1e-12)


@pytest.mark.parametrize(("dtype", "tol"), [("float16", 2e-3), ("float32", 1e-6)])
@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
@pytest.mark.parametrize("case", [2, 11])
def test_other_types(dtype, tol, kind, case):
    shape, made = CASES[case]
    layer = Pooling.of(pool_type=kind, **made)
    data = np.random.default_rng(0).normal(size=shape).astype(dtype)
    (output,) = eager.apply(layer, data)
    assert output.dtype == dtype
    np.testing.assert_allclose(output, by_windows(layer, data), rtol=tol, atol=tol)
    above = np.random.default_rng(1).normal(size=output.shape).astype(dtype)
    (grad,) = eager.gradient(layer, (data,), (output,), (above,))
    assert grad.dtype == dtype
    np.testing.assert_allclose(grad, by_windows(layer, data, above), rtol=tol, atol=2 * tol)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_blocks_do_not_show(monkeypatch, kind):
    layer = Pooling((3, 3), kind, stride=(2, 2))
    data = np.random.default_rng(0).normal(size=(3, 5, 8, 9))
    results = []
    for block in (1, 200, 1 << 20):
        monkeypatch.setattr("actorflow.ops.pooling._BLOCK", block)
        (output,) = eager.apply(layer, data)
        results.append((output, *eager.gradient(layer, (data,), (output,), (output,))))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_sizes():
    data = (1, 1, 6, 7)
    assert Pooling((3, 3), stride=(2, 2)).output_shape(data) == (1, 1, 2, 3)
    full = Pooling((3, 3), stride=(2, 2), pooling_convention="full")
    assert full.output_shape(data) == (1, 1, 3, 3)
    assert Pooling.of(global_pool="True", kernel="(1, 1)").output_shape(data) == (1, 1, 1, 1)
    assert Pooling.of(kernel="(2,2)", count_include_pad="None", p_value="2").p_value == 2
    assert Pooling((2, 2)).infer_shape(None) == ((None,), (None,))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({}, "kernel is .* needs 1 to 3 axes, or global_pool=True"),
        ({"kernel": (2, 2), "pad": (2, 0)}, r"pad is \(2, 0\), but needs to be less than kernel"),
        ({"kernel": (2, 2), "stride": 2}, r"stride is \(2,\), but the kernel has 2 axes"),
        ({"kernel": (2, 2), "layout": "NHWC"}, "layout needs 'NCW'"),
        ({"kernel": (2, 2), "pool_type": "lp"}, "pool_type needs 'max' or 'avg' or 'sum'"),
        ({"kernel": (2, 2), "pooling_convention": "same"}, "needs 'valid' or 'full'"),
    ],
)
def test_wrong_parameters(made, message):
    with pytest.raises(ParameterError, match=f"Pooling: .*{message}"):
        Pooling.of(**made)


def test_wrong_data():
    with pytest.raises(
        ShapeError, match=r"Pooling: data has shape \(1, 2, 5\), but kernel=.* needs .* 2"
    ):
        Pooling((2, 2)).output_shape((1, 2, 5))
    with pytest.raises(ShapeError, match=r"its 2 is smaller than kernel=\(3, 3\)"):
        Pooling((3, 3)).output_shape((1, 2, 5, 2))
    with pytest.raises(ShapeError, match="a window needs an element"):
        Pooling(global_pool=True).output_shape((1, 2, 5, 0))
    with pytest.raises(ShapeError, match="and 1 to 3 axes more"):
        Pooling(global_pool=True).output_shape((1, 2))
    with pytest.raises(DTypeError, match="Pooling: data is int32, but needs a floating type"):
        Pooling((3, 3)).output_type(np.dtype("int32"))


def test_no_images():
    for layer in (Pooling((2, 2)), Pooling((2, 2), "avg"), Pooling(global_pool=True)):
        (output,) = eager.apply(layer, np.empty((0, 3, 4, 4)))
        assert output.shape[0] == 0
        eager.gradient(layer, (np.empty((0, 3, 4, 4)),), (output,), (output,))
