"""What an initializer is: the values that parameters begin with, by their names.

Random values are drawn by operations of the engine, from the generator of the context where the
array lives: `random.seed` decides them, and nothing waits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from actorflow.errors import ParameterError, ShapeError
from actorflow.ndarray import NDArray
from actorflow.ops import described
from actorflow.training.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["InitDesc", "Initializer", "alias", "create", "register"]


class InitDesc(str):
    """A parameter's name, with the attributes of its variable.

    Args:
      name: the name.
      attrs: the attributes, as in `Symbol.attr_dict()[name]`.
      global_init: the initializer of the whole network.
    """

    __slots__ = ("attrs", "global_init")

    attrs: Mapping[str, str]
    global_init: Initializer | None

    def __new__(
        cls,
        name: str,
        attrs: Mapping[str, str] | None = None,
        global_init: Initializer | None = None,
    ) -> Self:
        """Make the name and give it the attributes."""
        made = super().__new__(cls, name)
        made.attrs = attrs or {}
        made.global_init = global_init
        return made


class Initializer:
    """Gives a parameter its first values, by the end of its name.

    | name | values |
    |---|---|
    | `..._weight` | those of the class |
    | `upsampling..._weight` | bilinear |
    | `stn_loc..._weight`, `stn_loc..._bias` | the transformation that changes nothing |
    | `..._bias`, `..._beta`, `..._min` | 0 |
    | `..._moving_mean`, `..._moving_inv_var`, `..._moving_avg` | 0 |
    | `..._gamma`, `..._moving_var`, `..._max` | 1 |

    A variable's own initializer, `sym.Variable(name, init=...)`, comes before that, if the name is
    an `InitDesc` with the variable's attributes. A class of one's own overrides `_init_weight`, or
    `_init_bias` and so on.

    Args:
      kwargs: what `dumps` writes.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs

    def __call__(self, desc: str, arr: NDArray) -> None:
        """Fill an array.

        Args:
          desc: the parameter's name, or an `InitDesc`.
          arr: the array.

        Raises:
          ParameterError: there is no rule for the name, or the variable's own one is not known.
          ShapeError: the rule does not take the array's shape.
          DTypeError: the rule draws numbers that the array cannot hold.
          TypeError: the name is no text or the array no NDArray.
        """
        who = type(self).__name__
        if not isinstance(desc, str):
            raise TypeError(f"{who}: the parameter's name is a text, got {described(desc)}")
        if not isinstance(arr, NDArray):
            raise TypeError(f"{who}: needs an NDArray for {desc!r}, got {described(arr)}")
        own = ""
        if isinstance(desc, InitDesc):
            if desc.global_init is None:
                desc.global_init = self
            own = desc.attrs.get("__init__") or desc.attrs.get("init") or ""
        if own:
            try:
                rule = create(own)
            except ParameterError as error:
                error.add_note(f"this is the initializer of the variable {desc!r}")
                raise
            rule._init_weight(desc, arr)
        else:
            self._init_by_name(desc, arr)

    def _init_by_name(self, name: str, arr: NDArray) -> None:
        if name.endswith("weight") and name.startswith("upsampling"):
            self._init_bilinear(name, arr)
        elif name.endswith("weight") and name.startswith("stn_loc"):
            self._init_zero(name, arr)
        elif name.endswith("bias") and name.startswith("stn_loc"):
            self._init_loc_bias(name, arr)
        else:
            for suffix, method in _BY_SUFFIX.items():
                if name.endswith(suffix):
                    getattr(self, method)(name, arr)
                    return
            self._init_default(name, arr)

    def dumps(self) -> str:
        """The class and its parameters as JSON: `["xavier", {"magnitude": 2.34}]`."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs

    __hash__ = None  # type: ignore[assignment]  # what is equal may change

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._kwargs.items())
        return f"{type(self).__name__}({arguments})"

    # -- Rules, for classes to override -----------------------------------------------------------

    def _init_weight(self, name: str, arr: NDArray) -> None:
        raise NotImplementedError(f"{type(self).__name__}: has no _init_weight, asked for {name!r}")

    def _init_bias(self, _name: str, arr: NDArray) -> None:
        arr[:] = 0

    def _init_gamma(self, _name: str, arr: NDArray) -> None:
        arr[:] = 1

    def _init_beta(self, _name: str, arr: NDArray) -> None:
        arr[:] = 0

    def _init_zero(self, _name: str, arr: NDArray) -> None:
        arr[:] = 0

    def _init_one(self, _name: str, arr: NDArray) -> None:
        arr[:] = 1

    def _init_bilinear(self, name: str, arr: NDArray) -> None:
        if arr.ndim != 4:  # noqa: PLR2004 -- filters, channels, rows, columns
            raise ShapeError(f"Bilinear: {name!r} has shape {arr.shape}, but needs four axes")
        rows, columns = arr.shape[2:]
        # The filter of the larger image of an even or odd size; both axes by the columns, as MXNet.
        half = np.ceil(columns / 2)
        centre = (2 * half - 1 - half % 2) / (2 * half)
        across = 1 - np.abs(np.arange(columns) / half - centre)
        down = 1 - np.abs(np.arange(rows) / half - centre)
        arr[:] = np.broadcast_to(np.outer(down, across), arr.shape)

    def _init_loc_bias(self, name: str, arr: NDArray) -> None:
        if arr.shape != (6,):
            raise ShapeError(f"{name!r} has shape {arr.shape}, but a place has six numbers")
        arr[:] = np.array([1.0, 0, 0, 0, 1.0, 0])

    def _init_default(self, name: str, arr: NDArray) -> None:
        raise ParameterError(
            f"{type(self).__name__}: no rule for {name!r} of shape {arr.shape}: known are names "
            f"that end in {', '.join(_BY_SUFFIX)}; say sym.Variable({str(name)!r}, init=...), or "
            "use init.Mixed with a pattern for it"
        )


_BY_SUFFIX: Final = {
    "weight": "_init_weight",
    "bias": "_init_bias",
    "gamma": "_init_gamma",
    "beta": "_init_beta",
    "moving_mean": "_init_zero",
    "moving_var": "_init_one",
    "moving_inv_var": "_init_zero",
    "moving_avg": "_init_zero",
    "min": "_init_zero",
    "max": "_init_one",
}

_known: Final = Registry(Initializer, "init")
register = _known.register
alias = _known.alias


def create(initializer: object, **kwargs: Any) -> Initializer:
    """Make an initializer.

    Args:
      initializer: one itself, the name of one such as `"xavier"`, or what `dumps` gave.
      kwargs: its parameters, if it is a name.

    Raises:
      ParameterError: the name is not known, or does not take these parameters.
      TypeError: something else.
    """
    return _known.create(initializer, **kwargs)
