"""A photograph painted in the style of another one: gradients with respect to the input.

    python examples/neural_style.py [--steps 120] [--output style.png] [--workers 2] [--seed 1]

scikit-learn ships two photographs, a temple in China and a flower. A module of convolutions gives
for an image its features, and of each layer which features come together: its Gram matrix, which
knows of colours and textures but not of places. The image begins as the temple and is changed by
Adam until its Gram matrices are those of the flower while its last features, and its fine details,
stay those of the temple (Gatys, Ecker and Bethge, A neural algorithm of artistic style, 2015).
Nothing is learnt: the weights are random, which is enough for textures (Ustyuzhaninov and others,
Texture synthesis using shallow convolutional networks with random filters, 2016). The picture that
is written has the two photographs and what came out, side by side.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import actorflow as af
from actorflow import io, nd, sym

try:
    from matplotlib.image import imsave
    from rich.console import Console
    from rich.progress import track
    from sklearn.datasets import load_sample_images
except ImportError as error:
    sys.exit(
        f"examples/neural_style.py needs {error.name}, which is not installed. "
        "All that the examples need comes with:\n    pip install 'actorflow[examples]'"
    )

FILTERS = (32, 64, 64, 64)  # of the layers; behind each, images have half of the pixels a side
SMALLER = 2  # pixels a side of the photographs that become one
RATE = 0.03  # of Adam; colours are from -1 to 1
SHOWN = 20  # steps between two lines
CONTENT = (0.5, 0.5)  # what its features and its fine details count, beside each Gram matrix

Array = np.ndarray


def photographs() -> list[Array]:
    """The two photographs, smaller: float32, (1, 3, height, width), from -1 to 1."""
    found = []
    for photo in load_sample_images().images:
        height, width = (side // SMALLER for side in photo.shape[:2])
        cut = photo[: height * SMALLER, : width * SMALLER] / np.float32(127.5) - 1
        small = cut.reshape(height, SMALLER, width, SMALLER, 3).mean(axis=(1, 3))
        found.append(np.ascontiguousarray(small.transpose(2, 0, 1)[np.newaxis]))
    return found


def network(height: int, width: int) -> sym.Symbol:
    """Convolutions; the outputs are the Gram matrices of the layers, and what says where is what.

    That is the last features, and by how much each pixel differs from those around it.
    """
    data, grams = sym.Variable("data"), []
    net = data
    for number, filters in enumerate(FILTERS, 1):
        if number > 1:
            net = sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="avg")
            height, width = height // 2, width // 2
        net = sym.Convolution(
            net, kernel=(5, 5), pad=(2, 2), num_filter=filters, name=f"conv{number}"
        )
        net = sym.Activation(net, act_type="relu", name=f"relu{number}")
        rows = sym.Reshape(net, shape=(filters, -1))  # of a single image
        gram = sym.dot(rows, rows, transpose_b=True, name=f"gram{number}")
        grams.append(gram / (height * width))
    around = sym.Pooling(data, kernel=(3, 3), pad=(1, 1), pool_type="avg")
    return sym.Group([*grams, net, data - around])


class Painter:
    """Changes an image, so that its features become those that are wanted.

    Attributes:
      image: (1, 3, height, width), the content at first.
    """

    def __init__(self, content: Array, style: Array) -> None:
        net = network(*content.shape[2:])
        weights = [name for name in net.list_arguments() if name != "data"]
        self.module = af.mod.Module(net, fixed_param_names=weights)
        self.module.bind([("data", content.shape)], inputs_need_grad=True)
        self.module.init_params(af.init.Xavier("gaussian", "in", 2))
        self.image = nd.array(content)
        places = self.outputs(self.image)[len(FILTERS) :]
        grams = self.outputs(nd.array(style))[: len(FILTERS)]
        self.targets = [*grams, *places]
        # Each counts as much as it is wrong in proportion.
        shares = [1.0] * len(grams) + list(CONTENT)
        self.factors = [
            share / nd.sum(nd.square(each))
            for share, each in zip(shares, self.targets, strict=True)
        ]
        self.update = af.optimizer.get_updater(af.optimizer.create("adam", learning_rate=RATE))

    def outputs(self, image: nd.NDArray) -> list[nd.NDArray]:
        """The Gram matrices of an image, and what says where is what."""
        self.module.forward(io.DataBatch([image]), is_train=True)
        return [each.copy() for each in self.module.get_outputs()]

    def step(self) -> nd.NDArray:
        """Change the image once; give how wrong each of its outputs was. Waits for nothing."""
        outputs = self.outputs(self.image)
        wrong = [one - other for one, other in zip(outputs, self.targets, strict=True)]
        # Half of the squares of what is wrong is made small: what is wrong is the gradient.
        gradients = [each * factor for each, factor in zip(wrong, self.factors, strict=True)]
        self.module.backward(gradients)
        (gradient,) = self.module.get_input_grads()
        self.update(0, gradient, self.image)
        nd.clip(self.image, -1, 1, out=self.image)
        return nd.concatenate([nd.sum(a * b) for a, b in zip(wrong, gradients, strict=True)])


def picture(images: list[Array]) -> Array:
    """Images side by side, uint8, (height, width, 3)."""
    wide = np.concatenate([image[0].transpose(1, 2, 0) for image in images], axis=1)
    return ((wide + 1) * 127.5).round().astype(np.uint8)


def main(options: argparse.Namespace) -> None:
    """Paint, and write the picture."""
    console = Console()
    content, style = photographs()
    af.random.seed(options.seed)
    with af.Engine(options.workers):
        painter = Painter(content, style)
        for number in track(range(options.steps), "painting", console=console):
            wrong = painter.step()
            if number % SHOWN == 0 or number == options.steps - 1:
                told = wrong.asnumpy()
                styled, kept = told[: len(FILTERS)].sum(), told[len(FILTERS) :].sum()
                console.print(
                    f"step {number:3}: style wrong by {styled:.4f}, content by {kept:.4f}"
                )
        painted = painter.image.asnumpy()
    imsave(options.output, picture([content, style, painted]))
    console.print(f"written: {options.output}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=120, help="changes of the image")
    parser.add_argument("--output", type=Path, default=Path("style.png"), help="the picture")
    parser.add_argument("--workers", type=int, default=2, help="operations that run at a time")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers")
    options = parser.parse_args(arguments)
    if min(options.steps, options.workers) < 1:
        parser.error("--steps and --workers must be at least 1")
    return options


if __name__ == "__main__":
    main(parse())
