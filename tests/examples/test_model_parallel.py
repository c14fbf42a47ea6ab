"""Two layers in two contexts: the program runs, learns, and gives the same bits in one."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd
from tests.examples._programs import load, needs_extra, run

STRIPS = 14


@pytest.fixture
def program(monkeypatch):
    """The program as a module."""
    return load("model_parallel", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_the_program_learns():
    lines = run("model_parallel", "--quick")
    *epochs, last = lines
    assert len(epochs) == 3
    assert float(epochs[-1].split("accuracy ")[1].split(",")[0]) > 0.5
    assert last.endswith("messages began while the other context was at work")


@needs_extra
@pytest.mark.slow
def test_the_weights_are_the_same_in_one_context(program, monkeypatch):
    draw = np.random.default_rng(0)
    images = draw.random((2 * program.BATCH, program.STRIPS, program.PIXELS), np.float32)
    labels = draw.integers(0, 10, 2 * program.BATCH).astype(np.float32)
    places = program.PLACES
    found = []
    for options, groups in (
        ({"engine_type": "naive"}, dict.fromkeys(places, af.cpu(0))),
        ({"workers": 1}, places),
        ({"workers": 2}, dict.fromkeys(places, af.cpu(0))),
    ):
        af.random.seed(2)
        monkeypatch.setattr(program, "PLACES", groups)
        with af.Engine(**options):
            trainer = program.Trainer()
            for weight in trainer.weights:  # contexts have random numbers of their own
                weight[:] = nd.array(np.random.default_rng(1).normal(0, 0.05, weight.shape))
            data, wanted = nd.array(images), nd.array(labels)
            for first in range(0, len(images), program.BATCH):
                part = slice(first, first + program.BATCH)
                trainer.step(data[part], wanted[part])
            found.append([weight.asnumpy() for weight in trainer.weights])
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, another)


@needs_extra
def test_each_layer_lies_in_its_context(program):
    executor = program.Trainer().executor
    for name, array in executor.arg_dict.items():
        if name.startswith(("lower", "upper")):
            assert array.context == program.PLACES[name[:5]]
    assert executor.arg_dict["data"].context == af.cpu(0)
    assert executor.outputs[0].context == af.cpu(1)
    text = executor.debug_str()
    # One copy for each strip, there and back.
    assert text.count("_copynode, in cpu(1):") == text.count("_copynode, in cpu(0):") == STRIPS
