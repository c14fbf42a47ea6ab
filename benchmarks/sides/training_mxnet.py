"""Runs of LeNet on handwritten digits by MXNet 1.9.1's `Module.fit`.

usage: training_mxnet.py FOLDER; the number of threads is set by MXNet's own variables.
"""

import logging
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")  # numpy.bool

import mxnet as mx
import numpy as np

from protocol import Clock, serve

BATCH = 64  # images per step
RATE, MOMENTUM = 0.05, 0.9
EPOCHS = 5  # of a whole run


def lenet() -> "mx.sym.Symbol":
    net = mx.sym.Variable("data")
    for filters in (20, 50):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters)
        net = mx.sym.Activation(net, act_type="tanh")
        net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=500)
    net = mx.sym.Activation(net, act_type="tanh")
    net = mx.sym.FullyConnected(net, num_hidden=10)
    return mx.sym.SoftmaxOutput(net, name="softmax")


class Runs:
    """The data, and the modules that learn from it."""

    def __init__(self, folder: Path) -> None:
        self.images, self.labels, self.held_out, self.wanted = (
            np.load(folder / f"{name}.npy")
            for name in ("images", "labels", "held_out_images", "held_out_labels")
        )
        self.data = mx.io.NDArrayIter(self.images, self.labels, BATCH, last_batch_handle="discard")
        self.steps = len(self.images) // BATCH
        self.module = mx.mod.Module(lenet())
        self.seed = 0

    def train(self, module: "mx.mod.Module", data: "mx.io.DataIter", epochs: int) -> None:
        data.reset()
        module.fit(
            data,
            num_epoch=epochs,
            initializer=mx.init.Xavier(),
            optimizer_params={"learning_rate": RATE, "momentum": MOMENTUM},
        )
        mx.nd.waitall()

    def fit(self, clock: Clock) -> int:
        """One epoch, with its metric."""
        with clock:
            self.train(self.module, self.data, 1)
        return self.steps

    def learn(self, clock: Clock) -> int:
        """A whole run from weights of its own; how well it does is a further figure."""
        mx.random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002 -- what its iterator shuffles by
        self.seed += 1
        module = mx.mod.Module(lenet())
        shuffled = mx.io.NDArrayIter(self.images, self.labels, BATCH, shuffle=True)
        with clock:
            self.train(module, shuffled, EPOCHS)
        ((_, accuracy),) = module.score(mx.io.NDArrayIter(self.held_out, self.wanted, BATCH), "acc")
        clock.extra["accuracy"] = float(accuracy)
        return EPOCHS * self.steps


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # it has parameters and an optimizer already, it says
    runs = Runs(Path(sys.argv[1]))
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    serve({"fit": runs.fit, "learn": runs.learn}, f"MXNet {mx.__version__}, {threads} threads")
