"""The public check of gradients: it passes what is right and finds what is wrong."""

import attrs
import numpy as np
import pytest

from actorflow import ops, sym
from actorflow.symbol import Symbol
from actorflow.symbol.compose import apply
from actorflow.testing import check_gradient

draw = np.random.default_rng(0)


def values(**shapes):
    return {name: draw.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (sym.FullyConnected(num_hidden=3, name="l"), {"l_weight": (3, 4), "l_bias": (3,)}),
        (sym.Activation(act_type="softrelu", name="l"), {}),
        (sym.tanh(name="l"), {}),
        (sym.Dropout(p=0.5, name="l"), {}),
        (sym.softmax(name="l"), {}),
        (sym.transpose(name="l"), {}),
        (sym.sum(axis=1, name="l"), {}),
        (sym.exp(name="l"), {}),
    ],
)
def test_layers(layer, shapes, grad_req):
    check_gradient(layer, values(l_data=(2, 4), **shapes), grad_req=grad_req)


@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
def test_layers_of_images(grad_req):
    data = sym.Variable("data")
    net = sym.Convolution(data, kernel=(3, 3), num_filter=2, pad=(1, 1), name="conv")
    net = sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="avg")
    location = values(
        data=(2, 2, 4, 4), conv_weight=(2, 2, 3, 3), conv_bias=(2,), bn_gamma=(2,), bn_beta=(2,)
    )
    states = {"bn_moving_mean": np.zeros(2), "bn_moving_var": np.ones(2)}
    check_gradient(net, location, states, grad_req=grad_req, rtol=1e-4, atol=1e-5)


def test_integers_are_not_varied():
    net = sym.Embedding(input_dim=5, output_dim=2, name="e")
    check_gradient(net, {"e_data": np.array([1, 4, 1], np.int32), **values(e_weight=(5, 2))})


@attrs.frozen
class Wrong(ops.Operator):
    """The square, and a gradient that is half of what it should be."""

    name = "wrong"
    inputs = ("data",)

    def output_shape(self, *shapes):
        return shapes[0]

    def output_type(self, *dtypes):
        return dtypes[0]

    def forward(self, data, output):
        np.square(data, output)

    def gradient(self, apply, inputs, outputs, out_grads):
        return apply(ops.ELEMENTWISE["multiply"], inputs[0], out_grads[0])


def test_a_wrong_gradient_is_found():
    net = Symbol(apply(Wrong(), "wrong", {"data": sym.Variable("x")}, "w"))
    with pytest.raises(AssertionError, match=r"gradient of 'x' at \(0, 0\) is .*\(4 of 4 elements"):
        check_gradient(net, values(x=(2, 2)))


def test_a_loss_is_refused():
    net = sym.SoftmaxOutput(sym.Variable("x"), name="softmax")
    with pytest.raises(ValueError, match="softmax_output is a loss"):
        check_gradient(net, values(x=(2, 3)))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (({},), ValueError, "location lacks x"),
        (({"x": np.ones(3), "z": 1},), ValueError, "location has 'z', which .* has not; .* x"),
        ((5,), TypeError, "location is 5; needs values by name: x"),
        (({"x": "a"},), TypeError, "x is 'a'; needs an array of real numbers"),
        (({"x": np.ones(3)}, {"s": 1}), ValueError, "aux_states has 's', which"),
    ],
)
def test_errors_speak_as_the_function_that_was_called(arguments, kind, message):
    net = sym.tanh(sym.Variable("x"))
    with pytest.raises(kind, match=f"^check_gradient: {message}"):
        check_gradient(net, *arguments)
    with pytest.raises(TypeError, match=r"^check_gradient: symbol is 5; needs a Symbol"):
        check_gradient(5, *arguments)
    with pytest.raises(ValueError, match=r"^check_gradient: wrt has 'y', which location has not"):
        check_gradient(net, {"x": np.ones(3)}, wrt=["y"])
    with pytest.raises(ValueError, match=r"^check_gradient: grad_req is 'sum'; needs write, add"):
        check_gradient(net, {"x": np.ones(3)}, grad_req="sum")
