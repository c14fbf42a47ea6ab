"""A recurrent network whose two layers are computed in two places at the same time.

    python examples/model_parallel.py [--epochs 3] [--seed 1] [--quick]

The network reads a digit as 14 strips of two rows of pixels. The first layer reads the strips one
after the other, the second reads what the first makes of them. Each layer is a group, and each
group has a context of its own: while the second layer is at one strip, the first is at the next.
Nobody says so: the executor copies what goes from one context to the other, and the messages of
both wait for nothing but their inputs. Two contexts of the host share its cores and its memory, so
what is gained here is little; two devices would each hold the weights of one layer only.
"""

import argparse
import sys
import threading
import time

import numpy as np
import trio

import actorflow as af
from actorflow import nd, sym

try:
    from digits_data import Digits, load_digits
except ImportError as error:
    sys.exit(
        f"examples/model_parallel.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

STRIPS, PIXELS = 14, 56  # an image of 28 x 28 pixels
HIDDEN = 256
BATCH = 100  # images per step
RATE = 0.05
MOMENTUM = 0.9

PLACES = {"lower": af.cpu(0), "upper": af.cpu(1)}


def recurrent() -> sym.Symbol:
    """Two recurrent layers (Elman, Finding structure in time, 1990), and a classifier."""
    layers = {}
    for group in PLACES:
        with sym.AttrScope(ctx_group=group), sym.Prefix(f"{group}_"):
            names = ("in_weight", "in_bias", "back_weight")
            layers[group] = [sym.Variable(f"{group}_{name}") for name in names]
    strips = list(sym.SliceChannel(sym.Variable("data"), num_outputs=STRIPS, squeeze_axis=True))
    before: dict[str, sym.Symbol] = {}
    for number, value in enumerate(strips):
        for group, (weight, bias, back) in layers.items():
            with sym.AttrScope(ctx_group=group), sym.Prefix(f"{group}{number}_"):
                total = sym.FullyConnected(value, weight, bias, num_hidden=HIDDEN, name="in")
                if group in before:
                    total = total + sym.FullyConnected(
                        before[group], back, num_hidden=HIDDEN, no_bias=True, name="back"
                    )
                value = before[group] = sym.tanh(total)  # noqa: PLW2901 -- what the next one reads
    with sym.AttrScope(ctx_group="upper"):
        scores = sym.FullyConnected(before["upper"], num_hidden=10, name="classes")
        return sym.SoftmaxOutput(scores, name="softmax")


class Overlap(af.engine.Instrument):
    """How many of the operations that began did so while one ran in another context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[str] = []
        self.started_beside = 0
        self.count = 0

    def started(self, operation: af.engine.Operation) -> None:
        """Look who else runs."""
        with self._lock:
            self.count += 1
            self.started_beside += any(each != operation.device.name for each in self._running)
            self._running.append(operation.device.name)

    def finished(self, operation: af.engine.Operation) -> None:
        """It does not run any more."""
        with self._lock:
            if operation.device.name in self._running:
                self._running.remove(operation.device.name)


class Trainer:
    """The network, its weights, and the speeds with which momentum moves them."""

    def __init__(self) -> None:
        network = recurrent()
        inputs = ("data", "softmax_label")
        weights = [name for name in network.list_arguments() if name not in inputs]
        self.executor = network.simple_bind(
            grad_req=dict.fromkeys(weights, "write"),
            group2ctx=PLACES,
            data=(BATCH, STRIPS, PIXELS),
        )
        self.weights = [self.executor.arg_dict[name] for name in weights]
        self.gradients = [self.executor.grad_dict[name] for name in weights]
        self.speeds = [nd.zeros(weight.shape, weight.context) for weight in self.weights]
        for weight in self.weights:
            width = weight.shape[1] if len(weight.shape) > 1 else 1e6  # biases begin at 0
            af.random.normal(0, 0.7 * width**-0.5, out=weight)

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
    images = nd.array(digits.images).reshape((-1, STRIPS, PIXELS))
    labels = nd.array(digits.labels)
    held_out = nd.array(digits.held_out_images).reshape((-1, STRIPS, PIXELS))
    trainer = Trainer()
    accuracy = 0.0
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        order = af.random.permutation(len(images))
        shuffled, wanted = nd.take(images, order), nd.take(labels, order)
        for first in range(0, len(images) - BATCH + 1, BATCH):
            part = slice(first, first + BATCH)
            trainer.step(shuffled[part], wanted[part])
        found = await trainer.classify(held_out)
        accuracy = float(np.mean(found == digits.held_out_labels))
        seconds = time.perf_counter() - start
        print(f"epoch {epoch}: held-out accuracy {accuracy:.3f}, {seconds:.1f} s")
    return accuracy


async def main(options: argparse.Namespace) -> None:
    """Load the digits, train, and tell what overlapped."""
    digits = load_digits(quick=options.quick)
    af.random.seed(options.seed)
    overlap = Overlap()
    async with af.Engine(workers=1, instruments=[overlap]):
        await train(digits, options.epochs)
    share = overlap.started_beside / overlap.count
    print(f"{share:.0%} of {overlap.count} messages began while the other context was at work")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3, help="times through all images")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    trio.run(main, parse())
