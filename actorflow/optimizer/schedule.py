"""Learning rates over time.

A scheduler is called with the number of updates, the most that any weight has had, and gives the
learning rate. It is a function of that number alone: a run that goes on in the middle has the rates
that it would have had, and the scheduler keeps nothing that would have to be saved.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import ParameterError
from actorflow.optimizer.registry import (
    Plain,
    Registry,
    arguments_or_refuse,
    as_count,
    as_number,
    refuse_unknown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CosineScheduler",
    "FactorScheduler",
    "LRScheduler",
    "MultiFactorScheduler",
    "PolyScheduler",
    "from_description",
]

_MODES: Final = ("linear", "constant")


class LRScheduler:
    """What all schedulers share: where they begin, and how they warm up.

    A subclass gives `decayed(num_update)`, or, as in MXNet, `__call__` itself.

    Args:
      base_lr: the learning rate that it begins with, after the warm-up. None for what the optimizer
        says, which is also what counts if its `learning_rate` is given; 0.01 without one.
      warmup_steps: for how many updates it warms up.
      warmup_begin_lr: what it warms up from, at most `base_lr`.
      warmup_mode: "linear" to rise evenly, "constant" to stay at `warmup_begin_lr` until then.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    registry: Final[Registry[LRScheduler]] = Registry("scheduler")

    def __init__(
        self,
        base_lr: float | None = None,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
        **unknown: Any,
    ) -> None:
        who = type(self).__name__
        refuse_unknown(type(self), unknown)
        self.has_own_base = base_lr is not None
        self.base_lr = as_number(who, "base_lr", 0.01 if base_lr is None else base_lr, least=0)
        self.warmup_steps = as_count(who, "warmup_steps", warmup_steps)
        self.warmup_begin_lr = as_number(who, "warmup_begin_lr", warmup_begin_lr, least=0)
        if self.warmup_begin_lr > self.base_lr:
            raise ParameterError(
                f"{who}: warmup_begin_lr is {self.warmup_begin_lr:g}, and needs to be at most "
                f"base_lr, {self.base_lr:g}"
            )
        if warmup_mode not in _MODES:
            raise ParameterError(f"{who}: warmup_mode needs one of {_MODES}, got {warmup_mode!r}")
        self.warmup_mode = warmup_mode

    @staticmethod
    def register(kind: type[LRScheduler]) -> type[LRScheduler]:
        """Make a scheduler known by its name, so that descriptions of it can be read.

        Raises:
          TypeError: it is none.
          ParameterError: another class has the name.
        """
        return LRScheduler.registry.register(kind, LRScheduler)

    def __call__(self, num_update: int) -> float:
        """The learning rate of the update of number `num_update`, from 1."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        return self.decayed(num_update)

    def get_warmup_lr(self, num_update: int) -> float:
        """The learning rate of an update before `warmup_steps`."""
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        rise = (self.base_lr - self.warmup_begin_lr) * float(num_update) / float(self.warmup_steps)
        return self.warmup_begin_lr + rise

    def decayed(self, num_update: int) -> float:
        """The learning rate after the warm-up."""
        raise NotImplementedError(f"{type(self).__name__}: decayed, or __call__, is missing")

    def describe(self) -> Plain:
        """The scheduler as plain data, for `from_description`.

        Raises:
          ParameterError: its class is not registered, or keeps an argument under another name.
          TypeError: an argument is not plain.
        """
        name = self.registry.name(type(self))
        return {"name": name, "arguments": arguments_or_refuse(self, ())}


def from_description(description: object) -> LRScheduler:
    """Make the scheduler that `describe` described.

    Raises:
      FormatError: this is no description.
      ParameterError: no such scheduler is registered, or an argument is unknown or not valid.
    """
    kind, arguments = LRScheduler.registry.described(description)
    return kind(**arguments)


def _factor(who: str, factor: float) -> float:
    return as_number(who, "factor", factor, least=0, most=1)


@LRScheduler.register
class FactorScheduler(LRScheduler):
    """The rate is multiplied by `factor` after every `step` updates.

    Args:
      step: for how many updates a rate is kept.
      factor: at most 1.
      stop_factor_lr: the rate is not made less than this.
      base_lr, warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float | None = None,
        **more: Any,
    ) -> None:
        super().__init__(base_lr, **more)
        who = type(self).__name__
        self.step = as_count(who, "step", step, least=1)
        self.factor = _factor(who, factor)
        self.stop_factor_lr = as_number(who, "stop_factor_lr", stop_factor_lr, least=0)
        # The rate after so many steps, from so high, as it was last asked for.
        self._last = (0, self.base_lr, self.base_lr)

    def decayed(self, num_update: int) -> float:
        """One step after the other, as rounding makes it differ from a power."""
        steps = max(num_update - 1, 0) // self.step
        done, base, lr = self._last
        if base != self.base_lr or done > steps:
            done, lr = 0, self.base_lr
        for _ in range(done, steps):
            lower = lr * self.factor
            if lr in (lower, self.stop_factor_lr):
                break  # it stays there
            lr = max(lower, self.stop_factor_lr)
        self._last = (steps, self.base_lr, lr)
        return lr


