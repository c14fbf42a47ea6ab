"""The network of `examples/digits.py` as a symbol: it runs, learns, and no engine changes a bit."""

import sys

import numpy as np
import pytest
import trio

import actorflow as af
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def mlp(monkeypatch):
    """The program as a module."""
    return load("mlp", monkeypatch)


def train(mlp, data, epochs, **engine):
    reports = []

    async def main():
        af.random.seed(1)
        async with af.Engine(**engine):
            return await mlp.train(data, epochs, lambda *report: reports.append(report))

    score, chances = trio.run(main)
    return reports, score, chances


@needs_extra
@pytest.mark.slow
def test_the_program_runs():
    lines = run("mlp", "--quick", "--epochs", "2")
    for part in (
        "500 images to learn from, 100 held out, layers 784-128-64-10, batches of 100",
        "epoch  1: loss ",
        "taken for another digit: ",
        "recognised: ",
        "scikit-learn",
    ):
        assert part in "\n".join(lines)


@needs_extra
@pytest.mark.slow
def test_it_learns_real_digits_as_well_as_scikit_learn(mlp):
    data = mlp.load_digits()
    reports, score, chances = train(mlp, data, 8, workers=2)
    peer = mlp.score_scikit_learn(
        data, mlp.HIDDEN, epochs=8, batch=mlp.BATCH, rate=mlp.RATE, seed=1
    )
    assert reports[-1] == (score.loss, score.accuracy)
    assert score.loss < 0.1
    # One standard error is 0.007, and both scores have one.
    assert score.accuracy > max(0.92, peer.accuracy - 3 * 0.007 * 2**0.5)
    assert chances.shape == (1000, 10)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)


@needs_extra
@pytest.mark.slow
def test_the_engine_does_not_change_a_bit(mlp):
    data = mlp.load_digits(quick=True)
    wanted, _, _ = train(mlp, data, 2, engine_type="naive")
    for workers in (1, 3):
        found, _, _ = train(mlp, data, 2, workers=workers, blas_threads=1)
        assert found == wanted


@needs_extra
def test_an_image_is_drawn_two_pixels_to_a_character(mlp):
    show = sys.modules["digits_show"]
    image = np.zeros((28, 28), np.float32)
    image[0, 1] = image[1, 2] = 1
    image[2:4, 26] = 1
    lines = show.drawing(image.reshape(784)).plain.splitlines()
    assert [len(line) for line in lines] == [26] * 14
    assert lines[0] == "\u2580\u2584".ljust(26)
    assert lines[1] == "\u2588".rjust(26)


@needs_extra
@pytest.mark.parametrize("argument", ["--epochs=0", "--workers=0", "--epochs=x"])
def test_wrong_arguments_are_refused(mlp, argument, capsys):
    with pytest.raises(SystemExit):
        mlp.parse([argument])
    assert argument.split("=")[0] in capsys.readouterr().err
