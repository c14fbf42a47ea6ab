"""What an optimizer is: how much each weight learns at a step, by a rule that a subclass gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from actorflow.errors import FormatError, ParameterError
from actorflow.ndarray import NDArray
from actorflow.optimizer import schedule
from actorflow.optimizer.registry import (
    Plain,
    Registry,
    arguments_of,
    arguments_or_refuse,
    as_bound,
    as_count,
    as_number,
    plain,
    refuse_unknown,
)
from actorflow.symbol import Symbol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.optimizer.schedule import LRScheduler

__all__ = ["Index", "Optimizer", "State", "create", "from_description", "register"]

Index: TypeAlias = int | str
State: TypeAlias = NDArray | tuple[Any, ...] | None  # a tuple of such

AnyKind = TypeVar("AnyKind", bound="type[Optimizer]")

_DECAYS: Final = ("_weight", "_gamma")


class Optimizer:
    """The base of all optimizers.

    The learning rate of a weight is `learning_rate`, or what `lr_scheduler` gives for the number of
    updates, times the weight's `lr_mult`. Its weight decay is `wd` times its `wd_mult`. Multipliers
    are 1 but for what the symbol's variables say (`__lr_mult__`, `__wd_mult__`) and what
    `set_lr_mult` and `set_wd_mult` say; by default, a weight whose name is known and ends neither
    in `_weight` nor in `_gamma` has no decay.

    Args:
      rescale_grad: what gradients are multiplied by first, one over the batch, say.
      param_idx2name: the names of weights that are known by numbers, by these.
      wd: the weight decay.
      clip_gradient: then gradients are clipped to [-this, this]; None, or 0 or less: they are not.
      learning_rate: None for where `lr_scheduler` begins, or 0.01.
      lr_scheduler: gives learning rates by numbers of updates; begins with `learning_rate`.
      sym: the symbol whose variables are the weights.
      begin_num_update: the number of updates that have been made before.
      arg_names: the names of the weights 0, 1, ...: another way to give `param_idx2name`.

    Attributes:
      num_update: the number of updates: the most that any weight has had.
      lr, wd, rescale_grad, clip_gradient, lr_scheduler, lr_mult, wd_mult: may be changed at any
        time.

    Raises:
      ParameterError: an argument is not valid, or unknown.
      TypeError: `lr_scheduler` or `sym` is none, or names are no names.
    """

    registry: Final[Registry[Optimizer]] = Registry("optimizer")
    default_lr = 0.01

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: Mapping[int, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: LRScheduler | None = None,
        sym: Symbol | None = None,
        begin_num_update: int = 0,
        arg_names: Sequence[str] | None = None,
        **unknown: Any,
    ) -> None:
        who = type(self).__name__
        refuse_unknown(type(self), unknown)
        self.rescale_grad = as_number(who, "rescale_grad", rescale_grad)
        self.wd = as_number(who, "wd", wd, least=0)
        self.clip_gradient = as_bound(who, "clip_gradient", clip_gradient)
        self.lr_scheduler = lr_scheduler
        self.lr = self._first_rate(learning_rate)
        self.begin_num_update = as_count(who, "begin_num_update", begin_num_update)
        self.num_update = self.begin_num_update
        self._index_update_count: dict[Index, int] = {}
        self.idx2name = _named(who, param_idx2name, arg_names)
        if sym is not None and not isinstance(sym, Symbol):
            raise TypeError(f"{who}: sym needs a Symbol, got {sym!r}")
        self._attributes = {} if sym is None else sym.attr_dict()
        self.lr_mult: dict[Index, float] = {}
        self.wd_mult: dict[Index, float] = {}
        self.set_lr_mult({})
        self.set_wd_mult({})

    def _first_rate(self, learning_rate: float | None) -> float:
        """The learning rate to begin with, which a scheduler is told, too."""
        scheduler = self.lr_scheduler
        if scheduler is not None and not isinstance(scheduler, schedule.LRScheduler):
            raise TypeError(
                f"{type(self).__name__}: lr_scheduler needs an LRScheduler, got {scheduler!r}"
            )
        if learning_rate is None and scheduler is not None and scheduler.has_own_base:
            return scheduler.base_lr
        given = self.default_lr if learning_rate is None else learning_rate
        rate = as_number(type(self).__name__, "learning_rate", given, least=0)
        if scheduler is not None:
            scheduler.base_lr = rate
        return rate

    # -- Making --------------------------------------------------------------------------------

    @staticmethod
    def register(kind: AnyKind) -> AnyKind:
        """Make an optimizer known by its name, in any case; as a decorator of the class.

        Raises:
          TypeError: it is no optimizer.
          ParameterError: another class has the name.
        """
        Optimizer.registry.register(kind, Optimizer)
        return kind

    @staticmethod
    def create_optimizer(name: str, rescale_grad: float = 1.0, **arguments: Any) -> Optimizer:
        """Make an optimizer by its name; see `create`."""
        return Optimizer.registry.find(name)(rescale_grad=rescale_grad, **arguments)

    def describe(self) -> Plain:
        """The optimizer as plain data, for `from_description`.

        Its numbers and multipliers are there as they are now; what it has counted is not.

        Raises:
          ParameterError: its class is not registered, or keeps an argument under another name.
          TypeError: an argument is not plain.
        """
        scheduler = self.lr_scheduler
        arguments = arguments_or_refuse(
            self,
            ("sym", "arg_names"),
            learning_rate=None if scheduler is not None else self.lr,
            lr_scheduler=None if scheduler is None else scheduler.describe(),
            param_idx2name=[list(each) for each in self.idx2name.items()],
        )
        return {
            "name": self.registry.name(type(self)),
            "arguments": arguments,
            "lr_mult": [[index, plain("describe", each)] for index, each in self.lr_mult.items()],
            "wd_mult": [[index, plain("describe", each)] for index, each in self.wd_mult.items()],
        }

    # -- States and steps ------------------------------------------------------------------------

    def create_state(self, index: Index, weight: NDArray) -> State:
        """What is kept of a weight from step to step.

        Args:
          index: which weight it is.
          weight: the weight.

        Returns:
          None, an array, or a tuple of these.
        """
        return None

    def update(self, index: Index, weight: NDArray, grad: NDArray, state: State) -> None:
        """Make a step: change a weight, and its state, in place.

        Args:
          index: which weight it is: a number or a name.
          weight: the weight.
          grad: the gradient, of its shape and data type.
          state: what `create_state` gave.

        Raises:
          ShapeError, DTypeError, ContextError, ValueError, TypeError: the arrays do not fit.
          ParameterError: a number is not valid.
        """
        raise NotImplementedError(f"{type(self).__name__}: update is missing")

    def update_all(
        self,
        indices: Sequence[Index],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[State],
    ) -> None:
        """Make a step of many weights: the same as one after the other, in fewer operations.

        Args:
          indices, weights, grads, states: of each what `update` takes.

        Raises:
          ParameterError: there are not as many of each, or a number is not valid.
          ShapeError, DTypeError, ContextError, ValueError, TypeError: arrays do not fit.
        """
        self._require_as_many(indices, weights, grads, states)
        for each in zip(indices, weights, grads, states, strict=True):
            self.update(*each)

    def _require_as_many(self, indices: Sequence[Index], *others: Sequence[object]) -> None:
        for name, each in zip(("weights", "grads", "states"), others, strict=False):
            if len(each) != len(indices):
                raise ParameterError(
                    f"{type(self).__name__}.update_all: got {len(indices)} indices, but "
                    f"{len(each)} {name}"
                )

    # -- Rates -----------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The learning rate now, before multipliers."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr: float) -> None:
        """Change the learning rate.

        Raises:
          ParameterError: it is not valid, or a scheduler gives it.
        """
        who = f"{type(self).__name__}.set_learning_rate"
        if self.lr_scheduler is not None:
            raise ParameterError(f"{who}: the scheduler gives the rate; set its base_lr")
        self.lr = as_number(who, "lr", lr, least=0)

    def set_lr_mult(self, args_lr_mult: Mapping[Index, float]) -> None:
        """Multiply the learning rates of some weights, beside what the symbol says.

        Args:
          args_lr_mult: the factors by name or number; they take the place of all given before.

        Raises:
          ParameterError: a factor is no number, or negative.
        """
        given = _factors(f"{type(self).__name__}.set_lr_mult", args_lr_mult)
        self.lr_mult = {**self._said("__lr_mult__"), **given}

    def set_wd_mult(self, args_wd_mult: Mapping[Index, float]) -> None:
        """Multiply the weight decay of some weights, beside what the symbol says.

        Args:
          args_wd_mult: the factors by name or number; they take the place of all given before.

        Raises:
          ParameterError: a factor is no number, or negative.
        """
        given = _factors(f"{type(self).__name__}.set_wd_mult", args_wd_mult)
        self.wd_mult = {**self._said("__wd_mult__"), **given}

    def _said(self, key: str) -> dict[Index, float]:
        """What the symbol's variables say."""
        said = {name: each[key] for name, each in self._attributes.items() if key in each}
        return {
            name: as_number(type(self).__name__, f"{key} of {name}", _number(text), least=0)
            for name, text in said.items()
        }

    def _update_count(self, index: Index) -> int:
        """Count a step; give how many there have been of this weight."""
        counts = self._index_update_count
        count = counts[index] = counts.get(index, self.begin_num_update) + 1
        self.num_update = max(self.num_update, count)
        return count

    def _get_lr(self, index: Index) -> float:
        """The learning rate of a weight."""
        return self.learning_rate * self._lr_factor(index)

    def _get_wd(self, index: Index) -> float:
        """The weight decay of a weight."""
        return self.wd * self._wd_factor(index)

    def _lr_factor(self, index: Index) -> float:
        known = self.lr_mult
        if index in known:
            return known[index]
        return known.get(self.idx2name.get(index, index), 1.0)

    def _wd_factor(self, index: Index) -> float:
        known = self.wd_mult
        if index in known:
            return known[index]
        name = self.idx2name.get(index, index)
        if name in known:
            return known[name]
        return 0.0 if isinstance(name, str) and not name.endswith(_DECAYS) else 1.0


