"""LeNet, written as a symbol and trained by a loop of arrays.

    python examples/lenet.py [--epochs 10] [--workers 2] [--seed 1] [--quick]

The network is declared once and bound to arrays. Each step sends three kinds of messages to the
engine: the forward pass, the backward pass, and the update of the weights. Nobody waits in between:
the update runs when the gradients are there, and the next forward pass follows. The program waits
once per epoch, for what it reports.
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
        f"examples/lenet.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

BATCH = 50  # images per step
RATE = 0.05
MOMENTUM = 0.9
PEER = {"hidden": (128, 64), "batch": 100, "rate": 0.1}  # scikit-learn's, without convolutions


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
        arrays = zip(self.weights, self.gradients, self.speeds, strict=True)
        nd.multi_sgd_mom_update(
            *(array for each in arrays for array in each),
            lrs=[RATE] * len(self.weights),
            wds=[0] * len(self.weights),
            momentum=MOMENTUM,
            rescale_grad=1 / BATCH,
            out=self.weights,
        )
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
    shape = (1, 28, 28)
    images = nd.array(digits.images).reshape((-1, *shape))
    labels = nd.array(digits.labels)
    held_out = nd.array(digits.held_out_images).reshape((-1, *shape))
    trainer = Trainer(lenet(), shape)
    loss = accuracy = float("nan")
    last = np.zeros((len(digits.held_out_labels), 10), np.float32)
    for _ in range(epochs):
        order = af.random.permutation(len(images))
        shuffled, wanted = nd.take(images, order), nd.take(labels, order)
        chances = [
            trainer.step(shuffled[first : first + BATCH], wanted[first : first + BATCH])
            for first in range(0, len(images), BATCH)
        ]
        picked = nd.choose_element_0index(nd.concatenate(chances), wanted)
        entropy, found = nd.mean(-nd.log(picked)), trainer.chances(held_out)
        # All of the epoch has been pushed. Here is the only wait.
        loss, last = float((await entropy)[0]), await found
        accuracy = float((last.argmax(axis=1) == digits.held_out_labels).mean())
        report(loss, accuracy)
    return Score(loss, accuracy, time.perf_counter() - start), last


async def main(options: argparse.Namespace) -> None:
    """Train, compare, and draw some of what was recognised."""
    console = Console()
    digits = load_digits(quick=options.quick)
    af.viz.print_summary(lenet(), {"data": (BATCH, 1, 28, 28)})
    console.print(
        f"{len(digits.images)} images to learn from, {len(digits.held_out_images)} held out, "
        f"batches of {BATCH}"
    )
    af.random.seed(options.seed)
    async with af.Engine(options.workers):
        with progress(console, options.epochs) as report:
            ours, chances = await train(digits, options.epochs, report)
    theirs = score_scikit_learn(digits, **PEER, epochs=2 * options.epochs, seed=options.seed)
    show_images(console, digits, chances)
    scores = {"LeNet, actorflow": ours, "784-128-64-10, scikit-learn": theirs}
    # 2,293,000 multiplications for an image, and 109,184.
    title = "the same images; LeNet takes 21 times as many multiplications for each"
    show_scores(console, title, scores, len(digits.held_out_labels))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10, help="times through all images")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.workers) < 1:
        parser.error("--epochs and --workers must be at least 1")
    return options


if __name__ == "__main__":
    trio.run(main, parse())
