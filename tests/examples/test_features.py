"""Features of a network: the program runs, and features tell unseen digits apart."""

import numpy as np
import pytest

import actorflow as af
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def features(monkeypatch):
    """The program as a module."""
    return load("features", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_features_recognise_more_than_pixels():
    lines = run("features", "--quick")
    rows = [line.split() for line in lines[2:]]
    assert [int(row[0]) for row in rows] == [1, 3, 10]
    for _, pixels, found in rows:
        assert float(found) > float(pixels) > 0.3


@needs_extra
@pytest.mark.slow
def test_features_follow_the_weights_without_a_copy(features):
    images = np.random.default_rng(0).random((features.BATCH + 3, 784), np.float32)
    with af.Engine(workers=2):
        trainer = features.Trainer(features.lenet(), features.SHAPE)
        weights = trainer.executor.arg_dict
        executor = features.extractor(trainer.executor.symbol, weights)
        before = features.extract(executor, images).asnumpy()
        weights["fc1_bias"] += 1
        after = features.extract(executor, images).asnumpy()
    assert before.shape == (features.BATCH + 3, 500)
    np.testing.assert_allclose(after, before + 1, rtol=1e-5, atol=1e-5)


@needs_extra
def test_the_nearest_labelled_image_decides(features):
    labels = np.repeat([5, 6], 4)
    alike = np.equal.outer(labels, labels) + np.eye(8)
    assert features.accuracy(alike, labels, 1, seed=0) == 1
    assert features.accuracy(1 - alike, labels, 1, seed=0) == 0
