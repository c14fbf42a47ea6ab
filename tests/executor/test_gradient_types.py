"""Gradients of integers, which their arrays may be unable to hold: told when binding."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd, sym
from actorflow.errors import DTypeError

X = sym.Variable("x")


def bound(net, dtype, grad_req="write"):
    return net.simple_bind(grad_req=grad_req, type_dict={"x": dtype}, x=(2, 3))


@pytest.mark.parametrize("grad_req", ["write", "add"])
@pytest.mark.parametrize(
    ("net", "dtype", "through"),
    [
        (sym.tanh(X, name="last"), "int8", r"'last' \(tanh, made at .*\) for x is float16"),
        (sym.tanh(X * 2, name="last"), "int32", r"'last' \(tanh, .*\) for x is float64"),
        (sym.sum(X, name="last"), "uint8", r"'last' \(sum, .*\) for x is int64"),
        (sym.mean(X, name="last"), "int64", r"'last' \(mean, .*\) for x is float64"),
        (sym.prod(X, name="last"), "int8", r"'last' \(prod, .*\) for x is float64"),
        (sym.tanh(sym.max(X), name="last"), "int8", r"'last' \(tanh, .*\) for x is float16"),
        (sym.exp(sym.clip(X, 0, 3), name="last"), "int32", r"'last' \(exp, .*\) for x is float64"),
    ],
)
def test_a_gradient_that_integers_cannot_hold(net, dtype, through, grad_req):
    message = f"^simple_bind: the gradient of {through}, which x, of {dtype}, cannot hold: make x"
    with pytest.raises(DTypeError, match=message):
        bound(net, dtype, grad_req)
    array = nd.zeros((2, 3), dtype=dtype)
    with pytest.raises(DTypeError, match=message.replace("simple_bind", "bind")):
        net.bind(None, {"x": array}, {"x": nd.zeros((2, 3), dtype=dtype)}, grad_req)
    assert bound(net, dtype, "null").forward()[0].asnumpy() is not None


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (sym.square(X), [[0, 2, 4], [6, 8, 10]]),
        (sym.sum(X * 3), [[3] * 3] * 2),
        (sym.max(X), [[0, 0, 0], [0, 0, 1]]),
        (sym.tanh(sym.BlockGrad(X)), [[0] * 3] * 2),
        (sym.clip(X, 1, 4), [[0, 1, 1], [1, 1, 0]]),
    ],
)
def test_a_gradient_of_integers(net, expected):
    executor = bound(net, "int32")
    (output,) = executor.forward(is_train=True, x=np.arange(6, dtype=np.int32).reshape(2, 3))
    needed = [nd.ones(output.shape, dtype=output.dtype)]
    executor.backward(needed if executor._out_grads else None)
    assert executor.grad_dict["x"].dtype == np.int32
    assert executor.grad_dict["x"].asnumpy().tolist() == expected


def test_labels_of_integers_and_what_has_no_gradient_are_no_mistake():
    net = sym.SoftmaxOutput(X, sym.Variable("label"), name="softmax")
    executor = net.simple_bind(type_dict={"label": "int32"}, x=(2, 3))
    executor.forward(is_train=True)
    executor.backward()
    assert executor.grad_dict["label"].asnumpy().tolist() == [0, 0]


def test_the_zero_gradient_of_a_label_is_where_its_group_is():
    with sym.AttrScope(ctx_group="far"):
        label = sym.Variable("label")
        net = sym.SoftmaxOutput(sym.FullyConnected(X, num_hidden=3, name="fc"), label)
    places = {"far": af.cpu(1)}
    executor = net.simple_bind(af.cpu(0), group2ctx=places, x=(2, 3))
    assert executor.grad_dict["label"].context == af.cpu(1)
    program = executor._program(training=True)
    where = {
        segment.context
        for segment in program.segments
        for node in segment.nodes
        if node.name.startswith("label_no_grad")
    }
    assert where == {af.cpu(1)}
    assert not any("label" in line and "copy" in line for line in executor.debug_str().splitlines())
