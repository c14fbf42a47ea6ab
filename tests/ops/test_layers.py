"""Layers with weights: shapes, values, gradients."""

import numpy as np
import pytest

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.dense import FullyConnected
from tests.ops._gradients import check_gradient

draw = np.random.default_rng(0)


@pytest.mark.parametrize("no_bias", [False, True])
@pytest.mark.parametrize(
    ("shape", "flatten", "out"),
    [((4, 3), True, (4, 5)), ((2, 3, 2), True, (2, 5)), ((2, 3, 4), False, (2, 3, 5))],
)
def test_fully_connected(shape, flatten, out, no_bias):
    layer = FullyConnected(5, no_bias, flatten)
    found, (given,) = layer.infer_shape(shape, *[None] * (len(layer.inputs) - 1))
    assert given == out
    arrays = [draw.normal(size=each) for each in found]
    (y,) = eager.apply(layer, *arrays)
    wanted = arrays[0].reshape(-1, found[1][1]) @ arrays[1].T
    if not no_bias:
        wanted = wanted + arrays[2]
    np.testing.assert_allclose(y, wanted.reshape(out))
    check_gradient(layer, *arrays)


def test_fully_connected_says_what_it_needs():
    message = r"FullyConnected: weight has shape \(5, 4\), but data \(2, 3\) and .* \(5, 3\)"
    with pytest.raises(ShapeError, match=message):
        FullyConnected(5).infer_shape((2, 3), (5, 4), None)
    with pytest.raises(ParameterError, match="did you mean 'num_hidden'"):
        FullyConnected.of(num_hiden=3)
    assert FullyConnected.of(num_hidden="3", no_bias="True") == FullyConnected(3, True)
