"""Activations and dropout: values, gradients, errors; softmaxes only without elements."""

import itertools

import numpy as np
import pytest

from actorflow.errors import DTypeError, ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.activation import Activation
from actorflow.ops.blocks import BLOCK
from actorflow.ops.dropout import Dropout, DropoutAtInference
from actorflow.ops.leaky import LeakyReLU, LeakyReLUMean
from actorflow.ops.softmax import LogSoftmax, Softmax, SoftmaxActivation
from tests.ops._gradients import check_gradient

FLOATS = ("float16", "float32", "float64")
ROUGH = {"float16": 2e-3, "float32": 1e-6, "float64": 1e-14}
SHAPES = [(7,), (3, 4), (2, 3, 5)]

# As in a textbook, element by element.
PLAIN = {
    "relu": lambda x: np.where(x > 0, x, 0),
    "sigmoid": lambda x: np.exp(x) / (1 + np.exp(x)),
    "tanh": lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1),
    "softrelu": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
}


def draw(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def away_from_zero(*shape, seed=0):
    x = draw(*shape, seed=seed)
    return x + np.sign(x) * 0.01


@pytest.mark.parametrize(("kind", "dtype"), list(itertools.product(PLAIN, FLOATS)))
def test_activation(kind, dtype):
    x = draw(3, BLOCK // 2, dtype=dtype)  # more than a block
    (y,) = eager.apply(Activation(kind), x)
    assert y.dtype == dtype
    np.testing.assert_allclose(
        y, PLAIN[kind](x.astype("float64")), rtol=ROUGH[dtype] * 2, atol=1e-7
    )


@pytest.mark.parametrize(("kind", "shape"), list(itertools.product(PLAIN, SHAPES)))
def test_gradient_of_activation(kind, shape):
    check_gradient(Activation(kind), away_from_zero(*shape))


@pytest.mark.parametrize(("kind", "dtype"), list(itertools.product(PLAIN, FLOATS)))
def test_gradient_of_activation_in_every_type_and_in_place(kind, dtype):
    x, g = draw(BLOCK + 5, dtype=dtype), draw(BLOCK + 5, seed=1, dtype=dtype)
    layer = Activation(kind)
    (y,) = eager.apply(layer, x)
    (found,) = eager.gradient(layer, [x], [y], [g])
    wide = [each.astype("float64") for each in (x, y, g)]
    (wanted,) = eager.gradient(layer, wide[:1], wide[1:2], wide[2:])
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=ROUGH[dtype] * 5, atol=ROUGH[dtype])
    nodes = []
    layer.gradient(lambda op, *_: nodes.append(op) or (None,), (x,), (y,), (g,))
    for source in (0, 1):
        arrays = [y.copy(), g.copy()]
        room = [np.empty(*each) for each in nodes[0].scratch([x.shape] * 2, [x.dtype] * 2)]
        nodes[0].forward(*arrays, arrays[source], *room)
        np.testing.assert_array_equal(arrays[source], found)


@pytest.mark.parametrize("kind", PLAIN)
def test_activation_in_place(kind):
    x = draw(BLOCK + 3)
    (wanted,) = eager.apply(Activation(kind), x)
    room = [np.empty(*each) for each in Activation(kind).scratch([x.shape], [x.dtype])]
    Activation(kind).forward(x, x, *room)
    np.testing.assert_array_equal(x, wanted)


def test_extremes():
    x = np.array([-np.inf, -1e4, -50, 0, 50, 1e4, np.inf, np.nan], "float32")
    values = {kind: eager.apply(Activation(kind), x)[0] for kind in PLAIN}
    np.testing.assert_array_equal(values["sigmoid"][[0, 1, 3, 5, 6]], [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(values["softrelu"][1:6], [0, 1.9287e-22, np.log(2), 50, 1e4], 1e-4)
    assert all(np.isnan(value[-1]) for value in values.values())
    grad = np.full_like(x, np.inf)
    (found,) = eager.gradient(Activation("relu"), [x], [values["relu"]], [grad])
    np.testing.assert_array_equal(found[:4], 0)  # flat, whatever comes from above
    np.testing.assert_array_equal(found[4:], np.inf)


def test_activation_says_what_it_needs():
    with pytest.raises(ParameterError, match=r"Activation: act_type needs 'relu'.*mean 'tanh'"):
        Activation.of(act_type="tan")
    with pytest.raises(DTypeError, match="Activation: data is int32, but needs float16"):
        eager.apply(Activation("relu"), np.ones(3, "int32"))


# -- Leaky --------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0, 0.1, 0.25, 1, 2.5, -0.5])
@pytest.mark.parametrize("dtype", FLOATS)
def test_leaky(slope, dtype):
    x = draw(4, 5, dtype=dtype)
    (y,) = eager.apply(LeakyReLU("leaky", slope), x)
    wanted = np.where(x > 0, x, x.astype("float64") * slope)
    np.testing.assert_allclose(y, wanted, rtol=ROUGH[dtype], atol=0)
    check_gradient(LeakyReLU("leaky", slope), away_from_zero(3, 4))


@pytest.mark.parametrize("slope", [0, 0.25, 1, 2.5])
@pytest.mark.parametrize("dtype", FLOATS)
def test_elu(slope, dtype):
    x = draw(4, 5, dtype=dtype)
    (y,) = eager.apply(LeakyReLU("elu", slope), x)
    wide = x.astype("float64")
    wanted = np.where(x > 0, wide, slope * (np.exp(wide) - 1))
    np.testing.assert_allclose(y, wanted, rtol=ROUGH[dtype] * 2)
    check_gradient(LeakyReLU("elu", slope), away_from_zero(3, 4))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "shape", [(3, 4), (2, 3, 5), (2, 3, 2, 2), (5,), (3, 4, BLOCK // 2), (1, 2, BLOCK + 1)]
)
def test_prelu(shape, shared):
    layer = LeakyReLU("prelu")
    (_, gamma_shape), (out,) = layer.infer_shape(shape, None)
    assert out == shape
    assert gamma_shape == (shape[1] if len(shape) > 1 else 1,)
    x, gamma = away_from_zero(*shape), draw(*((1,) if shared else gamma_shape), seed=1)
    (y,) = eager.apply(layer, x, gamma)
    across = gamma.reshape(-1, *[1] * (len(shape) - 2))
    np.testing.assert_allclose(y, np.where(x > 0, x, x * across))
    if x.size < 100:
        check_gradient(layer, x, gamma)
        return
    grad = draw(*shape, seed=2)
    found, gamma_grad = eager.gradient(layer, [x, gamma], [y], [grad])
    np.testing.assert_allclose(found, np.where(x > 0, grad, grad * across))
    wanted = np.where(x > 0, 0, x * grad).sum((0, 2))
    np.testing.assert_allclose(gamma_grad, wanted.sum(keepdims=True) if shared else wanted)


def test_prelu_in_float16_and_in_part():
    x, gamma, grad = draw(6, 3, dtype="float16"), draw(3, dtype="float16"), draw(6, 3, seed=3)
    grad = grad.astype("float16")
    (y,) = eager.apply(LeakyReLU("prelu"), x, gamma)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, np.where(x > 0, x, x * gamma), rtol=2e-3)
    both = eager.gradient(LeakyReLU("prelu"), [x, gamma], [y], [grad])
    kinds = []
    LeakyReLU("prelu").gradient(
        lambda op, *_: kinds.append(op) or (None,) * 2, (x, gamma), (y,), (grad,)
    )
    shapes, dtypes = [(6, 3), (3,), (6, 3)], [x.dtype] * 3
    for wanted in (0, 1):
        outputs = [np.empty_like(each) for each in (x, gamma)]
        outputs[1 - wanted] = None
        room = [np.empty(*each) for each in kinds[0].scratch(shapes, dtypes)]
        kinds[0].forward(x, gamma, grad, *outputs, *room)
        np.testing.assert_array_equal(outputs[wanted], both[wanted])


@pytest.mark.parametrize("dtype", FLOATS)
def test_rrelu(dtype):
    layer = LeakyReLU("rrelu", lower_bound=0.1, upper_bound=0.3)
    x = draw(3, BLOCK // 2, dtype=dtype)
    y, mask = eager.apply(layer, x)
    again, _ = eager.apply(layer, x)
    np.testing.assert_array_equal(y, again)
    assert mask.dtype == dtype
    np.testing.assert_array_equal(mask[x > 0], 1)
    slopes = mask[x <= 0].astype("float64")
    assert 0.0999 <= slopes.min() < 0.101
    assert 0.299 < slopes.max() <= 0.3001
    assert abs(slopes.mean() - 0.2) < 0.001
    np.testing.assert_allclose(y, x * mask, rtol=2e-3 if dtype == "float16" else 1e-6)
    check_gradient(layer, away_from_zero(4, 3))
    still = layer.at_inference()
    assert still == LeakyReLUMean(0.2)
    out, kept = eager.apply(still, x)
    np.testing.assert_allclose(out, np.where(x > 0, x, x * x.dtype.type(0.2)), rtol=2e-3)
    np.testing.assert_allclose(kept, np.where(x > 0, 1, 0.2), rtol=1e-3)
    check_gradient(still, away_from_zero(4, 3))


def test_leaky_says_what_it_needs():
    with pytest.raises(ShapeError, match=r"LeakyReLU: gamma has shape \(4,\).*needs \(3,\)"):
        LeakyReLU("prelu").infer_shape((2, 3), (4,))
    with pytest.raises(ParameterError, match=r"LeakyReLU: lower_bound 0\.5 is greater"):
        LeakyReLU.of(act_type="rrelu", lower_bound="0.5")
    with pytest.raises(ParameterError, match="at least 0 for elu"):
        LeakyReLU.of(act_type="elu", slope=-1)
    assert LeakyReLU("prelu").inputs == ("data", "gamma")
    assert LeakyReLU().at_inference() == LeakyReLU()


# -- Dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0, 1e-6, 0.1, 0.5, 0.9, 1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_dropout(p, dtype):
    x = 1 + np.abs(draw(5, BLOCK, dtype=dtype))
    layer = Dropout(p)
    y, mask = eager.apply(layer, x)
    assert mask.dtype == bool
    spread = np.sqrt(p * (1 - p) / x.size)
    assert abs(mask.mean() - (1 - p)) <= 5 * spread + 1e-15
    np.testing.assert_array_equal(y[~mask], 0)
    scale = 1 / (1 - p) if p < 1 else 0
    np.testing.assert_allclose(y[mask], x[mask] * x.dtype.type(scale), rtol=1e-3)
    grad = draw(5, BLOCK, seed=1, dtype=dtype)
    (found,) = eager.gradient(layer, [x], [y, mask], [grad])
    np.testing.assert_allclose(found, grad * mask * x.dtype.type(scale), rtol=1e-3)


def test_dropout_by_its_last_bits():
    x = np.ones(1 << 20, "float32")
    p = 1 - 0.5 / 65536  # below what 16 bits can say
    counts = [
        eager.apply(Dropout(p), x, rng=np.random.default_rng(seed))[1].sum() for seed in range(20)
    ]
    wanted = 20 * (1 - p) * len(x)
    assert abs(sum(counts) - wanted) < 5 * np.sqrt(wanted)


def test_dropout_of_infinities():
    x = np.full(1000, np.inf)
    y, mask = eager.apply(Dropout(), x)
    np.testing.assert_array_equal(y, np.where(mask, np.inf, 0))


@pytest.mark.parametrize("axes", [(), (0,), (2, 3), (-1,)])
def test_dropout_along_axes(axes):
    layer = Dropout(0.4, axes=axes)
    x = away_from_zero(2, 3, 4, 2)
    y, mask = eager.apply(layer, x)
    gone = {axis % 4 for axis in axes}
    assert mask.shape == tuple(1 if axis in gone else n for axis, n in enumerate(x.shape))
    np.testing.assert_allclose(y, np.where(mask, x / 0.6, 0))
    check_gradient(layer, x)


def test_dropout_draws_what_its_generator_gives_and_can_do_without_a_mask():
    layer, x = Dropout(0.3), draw(BLOCK + 9)
    y, mask = eager.apply(layer, x, rng=np.random.default_rng(4))
    other, _ = eager.apply(layer, x, rng=np.random.default_rng(5))
    assert (y != other).any()
    room = [np.empty(*each) for each in layer.scratch([x.shape], [x.dtype])]
    output = np.empty_like(x)
    layer.forward(x, output, None, *room, np.random.default_rng(4))
    np.testing.assert_array_equal(output, y)
    layer.forward(x, x, mask, *room, np.random.default_rng(4))
    np.testing.assert_array_equal(x, y)


def test_dropout_at_inference():
    x = draw(3, 4)
    assert Dropout(mode="always").at_inference() == Dropout(mode="always")
    still = Dropout().at_inference()
    assert still == DropoutAtInference(Dropout())
    assert still.outputs == Dropout().outputs
    y, mask = eager.apply(still, x)
    np.testing.assert_array_equal(y, x)
    assert mask.all()
    check_gradient(still, x)


def test_dropout_says_what_it_needs():
    with pytest.raises(ParameterError, match="Dropout: p needs a number of at least 0"):
        Dropout.of(p="1.5")
    with pytest.raises(ShapeError, match="Dropout: axis 3"):
        eager.apply(Dropout(axes=(3,)), np.ones((2, 3)))
    assert Dropout.of(p="0.5", mode="training", axes="()", cudnn_off="False") == Dropout()


# -- All of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (3, 0)])
@pytest.mark.parametrize(
    "op",
    [
        *map(Activation, PLAIN),
        *map(LeakyReLU, ("leaky", "elu", "prelu", "rrelu")),
        Softmax(),
        Softmax(1),
        LogSoftmax(),
        SoftmaxActivation(),
        Dropout(),
        Dropout(axes=(0,)),
    ],
    ids=str,
)
def test_arrays_without_elements(op, shape):
    arrays = [np.empty(each) for each in op.infer_shape(*(shape, None)[: len(op.inputs)])[0]]
    outputs = eager.apply(op, *arrays)
    grads = eager.gradient(op, arrays, outputs, [np.empty(shape)])
    assert outputs[0].shape == grads[0].shape == shape
    assert all(not grad.any() for grad in grads)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axes", [(), (1,)])
def test_dropout_again_drops_the_same_and_draws_nothing(dtype, axes):
    layer, x = Dropout(0.3, axes=axes), draw(4, 5, BLOCK // 8, dtype=dtype)
    output, mask = eager.apply(layer, x)
    (again,) = eager.apply(layer.again(), x, mask)
    assert not layer.again().draws
    np.testing.assert_array_equal(again, output)
