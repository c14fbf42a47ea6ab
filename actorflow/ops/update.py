"""Operators that update weights by their gradients, in place.

What "in place" means here: `weight` is an input and the new weight the output, and the pair of them
in `inplace` lets the output be the memory of `weight`; whoever trains makes it so. What else is
remembered from step to step (momentum, moments) is a state, which every run writes. So an update
declares to the engine that it reads `grad` and writes `weight` and the states.

`grad` is first multiplied by `rescale_grad` (one over the batch, say) and then clipped.

The learning rate is the one number that may be another at each step. So `step` is handed it, and
`noted` gives calls that read it, each time they are made, from an array of no axes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

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

__all__ = [
    "AdamUpdate",
    "DCASGDUpdate",
    "NAGMomUpdate",
    "SGDMomUpdate",
    "SGDUpdate",
    "SGLDUpdate",
    "WeightUpdate",
]

_SMALL: Final = 1e-6  # a factor of gradients
_LAZY: Final = "for sparse gradients, which there are none of: no effect"


@attrs.frozen
class WeightUpdate(Operator):
    """What all updates share: one shape and one data type for everything, and blocks.

    Attributes:
      temporaries: how many blocks `step` is given to work in.
    """

    lr: float = number(least=0, doc="the learning rate")
    wd: float = number(0, least=0, doc="the weight decay")
    rescale_grad: float = number(1, doc="what grad is multiplied by")
    clip_gradient: float = number(-1, doc="clip grad to [-this, this]; 0 or less: do not")

    inputs = ("weight", "grad")
    inplace = (("weight", "output"),)
    temporaries = 2

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
        return space(prod(shapes[0]), (*dtypes, *dtypes[:written]), self.temporaries)

    def forward(self, *arrays: Memory) -> None:
        self._run(at_once, arrays, self.rate(self.lr))

    def calls(self, arrays: list[Any]) -> list[Call]:
        return self.noted(arrays, self.rate(self.lr))

    def rate(self, lr: float) -> float:
        """What `step` takes for the learning rate `lr`."""
        return lr

    def noted(self, arrays: list[Any], rate: float | Memory) -> list[Call]:
        """The calls that compute it on certain arrays, again and again.

        Args:
          arrays: all that `forward` takes.
          rate: what `rate` gives, or an array without axes, of the type computed in, that holds it
            whenever the calls are made.
        """
        if any(array.dtype != working_type(array.dtype) for array in arrays):
            return [(self._run, (at_once, arrays, rate))]  # float16 is converted on the way
        notes = Notes()
        self._run(notes, arrays, rate)
        return notes.calls

    def _run(self, do: Do, arrays: Sequence[Memory], rate: float | Memory) -> None:
        states = len(self.auxiliary)
        reads, (output, *scratch) = arrays[: 2 + states], arrays[2 + states :]
        run(partial(self.step, do, rate), reads, (output, *reads[2:]), scratch)

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        """Update blocks: weight, grad, the states, the new weight, the new states, some to use."""
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

    def decayed(self, do: Do, weight: Memory, grad: Memory, one: Memory, two: Memory) -> Memory:
        """The gradient, rescaled, with the decay of the weight, and clipped only then."""
        grad = self.rescaled(do, grad, one, clip=False)
        if self.wd:
            do(np.multiply, weight, self.wd, two)
            grad = do(np.add, grad, two, one)
        return self.clipped(do, grad, one)

    def averaged(
        self, do: Do, kept: float, mean: Memory, grad: Memory, new: Memory, room: Memory
    ) -> None:
        """Fill `new` with `kept * mean + (1 - kept) * grad * grad`."""
        do(np.multiply, mean, kept, new)
        # Once more by the root: the square itself would overflow sooner.
        do(np.multiply, grad, (1 - kept) ** 0.5, room)
        do(np.square, room, room)
        do(np.add, new, room, new)


@attrs.frozen
class _Descent(WeightUpdate):
    """Updates along the gradient itself."""

    def rate(self, lr: float) -> float:
        return lr * self.rescale_grad if self._is_folded() else lr

    def _is_folded(self) -> bool:
        """Whether the rate rescales, too, which is a pass less: nothing has to be clipped before.

        What is very small is left alone, since the decay is divided by it.
        """
        return self.clip_gradient <= 0 and (not self.wd or abs(self.rescale_grad) > _SMALL)

    def slope(
        self, do: Do, rate: float | Memory, weight: Memory, grad: Memory, one: Memory, two: Memory
    ) -> None:
        """Fill `two` with `lr * (grad + wd * weight)`."""
        decay = self.wd
        if self._is_folded():
            decay = decay and decay / self.rescale_grad
        else:
            grad = self.rescaled(do, grad, one)
        if decay:
            # Added to the gradient, a decay counts that is less than the weight's last digit.
            do(np.multiply, weight, decay, two)
            grad = do(np.add, two, grad, two)
        do(np.multiply, grad, rate, two)


@attrs.frozen
class SGDUpdate(_Descent):
    """A step of gradient descent: `weight - lr * (grad + wd * weight)`."""

    lazy_update: bool = flag(True, doc=_LAZY)

    name = "sgd_update"

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, new, one, two = blocks
        self.slope(do, rate, weight, grad, one, two)
        do(np.subtract, weight, two, new)


@attrs.frozen
class SGDMomUpdate(_Descent):
    """A step of gradient descent with momentum (Polyak 1964).

    `mom = momentum * mom - lr * (grad + wd * weight)`, and the output is `weight + mom`.
    """

    momentum: float = number(0, doc="how much of the last step is taken again")
    lazy_update: bool = flag(True, doc=_LAZY)

    name = "sgd_mom_update"
    auxiliary = ("mom",)

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, mom, new, new_mom, one, two = blocks
        self.slope(do, rate, weight, grad, one, two)
        do(np.multiply, mom, self.momentum, new_mom)
        do(np.subtract, new_mom, two, new_mom)
        do(np.add, weight, new_mom, new)


@attrs.frozen
class NAGMomUpdate(_Descent):
    """A step with Nesterov's momentum (Nesterov 1983; Sutskever et al. 2013).

    With `step = lr * (grad + wd * weight)`, `mom = momentum * mom - step`, and the output is
    `weight + momentum * mom - step`: where the next momentum will have led already.
    """

    momentum: float = number(0, doc="how much of the last step is taken again")

    name = "nag_mom_update"
    auxiliary = ("mom",)

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, mom, new, new_mom, one, two = blocks
        self.slope(do, rate, weight, grad, one, two)
        do(np.multiply, mom, self.momentum, new_mom)
        do(np.subtract, new_mom, two, new_mom)
        do(np.multiply, new_mom, self.momentum, one)
        do(np.subtract, one, two, two)
        do(np.add, weight, two, new)


@attrs.frozen
class SGLDUpdate(_Descent):
    """A step of Langevin dynamics by gradients (Welling and Teh 2011), which samples a posterior.

    The output is `weight - lr / 2 * (grad + wd * weight)`, and normal noise of variance `lr`.
    """

    name = "sgld_update"
    draws = True

    def forward(self, *arrays: Memory) -> None:
        *_, rng = arrays
        run(
            partial(self._noisy, rng),
            arrays[:2],
            arrays[2:3],
            arrays[3:-1],
        )

    def _noisy(self, rng: Any, *blocks: Memory) -> None:  # noqa: ANN401 -- a generator of NumPy's
        weight, grad, new, one, two = blocks
        self.slope(at_once, self.rate(self.lr), weight, grad, one, two)
        np.multiply(two, 0.5, two)
        rng.standard_normal(dtype=one.dtype, out=one)
        np.multiply(one, self.lr**0.5, one)
        np.subtract(one, two, two)
        np.add(weight, two, new)

    def calls(self, arrays: list[Any]) -> list[Call]:
        return [(self.forward, tuple(arrays))]


@attrs.frozen
class DCASGDUpdate(WeightUpdate):
    """A step of gradient descent that makes up for a delay (Zheng et al. 2016, arXiv 1609.08326).

    `mom = momentum * mom - lr * (grad + wd * weight + lamda * grad**2 * (weight -
    previous_weight))`; then `previous_weight` is `weight`, and the output `weight + mom`.
    """

    momentum: float = number(0, doc="how much of the last step is taken again")
    lamda: float = number(0.04, doc="how much of the delay is made up for")

    name = "dcasgd_update"
    auxiliary = ("mom", "previous_weight")

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, mom, previous, new, new_mom, new_previous, one, two = blocks
        grad = self.rescaled(do, grad, one)
        do(np.subtract, weight, previous, two)
        do(np.multiply, two, grad, two)
        do(np.multiply, two, grad, two)
        do(np.multiply, two, self.lamda, two)
        do(np.add, two, grad, two)
        if self.wd:
            do(np.multiply, weight, self.wd, one)
            do(np.add, two, one, two)
        do(np.multiply, two, rate, two)
        do(np.multiply, mom, self.momentum, new_mom)
        do(np.subtract, new_mom, two, new_mom)
        do(np.copyto, new_previous, weight)
        do(np.add, weight, new_mom, new)


@attrs.frozen
class AdamUpdate(WeightUpdate):
    """A step of Adam (Kingma and Ba 2015, arXiv 1412.6980), whose bias is corrected in `lr`.

    With `g = grad + wd * weight`, which is what is clipped here, `mean = beta1 * mean +
    (1 - beta1) * g` and `var = beta2 * var + (1 - beta2) * g * g`; the output is
    `weight - lr * mean / (sqrt(var) + epsilon)`. For the paper's Algorithm 1, up to how epsilon
    counts, `lr` at step t, from 1, is the rate times `sqrt(1 - beta2**t) / (1 - beta1**t)`.
    """

    beta1: float = number(0.9, least=0, most=1, doc="how slowly the mean forgets")
    beta2: float = number(0.999, least=0, most=1, doc="how slowly the mean of squares forgets")
    epsilon: float = number(1e-8, least=0, doc="what is added to the root, against division by 0")
    lazy_update: bool = flag(True, doc=_LAZY)

    name = "adam_update"
    auxiliary = ("mean", "var")

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, mean, var, new, new_mean, new_var, one, two = blocks
        grad = self.decayed(do, weight, grad, one, two)
        do(np.multiply, mean, self.beta1, new_mean)
        do(np.multiply, grad, 1 - self.beta1, two)
        do(np.add, new_mean, two, new_mean)
        self.averaged(do, self.beta2, var, grad, new_var, two)
        do(np.sqrt, new_var, two)
        do(np.add, two, self.epsilon, two)
        do(np.divide, new_mean, two, two)
        do(np.multiply, two, rate, two)
        do(np.subtract, weight, two, new)
