"""Element-wise operators fused and not: `python benchmarks/fusion.py`.

Beside it, PyTorch in its own environment, one thread, operator by operator:
`benchmarks/.peers/torch/bin/python benchmarks/fusion.py torch`. Each figure is the least of some
runs; ours of both kinds are taken in turn.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

CHAIN = 1000  # operators
SMALL = 16  # elements
SIZES = (1 << 20, 1 << 24)  # elements
IMAGES = (64, 3, 64, 64)
LAYERS = ((256, 1024, 1024), (256, 64, 1024))  # rows, width, hidden


def least(runs: list[Callable[[], object]], times: int = 15) -> list[float]:
    """The least seconds of each of several functions, called in turn."""
    found = [float("inf")] * len(runs)
    for _ in range(times + 2):
        for index, run in enumerate(runs):
            begin = time.perf_counter()
            run()
            found[index] = min(found[index], time.perf_counter() - begin)
    return found


def ours() -> None:
    from actorflow import nd, sym
    from actorflow.symbol import Symbol, Variable

    def both(symbol: Symbol, **shapes: tuple[int, ...]) -> tuple[float, float, list[float]]:
        found, sizes = [], []
        for fuse in ("0", "1"):
            os.environ["AF_FUSE"] = fuse
            executor = symbol.simple_bind(grad_req="null", **shapes)
            draw = np.random.default_rng(0)
            for array in executor.arg_arrays:
                array[:] = nd.array(draw.normal(size=array.shape) * 0.01)
            executor.forward()[0].wait_to_read()
            found.append(lambda executor=executor: executor.forward()[0].wait_to_read())
            sizes.append(float(executor.debug_str().split()[-3]))
        plain, fused = least(found)
        return plain, fused, sizes

    def line(what: str, found: tuple[float, float, list[float]]) -> None:
        plain, fused, sizes = found
        print(
            f"{what:32} {plain * 1e3:9.3f} ms, fused {fused * 1e3:9.3f} ms; "
            f"values in between {sizes[0]:.1f} MB, fused {sizes[1]:.1f} MB"
        )

    a, b, x = Variable("a"), Variable("b"), Variable("x")
    for kinds in (("tanh",), ("square", "negative", "relu")):
        small = x
        for index in range(CHAIN):
            small = getattr(sym, kinds[index % len(kinds)])(small)
        line(f"{CHAIN} x {' '.join(kinds)} on {SMALL}", both(small, x=(SMALL,)))
    chain = x
    for _ in range(5):
        chain = chain * 0.9 + 0.1
    mixed = sym.sqrt(sym.abs(sym.exp(-sym.square(sym.abs(x * 2.0) + 1.0)) * a - b))
    for size in SIZES:
        line(f"a * b + 1 on {size}", both(a * b + 1.0, a=(size,), b=(size,)))
        line(f"10 x multiply, add on {size}", both(chain, x=(size,)))
        line(f"9 mixed on {size}", both(mixed, x=(size,), a=(size,), b=(size,)))
    for rows, width, hidden in LAYERS:
        layer = sym.FullyConnected(x, num_hidden=hidden)
        symbol = sym.Activation(layer, act_type="relu")
        line(f"({rows}, {width}) to {hidden}, relu", both(symbol, x=(rows, width)))
    layer = sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=16)
    symbol = sym.Activation(layer, act_type="relu")
    line(f"{IMAGES} to 16 channels, relu", both(symbol, x=IMAGES))


def torch() -> None:
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)

    def line(what: str, run: Callable[[], object]) -> None:
        print(f"{what:32} {least([run])[0] * 1e3:9.3f} ms")

    def chain(x: torch.Tensor) -> torch.Tensor:
        for _ in range(5):
            x = x * 0.9 + 0.1
        return x

    def mixed(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        inner = torch.exp(-torch.square(torch.abs(x * 2.0) + 1.0))
        return torch.sqrt(torch.abs(inner * a - b))

    def tanhs(x: torch.Tensor) -> torch.Tensor:
        for _ in range(CHAIN):
            x = torch.tanh(x)
        return x

    small = torch.rand(SMALL)
    line(f"{CHAIN} x tanh on {SMALL}", lambda: tanhs(small))
    for size in SIZES:
        a, b, x = (torch.randn(size) * 0.01 for _ in range(3))
        line(f"a * b + 1 on {size}", lambda a=a, b=b: a * b + 1.0)
        line(f"10 x multiply, add on {size}", lambda x=x: chain(x))
        line(f"9 mixed on {size}", lambda x=x, a=a, b=b: mixed(x, a, b))
    for rows, width, hidden in LAYERS:
        x, weight, bias = torch.rand(rows, width), torch.rand(hidden, width), torch.rand(hidden)
        line(
            f"({rows}, {width}) to {hidden}, relu",
            lambda x=x, weight=weight, bias=bias: torch.relu(
                torch.nn.functional.linear(x, weight, bias)
            ),
        )


if __name__ == "__main__":
    torch() if sys.argv[1:] == ["torch"] else ours()
