"""The example of an operator written in Python: it runs, learns, and its gradient is right."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def program(monkeypatch):
    """The program as a module."""
    return load("custom_operator", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_the_program_learns():
    lines = run("custom_operator", "--quick", "--noise", "0.2", "--epochs", "15")
    first, *accuracies = lines
    assert first.startswith("500 images, ")
    assert [float(line.rpartition(" ")[2]) > 0.6 for line in accuracies] == [True, True]


@needs_extra
@pytest.mark.slow
def test_without_q_it_is_the_cross_entropy(program):
    found = []
    for q in (None, 0):
        executor = program.network(q).simple_bind(data=(4, 784))
        values = np.random.default_rng(1)
        for array in executor.arg_dict.values():
            array[:] = nd.array(values.normal(size=array.shape, scale=0.1))
        executor.arg_dict["softmax_label"][:] = nd.array([3, 1, 4, 1])
        executor.forward(is_train=True)
        executor.backward()
        found.append(executor.grad_dict["fc1_weight"].asnumpy())
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)


@needs_extra
@pytest.mark.slow
def test_its_gradient_is_the_slope_of_the_loss(program):
    draw = np.random.default_rng(0)
    scores, labels, q = draw.normal(size=(3, 4)), np.array([2, 0, 3]), 0.7
    net = af.sym.Custom(af.sym.Variable("x"), op_type="robust_softmax", q=q, name="loss")
    arrays = {"x": nd.array(scores, dtype="float64"), "loss_label": nd.array(labels)}
    grad = nd.zeros(scores.shape, dtype="float64")
    executor = net.bind(None, arrays, {"x": grad})

    def loss():
        chances = executor.forward(is_train=True)[0].asnumpy()[np.arange(3), labels]
        return ((1 - chances**q) / q).sum()

    loss()
    executor.backward()
    for place in np.ndindex(scores.shape):
        sides = []
        for step in (1e-6, -1e-6):
            moved = scores.copy()
            moved[place] += step
            arrays["x"][:] = nd.array(moved, dtype="float64")
            sides.append(loss())
        assert abs((sides[0] - sides[1]) / 2e-6 - grad.asnumpy()[place]) < 1e-6
