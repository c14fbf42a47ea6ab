"""Batches of images from a record file in MXNet 1.9.1.

usage: images_mxnet.py FOLDER best|default

Its best setting decodes in two OpenMP threads and leaves the batch in memory (`ctx="cpu"`); by
default it makes pinned memory for a GPU, as far as there is one.
"""

import os
import sys
import warnings
from functools import partial
from pathlib import Path

if sys.argv[2] == "best":
    os.environ["OMP_NUM_THREADS"] = "2"

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")  # numpy.bool

import mxnet as mx

from protocol import Clock, serve

BATCH = 128
OPTIONS = {"best": {"preprocess_threads": 2, "ctx": "cpu"}, "default": {}}
VARIANTS = {
    "plain": {},
    "augmented": {
        "rand_crop": True,
        "rand_mirror": True,
        "shuffle": True,
        "mean_r": 123,
        "mean_g": 117,
        "mean_b": 104,
        "scale": 1 / 58,
    },
}


def read(iterator: mx.io.MXDataIter, clock: Clock) -> int:
    count = 0
    with clock:
        iterator.reset()  # from here on it reads ahead, also while nobody measures
        for batch in iterator:
            batch.data[0].wait_to_read()
            count += BATCH - batch.pad
    return count


def main(folder: Path, setting: str) -> None:
    cases = {}
    for name, options in VARIANTS.items():
        iterator = mx.io.ImageRecordIter(
            path_imgrec=str(folder / "x.rec"),
            data_shape=(3, 224, 224),
            batch_size=BATCH,
            verbose=False,
            **OPTIONS[setting],
            **options,
        )
        cases[name] = partial(read, iterator)
    serve(cases, f"MXNet {mx.__version__}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
