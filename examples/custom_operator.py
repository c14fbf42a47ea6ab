"""A loss written in Python, for labels that are not to be trusted.

    python examples/custom_operator.py [--epochs 20] [--noise 0.4] [--q 0.7] [--seed 1] [--quick]

A part of the labels is replaced with random ones. The cross entropy learns them by heart, and
recognises fewer of the images that it has not seen. The generalized cross entropy, `(1 - p**q) / q`
for the chance p that the label is given, listens less to labels that seem unlikely (Zhang and
Sabuncu, Generalized cross entropy loss for training deep neural networks with noisy labels, 2018).
Here it is an operator of its own, of a few lines on arrays.
"""

import argparse
import sys

import numpy as np
import trio

import actorflow as af
from actorflow import nd, sym
from actorflow.operator import CustomOp, CustomOpProp, register

try:
    from digits_data import Digits, load_digits
except ImportError as error:
    sys.exit(
        f"examples/custom_operator.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

BATCH = 50  # images per step
RATE = 0.2


class RobustSoftmax(CustomOp):
    """The chances of the classes, (n, classes), and the gradient of the loss of labels, (n,).

    Everything in it is an operation on arrays, which runs while this goes on. Nothing waits here;
    the engine waits for all of it before it hands the results on.
    """

    def __init__(self, q: float) -> None:
        super().__init__()
        self.q = q

    def forward(self, is_train, req, in_data, out_data, aux):
        """Softmax."""
        scores = in_data[0]
        powers = nd.exp(scores - nd.max(scores, axis=1, keepdims=True))
        self.assign(out_data[0], req[0], powers / nd.sum(powers, axis=1, keepdims=True))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        """`p**q` times the gradient of the cross entropy; the label has none."""
        chances, labels = out_data[0], in_data[1]
        picked = nd.choose_element_0index(chances, labels).reshape((-1, 1))
        wanted = nd.onehot_encode(labels, nd.zeros(chances.shape, dtype=chances.dtype))
        self.assign(in_grad[0], req[0], (chances - wanted) * picked**self.q)


@register("robust_softmax")
class RobustSoftmaxProp(CustomOpProp):
    """What it takes and gives; parameters are texts, as a symbol file holds them."""

    def __init__(self, q: str = "0.7") -> None:
        super().__init__(need_top_grad=False)
        self.q = float(q)

    def list_arguments(self):
        """The names of the inputs."""
        return ["data", "label"]

    def infer_shape(self, in_shape):
        """The shape of the labels follows from that of the scores."""
        return [in_shape[0], in_shape[0][:1]], [in_shape[0]], []

    def create_operator(self, ctx, in_shapes, in_dtypes):
        """One for each node that is bound."""
        return RobustSoftmax(self.q)


def network(q: float | None) -> sym.Symbol:
    """One hidden layer, with the robust loss; with the cross entropy for None."""
    if q is None:
        loss = sym.SoftmaxOutput(name="softmax")
    else:
        loss = sym.Custom(op_type="robust_softmax", q=q, name="softmax")
    return sym.chain(
        sym.Variable("data"),
        sym.FullyConnected(num_hidden=256, name="fc1"),
        sym.Activation(act_type="relu"),
        sym.FullyConnected(num_hidden=10, name="fc2"),
        loss,
    )


async def train(digits: Digits, labels: np.ndarray, q: float | None, epochs: int) -> float:
    """Learn from these labels; return the share of held out images recognised."""
    symbol = network(q)
    weights = [name for name in symbol.list_arguments() if name.startswith("fc")]
    executor = symbol.simple_bind(grad_req=dict.fromkeys(weights, "write"), data=(BATCH, 784))
    for name in weights:
        if name.endswith("weight"):
            weight = executor.arg_dict[name]
            af.random.normal(0, weight.shape[1] ** -0.5, out=weight)
    images, wanted = nd.array(digits.images), nd.array(labels)
    for _ in range(epochs):
        order = af.random.permutation(len(images))
        shuffled, told = nd.take(images, order), nd.take(wanted, order)
        for first in range(0, len(images) - BATCH + 1, BATCH):
            part = slice(first, first + BATCH)
            executor.forward(is_train=True, data=shuffled[part], softmax_label=told[part])
            executor.backward()
            for name in weights:
                weight, gradient = executor.arg_dict[name], executor.grad_dict[name]
                nd.sgd_update(weight, gradient, lr=RATE, rescale_grad=1 / BATCH, out=weight)
        await executor.outputs[0]  # no more than one epoch is pushed ahead
    held_out = nd.array(digits.held_out_images)
    found = []
    for first in range(0, len(held_out), BATCH):
        (chances,) = executor.forward(data=held_out[first : first + BATCH])
        found.append(nd.argmax(chances, axis=1))
    return float((await nd.concatenate(found) == digits.held_out_labels).mean())


async def main(options: argparse.Namespace) -> None:
    """Spoil a part of the labels, and learn from them with either loss."""
    digits = load_digits(quick=options.quick)
    draw = np.random.default_rng(options.seed)
    spoiled = draw.random(len(digits.labels)) < options.noise
    labels = np.where(spoiled, draw.integers(0, 10, len(digits.labels)), digits.labels)
    wrong = (labels != digits.labels).mean()
    print(f"{len(labels)} images, {wrong:.0%} of them with a wrong label")
    async with af.Engine(workers=2):
        for name, q in (("cross entropy", None), (f"robust loss, q = {options.q:g}", options.q)):
            af.random.seed(options.seed)
            accuracy = await train(digits, labels, q, options.epochs)
            print(f"{name}: held-out accuracy {accuracy:.3f}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20, help="times through all images")
    parser.add_argument("--noise", type=float, default=0.4, help="share of labels drawn anew")
    parser.add_argument("--q", type=float, default=0.7, help="0 for nearly the cross entropy, to 1")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    parser.add_argument("--quick", action="store_true", help="only 600 of the images")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    trio.run(main, parse())
