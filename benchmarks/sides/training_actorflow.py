"""Runs of LeNet on handwritten digits by `Module.fit`.

usage: training_actorflow.py FOLDER CONTEXTS WORKERS; FOLDER has the images, WORKERS each context.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import actorflow as af
from actorflow import nd, sym
from protocol import Clock, serve

BATCH = 64  # images per step
RATE, MOMENTUM = 0.05, 0.9
EPOCHS = 5  # of a whole run


def lenet() -> sym.Symbol:
    return sym.chain(
        sym.Variable("data"),
        sym.Convolution(kernel=(5, 5), num_filter=20),
        sym.Activation(act_type="tanh"),
        sym.Pooling(kernel=(2, 2), stride=(2, 2), pool_type="max"),
        sym.Convolution(kernel=(5, 5), num_filter=50),
        sym.Activation(act_type="tanh"),
        sym.Pooling(kernel=(2, 2), stride=(2, 2), pool_type="max"),
        sym.Flatten(),
        sym.FullyConnected(num_hidden=500),
        sym.Activation(act_type="tanh"),
        sym.FullyConnected(num_hidden=10),
        sym.SoftmaxOutput(name="softmax"),
    )


class Runs:
    """The data, and the modules that learn from it."""

    def __init__(self, folder: Path, contexts: int) -> None:
        self.images, self.labels, self.held_out, self.wanted = (
            np.load(folder / f"{name}.npy")
            for name in ("images", "labels", "held_out_images", "held_out_labels")
        )
        self.contexts = [af.cpu(number) for number in range(contexts)]
        self.data = af.io.NDArrayIter(self.images, self.labels, BATCH, last_batch_handle="discard")
        self.steps = len(self.images) // BATCH
        self.module = self.new()
        self.bare_step = None

    def new(self) -> af.mod.Module:
        return af.mod.Module(lenet(), context=self.contexts)

    def train(self, module: af.mod.Module, data: af.io.DataIter, epochs: int) -> None:
        data.reset()
        module.fit(
            data,
            num_epoch=epochs,
            initializer=af.init.Xavier(),
            optimizer_params={"learning_rate": RATE, "momentum": MOMENTUM},
        )
        nd.waitall()

    def fit(self, clock: Clock) -> int:
        """One epoch, with its metric."""
        with clock:
            self.train(self.module, self.data, 1)
        return self.steps

    def bare(self, clock: Clock) -> int:
        """The same steps of an executor on a batch that is there, and nothing around them."""
        if self.bare_step is None:
            self.bare_step = bare_step(self.contexts[0])
        with clock:
            for _ in range(self.steps):
                self.bare_step()
            nd.waitall()
        return self.steps

    def learn(self, clock: Clock) -> int:
        """A whole run from weights of its own; how well it does is a further figure."""
        af.random.seed(self.seed)
        module = self.new()
        shuffled = af.io.NDArrayIter(self.images, self.labels, BATCH, shuffle=True, seed=self.seed)
        self.seed += 1
        with clock:
            self.train(module, shuffled, EPOCHS)
        held_out = af.io.NDArrayIter(self.held_out, self.wanted, BATCH)
        ((_, accuracy),) = module.score(held_out, "acc")
        clock.extra["accuracy"] = float(accuracy)
        return EPOCHS * self.steps

    seed = 0


def bare_step(context: af.Context) -> Callable[[], None]:
    """A step of an executor with the updates in one message."""
    net = lenet()
    weights = [name for name in net.list_arguments() if name not in {"data", "softmax_label"}]
    bound = net.simple_bind(
        context, grad_req=dict.fromkeys(weights, "write"), data=(BATCH, 1, 28, 28)
    )
    arrays = []
    for name in weights:
        weight = bound.arg_dict[name]
        af.random.uniform(-0.05, 0.05, out=weight)
        arrays += [weight, bound.grad_dict[name], nd.zeros(weight.shape, context)]

    def step() -> None:
        bound.forward(is_train=True)
        bound.backward()
        nd.multi_sgd_mom_update(
            *arrays,
            lrs=[RATE] * len(weights),
            wds=[0] * len(weights),
            momentum=MOMENTUM,
            rescale_grad=1 / BATCH,
            out=arrays[::3],
        )

    return step


def main(folder: Path, contexts: int, workers: int) -> None:
    with af.Engine(workers=workers):
        runs = Runs(folder, contexts)
        cases = {"fit": runs.fit, "bare": runs.bare, "learn": runs.learn}
        serve(cases, f"actorflow, NumPy {np.__version__}, {contexts} contexts, {workers} workers")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
