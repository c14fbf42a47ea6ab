"""Photographs: the program runs, and its network tells parts of them apart."""

import numpy as np
import pytest

import actorflow as af
from tests.examples._programs import load, needs_extra, run


@pytest.fixture
def photographs(monkeypatch):
    """The program as a module."""
    pytest.importorskip("cv2")
    return load("photographs", monkeypatch)


@needs_extra
@pytest.mark.slow
def test_parts_of_unseen_stripes_are_recognised():
    pytest.importorskip("cv2")
    lines = run("photographs", "--quick", "--epochs", "8")
    shares = [float(line.split("│")[3].strip(" %")) for line in lines if line.startswith("│")]
    assert len(shares) == 8
    assert shares[-1] > 80


@needs_extra
@pytest.mark.slow
def test_what_is_packed_is_read(photographs, tmp_path):
    path = tmp_path / "x.rec"
    photographs.pack(path, 6, odd=False, seed=0)
    with af.Engine(workers=1), af.io.ImageRecordIter(path, photographs.SHAPE, 6) as parts:
        batch = next(parts)
    assert batch.label[0].asnumpy().tolist() == [0, 1] * 3
    assert batch.index.tolist() == list(range(6))
    assert len(np.unique(batch.data[0].asnumpy().reshape(6, -1), axis=0)) == 6