def _number(text: object) -> object:
    """The number that an attribute spells, or what it is instead."""
    try:
        return float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return text


def _named(
    who: str, names: Mapping[int, str] | None, arg_names: Sequence[str] | None
) -> dict[Index, str]:
    if names is not None and arg_names is not None:
        raise ParameterError(f"{who}: param_idx2name and arg_names say the same; give one")
    given = enumerate(arg_names) if arg_names is not None else _pairs(who, "param_idx2name", names)
    found: dict[Index, str] = {}
    for index, name in given:
        if not isinstance(name, str) or isinstance(index, bool) or not isinstance(index, int | str):
            raise TypeError(f"{who}: weights have names that are texts, got {index!r}: {name!r}")
        found[index] = name
    return found


def _pairs(who: str, name: str, given: object) -> Sequence[tuple[Any, Any]]:
    """The pairs of a dictionary, or of a list as descriptions have it."""
    if given is None:
        return []
    pairs = list(given.items()) if hasattr(given, "items") else given
    if not isinstance(pairs, list) or any(
        not isinstance(each, list | tuple) or len(each) != 2  # noqa: PLR2004 -- a pair
        for each in pairs
    ):
        raise TypeError(f"{who}: {name} needs a dictionary, got {given!r}")
    return pairs


def _factors(who: str, given: object) -> dict[Index, float]:
    found: dict[Index, float] = {}
    for index, factor in _pairs(who, "the multipliers", given):
        if isinstance(index, bool) or not isinstance(index, int | str):
            raise TypeError(f"{who}: a weight is a name or a number, got {index!r}")
        found[index] = as_number(who, f"the multiplier of {index!r}", factor, least=0)
    return found


