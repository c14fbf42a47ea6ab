"""Imperative operations on small arrays in MXNet 1.9.1.

usage: imperative_mxnet.py COUNT; the engine and the number of threads are set by MXNet's own
variables.
"""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")  # numpy.bool

import mxnet as mx

from protocol import Clock, serve

Add = Callable[..., Any]


def fresh(count: int, ones: Callable[..., Any], add: Add) -> Callable[[Clock], int]:
    def run(clock: Clock) -> int:
        a, b = ones((16,)), ones((16,))
        mx.nd.waitall()
        with clock:
            for _ in range(count):
                add(a, b)
            mx.nd.waitall()
        return count

    return run


def out(count: int, ones: Callable[..., Any], add: Add) -> Callable[[Clock], int]:
    def run(clock: Clock) -> int:
        a, b, c = ones((16,)), ones((16,)), ones((16,))
        mx.nd.waitall()
        with clock:
            for _ in range(count):
                add(a, b, out=c)
            mx.nd.waitall()
        return count

    return run


def chain(count: int, ones: Callable[..., Any], add: Add) -> Callable[[Clock], int]:
    def run(clock: Clock) -> int:
        x, b = ones((16,)), ones((16,))
        mx.nd.waitall()
        with clock:
            for _ in range(count):
                x = add(x, b)
            x.wait_to_read()
        return count

    return run


def plus(a: Any, b: Any) -> Any:
    return a + b


def main(count: int) -> None:
    nd, np = mx.nd, mx.np
    cases = {}
    for name, make in (("fresh", fresh), ("chain", chain)):
        cases[f"{name} nd +"] = make(count, nd.ones, plus)
        cases[f"{name} nd.elemwise_add"] = make(count, nd.ones, nd.elemwise_add)
        cases[f"{name} np +"] = make(count, np.ones, plus)
        cases[f"{name} np.add"] = make(count, np.ones, np.add)
    cases["out nd.elemwise_add"] = out(count, nd.ones, nd.elemwise_add)
    cases["out np.add"] = out(count, np.ones, np.add)
    engine = os.environ.get("MXNET_ENGINE_TYPE", "default engine")
    serve(cases, f"MXNet {mx.__version__}, {engine}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
