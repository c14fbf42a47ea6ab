"""LeNet, written as a symbol and trained by a `FeedForward` on two contexts.

    python examples/lenet.py [--epochs 8] [--workers 2] [--seed 1] [--quick]

Batches are made ahead of the training and divided among two contexts, whose gradients meet in a
store; each part of a step begins as soon as what it needs is there. The task that shows how it goes
gets a report after each epoch, and waits for nothing else.
"""

import argparse
import sys

import trio

import actorflow as af
from actorflow import io, sym

try:
    from digits_data import Array, Digits, Score, load_digits, score_scikit_learn
    from digits_show import batch_progress, show_images, show_scores
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
PUBLISHED = (
    "LeCun and others (1998) give 0.95% of errors for their LeNet-5, which learned from 60,000 "
    "images of MNIST instead of 4,000."
)


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


def model(epochs: int) -> af.model.FeedForward:
    """The network, and how it is to be trained."""
    return af.model.FeedForward(
        lenet(),
        ctx=[af.cpu(0), af.cpu(1)],
        num_epoch=epochs,
        numpy_batch_size=BATCH,
        initializer=af.init.Xavier(factor_type="in", magnitude=2.34),
        learning_rate=RATE,
        momentum=MOMENTUM,
    )


async def train(
    digits: Digits, options: argparse.Namespace, console: Console
) -> tuple[Score, Array]:
    """Train a network, and report loss and held-out accuracy after each epoch.

    Returns:
      How well it does, and the chances that it gives to each digit for the held-out images.
    """
    shape = (-1, 1, 28, 28)
    images, held_out = digits.images.reshape(shape), digits.held_out_images.reshape(shape)
    rows = io.NDArrayIter(images, digits.labels, BATCH, shuffle=True, seed=options.seed)
    batches = io.PrefetchingIter(rows)
    network = model(options.epochs)
    loss = accuracy = float("nan")
    with batch_progress(console, options.epochs, len(images) // BATCH) as (step, report):
        async for epoch in network.fit_async(
            batches,
            eval_data=(held_out, digits.held_out_labels),
            eval_metric=["acc", "ce"],
            batch_end_callback=step,
        ):
            loss, accuracy = dict(epoch.metric)["cross-entropy"], dict(epoch.validation)["accuracy"]
            report(loss, accuracy)
    console.print(str(network.report), highlight=False)
    return Score(loss, accuracy, network.report.seconds), await network.predict_async(held_out)


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
        ours, chances = await train(digits, options, console)
    theirs = score_scikit_learn(digits, **PEER, epochs=2 * options.epochs, seed=options.seed)
    show_images(console, digits, chances)
    scores = {"LeNet, actorflow": ours, "784-128-64-10, scikit-learn": theirs}
    # 2,293,000 multiplications for an image, and 109,184.
    title = "the same images; LeNet takes 21 times as many multiplications for each"
    show_scores(console, title, scores, len(digits.held_out_labels))
    console.print(PUBLISHED)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8, help="times through all images")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.workers) < 1:
        parser.error("--epochs and --workers must be at least 1")
    return options


if __name__ == "__main__":
    trio.run(main, parse())
