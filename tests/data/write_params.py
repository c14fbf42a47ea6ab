"""Write the golden `.params` files of this folder: run once by hand, with the MXNet to be recorded.

`python write_params.py mxnet-1.9.1` writes `mxnet-1.9.1-*.params` beside this file. MXNet 0.10.0
and 1.9.1 both run on CPython 3.11 with NumPy 1.23.5.
"""

import sys
from pathlib import Path

import mxnet as mx
import numpy as np

HERE = Path(__file__).parent
FIRST = ["float32", "float64", "float16", "uint8", "int32"]
LATER = ["int8", "int64", "bool"]


def main(prefix):
    def save(name, arrays):
        mx.nd.save(str(HERE / f"{prefix}-{name}.params"), arrays)

    known = FIRST if prefix.startswith("mxnet-0.") else FIRST + LATER
    save("list", [mx.nd.array(np.arange(6).reshape(2, 3) % 2, dtype=dtype) for dtype in known])
    save("dict", {"arg:w": mx.nd.array([[1.5, -2.0]]), "aux:\u00fc": mx.nd.ones((1, 2, 1, 1))})
    save("single", mx.nd.array([3.25]))
    save("empty", [])
    if not prefix.startswith("mxnet-0."):
        mx.npx.set_np()
        arrays = [mx.np.array(2.5), mx.np.zeros((0, 3)), mx.np.ones((2,))]
        mx.npx.save(str(HERE / f"{prefix}-numpy.params"), arrays)


main(sys.argv[1])
