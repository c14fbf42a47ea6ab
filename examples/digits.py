"""Learn to read handwritten digits: a program in straight lines that the engine overlaps.

    python examples/digits.py [--epochs 20] [--workers 2] [--blas-threads 1] [--seed 1] [--quick]

A network of layers 784-128-64-10 learns from real images by stochastic gradient descent with
momentum. Everything it computes is an operation on arrays, pushed ahead: forward, backward and
update of a whole epoch are sent in one go, and the program waits once per epoch, for what it
reports. The engine finds out by itself what may run at the same time, such as a layer's gradient
and the error of the layer below, and that an update has to wait for whoever still reads the
weights.

A third of the time goes into two large products of each step, one of which waits for the other,
most of the rest into sending and starting small operations. So a second worker finds little to do
here, and `--workers 1` is even a bit faster, but shows no operations that overlap. With
`--blas-threads 2` two cores share each product: a tenth faster if nobody else needs them, and much
slower if somebody does.
"""

import argparse
import itertools
import sys
import time

import attrs
import trio

import actorflow as af
from actorflow import nd

try:
    from digits_data import Digits, Score, load_digits, score_scikit_learn
    from digits_show import Report, progress, show_scores
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    sys.exit(
        f"examples/digits.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

SIZES = (784, 128, 64, 10)
BATCH = 100  # images per step
RATE = 0.1
MOMENTUM = 0.9


@attrs.frozen
class Layer:
    """What a layer learns, and its gradients: views of the network's arrays."""

    weight: nd.NDArray
    bias: nd.NDArray
    weight_gradient: nd.NDArray
    bias_gradient: nd.NDArray


class Network:
    """Fully connected layers with rectifiers between them, and softmax at the end.

    All that it learns lies in one array, and so do the gradients, and the speeds with which
    momentum moves it. So three operations update everything.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        pairs = list(itertools.pairwise(sizes))
        shape = (sum((inputs + 1) * outputs for inputs, outputs in pairs),)
        self.values, self.gradients, self.speeds = nd.zeros(shape), nd.zeros(shape), nd.zeros(shape)
        self.layers = []
        start = 0
        for inputs, outputs in pairs:
            middle, end = start + inputs * outputs, start + (inputs + 1) * outputs
            parts = []
            for array in (self.values, self.gradients):
                parts += [array[start:middle].reshape((inputs, outputs)), array[middle:end]]
            layer = Layer(*parts)
            bound = (6 / (inputs + outputs)) ** 0.5
            af.random.uniform(-bound, bound, out=layer.weight)
            self.layers.append(layer)
            start = end

    def forward(self, images: nd.NDArray) -> list[nd.NDArray]:
        """What each layer gets, the images first; then what the last one gives: the scores."""
        values = [images]
        for layer in self.layers:
            if len(values) > 1:
                nd.maximum(values[-1], 0, out=values[-1])
            value = nd.dot(values[-1], layer.weight)
            value += layer.bias
            values.append(value)
        return values

    def step(self, images: nd.NDArray, targets: nd.NDArray) -> nd.NDArray:
        """Learn from one batch; return its scores. Nothing here waits for a result.

        Args:
          images: (batch, pixels).
          targets: (batch, classes), 1 for the class that each image shows, else 0.
        """
        *values, scores = self.forward(images)
        error = softmax(scores)
        error -= targets
        error *= RATE / BATCH  # here, so that no gradient has to be multiplied
        for layer, value in zip(reversed(self.layers), reversed(values), strict=True):
            nd.dot(value, error, transpose_a=True, out=layer.weight_gradient)
            nd.sum(error, axis=0, out=layer.bias_gradient)
            if value is not images:
                error = nd.dot(error, layer.weight, transpose_b=True)
                error *= value > 0
        self.speeds *= MOMENTUM
        self.speeds -= self.gradients
        self.values += self.speeds
        return scores

    def accuracy(self, images: nd.NDArray, labels: nd.NDArray) -> nd.NDArray:
        """The share of images recognised, of shape (1,)."""
        found = nd.argmax(self.forward(images)[-1], axis=1)
        return nd.mean(nd.equal(found, labels).astype("float32"))


def softmax(scores: nd.NDArray) -> nd.NDArray:
    """The probability of each class, (batch, classes)."""
    chances = nd.exp(scores - nd.max(scores, axis=1, keepdims=True))
    chances /= nd.sum(chances, axis=1, keepdims=True)
    return chances


def cross_entropy(scores: nd.NDArray, targets: nd.NDArray) -> nd.NDArray:
    """The mean of the classes' negated log probabilities, of shape (1,)."""
    scores = scores - nd.max(scores, axis=1, keepdims=True)
    scores -= nd.log(nd.sum(nd.exp(scores), axis=1, keepdims=True))
    return nd.sum(scores * targets) / -len(scores)


async def train(digits: Digits, epochs: int, report: Report) -> Score:
    """Train a network, and report loss and held-out accuracy after each epoch."""
    start = time.perf_counter()
    network = Network(SIZES)
    images = nd.array(digits.images)
    targets = nd.onehot_encode(nd.array(digits.labels), nd.empty((len(digits.labels), SIZES[-1])))
    held_out = nd.array(digits.held_out_images), nd.array(digits.held_out_labels, dtype="int64")

    loss = accuracy = float("nan")
    for _ in range(epochs):
        order = af.random.permutation(len(images))
        # Shuffled once per epoch: then a batch is a view, which takes no operation.
        inputs, wanted = nd.take(images, order), nd.take(targets, order)
        scores = [
            network.step(inputs[first : first + BATCH], wanted[first : first + BATCH])
            for first in range(0, len(images), BATCH)
        ]
        entropy = cross_entropy(nd.concatenate(scores), wanted)
        right = network.accuracy(*held_out)
        # All of the epoch has been pushed, and much of it has run. Here is the only wait.
        loss = float((await entropy)[0])
        accuracy = float((await right)[0])
        report(loss, accuracy)
    return Score(loss, accuracy, time.perf_counter() - start)


async def main(options: argparse.Namespace) -> None:
    """Train, compare, and say how the engine was used."""
    console = Console()
    digits = load_digits(quick=options.quick)
    console.print(
        f"{len(digits.images)} images to learn from, {len(digits.held_out_images)} held out, "
        f"layers {'-'.join(map(str, SIZES))}, batches of {BATCH}"
    )
    statistics = af.engine.Statistics()  # of the first epoch alone: watching takes time, too
    af.random.seed(options.seed)
    async with af.Engine(
        options.workers, blas_threads=options.blas_threads, instruments=[statistics]
    ) as engine:
        with progress(console, options.epochs) as show:

            def report(loss: float, accuracy: float) -> None:
                if statistics in engine.instruments:
                    engine.remove(statistics)
                show(loss, accuracy)

            ours = await train(digits, options.epochs, report)
    show_engine(console, statistics.report())
    theirs = score_scikit_learn(
        digits, SIZES[1:-1], epochs=options.epochs, batch=BATCH, rate=RATE, seed=options.seed
    )
    scores = {"actorflow": ours, "scikit-learn": theirs}
    show_scores(console, "the same layers, images and rule", scores, len(digits.held_out_labels))


def show_engine(console: Console, report: af.engine.StatisticsReport) -> None:
    """Print which operations ran, how long, and how many at a time."""
    table = Table("operation", title="the engine's operations in the first epoch")
    for heading in ("count", "run, us each", "waited, us each", "run, s in all"):
        table.add_column(heading, justify="right")
    for row in report.operations[:12]:
        each = row.running / row.count * 1e6, row.queued / row.count * 1e6
        table.add_row(row.name, str(row.count), *(f"{us:.1f}" for us in each), f"{row.running:.3f}")
    console.print(table)
    console.print(
        f"{report.count} operations in {report.wall:.2f} s; while any ran, "
        f"{report.overlap:.2f} ran at a time"
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20, help="times through all images")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--blas-threads", type=int, default=1, help="threads of a matrix product")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.workers, options.blas_threads) < 1:
        parser.error("--epochs, --workers and --blas-threads must be at least 1")
    return options


if __name__ == "__main__":
    trio.run(main, parse())
