"""LeNet, written as a symbol and trained by a loop of arrays.

    python examples/lenet.py [--epochs 3] [--seed 1] [--quick]

The network is declared once and bound to arrays. Each step sends three kinds of messages to the
engine: the forward pass, the backward pass, and an update for each weight, which is written with
arrays. Nobody waits in between: an update runs when its gradient is there and nobody reads the
weight any more, and the next forward pass follows.
"""

import argparse
import sys
import time

import numpy as np
import trio

import actorflow as af
from actorflow import nd, sym

try:
    from digits_data import Digits, load_digits
except ImportError as error:
    sys.exit(
        f"examples/lenet.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

BATCH = 50  # images per step
RATE = 0.05
MOMENTUM = 0.9


def lenet() -> sym.Symbol:
    """The network of LeCun and others, Gradient-based learning (1998), with 10 classes."""
    return sym.chain(
        sym.Variable("data"),
        sym.Convolution(kernel=(5, 5), num_filter=20, name="conv1"),
        sym.Activation(act_type="tanh"),
        sym.Pooling(kernel=(2, 2), stride=(2, 2), pool_type="max"),
        sym.Convolution(kernel=(5, 5), num_filter=50, name="conv2"),
        sym.Activation(act_type="tanh"),
        sym.Pooling(kernel=(2, 2), stride=(2, 2), pool_type="max"),
        sym.Flatten(),
        sym.FullyConnected(num_hidden=500, name="fc1"),
        sym.Activation(act_type="tanh"),
        sym.FullyConnected(num_hidden=10, name="fc2"),
        sym.SoftmaxOutput(name="softmax"),
    )


class Trainer:
    """A network, its weights, and the speeds with which momentum moves them."""

    def __init__(self, network: sym.Symbol, shape: tuple[int, ...]) -> None:
        inputs = ("data", "softmax_label")
        weights = [name for name in network.list_arguments() if name not in inputs]
        self.executor = network.simple_bind(
            grad_req=dict.fromkeys(weights, "write"), data=(BATCH, *shape)
        )
        self.weights = [self.executor.arg_dict[name] for name in weights]
        self.gradients = [self.executor.grad_dict[name] for name in weights]
        self.speeds = [nd.zeros(weight.shape) for weight in self.weights]
        for weight in self.weights:
            fan = np.prod(weight.shape[1:]) if len(weight.shape) > 1 else 1e6  # biases begin at 0
            af.random.normal(0, fan**-0.5, out=weight)

    def step(self, images: nd.NDArray, labels: nd.NDArray) -> nd.NDArray:
        """Learn from one batch; give the chances of all classes as they were before."""
        (chances,) = self.executor.forward(is_train=True, data=images, softmax_label=labels)
        seen = chances.copy()  # the next step computes into the same array
        self.executor.backward()
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
        return seen

    def classify(self, images: nd.NDArray) -> nd.NDArray:
        """The most likely class of each image; their number is a multiple of the batch."""
        found = []
        for first in range(0, len(images), BATCH):
            (chances,) = self.executor.forward(data=images[first : first + BATCH])
            found.append(nd.argmax(chances, axis=1))
        return nd.concatenate(found)


async def train(digits: Digits, epochs: int) -> float:
    """Learn; print what each epoch gave; return the share of held out images recognised."""
    shape = (1, 28, 28)
    images = nd.array(digits.images).reshape((-1, *shape))
    labels = nd.array(digits.labels)
    held_out = nd.array(digits.held_out_images).reshape((-1, *shape))
    trainer = Trainer(lenet(), shape)
    accuracy = 0.0
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        order = af.random.permutation(len(images))
        shuffled, wanted = nd.take(images, order), nd.take(labels, order)
        chances = [
            trainer.step(shuffled[first : first + BATCH], wanted[first : first + BATCH])
            for first in range(0, len(images) - BATCH + 1, BATCH)
        ]
        picked = nd.choose_element_0index(nd.concatenate(chances), wanted[: len(chances) * BATCH])
        found = await trainer.classify(held_out)
        accuracy = float((found == digits.held_out_labels).mean())
        loss = float((await nd.mean(-nd.log(picked)))[0])
        seconds = time.perf_counter() - start
        print(f"epoch {epoch}: loss {loss:.4f}, held-out accuracy {accuracy:.3f}, {seconds:.1f} s")
    return accuracy


async def main(options: argparse.Namespace) -> None:
    """Load the digits and train."""
    digits = load_digits(quick=options.quick)
    af.random.seed(options.seed)
    async with af.Engine(workers=2):
        await train(digits, options.epochs)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3, help="times through all images")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    trio.run(main, parse())
