"""Operators that update weights by their gradients, in place.

What "in place" means here: `weight` is an input and the new weight the output, and the pair of them
in `inplace` lets the output be the memory of `weight`; whoever trains makes it so. What else is
remembered from step to step (momentum, moments) is a state, which every run writes. So an update
declares to the engine that it reads `grad` and writes `weight` and the states.

`grad` is first multiplied by `rescale_grad` (one over the batch, say) and then clipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.ops.blocks import all_floating, run, space
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import flag, number
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.types import Memory, Shape

__all__ = ["AdamUpdate", "SGDMomUpdate", "SGDUpdate"]

_TEMPORARIES = 2


@attrs.frozen
class _Update(Operator):
    """What all updates share: one shape and one data type for everything, and blocks."""

    lr: float = number(least=0, doc="the learning rate")
    wd: float = number(0, least=0, doc="weight decay: this times the weight is added to grad")
    rescale_grad: float = number(1, doc="what grad is multiplied by")
    clip_gradient: float = number(-1, doc="clip grad to [-this, this]; 0 or less: do not")
    lazy_update: bool = flag(True, doc="for sparse gradients, which there are none of: no effect")

    inputs = ("weight", "grad")
    inplace = (("weight", "output"),)

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        found = next((shape for shape in shapes if shape is not None), None)
        for name, shape in zip((*self.inputs, *self.auxiliary), shapes, strict=True):
            if shape is not None and shape != found:
                self.refuse(name, shape, f"the others have {found}")
        return (found,) * len(shapes), (found,)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        written = 1 + len(self.auxiliary)
        return space(prod(shapes[0]), (*dtypes, *dtypes[:written]), _TEMPORARIES)

    def forward(self, *arrays: Memory) -> None:
        states = len(self.auxiliary)
        reads, (output, *scratch) = arrays[: 2 + states], arrays[2 + states :]
        run(self.step, reads, (output, *reads[2:]), scratch)

    def step(self, *blocks: Memory) -> None:
        """Update blocks: weight, grad, the states, the new weight, the new states, two to use."""
        raise NotImplementedError

    def rescaled(self, grad: Memory, room: Memory, *, clip: bool = True) -> Memory:
        """The gradient, rescaled and clipped: in `room`, or as it is."""
        if self.rescale_grad != 1:
            grad = np.multiply(grad, self.rescale_grad, room)
        return self.clipped(grad, room) if clip else grad

    def clipped(self, grad: Memory, room: Memory) -> Memory:
        bound = self.clip_gradient
        return grad.clip(-bound, bound, out=room) if bound > 0 else grad

    def slope(self, weight: Memory, grad: Memory, one: Memory, two: Memory) -> Memory:
        """`lr * (grad + wd * weight)`, in `two`."""
        if not self.wd and self.clip_gradient <= 0:
            return np.multiply(grad, self.lr * self.rescale_grad, two)  # a pass less
        grad = self.rescaled(grad, one)
        if self.wd:
            # Added to the gradient, a decay counts that is less than the weight's last digit.
            np.multiply(weight, self.wd, two)
            grad = np.add(two, grad, two)
        return np.multiply(grad, self.lr, two)


@attrs.frozen
class SGDUpdate(_Update):
    """A step of gradient descent: `weight - lr * (grad + wd * weight)`."""

    name = "sgd_update"

    def step(self, *blocks: Memory) -> None:
        weight, grad, new, one, two = blocks
        np.subtract(weight, self.slope(weight, grad, one, two), new)


@attrs.frozen
class SGDMomUpdate(_Update):
    """A step of gradient descent with momentum (Polyak 1964).

    `mom = momentum * mom - lr * (grad + wd * weight)`, and the output is `weight + mom`.
    """

    momentum: float = number(0, doc="how much of the last step is taken again")

    name = "sgd_mom_update"
    auxiliary = ("mom",)

    def step(self, *blocks: Memory) -> None:
        weight, grad, mom, new, new_mom, one, two = blocks
        slope = self.slope(weight, grad, one, two)
        np.multiply(mom, self.momentum, new_mom)
        np.subtract(new_mom, slope, new_mom)
        np.add(weight, new_mom, new)


@attrs.frozen
class AdamUpdate(_Update):
    """A step of Adam (Kingma and Ba 2015, arXiv 1412.6980), whose bias is corrected in `lr`.

    With `g = grad + wd * weight`, which is what is clipped here, `mean = beta1 * mean +
    (1 - beta1) * g` and `var = beta2 * var + (1 - beta2) * g * g`; the output is
    `weight - lr * mean / (sqrt(var) + epsilon)`. For the paper's Algorithm 1, up to how epsilon
    counts, `lr` at step t, from 1, is the rate times `sqrt(1 - beta2**t) / (1 - beta1**t)`.
    """

    beta1: float = number(0.9, least=0, most=1, doc="how slowly the mean forgets")
    beta2: float = number(0.999, least=0, most=1, doc="how slowly the mean of squares forgets")
    epsilon: float = number(1e-8, least=0, doc="what is added to the root, against division by 0")

    name = "adam_update"
    auxiliary = ("mean", "var")

    def step(self, *blocks: Memory) -> None:
        weight, grad, mean, var, new, new_mean, new_var, one, two = blocks
        grad = self.rescaled(grad, one, clip=False)
        if self.wd:
            np.multiply(weight, self.wd, two)
            grad = np.add(grad, two, one)
        grad = self.clipped(grad, one)
        np.multiply(mean, self.beta1, new_mean)
        np.multiply(grad, 1 - self.beta1, two)
        np.add(new_mean, two, new_mean)
        np.multiply(var, self.beta2, new_var)
        # Once more by the root: the square itself would overflow sooner.
        np.multiply(grad, (1 - self.beta2) ** 0.5, two)
        np.square(two, two)
        np.add(new_var, two, new_var)
        np.sqrt(new_var, two)
        np.add(two, self.epsilon, two)
        np.divide(new_mean, two, two)
        np.multiply(two, self.lr, two)
        np.subtract(weight, two, new)
