"""LeNet as a symbol: the program runs, learns, and gives the same bits on any engine."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import actorflow as af
from actorflow import nd

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "examples" / "lenet.py"

installed = all(importlib.util.find_spec(name) for name in ("mlxtend", "rich", "sklearn"))
needs_extra = pytest.mark.skipif(not installed, reason="the extra `examples` is not installed")


@pytest.fixture
def lenet(monkeypatch):
    """The program as a module."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    spec = importlib.util.spec_from_file_location("lenet", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_extra
@pytest.mark.slow
def test_the_program_learns():
    done = subprocess.run(  # noqa: S603
        [sys.executable, PROGRAM, "--quick", "--epochs", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for part in (
        "Parameters in all: 431,080",
        "500 images to learn from, 100 held out, batches of 50",
        "epoch  1: loss ",
        "recognised: ",
        "scikit-learn",
    ):
        assert part in done.stdout
    (last,) = (line for line in done.stdout.splitlines() if line.startswith("epoch  2"))
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
