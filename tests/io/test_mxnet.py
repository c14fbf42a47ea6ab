"""The same batches as MXNet's, from its own run."""

import json
from pathlib import Path

import numpy as np
import pytest

from actorflow import io
from tests.io._sources import content

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data/mxnet-1.9.1-batches.json").read_text(encoding="utf-8")
)
FIVE = np.arange(5)


def epochs(iterator):
    told = []
    for _ in range(3):
        told.append([content(batch)[:3] for batch in iterator])
        iterator.reset()
    return told


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.startswith("NDArrayIter")])
def test_arrays(engine, name):
    _, last, size = name.split()
    expected = GOLDEN[name]
    if last == "roll_over":
        # MXNet calls rows padding there that come in no other batch: see docs/design/io.md.
        expected = [[[*batch[:2], 0] for batch in epoch] for epoch in expected]
    iterator = io.NDArrayIter(FIVE, FIVE * 10, int(size), last_batch_handle=last)
    assert epochs(iterator) == expected


@pytest.mark.parametrize("size", [2, 3, 5])
def test_csv(engine, csv, size):
    data, labels = csv
    with io.CSVIter(data, (2,), labels, batch_size=size) as iterator:
        assert epochs(iterator) == GOLDEN[f"CSVIter {size}"]


@pytest.mark.parametrize("flat", [False, True])
def test_mnist(engine, mnist, flat):
    with io.MNISTIter(*mnist, batch_size=2, shuffle=False, flat=flat, silent=True) as iterator:
        assert epochs(iterator) == GOLDEN[f"MNISTIter {int(flat)}"]


def test_sentences():
    words = [each.split() for each in ["a b a", "b c", "d a b c", "c b a d e f g"]]
    coded, vocabulary = io.encode_sentences(words, start_label=1, invalid_label=0)
    assert [coded, vocabulary] == GOLDEN["encode_sentences"]


def test_names_and_shapes():
    iterator = io.NDArrayIter(
        [np.zeros((4, 2)), np.zeros((4, 3))], {"b": np.zeros(4), "a": np.ones(4)}, 2
    )
    assert iterator.provide_data == [("_0_data", (2, 2)), ("_1_data", (2, 3))]
    assert iterator.provide_label == [("a", (2,)), ("b", (2,))]
