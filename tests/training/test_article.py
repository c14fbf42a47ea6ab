"""The programs of MXNet's article of December 2015, those of Julia and C++ transcribed.

They are as they are there but for the import, for what this machine has (two CPU contexts instead
of two GPUs, and a store of this process) and for names that the article leaves open.
`tests/kvstore/test_local.py` has the loop of the store by itself.
"""

import numpy as np
import pytest

import actorflow as mx
from tests.training._networks import digits, examples, mlp, near, values


def test_symbols_in_julia():
    mlp = mx.sym.chain(
        mx.sym.Variable("data"),
        mx.sym.FullyConnected(num_hidden=64),
        mx.sym.Activation(act_type="relu"),
        mx.sym.FullyConnected(num_hidden=10),
        mx.sym.Softmax(),
    )
    shapes, (output,), _ = mlp.infer_shape(data=(100, 784))
    assert shapes[1:5] == [(64, 784), (64,), (10, 64), (10,)]
    assert output == (100, 10)
    executor = mlp.simple_bind(mx.cpu(), data=(100, 784))
    np.testing.assert_allclose(executor.forward()[0].asnumpy(), 0.1, rtol=1e-6)


def test_arrays_in_python(capsys):
    a = mx.nd.ones((2, 3), mx.cpu())
    print((a * 2).asnumpy())  # noqa: T201 -- as in the article
    assert capsys.readouterr().out == "[[2. 2. 2.]\n [2. 2. 2.]]\n"


class Net:
    """The network of the article's loops: all examples, and parameters with their gradients."""

    def __init__(self):
        data, label = examples()
        start = values(mlp(), data=(40, 5))
        self.executor = mlp().simple_bind(mx.cpu(), dict.fromkeys(start, "write"), data=(40, 5))
        self.executor.copy_params_from(start)
        self.executor.arg_dict["data"][:] = data
        self.executor.arg_dict["softmax_label"][:] = label
        self.weight = {name: self.executor.arg_dict[name] for name in start}
        self.grad = {name: self.executor.grad_dict[name] for name in start}

    def forward(self):
        self.executor.forward(is_train=True)

    def backward(self):
        self.executor.backward()


def descended(n=5, eta=0.01):
    """The parameters after some steps of the second program, the article's of C++."""
    net = Net()
    for _ in range(n):
        net.forward()
        net.backward()
        for name in net.weight:
            net.weight[name] -= eta * net.grad[name]
    return {name: each.asnumpy() for name, each in net.weight.items()}


def test_gradient_descent_in_cpp(engine):
    module = mx.mod.Module(mlp())
    module.fit(
        digits(batch_size=40),
        num_epoch=5,
        arg_params=values(mlp(), data=(40, 5)),
        optimizer_params={"learning_rate": 0.01, "rescale_grad": 1},
    )
    near(descended(), {name: each.asnumpy() for name, each in module.get_params()[0].items()})


def test_gradient_descent_with_a_store_in_cpp(engine):
    eta, max_iter = 0.01, 5
    net = Net()
    kv = mx.kvstore.create("local")

    def updater(_key, g, w):
        w -= eta * g

    kv.set_updater(updater)
    kv.init(net.weight)
    for _ in range(max_iter):
        kv.pull(net.weight)
        net.forward()
        net.backward()
        kv.push(net.grad)
    kv.pull(net.weight)
    near({name: each.asnumpy() for name, each in net.weight.items()}, descended(max_iter, eta))


@pytest.mark.slow
def test_training_in_python(tmp_path, monkeypatch, engine):
    monkeypatch.chdir(tmp_path)  # where its checkpoints go
    mx.random.seed(1)
    network, train_iter, val_iter = mlp(), digits(), digits(16)
    model = mx.model.FeedForward(
        ctx=[mx.cpu(0), mx.cpu(1)],
        symbol=network,
        num_epoch=100,
        learning_rate=0.01,
        momentum=0.9,
        wd=0.00001,
        initializer=mx.init.Xavier(factor_type="in", magnitude=2.34),
    )
    model.fit(
        X=train_iter,
        eval_data=val_iter,
        kvstore=mx.kvstore.create("local"),
        epoch_end_callback=mx.callback.do_checkpoint("model_"),
    )
    assert model.score(val_iter) > 0.9
    assert dict(model.report.validation)["accuracy"] == model.score(val_iter)
    assert len(list(tmp_path.glob("model_-*.params"))) == 100
    found = mx.model.FeedForward.load("model_", 100)
    np.testing.assert_array_equal(found.predict(val_iter), model.predict(val_iter))
