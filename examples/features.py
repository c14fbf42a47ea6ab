"""What a network has learnt about digits that it has never seen.

    python examples/features.py [--epochs 3] [--seed 1] [--quick]

LeNet learns to tell 0 to 4 apart. Then its inside, up to the layer of 500 features, is bound for
prediction alone, to the very weights that were trained. With these features 5 to 9, which it has
never seen, are recognised from a few labelled images of each by the nearest of them. The table
compares that with the same on the pixels themselves.
"""

import argparse
import sys

import numpy as np
import trio

import actorflow as af
from actorflow import nd, sym

try:
    from digits_data import Digits, load_digits
    from lenet import BATCH, lenet
except ImportError as error:
    sys.exit(
        f"examples/features.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

SHAPE = (1, 28, 28)
FIRST_UNSEEN = 5
DRAWS = 20  # of labelled images; their mean is what the table says
LABELLED = (1, 3, 10)  # images of each digit

RATE, MOMENTUM = 0.05, 0.9

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


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


def train(images: Array, labels: Array, epochs: int) -> Trainer:
    """Let LeNet learn some digits; nobody waits for it here."""
    trainer = Trainer(lenet(), SHAPE)
    data, wanted = nd.array(images).reshape((-1, *SHAPE)), nd.array(labels)
    for _ in range(epochs):
        order = af.random.permutation(len(images))
        shuffled, theirs = nd.take(data, order), nd.take(wanted, order)
        for first in range(0, len(images) - BATCH + 1, BATCH):
            trainer.step(shuffled[first : first + BATCH], theirs[first : first + BATCH])
    return trainer


def extractor(network: sym.Symbol, weights: dict[str, nd.NDArray]) -> af.Executor:
    """The inside of a network up to its features, bound to the weights that it has."""
    features = network.get_internals()["fc1_output"]
    arguments = {name: weights[name] for name in features.list_arguments()}
    return features.bind(None, arguments, grad_req="null")


def extract(executor: af.Executor, images: Array) -> nd.NDArray:
    """The features of images, a row for each."""
    count = len(images)
    padded = np.zeros((-(-count // BATCH) * BATCH, *SHAPE), np.float32)
    padded[:count] = images.reshape(-1, *SHAPE)
    found = []
    for first in range(0, len(padded), BATCH):
        (batch,) = executor.forward(data=padded[first : first + BATCH])
        found.append(batch.copy())  # the next batch is computed into the same array
    return nd.concatenate(found)[:count]


async def likeness(rows: nd.NDArray) -> Array:
    """The cosine of the angle between any two rows."""
    lengths = nd.sqrt(nd.sum(nd.square(rows), axis=1, keepdims=True))
    unit = rows / nd.maximum(lengths, 1e-12)
    return await nd.dot(unit, unit, transpose_b=True)


def accuracy(alike: Array, labels: Array, shots: int, seed: int) -> float:
    """The share that the nearest labelled image recognises, with `shots` labelled of each digit."""
    draw = np.random.default_rng(seed)
    shares = []
    for _ in range(DRAWS):
        known = np.concatenate(
            [
                draw.permutation(np.flatnonzero(labels == digit))[:shots]
                for digit in np.unique(labels)
            ]
        )
        others = np.setdiff1d(np.arange(len(labels)), known)
        nearest = known[alike[np.ix_(others, known)].argmax(axis=1)]
        shares.append((labels[nearest] == labels[others]).mean())
    return float(np.mean(shares))


async def compare(digits: Digits, epochs: int, seed: int) -> list[tuple[int, float, float]]:
    """For each number of labelled images, how many are recognised by pixels and by features."""
    seen = digits.labels < FIRST_UNSEEN
    trainer = train(digits.images[seen], digits.labels[seen], epochs)
    unseen = np.concatenate([digits.images[~seen], digits.held_out_images])
    labels = np.concatenate([digits.labels[~seen], digits.held_out_labels])
    unseen, labels = unseen[labels >= FIRST_UNSEEN], labels[labels >= FIRST_UNSEEN]
    executor = extractor(trainer.executor.symbol, trainer.executor.arg_dict)
    by_pixels = await likeness(nd.array(unseen))
    by_features = await likeness(extract(executor, unseen))
    return [
        (
            shots,
            accuracy(by_pixels, labels, shots, seed),
            accuracy(by_features, labels, shots, seed),
        )
        for shots in LABELLED
    ]


async def main(options: argparse.Namespace) -> None:
    """Load the digits, train, compare, and print the table."""
    digits = load_digits(quick=options.quick)
    af.random.seed(options.seed)
    async with af.Engine(workers=2):
        rows = await compare(digits, options.epochs, options.seed)
    print("5 to 9 recognised by a network that learnt 0 to 4")
    print("labelled of each   by pixels   by features")
    for shots, pixels, features in rows:
        print(f"{shots:16d} {pixels:11.3f} {features:13.3f}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3, help="times through the images of 0 to 4")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    trio.run(main, parse())
