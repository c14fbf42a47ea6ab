"""The loss of quantiles: the program learns, and the gradient is the slope of the loss."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def program(monkeypatch):
    """The program as a module."""
    return load("custom_loss", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_the_program_learns():
    lines = run("custom_loss")
    rows = {line.split("│")[1].strip(): line.split("│")[2:4] for line in lines if "│ " in line}
    ours, theirs = map(float, rows["loss"])
    assert ours < 1.1 * theirs
    # One standard error of 142 patients is 2.5 % at both ends, and 4.2 % in the middle.
    for level, error in ((10, 2.5), (50, 4.2), (90, 2.5)):
        found = float(rows[f"below the one for {level}%"][0].strip(" %"))
        assert abs(found - level) <= 3 * error
    drawn = [line for line in lines if "|" in line][1:]
    assert len(drawn) == 12


@needs_extra
@pytest.mark.slow
def test_its_gradient_is_the_slope_of_the_loss(program):
    draw = np.random.default_rng(0)
    predicted, labels = draw.normal(size=(4, 3)), draw.normal(size=4)
    net = af.sym.Custom(af.sym.Variable("x"), op_type="quantiles", levels=program.LEVELS, name="q")
    arrays = {"x": nd.array(predicted, dtype="float64"), "q_label": nd.array(labels)}
    grad = nd.zeros(predicted.shape, dtype="float64")
    executor = net.bind(None, arrays, {"x": grad})
    (given,) = executor.forward(is_train=True)
    np.testing.assert_array_equal(given.asnumpy(), predicted)
    executor.backward()
    for place in np.ndindex(predicted.shape):
        step = np.zeros_like(predicted)
        step[place] = 1e-6
        slope = program.loss(labels, predicted + step) - program.loss(labels, predicted - step)
        # The loss is a mean, the gradient that of a sum.
        assert abs(slope / 2e-6 * predicted.size - grad.asnumpy()[place]) < 1e-6


@needs_extra
def test_a_module_finds_its_label(program):
    module = af.mod.Module(program.network())
    assert module.label_names == ["quantiles_label"]
    assert af.sym.load_json(program.network().tojson()).list_arguments()[-1] == "quantiles_label"


@needs_extra
@pytest.mark.parametrize("argument", ["--epochs=0", "--workers=0", "--epochs=x"])
def test_wrong_arguments_are_refused(program, argument, capsys):
    with pytest.raises(SystemExit):
        program.parse([argument])
    assert argument.split("=")[0] in capsys.readouterr().err
