"""The residual network: the program runs, the network is that of the paper, and it learns."""

import numpy as np
import pytest
import trio

import actorflow as af
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def resnet(monkeypatch):
    """The program as a module."""
    return load("resnet", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_the_program_runs():
    lines = run("resnet", "--quick", "--epochs", "1")
    assert lines[0] == "500 digits on photographs, 100 held out, 8 layers, batches of 50"
    for part in ("epoch  1: loss ", "taken for a ", "ResNet-8, actorflow", "scikit-learn"):
        assert part in "\n".join(lines)


@needs_extra
@pytest.mark.slow
def test_it_learns_real_digits(resnet):
    plain = resnet.load_digits()
    digits = resnet.Digits(
        resnet.on_photographs(plain.images[:2000], odd=False, seed=1),
        plain.labels[:2000],
        resnet.on_photographs(plain.held_out_images, odd=True, seed=1),
        plain.held_out_labels,
    )
    reports = []

    async def main():
        af.random.seed(1)
        async with af.Engine(workers=2):
            return await resnet.train(digits, 1, 5, lambda *each: reports.append(each))

    score, chances = trio.run(main)
    assert [(score.loss, score.accuracy)] == reports[-1:]
    assert len(reports) == 5
    assert score.accuracy > 0.5
    assert (chances.argmax(axis=1) == digits.held_out_labels).mean() == score.accuracy


@needs_extra
@pytest.mark.parametrize("blocks", [1, 2])
def test_it_has_the_layers_of_the_paper(resnet, blocks):
    net = resnet.resnet(blocks)
    weights = [name for name in net.list_arguments() if name.endswith("_weight")]
    skips = [name for name in weights if "_skip_" in name]
    assert len(weights) - len(skips) == 6 * blocks + 2
    assert len(skips) == 2  # where the sizes change
    (last,) = (each for each in net.get_internals() if each.name == f"stage3_block{blocks}_out")
    assert last.infer_shape(data=(5, *resnet.SHAPE))[1] == [(5, resnet.FILTERS[-1], 8, 8)]
    assert net.infer_shape(data=(5, *resnet.SHAPE))[1] == [(5, 10)]


@needs_extra
def test_ink_inverts_the_photograph(resnet):
    paper = resnet.on_photographs(np.zeros((3, 784), np.float32), odd=True, seed=3)
    inked = resnet.on_photographs(np.ones((3, 784), np.float32), odd=True, seed=3)
    assert inked.dtype == np.float32
    assert np.abs(inked).max() <= 1
    np.testing.assert_allclose(inked[:, :, 2:-2, 2:-2], -paper[:, :, 2:-2, 2:-2], atol=1e-6)
    np.testing.assert_array_equal(inked[:, :, :2], paper[:, :, :2])


@needs_extra
@pytest.mark.parametrize("argument", ["--epochs=0", "--blocks=0", "--workers=x"])
def test_wrong_arguments_are_refused(resnet, argument, capsys):
    with pytest.raises(SystemExit):
        resnet.parse([argument])
    assert argument.split("=")[0] in capsys.readouterr().err
