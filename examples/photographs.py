"""Photographs from a record file: a network learns which of two a small part is from.

    python examples/photographs.py [--epochs 6] [--workers 2] [--seed 1] [--quick]

scikit-learn ships two photographs, a temple in China and a flower. They are cut into stripes; small
parts of every other stripe are packed into a record file as JPEG images, parts of the rest into
another, so that no pixel is in both. A network of two convolutions learns from the first file and
is tested on the second. Decoding, cutting and mirroring are operations of the engine like those of
the network, so while one batch is learned from the next ones are made.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import actorflow as af
from actorflow import nd, recordio, sym

try:
    import cv2  # noqa: F401 -- what packs and decodes
    from rich.console import Console
    from rich.table import Table
    from sklearn.datasets import load_sample_images
except ImportError as error:
    sys.exit(
        f"examples/photographs.py needs {error.name}, which is not installed. All that it needs "
        "comes with:\n    pip install 'actorflow[examples,images]'"
    )

NAMES = ("china", "flower")
STRIPE = 80  # pixels
SIDE = 40  # pixels of a part in the file
SHAPE = (3, 32, 32)  # of a part as the network sees it
BATCH = 50
RATE = 0.01
MOMENTUM = 0.9


def pack(path: Path, count: int, *, odd: bool, seed: int) -> None:
    """Write a record file of parts of the photographs' even or odd stripes, in turn of either."""
    generator = np.random.default_rng(seed)
    writer = recordio.MXRecordIO(path, "w")
    with writer:
        photos = load_sample_images().images
        for number in range(count):
            label = number % len(NAMES)
            height, width = photos[label].shape[:2]
            stripe = 2 * generator.integers(width // STRIPE // 2) + odd
            top = generator.integers(height - SIDE + 1)
            left = stripe * STRIPE + generator.integers(STRIPE - SIDE + 1)
            part = photos[label][top : top + SIDE, left : left + SIDE, ::-1]
            header = recordio.IRHeader(0, float(label), number, 0)
            writer.write(recordio.pack_img(header, np.ascontiguousarray(part)))


def network() -> sym.Symbol:
    """Two convolutions, and a layer that decides."""
    net = sym.Variable("data")
    for number, filters in enumerate((8, 16), 1):
        net = sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{number}")
        net = sym.Activation(net, act_type="relu", name=f"relu{number}")
        net = sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name=f"pool{number}")
    net = sym.FullyConnected(net, num_hidden=len(NAMES), name="scores")
    return sym.SoftmaxOutput(net, normalization="batch", name="softmax")


class Learner:
    """The network, bound to arrays, and the speeds with which momentum moves its weights."""

    def __init__(self) -> None:
        net = network()
        inputs = ("data", "softmax_label")
        self.names = [name for name in net.list_arguments() if name not in inputs]
        wanted = dict.fromkeys(self.names, "write")
        self.executor = net.simple_bind(grad_req=wanted, data=(BATCH, *SHAPE))
        self.speeds = {}
        for name in self.names:
            weight = self.executor.arg_dict[name]
            self.speeds[name] = nd.zeros(weight.shape)
            if name.endswith("weight"):
                bound = (6 / np.prod(weight.shape[1:])) ** 0.5
                af.random.uniform(-bound, bound, out=weight)

    def step(self, batch: af.io.DataBatch) -> None:
        """Learn from one batch."""
        self.executor.forward(is_train=True, data=batch.data[0], softmax_label=batch.label[0])
        self.executor.backward()
        for name in self.names:
            speed, weight = self.speeds[name], self.executor.arg_dict[name]
            speed *= MOMENTUM
            speed -= RATE * self.executor.grad_dict[name]
            weight += speed

    def accuracy(self, iterator: af.io.ImageRecordIter) -> float:
        """The share of images that it recognises."""
        right, count = 0, 0
        for batch in iterator:
            (chances,) = self.executor.forward(data=batch.data[0])
            used = BATCH - batch.pad
            wanted = batch.label[0].asnumpy()[:used]
            right += int((chances.asnumpy()[:used].argmax(axis=1) == wanted).sum())
            count += used
        iterator.reset()
        return right / count


def main(options: argparse.Namespace) -> None:
    """Pack, train and test."""
    console = Console()
    learned, tested = (400, 200) if options.quick else (4_000, 1_000)
    table = Table("epoch", "seconds", "right, of unseen ones")
    af.random.seed(options.seed)
    scale = {"mean_r": 128, "mean_g": 128, "mean_b": 128, "scale": 1 / 64}
    # Where the engine ends before the folder does, nobody reads from it any more.
    with tempfile.TemporaryDirectory() as folder, af.Engine(options.workers):
        for name, count in (("train", learned), ("test", tested)):
            path = Path(folder, f"{name}.rec")
            pack(path, count, odd=name == "test", seed=options.seed)
            console.print(
                f"{name}.rec: {count} images, {path.stat().st_size / count:.0f} bytes each"
            )
        train = af.io.ImageRecordIter(
            Path(folder, "train.rec"),
            SHAPE,
            BATCH,
            shuffle=True,
            seed=options.seed,
            rand_crop=True,
            rand_mirror=True,
            **scale,
        )
        test = af.io.ImageRecordIter(
            Path(folder, "test.rec"), SHAPE, BATCH, round_batch=False, **scale
        )
        learner = Learner()
        with train, test:
            for epoch in range(options.epochs):
                start = time.perf_counter()
                for batch in train:
                    learner.step(batch)
                train.reset()
                accuracy = learner.accuracy(test)
                table.add_row(
                    str(epoch + 1), f"{time.perf_counter() - start:.2f}", f"{accuracy:.1%}"
                )
    console.print(table)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6, help="times through all images")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 400 images to learn from")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.workers) < 1:
        parser.error("--epochs and --workers must be at least 1")
    return options


if __name__ == "__main__":
    main(parse())
