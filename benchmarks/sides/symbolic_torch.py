"""Small operators and a network that learns, in PyTorch on one thread.

usage: symbolic_torch.py CHAIN STEPS
"""

import itertools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")  # torch.jit is to go

import numpy as np
import torch
from torch.nn import functional

from protocol import Case, Clock, serve

SIZES = (784, 128, 64, 10)
BATCH = 100  # images per step
RATE, MOMENTUM = 0.1, 0.9
RUNS = 5  # of the chain in one sample

Chain = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


# -- A chain of small operators -----------------------------------------------------------------


def chain(length: int) -> Chain:
    """Operators on a number, and on two tensors, in turn."""

    def compute(x: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        for _ in range(length // 4):
            x = (x * 0.99 + b - 0.01) * c
        return x

    return compute


def traced(length: int) -> Any:
    """The same, recorded and optimised."""
    return torch.jit.trace(chain(length), tuple(torch.ones(16) for _ in range(3)))


def forward(length: int, compute: Chain) -> Case:
    """The chain, without gradients."""

    def run(clock: Clock) -> int:
        x, b, c = (torch.ones(16) for _ in range(3))
        with torch.inference_mode(), clock:
            for _ in range(RUNS):
                compute(x, b, c)
        return RUNS * length

    return run


def backward(length: int, compute: Chain) -> Case:
    """The chain and the gradients of its three tensors."""

    def run(clock: Clock) -> int:
        x, b, c = (torch.ones(16, requires_grad=True) for _ in range(3))
        ones = torch.ones(16)
        with clock:
            for _ in range(RUNS):
                x.grad = b.grad = c.grad = None
                compute(x, b, c).backward(ones)
        return RUNS * length

    return run


# -- A network that learns ----------------------------------------------------------------------


class Learner:
    """The network; its weights, their gradients and speeds."""

    def __init__(self) -> None:
        draw = np.random.default_rng(1)
        self.images = torch.from_numpy(draw.random((BATCH, SIZES[0]), np.float32))
        self.labels = torch.arange(BATCH) % SIZES[-1]
        self.weights = []
        for inputs, outputs in itertools.pairwise(SIZES):
            for shape in ((outputs, inputs), (outputs,)):
                values = draw.normal(0, 0.05, shape).astype(np.float32)
                self.weights.append(torch.from_numpy(values).requires_grad_())
        self.targets = functional.one_hot(self.labels, SIZES[-1]).float()
        self.gradients = [torch.zeros_like(w, requires_grad=False) for w in self.weights]
        self.speeds = [torch.zeros_like(w, requires_grad=False) for w in self.weights]
        self.hidden = [torch.zeros(BATCH, size) for size in SIZES[1:]]
        self.errors = [torch.zeros(BATCH, size) for size in SIZES[1:]]

    def loss(self) -> torch.Tensor:
        value = self.images
        for layer in range(0, len(self.weights), 2):
            if layer:
                value = torch.relu_(value)
            value = functional.linear(value, self.weights[layer], self.weights[layer + 1])
        return functional.cross_entropy(value, self.labels)

    def by_hand(self) -> None:
        """A step without autograd, into tensors that are there."""
        value = self.images
        for layer, hidden in enumerate(self.hidden):
            weight, bias = self.weights[2 * layer : 2 * layer + 2]
            torch.addmm(bias, value, weight.t(), out=hidden)
            value = hidden if layer == len(self.hidden) - 1 else hidden.relu_()
        error = torch.softmax(value, 1)
        error -= self.targets
        for layer in reversed(range(len(self.hidden))):
            value = self.hidden[layer - 1] if layer else self.images
            torch.mm(error.t(), value, out=self.gradients[2 * layer])
            torch.sum(error, 0, out=self.gradients[2 * layer + 1])
            if layer:
                below = self.errors[layer - 1]
                torch.mm(error, self.weights[2 * layer], out=below)
                error = torch.ops.aten.threshold_backward(below, value, 0)
        torch._foreach_mul_(self.speeds, MOMENTUM)
        torch._foreach_add_(self.speeds, self.gradients, alpha=-RATE / BATCH)
        torch._foreach_add_(self.weights, self.speeds)


def by_autograd(steps: int, **how: Any) -> Case:
    """Whole steps of PyTorch's own optimizer."""
    learner = Learner()
    optimizer = torch.optim.SGD(learner.weights, lr=RATE, momentum=MOMENTUM, **how)

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(steps):
                optimizer.zero_grad()
                learner.loss().backward()
                optimizer.step()
        return steps

    return run


def by_hand(steps: int) -> Case:
    """Whole steps without autograd."""
    learner = Learner()

    def run(clock: Clock) -> int:
        with torch.inference_mode(), clock:
            for _ in range(steps):
                learner.by_hand()
        return steps

    return run


def main(length: int, steps: int) -> None:
    """Serve the cases."""
    torch.set_num_threads(1)
    cases = {
        "forward eager": forward(length, chain(length)),
        "forward jit": forward(length, traced(length)),
        "backward eager": backward(length, chain(length)),
        "backward jit": backward(length, traced(length)),
        "learn fused": by_autograd(steps, fused=True),
        "learn foreach": by_autograd(steps, foreach=True),
        "learn by hand": by_hand(steps),
    }
    serve(cases, f"PyTorch {torch.__version__}, 1 thread")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
