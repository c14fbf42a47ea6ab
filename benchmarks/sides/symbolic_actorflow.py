"""Symbols bound to arrays in actorflow, on one worker: small operators, and a network that learns.

usage: symbolic_actorflow.py CHAIN STEPS: operators of the chain, steps of training in a sample
"""

import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import actorflow as af
from actorflow import nd, sym
from actorflow.executor import Executor
from protocol import Case, Clock, serve

SIZES = (784, 128, 64, 10)
BATCH = 100  # images per step
RATE, MOMENTUM = 0.1, 0.9
RUNS = 5  # of the chain in one sample


# -- A chain of small operators -----------------------------------------------------------------


def chain(length: int) -> sym.Symbol:
    """Operators on a number, and on two arrays, in turn."""
    x = sym.Variable("x")
    b, c = sym.Variable("b"), sym.Variable("c")
    for _ in range(length // 4):
        x = (x * 0.99 + b - 0.01) * c
    return x


def bind_chain(length: int) -> Executor:
    bound = chain(length).simple_bind(x=(16,), b=(16,), c=(16,))
    for array in bound.arg_arrays:
        array[:] = 1
    return bound


def forward(length: int) -> Case:
    """The chain, as a prediction."""
    bound = bind_chain(length)
    nd.waitall()

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(RUNS):
                bound.forward()
            nd.waitall()
        return RUNS * length

    return run


def backward(length: int) -> Case:
    """The chain and the gradients of its three arrays."""
    bound = bind_chain(length)
    ones = nd.ones((16,))
    nd.waitall()

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(RUNS):
                bound.forward(is_train=True)
                bound.backward(ones)
            nd.waitall()
        return RUNS * length

    return run


def bind(length: int) -> Case:
    """Bind the chain for training, and compute it once: what is put off is counted, too."""
    net = chain(length)
    ones = nd.ones((16,))

    def run(clock: Clock) -> int:
        with clock:
            bound = net.simple_bind(x=(16,), b=(16,), c=(16,))
            bound.forward(is_train=True)
            bound.backward(ones)
            nd.waitall()
        return length

    return run


# -- A network that learns ----------------------------------------------------------------------


def network() -> sym.Symbol:
    """Fully connected layers with rectifiers between them, and softmax at the end."""
    layers: list[sym.Symbol] = []
    for number, size in enumerate(SIZES[1:], 1):
        if layers:
            layers.append(sym.Activation(act_type="relu"))
        layers.append(sym.FullyConnected(num_hidden=size, name=f"fc{number}"))
    return sym.chain(sym.Variable("data"), *layers, sym.SoftmaxOutput(name="softmax"))


class Learner:
    """The network, bound; its weights, their gradients and speeds."""

    def __init__(self) -> None:
        net = network()
        inputs = ("data", "softmax_label")
        names = [name for name in net.list_arguments() if name not in inputs]
        self.bound = net.simple_bind(grad_req=dict.fromkeys(names, "write"), data=(BATCH, SIZES[0]))
        fill(self.bound)
        self.weights = [self.bound.arg_dict[name] for name in names]
        self.gradients = [self.bound.grad_dict[name] for name in names]
        self.speeds = [nd.zeros(weight.shape) for weight in self.weights]
        nd.waitall()

    def one_message(self) -> None:
        """One operation for all weights."""
        count = len(self.weights)
        arrays = zip(self.weights, self.gradients, self.speeds, strict=True)
        nd.multi_sgd_mom_update(
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
            nd.sgd_mom_update(
                weight,
                gradient,
                speed,
                lr=RATE,
                momentum=MOMENTUM,
                rescale_grad=1 / BATCH,
                out=weight,
            )

    def plain(self) -> None:
        """Gradient descent without momentum, as the article writes it."""
        for number, gradient in enumerate(self.gradients):
            self.weights[number] -= (RATE / BATCH) * gradient

    def arithmetic(self) -> None:
        """The rule, as one writes it down: four operations for each weight."""
        for number, gradient in enumerate(self.gradients):
            self.speeds[number] *= MOMENTUM
            self.speeds[number] -= (RATE / BATCH) * gradient
            self.weights[number] += self.speeds[number]


def fill(bound: Executor) -> None:
    """The same numbers on every side: small weights, images between 0 and 1, all classes."""
    draw = np.random.default_rng(1)
    for name, array in bound.arg_dict.items():
        if name == "data":
            array[:] = draw.random(array.shape, np.float32)
        elif name == "softmax_label":
            array[:] = np.arange(BATCH, dtype=np.float32) % SIZES[-1]
        elif not name.endswith("_speed"):
            array[:] = draw.normal(0, 0.05, array.shape).astype(np.float32)


def learn(steps: int, update: Callable[[Learner], None]) -> Case:
    """Whole steps: forward, backward, update; one wait at the end."""
    learner = Learner()

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(steps):
                learner.bound.forward(is_train=True)
                learner.bound.backward()
                update(learner)
            nd.waitall()
        return steps

    return run


def inside(steps: int, *, momentum: bool) -> Case:
    """The same with the updates in the graph: one operation per step.

    What is updated comes out in arrays of its own. So two executors take turns, each of which has
    the other's outputs for arguments.
    """
    net = network()
    inside = net.get_internals()
    inputs = ("data", "softmax_label")
    names = [name for name in net.list_arguments() if name not in inputs]
    gradients = net.grad(names)
    shapes = dict(
        zip(net.list_arguments(), net.infer_shape(data=(BATCH, SIZES[0]))[0], strict=True)
    )
    weights, speeds = [], []
    for number, name in enumerate(names):
        change = gradients[number] * (-RATE / BATCH)
        if momentum:
            change = sym.Variable(f"{name}_speed", shape=shapes[name]) * MOMENTUM + change
            speeds.append(change)
        weights.append(inside[name] + change)
    step = sym.Group([net, *weights, *speeds])
    there = step.simple_bind(grad_req="null", data=(BATCH, SIZES[0]))
    fill(there)
    updated = [*names, *(f"{name}_speed" for name in names if momentum)]
    results = dict(zip(updated, there.outputs[1:], strict=True))
    arguments = [results.get(name, array) for name, array in there.arg_dict.items()]
    outputs = [there.outputs[0], *(there.arg_dict[name] for name in results)]
    reqs = ["null"] * len(arguments)
    back = Executor(
        step,
        there.context,
        step._entries,  # noqa: SLF001 -- nothing public binds outputs
        {},
        None,
        arguments,
        there.grad_arrays,
        reqs,
        [],
        outputs,
    )
    nd.waitall()

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(steps // 2):
                there.forward(is_train=True)
                back.forward(is_train=True)
            nd.waitall()
        return steps // 2 * 2

    return run


def main(length: int, steps: int) -> None:
    """Serve the cases."""
    with af.Engine(workers=1, blas_threads=1):
        cases = {
            "forward": forward(length),
            "backward": backward(length),
            "bind": bind(length),
            "learn": learn(steps, Learner.one_message),
            "learn each": learn(steps, Learner.each),
            "learn arithmetic": learn(steps, Learner.arithmetic),
            "learn inside": inside(steps, momentum=True),
            "learn plain": learn(steps, Learner.plain),
            "learn plain inside": inside(steps, momentum=False),
        }
        about = f"actorflow {version('actorflow')} on CPython {platform.python_version()}"
        serve(cases, f"{about}, NumPy {np.__version__}, 1 worker")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
