"""The recurrent network: the program learns, and its single step is that of the unrolled one."""

import re

import numpy as np
import pytest

import actorflow as af
from actorflow import io, nd
from tests.examples._programs import load, needs_extra, run

LETTERS = 7


@pytest.fixture
def program(monkeypatch):
    """The program as a module."""
    return load("char_lstm", monkeypatch)


def trained(program, buckets=(3, 5)):
    """A module that was trained with a batch of each bucket, and these sentences."""
    draw = np.random.default_rng(0)
    text = [draw.integers(1, LETTERS, length).tolist() for length in buckets for _ in range(4)]
    batches = io.BucketSentenceIter(text, 4, buckets, invalid_label=0, layout="TN")
    module = af.mod.BucketingModule(
        lambda length: program.unrolled(length, LETTERS), batches.default_bucket_key
    )
    module.fit(
        batches,
        eval_metric=af.metric.Perplexity(ignore_label=0),
        num_epoch=2,
        initializer=af.init.Normal(0.5),
    )
    return module, batches


@needs_extra
@pytest.mark.slow
def test_the_program_learns_and_writes():
    lines = run("char_lstm", "--quick", "--epochs", "3")
    assert lines[0].startswith("1000 lines of ")
    found = [re.search(r"perplexity (\S+), held out (\S+),", line) for line in lines[1:4]]
    learned, tested = zip(*(map(float, each.groups()) for each in found), strict=True)
    assert learned[0] > learned[1] > learned[2]
    assert tested[0] > tested[1] > tested[2]
    assert tested[2] < 25  # of about 70 characters
    assert [line.split()[0] for line in lines[4:]] == ["The", "If", "This"]


@needs_extra
@pytest.mark.slow
def test_a_step_with_states_is_a_step_of_the_unrolled_network(program):
    with af.Engine(workers=2):
        module, batches = trained(program)
        batches.reset()
        batch = next(batches)
        module.forward(batch, is_train=False)
        (outputs,) = module.get_outputs()
        wanted = outputs.asnumpy().reshape(batch.bucket_key, 4, LETTERS)
        numbers = {str(number): number for number in range(LETTERS)}
        writer = program.Writer(module, numbers).module
        states = [nd.zeros((1, program.HIDDEN)), nd.zeros((1, program.HIDDEN))]
        for time, letter in enumerate(batch.data[0].asnumpy()[:, 2]):
            writer.forward(io.DataBatch([nd.array([letter]), *states]))
            chances, *states = (each.copy() for each in writer.get_outputs())
            np.testing.assert_allclose(chances.asnumpy()[0], wanted[time, 2], rtol=1e-4)


@needs_extra
@pytest.mark.slow
def test_buckets_have_the_same_weights(program):
    with af.Engine(workers=2):
        module, batches = trained(program)
        names = sorted(module.get_params()[0])
    assert names == [
        "letters_weight",
        "lstm_h2h_weight",
        "lstm_i2h_bias",
        "lstm_i2h_weight",
        "scores_bias",
        "scores_weight",
    ]
    assert sorted(batches.buckets) == [3, 5]


@needs_extra
def test_the_text_is_real(program):
    lines = program.lines_of_text()
    assert len(lines) > 2000
    assert len(set(lines)) == len(lines)
    assert all(line.endswith("\n") and len(line) > 20 for line in lines)
    assert sum(" the " in line for line in lines) > 500


@needs_extra
@pytest.mark.parametrize("argument", ["--epochs=0", "--workers=0", "--epochs=x"])
def test_wrong_arguments_are_refused(program, argument, capsys):
    with pytest.raises(SystemExit):
        program.parse([argument])
    assert argument.split("=")[0] in capsys.readouterr().err
