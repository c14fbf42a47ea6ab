"""Small networks and data to train them with."""

import numpy as np

import actorflow as af
from actorflow import io, nd, sym

CLASSES = 3


def mlp(label=None):
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=8, name="fc1")
    net = sym.Activation(net, act_type="tanh", name="act")
    net = sym.FullyConnected(net, num_hidden=CLASSES, name="fc2")
    more = {} if label is None else {"label": sym.Variable(label)}
    return sym.SoftmaxOutput(net, name="softmax", **more)


def examples(count=40, seed=0):
    draw = np.random.default_rng(seed)
    data = draw.normal(size=(count, 5)).astype(np.float32)
    label = (data[:, 0] > 0).astype(np.float32) + (data[:, 1] > 0)
    return data, label.astype(np.float32)


def digits(batch_size=8, count=40, **options):
    data, label = examples(count)
    return io.NDArrayIter(data, label, batch_size, **options)


def values(symbol, seed=1, **shapes):
    """Parameters to begin with."""
    draw = np.random.default_rng(seed)
    found = dict(zip(symbol.list_arguments(), symbol.infer_shape(**shapes)[0], strict=True))
    return {
        name: nd.array(draw.normal(scale=0.3, size=shape))
        for name, shape in found.items()
        if name not in shapes and "label" not in name
    }


def started(symbol=None, batch_size=8, optimizer_params=None, **options):
    """A module that is ready to be trained."""
    symbol = mlp() if symbol is None else symbol
    module = af.mod.Module(symbol, **options)
    module.bind([("data", (batch_size, 5))], [("softmax_label", (batch_size,))])
    module.init_params(arg_params=values(symbol, data=(batch_size, 5)))
    module.init_optimizer(
        optimizer_params=optimizer_params or {"learning_rate": 0.1, "momentum": 0.9}
    )
    return module


def params_of(module):
    return {name: value.asnumpy() for name, value in module.get_params()[0].items()}


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def near(ours, theirs, rtol=1e-5, atol=1e-6):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol, atol, err_msg=name)
