"""Text files of numbers in MXNet 1.9.1.

usage: csv_files_mxnet.py FOLDER
"""

import sys
import warnings
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")  # numpy.bool

import mxnet as mx

from protocol import Clock, serve

WIDTHS = {"digits": 784, "points": 10, "saved": 10}
BATCH = 128


def read(path: Path, width: int, clock: Clock) -> int:
    """Read a file; how many numbers."""
    with clock:
        batches = mx.io.CSVIter(data_csv=str(path), data_shape=(width,), batch_size=BATCH)
        rows = 0
        for batch in batches:
            batch.data[0].wait_to_read()
            rows += BATCH - batch.pad
    return rows * width


def main(folder: Path) -> None:
    cases = {name: partial(read, folder / f"{name}.csv", width) for name, width in WIDTHS.items()}
    serve(cases, f"MXNet {mx.__version__}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
