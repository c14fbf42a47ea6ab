"""Transposed convolutions: values against points put down one by one, shapes, errors, gradients."""

import itertools

import numpy as np
import pytest

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.deconvolution import Deconvolution
from tests.ops._gradients import check_gradient


def by_points(layer, data, weight, bias=None):
    """The definition: each element puts the kernel down, scaled, at its place."""
    axes = len(layer.kernel)
    stride, dilate = layer.stride or (1,) * axes, layer.dilate or (1,) * axes
    out, pad = layer.sizes(data.shape)
    n, groups = len(data), layer.num_group
    whole = [
        s * (i - 1) + d * (k - 1) + 1 + s
        for i, k, s, d in zip(data.shape[2:], layer.kernel, stride, dilate, strict=True)
    ]
    found = np.zeros((n, groups, layer.num_filter // groups, *whole))
    data = data.reshape(n, groups, -1, *data.shape[2:])
    weight = weight.reshape(groups, data.shape[2], *weight.shape[1:])
    for point in itertools.product(*map(range, layer.kernel)):
        places = tuple(
            slice(i * d, i * d + (size - 1) * s + 1, s)
            for i, d, s, size in zip(point, dilate, stride, data.shape[3:], strict=True)
        )
        found[(..., *places)] += np.einsum("ngc...,gcf->ngf...", data, weight[(..., *point)])
    found = found[(..., *(slice(p, p + o) for p, o in zip(pad, out, strict=True)))]
    found = found.reshape(n, layer.num_filter, *out)
    return found if bias is None else found + bias.reshape(-1, *[1] * axes)


TARGET = {"target_shape": (6, 8)}
CASES = [
    ((2, 3, 4, 5), {"kernel": (3, 2), "num_filter": 4}, (6, 6)),
    ((2, 3, 4, 5), {"kernel": (4, 4), "num_filter": 2, "stride": (2, 2), "pad": (1, 1)}, (8, 10)),
    ((1, 4, 3, 3), {"kernel": (3, 3), "num_filter": 2, "stride": (2, 3), "adj": (1, 2)}, (8, 11)),
    ((1, 4, 4, 4), {"kernel": (3, 3), "num_filter": 50, "pad": (1, 1), "num_group": 2}, (4, 4)),
    ((1, 2, 4, 4), {"kernel": (2, 2), "num_filter": 2, "dilate": (2, 3), "no_bias": False}, (6, 7)),
    ((1, 2, 3, 4), {"kernel": (4, 3), "num_filter": 1, "stride": (2, 2)} | TARGET, (6, 8)),
    ((2, 3, 5), {"kernel": (3,), "num_filter": 2, "stride": (2,), "layout": "NCW"}, (11,)),
    ((1, 2, 2, 3, 2), {"kernel": (2, 2, 2), "num_filter": 2, "stride": (1, 2, 2)}, (3, 6, 4)),
    ((2, 192, 2, 3), {"kernel": (1, 1), "num_filter": 2}, (2, 3)),
]


@pytest.mark.parametrize(("data", "made", "out"), CASES)
def test_deconvolution(data, made, out):
    layer = Deconvolution.of(**made)
    shapes, (given,) = layer.infer_shape(data, *[None] * (len(layer.inputs) - 1))
    assert given == (data[0], layer.num_filter, *out)
    draw = np.random.default_rng(0)
    arrays = [draw.normal(size=shape) for shape in shapes]
    (output,) = eager.apply(layer, *arrays)
    np.testing.assert_allclose(output, by_points(layer, *arrays), rtol=1e-12, atol=1e-12)
    if data[1] < 192:
        check_gradient(layer, *arrays)
    narrow = [each.astype(np.float16) for each in arrays]
    (rough,) = eager.apply(layer, *narrow)
    assert rough.dtype == np.float16
    np.testing.assert_allclose(rough, output, rtol=0.05, atol=0.05)
    for ours, theirs in zip(
        eager.gradient(layer, narrow, (rough,), (rough,)),
        eager.gradient(layer, arrays, (output,), (output,)),
        strict=True,
    ):
        assert ours.dtype == np.float16
        np.testing.assert_allclose(ours, theirs, rtol=0.1, atol=0.02 * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"kernel": ()}, "kernel is .* needs 1 to 3 axes"),
        ({"adj": (1, 0)}, r"adj is \(1, 0\), but needs to be less than stride=\(1, 1\)"),
        ({"num_group": 3}, "num_filter is 4, which num_group=3 does not divide"),
        ({"layout": "NHWC"}, "layout needs 'NCW'"),
    ],
)
def test_wrong_parameters(made, message):
    with pytest.raises(ParameterError, match=f"Deconvolution: .*{message}"):
        Deconvolution.of(**{"kernel": (3, 3), "num_filter": 4, **made})


def test_wrong_shapes():
    layer = Deconvolution((3, 3), 4, num_group=2)
    with pytest.raises(ShapeError, match=r"data has shape \(1, 2, 3\), but kernel=\(3, 3\) needs"):
        layer.infer_shape((1, 2, 3), None)
    with pytest.raises(ShapeError, match="its 3 channels need to be num_group times"):
        layer.infer_shape((1, 3, 3, 3), None)
    with pytest.raises(ShapeError, match=r"weight has .* num_filter=4 needs \(2, 2, 3, 3\)"):
        layer.infer_shape((1, 2, 3, 3), (2, 4, 3, 3))
    with pytest.raises(ShapeError, match=r"the output would be \(-1, 5\)"):
        Deconvolution((1, 3), 4, pad=(2, 0)).infer_shape((1, 2, 3, 3), None)
    with pytest.raises(ShapeError, match=r"of its \(5, 5\) target_shape=\(6, 5\) cannot be made"):
        Deconvolution((3, 3), 4, target_shape=(6, 5)).infer_shape((1, 2, 3, 3), None)
    assert layer.infer_shape(None, None) == ((None, None), (None,))
