"""LeNet as a symbol: the program runs, learns, and gives the same bits on any engine."""

import numpy as np
import pytest

import actorflow as af
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def lenet(monkeypatch):
    """The program as a module."""
    return load("lenet", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_the_program_learns():
    lines = run("lenet", "--quick", "--epochs", "2")
    for part in (
        "Parameters in all: 431,080",
        "500 images to learn from, 100 held out, batches of 50",
        "epoch  1: loss ",
        "recognised: ",
        "starved by data",
        "scikit-learn",
        "LeCun and others (1998)",
    ):
        assert part in "\n".join(lines)
    (last,) = (line for line in lines if line.startswith("epoch  2"))
    assert float(last.split("accuracy ")[1]) > 0.7


@needs_extra
@pytest.mark.slow
def test_the_weights_are_the_same_on_any_engine(lenet):
    draw = np.random.default_rng(0)
    images = draw.random((3 * lenet.BATCH, 1, 28, 28), np.float32)
    labels = draw.integers(0, 10, 3 * lenet.BATCH)
    found = []
    for options in ({"engine_type": "naive"}, {"workers": 1}, {"workers": 3}):
        af.random.seed(2)
        with af.Engine(**options):
            model = lenet.model(epochs=1)
            model.fit(images, labels)
            assert model.report.nbatch == 3
            found.append([weight.asnumpy() for weight in model.arg_params.values()])
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, another)