register = Optimizer.register


def create(name: str, rescale_grad: float = 1.0, **arguments: Any) -> Optimizer:
    """Make an optimizer by its name: "sgd", "adam" and so on, in any case.

    Args:
      name: which one.
      rescale_grad: what gradients are multiplied by first.
      arguments: what else its constructor takes.

    Raises:
      ParameterError: there is none of this name, or an argument is unknown or not valid; the
        message says what is near.
      TypeError: the name is no text.
    """
    return Optimizer.create_optimizer(name, rescale_grad, **arguments)


def from_description(description: object) -> Optimizer:
    """Make the optimizer that `Optimizer.describe` described. It has counted nothing yet.

    Raises:
      FormatError: this is no description.
      ParameterError: no such optimizer is registered, or an argument is unknown or not valid.
      TypeError: an argument is of another kind.
    """
    kind, arguments = Optimizer.registry.described(description)
    if not isinstance(description, dict) or description.keys() != _KEYS:
        raise FormatError(f"from_description: needs exactly {', '.join(sorted(_KEYS))}")
    if arguments.get("lr_scheduler") is not None:
        scheduler = schedule.from_description(arguments["lr_scheduler"])
        arguments = {**arguments, "lr_scheduler": scheduler}
    lr_mult, wd_mult = (
        _factors(f"from_description: {each}", description[each]) for each in ("lr_mult", "wd_mult")
    )
    refuse_unknown(kind, arguments.keys() - {*arguments_of(kind)})
    optimizer = kind(**arguments)
    optimizer.lr_mult, optimizer.wd_mult = lr_mult, wd_mult
    return optimizer


_KEYS: Final = frozenset({"name", "arguments", "lr_mult", "wd_mult"})
