"""A network as a symbol, trained by a loop of arrays: both styles in one program.

    python examples/mlp.py [--epochs 20] [--workers 2] [--seed 1] [--quick]

The layers 784-128-64-10 are declared once and bound to arrays. What is learned is updated by
ordinary arithmetic on arrays, `weight += speed`, where an update rule of one's own takes one line.
Forward pass, backward pass and arithmetic are messages to the same engine: an update runs when its
gradient is there and nobody reads the weight any more. The program waits once per epoch.

`examples/digits.py` is the same network written with arrays alone.
"""

import argparse
import sys
import time

import numpy as np
import trio

import actorflow as af
from actorflow import nd, sym

try:
    from digits_data import Array, Digits, Score, load_digits, score_scikit_learn
    from digits_show import Report, progress, show_images, show_scores
    from rich.console import Console
except ImportError as error:
    sys.exit(
        f"examples/mlp.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

HIDDEN = (128, 64)
CLASSES = 10
BATCH = 100  # images per step
RATE = 0.1
MOMENTUM = 0.9


def mlp() -> sym.Symbol:
    """Fully connected layers with rectifiers between them, and softmax at the end."""
    net = sym.Variable("data")
    for number, size in enumerate(HIDDEN, 1):
        net = sym.FullyConnected(net, num_hidden=size, name=f"fc{number}")
        net = sym.Activation(net, act_type="relu", name=f"relu{number}")
    net = sym.FullyConnected(net, num_hidden=CLASSES, name="scores")
    # The mean over the batch is what is made small, so the gradients need no further factor.
    return sym.SoftmaxOutput(net, normalization="batch", name="softmax")


class Learner:
    """The network, bound to arrays, and the speeds with which momentum moves its weights."""

    def __init__(self, pixels: int) -> None:
        net = mlp()
        inputs = ("data", "softmax_label")
        self.names = [name for name in net.list_arguments() if name not in inputs]
        self.executor = net.simple_bind(
            grad_req=dict.fromkeys(self.names, "write"), data=(BATCH, pixels)
        )
        self.speeds = {}
        for name in self.names:
            weight = self.executor.arg_dict[name]
            self.speeds[name] = nd.zeros(weight.shape)
            if name.endswith("weight"):
                bound = (6 / sum(weight.shape)) ** 0.5
                af.random.uniform(-bound, bound, out=weight)

    def step(self, images: nd.NDArray, labels: nd.NDArray) -> nd.NDArray:
        """Learn from one batch; give the chances of all classes as they were before."""
        (chances,) = self.executor.forward(is_train=True, data=images, softmax_label=labels)
        seen = chances.copy()  # the next step computes into the same array
        self.executor.backward()
        for name in self.names:
            speed, weight = self.speeds[name], self.executor.arg_dict[name]
            speed *= MOMENTUM
            speed -= RATE * self.executor.grad_dict[name]
            weight += speed
        return seen

    def chances(self, images: nd.NDArray) -> nd.NDArray:
        """The chances of all classes for each image; their number is a multiple of the batch."""
        found = []
        for first in range(0, len(images), BATCH):
            (chances,) = self.executor.forward(data=images[first : first + BATCH])
            found.append(chances.copy())
        return nd.concatenate(found)


async def train(digits: Digits, epochs: int, report: Report) -> tuple[Score, Array]:
    """Train a network, and report loss and held-out accuracy after each epoch.

    Returns:
      How well it does, and the chances that it gives to each digit for the held-out images.
    """
    start = time.perf_counter()
    learner = Learner(digits.images.shape[1])
    images, labels = nd.array(digits.images), nd.array(digits.labels)
    held_out = nd.array(digits.held_out_images)
    loss = accuracy = float("nan")
    last = np.zeros((len(digits.held_out_labels), CLASSES), np.float32)
    for _ in range(epochs):
        order = af.random.permutation(len(images))
        # Shuffled once per epoch: then a batch is a view, which takes no operation.
        inputs, wanted = nd.take(images, order), nd.take(labels, order)
        chances = [
            learner.step(inputs[first : first + BATCH], wanted[first : first + BATCH])
            for first in range(0, len(images), BATCH)
        ]
        picked = nd.choose_element_0index(nd.concatenate(chances), wanted)
        entropy, found = nd.mean(-nd.log(picked)), learner.chances(held_out)
        # All of the epoch has been pushed, and much of it has run. Here is the only wait.
        loss, last = float((await entropy)[0]), await found
        accuracy = float((last.argmax(axis=1) == digits.held_out_labels).mean())
        report(loss, accuracy)
    return Score(loss, accuracy, time.perf_counter() - start), last


async def main(options: argparse.Namespace) -> None:
    """Train, compare, and draw some of what was recognised."""
    console = Console()
    digits = load_digits(quick=options.quick)
    sizes = "-".join(map(str, (digits.images.shape[1], *HIDDEN, CLASSES)))
    console.print(
        f"{len(digits.images)} images to learn from, {len(digits.held_out_images)} held out, "
        f"layers {sizes}, batches of {BATCH}"
    )
    af.random.seed(options.seed)
    async with af.Engine(options.workers):
        with progress(console, options.epochs) as report:
            ours, chances = await train(digits, options.epochs, report)
    theirs = score_scikit_learn(
        digits, HIDDEN, epochs=options.epochs, batch=BATCH, rate=RATE, seed=options.seed
    )
    show_images(console, digits, chances)
    scores = {"actorflow": ours, "scikit-learn": theirs}
    show_scores(console, "the same layers, images and rule", scores, len(digits.held_out_labels))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20, help="times through all images")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.workers) < 1:
        parser.error("--epochs and --workers must be at least 1")
    return options


if __name__ == "__main__":
    trio.run(main, parse())
