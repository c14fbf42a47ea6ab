"""Symbols bound to arrays in MXNet 1.9.1: small operators, and a network that learns.

usage: symbolic_mxnet.py CHAIN STEPS; the engine and the number of threads are set by MXNet's own
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
import numpy as np

from protocol import Case, Clock, serve

SIZES = (784, 128, 64, 10)
BATCH = 100  # images per step
RATE, MOMENTUM = 0.1, 0.9
RUNS = 5  # of the chain in one sample


# -- A chain of small operators -----------------------------------------------------------------


def chain(length: int) -> Any:
    """Operators on a number, and on two arrays, in turn."""
    x = mx.sym.Variable("x")
    b, c = mx.sym.Variable("b"), mx.sym.Variable("c")
    for _ in range(length // 4):
        x = (x * 0.99 + b - 0.01) * c
    return x


def bind_chain(length: int, grad_req: str) -> Any:
    bound = chain(length).simple_bind(mx.cpu(), grad_req, x=(16,), b=(16,), c=(16,))
    for array in bound.arg_arrays:
        array[:] = 1
    return bound


def forward(length: int) -> Case:
    """The chain, as a prediction."""
    bound = bind_chain(length, "null")
    mx.nd.waitall()

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(RUNS):
                bound.forward(is_train=False)
            mx.nd.waitall()
        return RUNS * length

    return run


def backward(length: int) -> Case:
    """The chain and the gradients of its three arrays."""
    bound = bind_chain(length, "write")
    ones = mx.nd.ones((16,))
    mx.nd.waitall()

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(RUNS):
                bound.forward(is_train=True)
                bound.backward(ones)
            mx.nd.waitall()
        return RUNS * length

    return run


def bind(length: int) -> Case:
    """Bind the chain for training, and compute it once: what is put off is counted, too."""
    net = chain(length)
    ones = mx.nd.ones((16,))

    def run(clock: Clock) -> int:
        with clock:
            bound = net.simple_bind(mx.cpu(), "write", x=(16,), b=(16,), c=(16,))
            bound.forward(is_train=True)
            bound.backward(ones)
            mx.nd.waitall()
        return length

    return run


# -- A network that learns ----------------------------------------------------------------------


class Learner:
    """The network, bound; its weights, their gradients and speeds."""

    def __init__(self) -> None:
        net = mx.sym.Variable("data")
        for number, size in enumerate(SIZES[1:], 1):
            if number > 1:
                net = mx.sym.Activation(net, act_type="relu")
            net = mx.sym.FullyConnected(net, num_hidden=size, name=f"fc{number}")
        net = mx.sym.SoftmaxOutput(net, name="softmax")
        inputs = ("data", "softmax_label")
        reqs = {n: "null" if n in inputs else "write" for n in net.list_arguments()}
        self.bound = net.simple_bind(mx.cpu(), reqs, data=(BATCH, SIZES[0]))
        draw = np.random.default_rng(1)
        for name, array in self.bound.arg_dict.items():
            if name == "data":
                array[:] = draw.random(array.shape, np.float32)
            elif name == "softmax_label":
                array[:] = np.arange(BATCH, dtype=np.float32) % SIZES[-1]
            else:
                array[:] = draw.normal(0, 0.05, array.shape).astype(np.float32)
        names = [name for name in net.list_arguments() if name not in inputs]
        self.weights = [self.bound.arg_dict[name] for name in names]
        self.gradients = [self.bound.grad_dict[name] for name in names]
        self.speeds = [mx.nd.zeros(weight.shape) for weight in self.weights]
        mx.nd.waitall()

    def one_message(self) -> None:
        """One operation for all weights."""
        count = len(self.weights)
        arrays = zip(self.weights, self.gradients, self.speeds, strict=True)
        mx.nd.multi_sgd_mom_update(
            *(array for each in arrays for array in each),
            lrs=[RATE] * count,
            wds=[0] * count,
            momentum=MOMENTUM,
            rescale_grad=1 / BATCH,
            num_weights=count,
            out=self.weights,
        )

    def each(self) -> None:
        """One operation for each weight."""
        for weight, gradient, speed in zip(self.weights, self.gradients, self.speeds, strict=True):
            mx.nd.sgd_mom_update(
                weight,
                gradient,
                speed,
                lr=RATE,
                momentum=MOMENTUM,
                rescale_grad=1 / BATCH,
                out=weight,
            )


def learn(steps: int, update: Callable[[Learner], None]) -> Case:
    """Whole steps: forward, backward, update; one wait at the end."""
    learner = Learner()

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(steps):
                learner.bound.forward(is_train=True)
                learner.bound.backward()
                update(learner)
            mx.nd.waitall()
        return steps

    return run


def main(length: int, steps: int) -> None:
    cases = {
        "forward": forward(length),
        "backward": backward(length),
        "bind": bind(length),
        "learn": learn(steps, Learner.one_message),
        "learn each": learn(steps, Learner.each),
    }
    engine = os.environ.get("MXNET_ENGINE_TYPE", "default engine")
    serve(cases, f"MXNet {mx.__version__}, {engine}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