@LRScheduler.register
class MultiFactorScheduler(LRScheduler):
    """The rate is multiplied by `factor` after certain updates.

    Args:
      step: the numbers of these updates, increasing, at least 1.
      factor: at most 1.
      base_lr, warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    def __init__(
        self,
        step: Sequence[int],
        factor: float = 1,
        base_lr: float | None = None,
        **more: Any,
    ) -> None:
        super().__init__(base_lr, **more)
        who = type(self).__name__
        if not isinstance(step, list | tuple) or not step:
            raise ParameterError(f"{who}: step needs a list of integers, got {step!r}")
        self.step = [as_count(who, "each step", each, least=1) for each in step]
        if any(one >= two for one, two in zip(self.step, self.step[1:], strict=False)):
            raise ParameterError(f"{who}: step needs to increase, got {step!r}")
        self.factor = _factor(who, factor)

    def decayed(self, num_update: int) -> float:
        """One step after the other, as rounding makes it differ from a power."""
        lr = self.base_lr
        for step in self.step:
            if num_update <= step:
                break
            lr *= self.factor
        return lr


class _Until(LRScheduler):
    """Falls from `base_lr` to `final_lr`, and stays there."""

    def __init__(
        self,
        max_update: int,
        base_lr: float | None = None,
        final_lr: float = 0,
        **more: Any,
    ) -> None:
        super().__init__(base_lr, **more)
        who = type(self).__name__
        self.max_update = as_count(who, "max_update", max_update, least=1)
        self.final_lr = as_number(who, "final_lr", final_lr, least=0)
        if self.max_update <= self.warmup_steps:
            raise ParameterError(
                f"{who}: max_update is {max_update}, and needs to be more than warmup_steps, "
                f"{self.warmup_steps}"
            )

    def decayed(self, num_update: int) -> float:
        done = min(num_update, self.max_update) - self.warmup_steps
        left = self.left(done / (self.max_update - self.warmup_steps))
        return self.final_lr + (self.base_lr - self.final_lr) * left

    def left(self, done: float) -> float:
        """How much is left of 1, when so much of the way from 0 to 1 is done."""
        raise NotImplementedError


@LRScheduler.register
class PolyScheduler(_Until):
    """The rate falls as a power of what is left of `max_update` updates.

    It is `final_lr + (base_lr - final_lr) * (1 - n / max_update) ** pwr`, where n and `max_update`
    are counted from the end of the warm-up, and then stays at `final_lr`.

    Args:
      max_update: the update at which it arrives.
      base_lr: where it begins.
      pwr: the power, at least 0.
      final_lr: where it arrives.
      warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float | None = None,
        pwr: float = 2,
        final_lr: float = 0,
        **more: Any,
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, **more)
        self.pwr = as_number(type(self).__name__, "pwr", pwr, least=0)

    def left(self, done: float) -> float:
        """See `_Until`."""
        return float((1 - done) ** self.pwr)


@LRScheduler.register
class CosineScheduler(_Until):
    """The rate falls as half a wave of the cosine (Loshchilov and Hutter 2017, arXiv 1608.03983).

    It is `final_lr + (base_lr - final_lr) * (1 + cos(pi * n / max_update)) / 2`, where n and
    `max_update` are counted from the end of the warm-up, and then stays at `final_lr`.

    Args:
      max_update: the update at which it arrives.
      base_lr: where it begins.
      final_lr: where it arrives.
      warmup_steps, warmup_begin_lr, warmup_mode: see `LRScheduler`.

    Raises:
      ParameterError: an argument is not valid, or unknown.
    """

    def left(self, done: float) -> float:
        """See `_Until`."""
        return (1 + math.cos(math.pi * done)) / 2
