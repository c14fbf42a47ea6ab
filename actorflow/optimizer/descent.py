"""Optimizers that go along the gradient itself, with or without momentum, delay or noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.ops import DCASGDUpdate, NAGMomUpdate, SGDMomUpdate, SGDUpdate, SGLDUpdate
from actorflow.optimizer.optimizer import Optimizer, register
from actorflow.optimizer.registry import as_number
from actorflow.optimizer.rule import RuleOptimizer, alike, in_state

if TYPE_CHECKING:
    from actorflow.ndarray import NDArray
    from actorflow.ops import WeightUpdate
    from actorflow.optimizer.optimizer import Index, State

__all__ = ["DCASGD", "NAG", "SGD", "SGLD", "Test", "ccSGD"]


@register
class SGD(RuleOptimizer):
    """Stochastic gradient descent (Robbins and Monro 1951), with momentum (Polyak 1964).

    With `g = clip(rescale_grad * grad)`::

        mom = momentum * mom - lr * (g + wd * weight)
        weight = weight + mom

    Args:
      momentum: how much of the last step is taken again; without it nothing is kept.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {SGDUpdate: (), SGDMomUpdate: ("momentum",)}

    def __init__(self, momentum: float = 0.0, **more: Any) -> None:
        super().__init__(**more)
        self.momentum = as_number(type(self).__name__, "momentum", momentum)

    def create_state(self, index: Index, weight: NDArray) -> State:
        """The last step; None without momentum."""
        return alike(weight) if self.momentum else None

    def rule(self, state: State) -> tuple[type[WeightUpdate], tuple[NDArray, ...]]:
        """See `RuleOptimizer`."""
        plain, with_momentum = self.rules
        arrays = in_state(state)
        return with_momentum if self.momentum or arrays else plain, arrays


@register
class ccSGD(SGD):  # noqa: N801 -- early MXNet's name
    """`SGD`, which early MXNet also had in C++ under this name."""


@register
class NAG(SGD):
    """Gradient descent with Nesterov's momentum (Nesterov 1983; Sutskever et al. 2013).

    With `step = lr * (clip(rescale_grad * grad) + wd * weight)`::

        mom = momentum * mom - step
        weight = weight + momentum * mom - step

    Args:
      momentum: how much of the last step is taken again; without it nothing is kept.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {SGDUpdate: (), NAGMomUpdate: ("momentum",)}


@register
class SGLD(RuleOptimizer):
    """Stochastic gradient Langevin dynamics (Welling and Teh 2011): samples instead of an optimum.

    With `g = clip(rescale_grad * grad)`::

        weight = weight - lr / 2 * (g + wd * weight) + normal(0, sqrt(lr))

    The noise is drawn from the generator of the weight's context, so `af.random.seed` decides it.

    Args:
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {SGLDUpdate: ()}


@register
class DCASGD(RuleOptimizer):
    """Gradient descent for gradients that come late (Zheng et al. 2016, arXiv 1609.08326).

    With `g = clip(rescale_grad * grad)`::

        slope = g + wd * weight + lamda * g * g * (weight - previous_weight)
        mom = momentum * mom - lr * slope
        previous_weight = weight
        weight = weight + mom

    Args:
      momentum: how much of the last step is taken again.
      lamda: how much of the delay is made up for.
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    rules = {DCASGDUpdate: ("momentum", "lamda")}

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **more: Any) -> None:
        super().__init__(**more)
        self.momentum = as_number(type(self).__name__, "momentum", momentum)
        self.lamda = as_number(type(self).__name__, "lamda", lamda)

    def create_state(self, index: Index, weight: NDArray) -> State:
        """The last step, and the weight as it was before that."""
        return alike(weight), weight.copy()


@register
class Test(Optimizer):
    """What tests of stores use: `weight = weight + rescale_grad * grad`, and the state is that.

    Args:
      more: see `Optimizer`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    def create_state(self, index: Index, weight: NDArray) -> State:
        """The last weight."""
        return alike(weight)

    def update(self, index: Index, weight: NDArray, grad: NDArray, state: State) -> None:
        """Add the gradient; see `Optimizer.update`."""
        (kept,) = in_state(state)
        weight += grad * self.rescale_grad
        kept[:] = weight
        self._update_count(index)
