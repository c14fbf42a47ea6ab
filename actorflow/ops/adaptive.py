"""Operators that update weights with a learning rate of their own for each element, in place.

What `actorflow.ops.update` says of updates is so of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from actorflow.ops.blocks import at_least_zero
from actorflow.ops.parameters import number
from actorflow.ops.update import WeightUpdate

if TYPE_CHECKING:
    from actorflow.ops.blocks import Do
    from actorflow.ops.types import Memory

__all__ = [
    "AdaDeltaUpdate",
    "AdaGradUpdate",
    "FtrlUpdate",
    "RMSPropAlexUpdate",
    "RMSPropUpdate",
]


@attrs.frozen
class _RMSProp(WeightUpdate):
    """What both versions share."""

    gamma1: float = number(0.95, least=0, most=1, doc="how slowly the means forget")
    epsilon: float = number(1e-8, least=0, doc="what is added under the root")
    clip_weights: float = number(-1, doc="clip weights to [-this, this]; 0 or less: do not")

    def bounded(self, do: Do, weight: Memory) -> None:
        """Clip the new weight."""
        if self.clip_weights > 0:
            do(np.ndarray.clip, weight, -self.clip_weights, self.clip_weights, weight)


@attrs.frozen
class RMSPropUpdate(_RMSProp):
    """A step of RMSProp (Tieleman and Hinton 2012, lecture 6.5 of their course).

    With `g = grad + wd * weight`, which is what is clipped here, `n = gamma1 * n + (1 - gamma1) *
    g * g`, and the output is `weight - lr * g / sqrt(n + epsilon)`.
    """

    name = "rmsprop_update"
    auxiliary = ("n",)

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, n, new, new_n, one, two = blocks
        grad = self.decayed(do, weight, grad, one, two)
        self.averaged(do, self.gamma1, n, grad, new_n, two)
        do(np.add, new_n, self.epsilon, two)
        do(np.sqrt, two, two)
        do(np.divide, grad, two, two)
        do(np.multiply, two, rate, two)
        do(np.subtract, weight, two, new)
        self.bounded(do, new)


@attrs.frozen
class RMSPropAlexUpdate(_RMSProp):
    """A step of RMSProp, centered and with momentum (Graves 2013, arXiv 1308.0850, 38 to 45).

    With `d = grad + wd * weight`, which is what is clipped here, `n = gamma1 * n + (1 - gamma1) *
    d * d` and `g = gamma1 * g + (1 - gamma1) * d`, then `delta = gamma2 * delta - lr * d /
    sqrt(n - g * g + epsilon)`; the output is `weight + delta`. A variance `n - g * g` that rounding
    made negative counts as 0.
    """

    gamma2: float = number(0.9, doc="how much of the last step is taken again")

    name = "rmspropalex_update"
    auxiliary = ("n", "g", "delta")

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, n, g, delta, new, new_n, new_g, new_delta, one, two = blocks
        grad = self.decayed(do, weight, grad, one, two)
        self.averaged(do, self.gamma1, n, grad, new_n, two)
        do(np.multiply, g, self.gamma1, new_g)
        do(np.multiply, grad, 1 - self.gamma1, two)
        do(np.add, new_g, two, new_g)
        do(np.square, new_g, two)
        do(np.subtract, new_n, two, two)
        do(at_least_zero, two, two)
        do(np.add, two, self.epsilon, two)
        do(np.sqrt, two, two)
        do(np.divide, grad, two, two)
        do(np.multiply, two, rate, two)
        do(np.multiply, delta, self.gamma2, new_delta)
        do(np.subtract, new_delta, two, new_delta)
        do(np.add, weight, new_delta, new)
        self.bounded(do, new)


@attrs.frozen
class AdaGradUpdate(WeightUpdate):
    """A step of AdaGrad (Duchi, Hazan and Singer 2011, JMLR 12).

    `history = history + grad * grad`, and the output is
    `weight - lr * (grad / sqrt(history + epsilon) + wd * weight)`.
    """

    epsilon: float = number(1e-7, least=0, doc="what is added under the root")

    name = "adagrad_update"
    auxiliary = ("history",)

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, history, new, new_history, one, two = blocks
        grad = self.rescaled(do, grad, one)
        do(np.square, grad, two)
        do(np.add, history, two, new_history)
        do(np.add, new_history, self.epsilon, two)
        do(np.sqrt, two, two)
        do(np.divide, grad, two, two)
        if self.wd:
            do(np.multiply, weight, self.wd, one)
            do(np.add, two, one, two)
        do(np.multiply, two, rate, two)
        do(np.subtract, weight, two, new)


@attrs.frozen
class AdaDeltaUpdate(WeightUpdate):
    """A step of AdaDelta (Zeiler 2012, arXiv 1212.5701), which needs no learning rate.

    `acc_g = rho * acc_g + (1 - rho) * grad * grad`, then `delta = grad * sqrt((acc_delta + epsilon)
    / (acc_g + epsilon))` and `acc_delta = rho * acc_delta + (1 - rho) * delta * delta`; the output
    is `weight - lr * (delta + wd * weight)`, where the paper has no `lr`.
    """

    rho: float = number(0.9, least=0, most=1, doc="how slowly the means forget")
    epsilon: float = number(1e-5, least=0, doc="what is added under the roots")
    lr: float = number(1, least=0, doc="what the step is multiplied by")

    name = "adadelta_update"
    auxiliary = ("acc_g", "acc_delta")
    temporaries = 3

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, acc_g, acc_delta, new, new_g, new_delta, one, two, three = blocks
        grad = self.rescaled(do, grad, one)
        self.averaged(do, self.rho, acc_g, grad, new_g, two)
        do(np.add, new_g, self.epsilon, two)
        do(np.add, acc_delta, self.epsilon, three)
        do(np.divide, three, two, two)
        do(np.sqrt, two, two)
        do(np.multiply, two, grad, two)
        self.averaged(do, self.rho, acc_delta, two, new_delta, three)
        if self.wd:
            do(np.multiply, weight, self.wd, one)
            do(np.add, two, one, two)
        do(np.multiply, two, rate, two)
        do(np.subtract, weight, two, new)


@attrs.frozen
class FtrlUpdate(WeightUpdate):
    """A step of FTRL-Proximal (McMahan et al. 2013, "Ad Click Prediction").

    `z = z + grad - (sqrt(n + grad * grad) - sqrt(n)) * weight / lr` and `n = n + grad * grad`; the
    output is 0 where `abs(z) <= lamda1`, and `(sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr +
    wd)` elsewhere. `lr` is more than 0.
    """

    lamda1: float = number(0.01, least=0, doc="how far `z` has to be from 0")
    beta: float = number(1, doc="what the learning rates of elements begin with")

    name = "ftrl_update"
    auxiliary = ("z", "n")
    temporaries = 3

    def step(self, do: Do, rate: float | Memory, *blocks: Memory) -> None:
        weight, grad, z, n, new, new_z, new_n, one, two, three = blocks
        grad = self.rescaled(do, grad, one)
        do(np.sqrt, n, two)
        do(np.square, grad, three)
        do(np.add, n, three, new_n)
        do(np.sqrt, new_n, three)
        do(np.subtract, three, two, two)
        do(np.multiply, two, weight, two)
        do(np.divide, two, rate, two)
        do(np.add, z, grad, new_z)
        do(np.subtract, new_z, two, new_z)
        do(np.add, three, self.beta, three)
        do(np.divide, three, rate, three)
        do(np.add, three, self.wd, three)
        do(np.ndarray.clip, new_z, -self.lamda1, self.lamda1, two)
        do(np.subtract, two, new_z, two)
        do(np.divide, two, three, new)
