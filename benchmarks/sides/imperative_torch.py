"""Imperative operations on small tensors in PyTorch, on one thread.

usage: imperative_torch.py COUNT
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from protocol import Case, Clock, serve


def fresh(count: int) -> Case:
    """`c = a + b`, a new tensor each time."""

    def run(clock: Clock) -> int:
        a, b = torch.ones(16), torch.ones(16)
        with clock:
            for _ in range(count):
                c = a + b
        del c
        return count

    return run


def out(count: int) -> Case:
    """The sum into a tensor that is there."""

    def run(clock: Clock) -> int:
        a, b, c = torch.ones(16), torch.ones(16), torch.ones(16)
        with clock:
            for _ in range(count):
                torch.add(a, b, out=c)
        return count

    return run


def chain(count: int) -> Case:
    """Each sum needs the one before."""

    def run(clock: Clock) -> int:
        x, b = torch.ones(16), torch.ones(16)
        with clock:
            for _ in range(count):
                x = x + b
        return count

    return run


def main(count: int) -> None:
    """Serve the three cases."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    cases = {"fresh": fresh(count), "out": out(count), "chain": chain(count)}
    serve(cases, f"PyTorch {torch.__version__}, 1 thread, no gradients")


if __name__ == "__main__":
    main(int(sys.argv[1]))
