"""Record files in MXNet 1.9.1.

usage: recordio_mxnet.py FOLDER
"""

import random
import sys
import warnings
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")  # numpy.bool

import mxnet as mx

from protocol import Clock, serve


def sequential(folder: Path, clock: Clock) -> int:
    with clock:
        reader = mx.recordio.MXRecordIO(str(folder / "x.rec"), "r")
        count = 0
        while reader.read() is not None:
            count += 1
        reader.close()
    return count


def by_key(folder: Path, clock: Clock) -> int:
    reader = mx.recordio.MXIndexedRecordIO(str(folder / "x.idx"), str(folder / "x.rec"), "r")
    keys = random.Random(1).sample(reader.keys, len(reader.keys))
    with clock:
        for key in keys:
            reader.read_idx(key)
    reader.close()
    return len(keys)


def main(folder: Path) -> None:
    cases = {"sequential": partial(sequential, folder), "random": partial(by_key, folder)}
    serve(cases, f"MXNet {mx.__version__}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
