"""The same images as MXNet's iterator gives: with the MXNet of AF_MXNET_PYTHON if it is set."""

import os
import subprocess

import numpy as np
import pytest

import actorflow as af
from actorflow import io, nd
from tests.io._images import write

PEER = os.environ.get("AF_MXNET_PYTHON")
WITH_PEER = pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet")

PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
import mxnet as mx, numpy as np
path, out, options = sys.argv[1], sys.argv[2], eval(sys.argv[3])
found = []
iterator = mx.io.ImageRecordIter(path_imgrec=path, preprocess_threads=1, verbose=False, **options)
for epoch in range(2):
    for batch in iterator:
        found += [batch.data[0].asnumpy(), batch.label[0].asnumpy(), [batch.pad]]
    iterator.reset()
np.savez(out, *found)
"""

CASES = {
    "plain": {},
    "rgb": {"mean_r": 10, "mean_g": 20, "mean_b": 30, "scale": 0.5},
    "deviation": {"mean_r": 1, "std_r": 2, "std_g": 3, "std_b": 4},
    "mirror": {"mirror": True},
    "resize": {"resize": 30},
    "cubic": {"resize": 50, "inter_method": 2},
    "pad": {"pad": 3, "fill_value": 9},
    "rotate": {"rotate": 30},
    "square": {"min_crop_size": 32, "max_crop_size": 32},
    "whole": {"round_batch": False},
}


def told(tmp_path, path, options):
    """What MXNet gives in two epochs: data, labels and pad; it sets no index."""
    out = tmp_path / "out.npz"
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", PROGRAM, path, out, repr(options)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    arrays = list(np.load(out).values())
    return [arrays[i : i + 3] for i in range(0, len(arrays), 3)]


@WITH_PEER
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_same_batches(tmp_path, name):
    path = write(tmp_path)
    options = {"data_shape": (3, 24, 24), "batch_size": 3, **CASES[name]}
    with af.Engine(workers=1), io.ImageRecordIter(path, **options) as iterator:
        found = []
        for _ in range(2):
            found += list(iterator)
            iterator.reset()
        expected = told(tmp_path, path, options)
        assert len(found) == len(expected)
        for batch, (data, label, pad) in zip(found, expected, strict=True):
            used = len(label) - (0 if options.get("round_batch", True) else batch.pad)
            # Without `round_batch` it leaves in the last rows what was there, and does not say so.
            assert pad[0] == (0 if name == "whole" else batch.pad)
            assert (batch.label[0].asnumpy()[:used] == label[:used]).all()
            # Their OpenCV is another one, which rounds otherwise between pixels.
            most = 2.0 if name in {"resize", "cubic", "rotate", "square"} else 1e-4
            ours = batch.data[0].asnumpy()[:used]
            assert np.abs(ours - data[:used]).max() <= most


@WITH_PEER
@pytest.mark.slow
def test_mean_images_are_exchanged(tmp_path):
    path = write(tmp_path)
    options = {"data_shape": (3, 24, 24), "batch_size": 7}
    theirs, ours = tmp_path / "theirs.params", tmp_path / "ours.params"
    expected = told(tmp_path, path, {**options, "mean_img": str(theirs)})
    with af.Engine(workers=1):
        for file in (ours, theirs):
            with io.ImageRecordIter(path, **options, mean_img=file) as iterator:
                found = next(iterator).data[0].asnumpy()
            np.testing.assert_allclose(found, expected[0][0], atol=1e-3)
        for file in (ours, theirs):
            assert list(nd.load(file)) == ["mean_img"]
    again = told(tmp_path, path, {**options, "mean_img": str(ours)})
    np.testing.assert_allclose(again[0][0], expected[0][0], atol=1e-3)
