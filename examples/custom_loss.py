"""A loss of one's own, trained by a module: how bad it may get, instead of what is likely.

    python examples/custom_loss.py [--epochs 60] [--workers 2] [--seed 1]

scikit-learn ships the records of 442 diabetes patients, ten measurements of each, and how far the
disease had gone a year later (Efron and others, Least angle regression, 2004). A network gives for
each patient three numbers: one that the disease stays below in a tenth of such cases, one for the
half of them, and one for nine tenths. No operator has the loss that makes these small, so it is
written here: `level * (y - p)` for a p that is too low and `(1 - level) * (p - y)` for one that is
too high (Koenker and Bassett, Regression quantiles, 1978).
"""

import argparse
import sys

import numpy as np

import actorflow as af
from actorflow import io, nd, sym
from actorflow.operator import CustomOp, CustomOpProp, register

try:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import QuantileRegressor
except ImportError as error:
    sys.exit(
        f"examples/custom_loss.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

LEVELS = (0.1, 0.5, 0.9)
BATCH = 30  # patients per step
HELD_OUT = 142  # patients
SCALE = 100  # what is learnt is the progress of the disease in hundreds


class Quantiles(CustomOp):
    """Predictions as they are, (n, levels), and the gradient of the loss of labels, (n,).

    Everything in it is an operation on arrays. Nothing waits here.
    """

    def __init__(self, levels: tuple[float, ...]) -> None:
        super().__init__()
        self.levels = np.array([levels], np.float32)

    def forward(self, is_train, req, in_data, out_data, aux):
        """The predictions."""
        self.assign(out_data[0], req[0], in_data[0])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        """`1 - level` where the prediction is above the label, else `-level`."""
        predicted, wanted = in_data[0], in_data[1].reshape((-1, 1))
        self.assign(in_grad[0], req[0], (predicted > wanted) - nd.array(self.levels))


@register("quantiles")
class QuantilesProp(CustomOpProp):
    """What it takes and gives; parameters are texts, as a symbol file holds them."""

    def __init__(self, levels: str) -> None:
        super().__init__(need_top_grad=False)  # it is a loss: no gradient comes from above
        self.levels = tuple(float(level) for level in levels.strip("()").split(","))

    def list_arguments(self):
        """The names of the inputs; a module knows by its name that the second is a label."""
        return ["data", "label"]

    def infer_shape(self, in_shape):
        """The shape of the labels follows from that of the predictions."""
        return [in_shape[0], in_shape[0][:1]], [in_shape[0]], []

    def create_operator(self, ctx, in_shapes, in_dtypes):
        """One for each node that is bound."""
        return Quantiles(self.levels)


def network() -> sym.Symbol:
    """A hidden layer, a prediction for each level, and the loss."""
    return sym.chain(
        sym.Variable("data"),
        sym.FullyConnected(num_hidden=32, name="fc1"),
        sym.Activation(act_type="tanh"),
        sym.FullyConnected(num_hidden=len(LEVELS), name="fc2"),
        sym.Custom(op_type="quantiles", levels=LEVELS, name="quantiles"),
    )


def loss(labels: np.ndarray, predicted: np.ndarray) -> float:
    """The mean loss of predictions, (n, levels), for labels, (n,); also the metric."""
    too_low = labels[:, np.newaxis] - predicted
    levels = np.array(LEVELS)
    return float(np.maximum(levels * too_low, (levels - 1) * too_low).mean())


def patients(seed: int) -> tuple[np.ndarray, ...]:
    """Measurements and labels to learn from, and those that are held out."""
    rows, labels = load_diabetes(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(rows))
    # The measurements have the mean 0 and the sum of squares 1.
    rows = (rows[order] * len(rows) ** 0.5).astype(np.float32)
    labels = (labels[order] / SCALE).astype(np.float32)
    cut = len(rows) - HELD_OUT
    return rows[:cut], labels[:cut], rows[cut:], labels[cut:]


def train(rows: np.ndarray, labels: np.ndarray, epochs: int) -> af.mod.Module:
    """Let a module learn."""
    module = af.mod.Module(network())
    batches = io.NDArrayIter(rows, labels, BATCH, shuffle=True)
    total = epochs * len(rows) // BATCH
    with Progress() as bar:
        task = bar.add_task("epochs", total=epochs)
        module.fit(
            batches,
            eval_metric=af.metric.np(loss),
            epoch_end_callback=lambda *_: bar.advance(task),
            num_epoch=epochs,
            initializer=af.init.Xavier(),
            optimizer_params={
                "learning_rate": 0.1,
                "lr_scheduler": af.lr_scheduler.CosineScheduler(total, base_lr=0.1),
                "momentum": 0.9,
                "wd": 0.03,
            },
        )
    return module


def show(console: Console, labels: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Print how well two predictions do, and some patients, as a picture."""
    table = Table("", "actorflow", "scikit-learn, linear", title=f"{len(labels)} held-out patients")
    table.add_row("loss", f"{loss(labels, ours):.4f}", f"{loss(labels, theirs):.4f}")
    for index, level in enumerate(LEVELS):
        below = [f"{(labels < each[:, index]).mean():.0%}" for each in (ours, theirs)]
        table.add_row(f"below the one for {level:.0%}", *below)
    console.print(table)
    console.print(f"the disease after a year, from 0 to {4 * SCALE}: ( low | middle ) high, * seen")
    for wanted, given in list(zip(labels, ours, strict=True))[:12]:
        line = [" "] * 73
        for value, mark in zip((*given, wanted), "(|)*", strict=True):
            line[int(np.clip(value * 18, 0, 72))] = mark
        console.print("".join(line).rstrip(), markup=False, highlight=False)


def main(options: argparse.Namespace) -> None:
    """Train, compare, and show what comes out for some patients."""
    rows, labels, held_out, wanted = patients(options.seed)
    af.random.seed(options.seed)
    with af.Engine(options.workers):
        module = train(rows, labels, options.epochs)
        ours = module.predict(io.NDArrayIter(held_out, batch_size=BATCH)).asnumpy()
    peers = [QuantileRegressor(quantile=level, alpha=0).fit(rows, labels) for level in LEVELS]
    theirs = np.stack([peer.predict(held_out) for peer in peers], axis=1)
    show(Console(), wanted, ours, theirs)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60, help="times through all patients")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    options = parser.parse_args(arguments)
    if min(options.epochs, options.workers) < 1:
        parser.error("--epochs and --workers must be at least 1")
    return options


if __name__ == "__main__":
    main(parse())
