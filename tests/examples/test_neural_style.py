"""A photograph in the style of another: the program paints, and follows the slope of its loss."""

import re

import numpy as np
import pytest

import actorflow as af
from actorflow import nd
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def program(monkeypatch):
    """The program as a module."""
    return load("neural_style", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_the_program_paints(tmp_path):
    from matplotlib.image import imread

    path = tmp_path / "painted.png"
    lines = run("neural_style", "--steps", "22", "--output", str(path))
    found = [re.search(r"style wrong by (\S+), content by (\S+)", line) for line in lines]
    style, content = zip(*(map(float, each.groups()) for each in found if each), strict=True)
    assert len(style) == 3  # steps 0, 20 and 21
    assert style[-1] < style[0] / 4
    assert content[0] == 0
    written = imread(path)
    assert written.shape == (213, 3 * 320, 4)
    temple, flower, painted = np.split(written[:, :, :3], 3, axis=1)
    # The flower's background is dark, and so is what was painted.
    assert flower.mean() < painted.mean() < temple.mean()


@needs_extra
@pytest.mark.slow
def test_the_gradient_is_the_slope_of_what_is_wrong(program, monkeypatch):
    monkeypatch.setattr(program, "FILTERS", (4, 5))
    draw = np.random.default_rng(0)
    content, style = draw.uniform(-0.8, 0.8, (2, 1, 3, 8, 12)).astype(np.float32)
    with af.Engine(workers=2):
        af.random.seed(1)
        painter = program.Painter(content, style)
        painter.step()
        slope = painter.module.get_input_grads()[0].asnumpy()

        def loss(image):
            outputs = painter.outputs(nd.array(image, dtype="float32"))
            told = zip(outputs, painter.targets, painter.factors, strict=True)
            return sum(
                float((factor * nd.sum(nd.square(a - b))).asnumpy()[0]) / 2 for a, b, factor in told
            )

        way = slope / np.linalg.norm(slope)
        length = 1e-2
        found = (loss(content + length * way) - loss(content - length * way)) / (2 * length)
    np.testing.assert_allclose(found, (slope * way).sum(), rtol=0.02)


@needs_extra
@pytest.mark.slow
def test_gram_matrices_know_no_places(program):
    draw = np.random.default_rng(0)
    photo = draw.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    with af.Engine(workers=2):
        painter = program.Painter(photo, photo)
        grams = [each.asnumpy() for each in painter.targets[:-2]]
        assert [each.shape for each in grams] == [(n, n) for n in program.FILTERS]
        for each in grams:
            np.testing.assert_allclose(each, each.T, rtol=1e-5)
        assert np.all(painter.step().asnumpy() == 0)  # nothing is wrong
        np.testing.assert_array_equal(painter.image.asnumpy(), photo)


@needs_extra
@pytest.mark.parametrize("argument", ["--steps=0", "--workers=0", "--steps=x"])
def test_wrong_arguments_are_refused(program, argument, capsys):
    with pytest.raises(SystemExit):
        program.parse([argument])
    assert argument.split("=")[0] in capsys.readouterr().err
