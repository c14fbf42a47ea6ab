"""Optimizers with a learning rate of their own for each element of a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.errors import ParameterError
from actorflow.ops import (
    AdaDeltaUpdate,
    AdaGradUpdate,
    AdamUpdate,
    FtrlUpdate,
    RMSPropAlexUpdate,
    RMSPropUpdate,
)
from actorflow.optimizer.optimizer import register
from actorflow.optimizer.registry import as_bound, as_number
from actorflow.optimizer.rule import RuleOptimizer, alike, in_state

if TYPE_CHECKING:
    from actorflow.ndarray import NDArray
    from actorflow.ops import WeightUpdate
    from actorflow.optimizer.optimizer import Index, State

__all__ = ["AdaDelta", "AdaGrad", "Adam", "Ftrl", "RMSProp"]


@register
class Adam(RuleOptimizer):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980).

    With `g = clip(rescale_grad * grad + wd * weight)`, at the step t of a weight, from 1::

        b = beta1 * decay_factor ** (t - 1)
        mean = b * mean + (1 - b) * g
        var = beta2 * var + (1 - beta2) * g * g
        rate = lr * sqrt(1 - beta2**t) / (1 - beta1**t)
        weight = weight - rate * mean / (sqrt(var) + epsilon)

    Args:
      learning_rate: None for where `lr_scheduler` begins, or 0.001.
      beta1, beta2: how slowly the means forget, less than 1.
      epsilon: what is added to the root.
      decay_factor: how much more is forgotten at each step: early MXNet had `1 - 1e-8` here, later
        ones have no such thing. At anything but 1 each step is checked and prepared anew.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {AdamUpdate: ("beta1", "beta2", "epsilon")}
    default_lr = 0.001

    def __init__(
        self,
        learning_rate: float | None = None,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        decay_factor: float = 1.0,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **more)
        who = type(self).__name__
        self.beta1 = _share(who, "beta1", beta1)
        self.beta2 = _share(who, "beta2", beta2)
        self.epsilon = as_number(who, "epsilon", epsilon, least=0)
        self.decay_factor = as_number(who, "decay_factor", decay_factor, least=0, most=1)

    def create_state(self, index: Index, weight: NDArray) -> State:
        """The means of the gradient and of its square."""
        return alike(weight), alike(weight)

    def parameters(self, kind: type[WeightUpdate], count: int) -> dict[str, float]:
        """See `RuleOptimizer`."""
        found = super().parameters(kind, count)
        if self.decay_factor != 1:
            found["beta1"] *= self.decay_factor ** (count - 1)
        return found

    def rate(self, lr: float, count: int) -> float:
        """The rate with the bias of both means corrected."""
        return float(lr * (1 - self.beta2**count) ** 0.5 / (1 - self.beta1**count))


@register
class AdaGrad(RuleOptimizer):
    """AdaGrad (Duchi, Hazan and Singer 2011, JMLR 12).

    With `g = clip(rescale_grad * grad)`::

        history = history + g * g
        weight = weight - lr * (g / sqrt(history + eps) + wd * weight)

    Args:
      eps: what is added under the root.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {AdaGradUpdate: ()}

    def __init__(self, eps: float = 1e-7, **more: Any) -> None:
        super().__init__(**more)
        self.eps = as_number(type(self).__name__, "eps", eps, least=0)

    def create_state(self, index: Index, weight: NDArray) -> State:
        """The sum of squares of all gradients."""
        return alike(weight)

    def parameters(self, kind: type[WeightUpdate], count: int) -> dict[str, float]:
        """See `RuleOptimizer`."""
        return {**super().parameters(kind, count), "epsilon": self.eps}


