"""Positions of iterators as plain data, and the checks before one is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from actorflow.errors import FormatError

__all__ = ["VERSION", "State", "checked", "counts", "wrapped"]

State: TypeAlias = dict[str, Any]
VERSION: Final = 1


def wrapped(iterator: str, data: State, position: State) -> State:
    """The state of an iterator: what it is, of what data, and where it stands."""
    return {"iterator": iterator, "version": VERSION, "data": data, "position": dict(position)}


def checked(iterator: str, data: State, state: object) -> State:
    """The position in a state that belongs to this kind of iterator and to this data.

    Raises:
      TypeError: the state is no dict.
      FormatError: it is of another kind, version or data.
    """
    who = f"{iterator}.load_state_dict"
    if not isinstance(state, Mapping):
        raise TypeError(f"{who}: needs what state_dict() gave, got {type(state).__name__}")
    if state.get("iterator") != iterator:
        got = state.get("iterator")
        raise FormatError(f"{who}: the state is of {got or 'no iterator'}, and needs {iterator}'s")
    if state.get("version") != VERSION:
        got = state.get("version")
        raise FormatError(f"{who}: the state has version {got!r}; this release reads {VERSION}")
    theirs, position = state.get("data"), state.get("position")
    if not isinstance(theirs, Mapping) or not isinstance(position, Mapping):
        raise FormatError(f"{who}: the state has no 'data' or no 'position'")
    for name, value in data.items():
        if theirs.get(name) != value:
            raise FormatError(
                f"{who}: the state is of other data: {name} was {theirs.get(name)!r}, "
                f"and is {value!r} here"
            )
    return dict(position)


def counts(iterator: str, position: State, **limits: int) -> State:
    """The named counts of a position, each from 0 to its limit.

    Raises:
      FormatError: one is missing, no integer, or beyond its limit.
    """
    for name, limit in limits.items():
        value = position.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
            raise FormatError(
                f"{iterator}.load_state_dict: {name} is {value!r}, "
                f"and needs to be an integer from 0 to {limit}"
            )
    return {name: position[name] for name in limits}
