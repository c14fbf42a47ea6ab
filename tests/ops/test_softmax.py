"""Softmaxes: values, gradients, errors."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.blocks import BLOCK
from actorflow.ops.softmax import LogSoftmax, Softmax, SoftmaxActivation
from tests.ops._gradients import check_gradient

FLOATS = ("float16", "float32", "float64")
ROUGH = {"float16": 2e-3, "float32": 1e-6, "float64": 1e-14}


def draw(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def plain_softmax(x, axis, temperature=1.0):
    powers = np.exp(x.astype("float64") / temperature)
    return powers / powers.sum(axis, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=4).filter(lambda s: np.prod(s) < 20000),
    st.data(),
)
def test_softmax_of_any_shape(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    dtype = data.draw(st.sampled_from(FLOATS))
    temperature = data.draw(st.sampled_from([None, 0.5, 2]))
    x = draw(*shape, dtype=dtype)
    wanted = plain_softmax(x, axis, temperature or 1)
    (y,) = eager.apply(Softmax(axis, temperature), x)
    np.testing.assert_allclose(y, wanted, rtol=ROUGH[dtype] * 4, atol=1e-6)
    (y,) = eager.apply(LogSoftmax(axis, temperature), x)
    np.testing.assert_allclose(y, np.log(wanted), rtol=ROUGH[dtype] * 4, atol=ROUGH[dtype] * 4)


@pytest.mark.parametrize(
    "shape", [(3, BLOCK + 7), (BLOCK // 8, 20), (3, 70, 3000), (700, 7, 30), (2, 3, BLOCK)]
)
@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
def test_softmax_of_several_blocks(shape, kind):
    x, grad = draw(*shape), draw(*shape, seed=1)
    p = plain_softmax(x, 1)
    (y,) = eager.apply(kind(1), x)
    (found,) = eager.gradient(kind(1), [x], [y], [grad])
    if kind is Softmax:
        np.testing.assert_allclose(y, p)
        wanted = p * (grad - (p * grad).sum(1, keepdims=True))
    else:
        np.testing.assert_allclose(y, np.log(p))
        wanted = grad - p * grad.sum(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
@pytest.mark.parametrize(("shape", "axis"), [((5,), 0), ((3, 4), -1), ((2, 45), 1), ((2, 3, 4), 1)])
def test_gradient_of_softmax(kind, shape, axis):
    check_gradient(kind(axis), draw(*shape))
    check_gradient(kind(axis, 0.7), draw(*shape))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(7, 5), (7, 60), (2, 5, 9), (2, 5, 600)])
@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
def test_softmax_in_every_type_and_in_place(kind, shape, dtype):
    layer = kind(1)
    x, grad = draw(*shape, dtype=dtype), draw(*shape, seed=1, dtype=dtype)
    (y,) = eager.apply(layer, x)
    np.testing.assert_allclose(
        np.exp(y) if layer.log else y, plain_softmax(x, 1), rtol=ROUGH[dtype] * 5
    )
    (found,) = eager.gradient(layer, [x], [y], [grad])
    wide = [each.astype("float64") for each in (x, y, grad)]
    (wanted,) = eager.gradient(layer, wide[:1], wide[1:2], wide[2:])
    np.testing.assert_allclose(found, wanted, rtol=ROUGH[dtype], atol=ROUGH[dtype])
    nodes = []
    layer.gradient(lambda op, *_: nodes.append(op) or (None,), (x,), (y,), (grad,))
    for source in (0, 1):
        arrays = [y.copy(), grad.copy()]
        room = [np.empty(*each) for each in nodes[0].scratch([x.shape] * 2, [x.dtype] * 2)]
        nodes[0].forward(*arrays, arrays[source], *room)
        np.testing.assert_array_equal(arrays[source], found)
    room = [np.empty(*each) for each in layer.scratch([x.shape], [x.dtype])]
    layer.forward(x, x, *room)
    np.testing.assert_array_equal(x, y)


def test_softmax_of_great_numbers():
    x = np.array([[1e4, 0], [-1e4, -1e4], [-np.inf, 3]], "float32")
    (y,) = eager.apply(Softmax(), x)
    np.testing.assert_array_equal(y, [[1, 0], [0.5, 0.5], [0, 1]])
    (y,) = eager.apply(LogSoftmax(), x)
    np.testing.assert_allclose(y, [[0, -1e4], [-np.log(2)] * 2, [-np.inf, 0]], rtol=1e-6)


@pytest.mark.parametrize("mode", ["instance", "channel"])
def test_softmax_activation(mode):
    layer = SoftmaxActivation(mode)
    x = draw(2, 3, 2, 2)
    (y,) = eager.apply(layer, x)
    axes = 1 if mode == "channel" else (1, 2, 3)
    np.testing.assert_allclose(y, plain_softmax(x, axes))
    check_gradient(layer, x)


def test_softmax_says_what_it_needs():
    with pytest.raises(ShapeError, match="softmax: axis 2"):
        eager.apply(Softmax(2), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"SoftmaxActivation: data has shape \(4,\).*'channel'"):
        eager.apply(SoftmaxActivation("channel"), np.ones(4))
    with pytest.raises(ParameterError, match="softmax: temperature needs a number above 0"):
        Softmax.of(temperature="0")
    with pytest.raises(ParameterError, match="log_softmax: use_length can only be False"):
        LogSoftmax.of(use_length=True)
    with pytest.raises(ParameterError, match="softmax: dtype can only be None"):
        Softmax.of(dtype="float64")
    assert Softmax.of(axis="1", temperature="None", dtype="None") == Softmax(1)