@register
class RMSProp(RuleOptimizer):
    """RMSProp, as early MXNet had it (Graves 2013, arXiv 1308.0850, 38 to 45), or simpler.

    With `d = clip(rescale_grad * grad + wd * weight)`, centered::

        n = gamma1 * n + (1 - gamma1) * d * d
        g = gamma1 * g + (1 - gamma1) * d
        delta = gamma2 * delta - lr * d / sqrt(n - g * g + epsilon)
        weight = clip_weights(weight + delta)

    and else (Tieleman and Hinton 2012, lecture 6.5 of their course)::

        n = gamma1 * n + (1 - gamma1) * d * d
        weight = clip_weights(weight - lr * d / sqrt(n + epsilon))

    MXNet 1.9.1 has other defaults: `RMSProp(0.001, 0.9, 0.9, 1e-8, centered=False)`.

    Args:
      learning_rate: None for where `lr_scheduler` begins, or 0.01.
      gamma1: how slowly the means forget.
      gamma2: how much of the last step is taken again, if it is centered.
      epsilon: what is added under the root.
      centered: which of the two it is.
      clip_weights: then weights are clipped to [-this, this]; None, or 0 or less: they are not.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {
        RMSPropAlexUpdate: ("gamma1", "gamma2", "epsilon"),
        RMSPropUpdate: ("gamma1", "epsilon"),
    }

    def __init__(
        self,
        learning_rate: float | None = None,
        gamma1: float = 0.95,
        gamma2: float = 0.9,
        epsilon: float = 1e-4,
        *,
        centered: bool = True,
        clip_weights: float | None = None,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **more)
        who = type(self).__name__
        self.gamma1 = as_number(who, "gamma1", gamma1, least=0, most=1)
        self.gamma2 = as_number(who, "gamma2", gamma2)
        self.epsilon = as_number(who, "epsilon", epsilon, least=0)
        if not isinstance(centered, bool):
            raise ParameterError(f"{who}: centered needs True or False, got {centered!r}")
        self.centered = centered
        self.clip_weights = as_bound(who, "clip_weights", clip_weights)

    def create_state(self, index: Index, weight: NDArray) -> State:
        """The mean of squares, and if it is centered the mean and the last step."""
        return tuple(alike(weight) for _ in range(3 if self.centered else 1))

    def rule(self, state: State) -> tuple[type[WeightUpdate], tuple[NDArray, ...]]:
        """See `RuleOptimizer`."""
        return RMSPropAlexUpdate if self.centered else RMSPropUpdate, in_state(state)

    def parameters(self, kind: type[WeightUpdate], count: int) -> dict[str, float]:
        """See `RuleOptimizer`."""
        bound = self.clip_weights
        found = super().parameters(kind, count)
        return {**found, "clip_weights": -1.0 if bound is None else bound}


@register
class AdaDelta(RuleOptimizer):
    """AdaDelta (Zeiler 2012, arXiv 1212.5701), which has no use for a learning rate.

    With `g = clip(rescale_grad * grad)`::

        acc_g = rho * acc_g + (1 - rho) * g * g
        delta = g * sqrt((acc_delta + epsilon) / (acc_g + epsilon))
        acc_delta = rho * acc_delta + (1 - rho) * delta * delta
        weight = weight - delta - wd * weight

    As in MXNet, `learning_rate`, `lr_scheduler` and `lr_mult` change nothing.

    Args:
      rho: how slowly the means forget.
      epsilon: what is added under the roots.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {AdaDeltaUpdate: ("rho", "epsilon")}

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-5, **more: Any) -> None:
        super().__init__(**more)
        who = type(self).__name__
        self.rho = as_number(who, "rho", rho, least=0, most=1)
        self.epsilon = as_number(who, "epsilon", epsilon, least=0)

    def create_state(self, index: Index, weight: NDArray) -> State:
        """The means of the squares of gradients and of steps."""
        return alike(weight), alike(weight)

    def rate(self, lr: float, count: int) -> float:
        """None: 1."""
        del lr, count
        return 1.0


@register
class Ftrl(RuleOptimizer):
    """FTRL-Proximal (McMahan et al. 2013, "Ad Click Prediction"), which makes weights 0.

    With `g = clip(rescale_grad * grad)`::

        z = z + g - (sqrt(n + g * g) - sqrt(n)) * weight / lr
        n = n + g * g
        weight = (sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr + wd) where abs(z) > lamda1, else 0

    Args:
      lamda1: how far `z` has to be from 0.
      learning_rate: None for where `lr_scheduler` begins, or 0.1. A weight's rate is more than 0.
      beta: what the learning rates of elements begin with.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {FtrlUpdate: ("lamda1", "beta")}
    default_lr = 0.1

    def __init__(
        self,
        lamda1: float = 0.01,
        learning_rate: float | None = None,
        beta: float = 1.0,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **more)
        who = type(self).__name__
        self.lamda1 = as_number(who, "lamda1", lamda1, least=0)
        self.beta = as_number(who, "beta", beta)

    def create_state(self, index: Index, weight: NDArray) -> State:
        """What the next weight is made from, and the sum of squares of all gradients."""
        return alike(weight), alike(weight)

    def rate(self, lr: float, count: int) -> float:
        """The rate, which the formula divides by."""
        del count
        if not lr > 0:
            raise ParameterError(
                f"{type(self).__name__}: the learning rate is {lr:g}, and needs to be more than 0"
            )
        return lr


def _share(who: str, name: str, value: float) -> float:
    found = as_number(who, name, value, least=0, most=1)
    if found == 1:
        raise ParameterError(f"{who}: {name} needs to be less than 1, got 1")
    return found
