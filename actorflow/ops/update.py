"""Operators that update weights by their gradients, in place.

What "in place" means here: `weight` is an input and the new weight the output, and the pair of them
in `inplace` lets the output be the memory of `weight`; whoever trains makes it so. What else is
remembered from step to step (momentum, moments) is a state, which every run writes. So an update
declares to the engine that it reads `grad` and writes `weight` and the states.

`grad` is first multiplied by `rescale_grad` (one over the batch, say) and then clipped.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.ops.blocks import Notes, all_floating, at_once, run, space, working_type
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import flag, number
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.blocks import Do
    from actorflow.ops.operator import Call
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
        self._run(at_once, arrays)

    def calls(self, arrays: list[Any]) -> list[Call]:
        if any(array.dtype != working_type(array.dtype) for array in arrays):
            return super().calls(arrays)  # blocks of float16 are converted on the way
        notes = Notes()
        self._run(notes, arrays)
        return notes.calls

    def _run(self, do: Do, arrays: Sequence[Memory]) -> None:
        states = len(self.auxiliary)
        reads, (output, *scratch) = arrays[: 2 + states], arrays[2 + states :]
        run(partial(self.step, do), reads, (output, *reads[2:]), scratch)

    def step(self, do: Do, *blocks: Memory) -> None:
        """Update blocks: weight, grad, the states, the new weight, the new states, two to use."""
        raise NotImplementedError

    def rescaled(self, do: Do, grad: Memory, room: Memory, *, clip: bool = True) -> Memory:
        """The gradient, rescaled and clipped: in `room`, or as it is."""
        if self.rescale_grad != 1:
            grad = do(np.multiply, grad, self.rescale_grad, room)
        return self.clipped(do, grad, room) if clip else grad

    def clipped(self, do: Do, grad: Memory, room: Memory) -> Memory:
        bound = self.clip_gradient
        clipped: Memory = do(np.ndarray.clip, grad, -bound, bound, room) if bound > 0 else grad
        return clipped

    def slope(self, do: Do, weight: Memory, grad: Memory, one: Memory, two: Memory) -> Memory:
        """`lr * (grad + wd * weight)`, in `two`."""
        slope: Memory
        if not self.wd and self.clip_gradient <= 0:
            slope = do(np.multiply, grad, self.lr * self.rescale_grad, two)  # a pass less
            return slope
        grad = self.rescaled(do, grad, one)
        if self.wd:
            # Added to the gradient, a decay counts that is less than the weight's last digit.
            do(np.multiply, weight, self.wd, two)
            grad = do(np.add, two, grad, two)
        slope = do(np.multiply, grad, self.lr, two)
        return slope


@attrs.frozen
class SGDUpdate(_Update):
    """A step of gradient descent: `weight - lr * (grad + wd * weight)`."""

    name = "sgd_update"

    def step(self, do: Do, *blocks: Memory) -> None:
        weight, grad, new, one, two = blocks
        do(np.subtract, weight, self.slope(do, weight, grad, one, two), new)


@attrs.frozen
class SGDMomUpdate(_Update):
    """A step of gradient descent with momentum (Polyak 1964).

    `mom = momentum * mom - lr * (grad + wd * weight)`, and the output is `weight + mom`.
    """

    momentum: float = number(0, doc="how much of the last step is taken again")

    name = "sgd_mom_update"
    auxiliary = ("mom",)

    def step(self, do: Do, *blocks: Memory) -> None:
        weight, grad, mom, new, new_mom, one, two = blocks
        slope = self.slope(do, weight, grad, one, two)
        do(np.multiply, mom, self.momentum, new_mom)
        do(np.subtract, new_mom, slope, new_mom)
        do(np.add, weight, new_mom, new)


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

    def step(self, do: Do, *blocks: Memory) -> None:
        weight, grad, mean, var, new, new_mean, new_var, one, two = blocks
        grad = self.rescaled(do, grad, one, clip=False)
        if self.wd:
            do(np.multiply, weight, self.wd, two)
            grad = do(np.add, grad, two, one)
        grad = self.clipped(do, grad, one)
        do(np.multiply, mean, self.beta1, new_mean)
        do(np.multiply, grad, 1 - self.beta1, two)
        do(np.add, new_mean, two, new_mean)
        do(np.multiply, var, self.beta2, new_var)
        # Once more by the root: the square itself would overflow sooner.
        do(np.multiply, grad, (1 - self.beta2) ** 0.5, two)
        do(np.square, two, two)
        do(np.add, new_var, two, new_var)
        do(np.sqrt, new_var, two)
        do(np.add, two, self.epsilon, two)
        do(np.divide, new_mean, two, two)
        do(np.multiply, two, self.lr, two)
        do(np.subtract, weight, two, new)
