"""Values of parameters: checked, and written to the arrays of all contexts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from actorflow.device import cpu
from actorflow.errors import ParameterError, ShapeError
from actorflow.ndarray import NDArray, zeros
from actorflow.ops import described, meant
from actorflow.training.initializer import InitDesc, Initializer, Uniform

if TYPE_CHECKING:
    from actorflow.symbol import Symbol
    from actorflow.training.group import ExecutorGroup

__all__ = ["DEFAULT_INITIALIZER", "checked", "fill", "mean_of", "split_params"]

Params = Mapping[str, NDArray]

DEFAULT_INITIALIZER: Final = Uniform(0.01)


def checked(
    who: str,
    group: ExecutorGroup,
    arg_params: Params | None,
    aux_params: Params | None,
    *,
    allow_missing: bool,
    allow_extra: bool,
) -> dict[str, NDArray]:
    """The values that are given for parameters and states, if they fit.

    Raises:
      ParameterError: a name is not known, or some are missing, and it may not be.
      ShapeError: a value has another shape.
      TypeError: something is no array.
    """
    found: dict[str, NDArray] = {}
    states = zip(group.names.states, group.aux_arrays, strict=True)
    params = zip(group.param_names, group.param_arrays, strict=True)
    for what, own, given in (
        ("arg_params", dict(params), arg_params),
        ("aux_params", dict(states), aux_params),
    ):
        for name, value in (given or {}).items():
            if name not in own:
                if allow_extra:
                    continue
                message = f"{who}: {what} has {name!r}, which is no parameter; {meant(name, own)}"
                raise ParameterError(message)
            if not isinstance(value, NDArray):
                message = f"{who}: {name} has to be an NDArray, got {described(value)}"
                raise TypeError(message)
            shape = own[name][0].shape
            if value.shape != shape:
                message = f"{who}: {name} has shape {value.shape}, but needs {shape}"
                raise ShapeError(message)
            found[name] = value
        missing = [name for name in own if name not in found]
        if given is not None and missing and not allow_missing:
            message = f"{who}: {what} lacks {', '.join(missing)}; allow_missing=True allows that"
            raise ParameterError(message)
    return found


def fill(
    group: ExecutorGroup, symbol: Symbol, given: Params, initializer: Initializer | None
) -> None:
    """Write values to the arrays of all contexts. Waits for nothing.

    Args:
      group: whose arrays.
      symbol: its symbol, whose variables may say how they begin.
      given: values by name.
      initializer: called with the names and arrays of all others; None to leave these.
    """
    attributes = symbol.attr_dict() if initializer is not None else {}
    own = zip(
        (*group.param_names, *group.names.states),
        (*group.param_arrays, *group.aux_arrays),
        strict=True,
    )
    for name, arrays in own:
        value = given.get(name)
        if value is None:
            if initializer is None:
                continue
            # In one place whatever the contexts are, so that the same seed gives the same values.
            value = zeros(arrays[0].shape, cpu(), arrays[0].dtype)
            initializer(InitDesc(name, attributes.get(name), initializer), value)
        for each in arrays:
            if each is not value:
                value.copyto(each)


def mean_of(parts: list[NDArray]) -> NDArray:
    """The mean of an auxiliary state over contexts, each of which has seen other rows."""
    total = parts[0].copyto(cpu())
    for each in parts[1:]:
        total += each.as_in_context(cpu())
    if len(parts) > 1:
        total *= 1 / len(parts)
    return total


def split_params(who: str, saved: object) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Parameters and states from what a file of parameters holds.

    Raises:
      ParameterError: it is no such file.
    """
    found: dict[str, dict[str, NDArray]] = {"arg": {}, "aux": {}}
    if not isinstance(saved, dict):
        message = f"{who}: the file holds arrays without names, and no parameters"
        raise ParameterError(message)
    for key, value in saved.items():
        kind, colon, name = key.partition(":")
        if kind not in found or not colon:
            message = f"{who}: the file has {key!r}; names of parameters begin with arg: or aux:"
            raise ParameterError(message)
        found[kind][name] = value
    return found["arg"], found["aux"]
