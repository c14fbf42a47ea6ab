"""LeNet as a symbol: the program runs, learns, and gives the same bits on any engine."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd
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
        "scikit-learn",
    ):
        assert part in "\n".join(lines)
    (last,) = (line for line in lines if line.startswith("epoch  2"))
    assert float(last.split("accuracy ")[1]) > 0.7


@needs_extra
@pytest.mark.slow
def test_the_weights_are_the_same_on_any_engine(lenet):
    draw = np.random.default_rng(0)
    images = draw.random((3 * lenet.BATCH, 1, 28, 28), np.float32)
    labels = draw.integers(0, 10, 3 * lenet.BATCH).astype(np.float32)
    found = []
    for options in ({"engine_type": "naive"}, {"workers": 1}, {"workers": 3}):
        af.random.seed(2)
        with af.Engine(**options):
            trainer = lenet.Trainer(lenet.lenet(), (1, 28, 28))
            data, wanted = nd.array(images), nd.array(labels)
            for first in range(0, len(images), lenet.BATCH):
                part = slice(first, first + lenet.BATCH)
                trainer.step(data[part], wanted[part])
            found.append([weight.asnumpy() for weight in trainer.weights])
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, another)
