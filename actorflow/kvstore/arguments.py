"""What `init`, `push` and `pull` are given: keys, and for each one an array per device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.errors import DTypeError, ParameterError, ShapeError
from actorflow.ndarray import NDArray
from actorflow.ops import described, meant

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["Arrays", "Given", "Key", "Keys", "gathered", "require_alike", "unknown"]

Key: TypeAlias = int | str
Arrays: TypeAlias = "NDArray | Sequence[NDArray]"  # one, or one for each device
Given: TypeAlias = "Arrays | Sequence[Arrays] | None"
Keys: TypeAlias = "Key | Sequence[Key] | Mapping[Key, Arrays]"


def gathered(who: str, what: str, key: Keys, value: Given) -> dict[Key, list[NDArray]]:
    """The arrays of each key, in the order in which the keys are given first.

    Args:
      who: the function, for messages.
      what: its argument, for messages.
      key: a key, a list of keys, or a mapping of keys to their arrays.
      value: for one key an array or a list of them; for a list of keys a list of such, as long;
        None for a mapping. A key that is given twice has the arrays of both.

    Raises:
      TypeError: something is no key or no array.
      ParameterError: there are more keys than values or the other way round, a key has no array,
        or one has arrays for more devices than another.
    """
    pairs: list[tuple[Any, Any]]
    if isinstance(key, Mapping):
        if value is not None:
            raise TypeError(f"{who}: the keys come with their arrays, and {what} is given too")
        pairs = list(key.items())
    elif _is_key(key):
        pairs = [(key, value)]
    elif isinstance(key, list | tuple):
        if not isinstance(value, list | tuple):
            message = f"{who}: for a list of keys {what} is a list too, got {described(value)}"
            raise TypeError(message)
        if len(value) != len(key):
            message = f"{who}: {what} has {len(value)} entries for {len(key)} keys"
            raise ParameterError(message)
        pairs = list(zip(key, value, strict=True))
    else:
        raise TypeError(f"{who}: a key is an integer or a string, got {described(key)}")
    found: dict[Key, list[NDArray]] = {}
    first, devices = None, 0
    for each, arrays in pairs:
        if not _is_key(each):
            raise TypeError(f"{who}: a key is an integer or a string, got {described(each)}")
        listed = _listed(who, what, each, arrays)
        if first is None:
            first, devices = each, len(listed)
        elif len(listed) != devices:
            message = (
                f"{who}: key {each!r} has arrays for {len(listed)} devices, key {first!r} for "
                f"{devices}; all keys of a call need as many"
            )
            raise ParameterError(message)
        if each in found:
            listed = [*found[each], *listed]
        found[each] = listed
    return found


def _is_key(key: object) -> bool:
    return isinstance(key, int | str) and not isinstance(key, bool)


def _listed(who: str, what: str, key: Key, arrays: Any) -> list[NDArray]:  # noqa: ANN401 -- as given
    """The arrays of one key."""
    if isinstance(arrays, NDArray):
        return [arrays]
    if not isinstance(arrays, list | tuple):
        message = f"{who}: {what} of key {key!r} has to be an NDArray or a list of them, "
        raise TypeError(message + f"got {described(arrays)}")
    for number, each in enumerate(arrays):
        if not isinstance(each, NDArray):
            message = f"{who}: {what} of key {key!r} needs NDArrays, but number {number} is "
            raise TypeError(message + described(each))
    if not arrays:
        raise ParameterError(f"{who}: {what} of key {key!r} is an empty list; it needs an array")
    return list(arrays)


def require_alike(who: str, what: str, key: Key, stored: NDArray, arrays: list[NDArray]) -> None:
    """Raise unless arrays have the shape and the data type of what is stored.

    Raises:
      ShapeError, DTypeError: one has not.
    """
    shape, dtype = stored.shape, stored.dtype
    for number, each in enumerate(arrays):
        if each.shape == shape and each.dtype is dtype:
            continue
        which = what if len(arrays) == 1 else f"{what} number {number}"
        if each.shape != shape:
            message = f"{who}: {which} of key {key!r} has shape {each.shape}, but needs {shape}"
            raise ShapeError(message)
        message = f"{who}: {which} of key {key!r} is {each.dtype.name}, but needs {dtype.name}"
        raise DTypeError(message)


def unknown(who: str, key: Key, known: Collection[Key]) -> ParameterError:
    """The error of a key that nobody gave to `init`."""
    if not known:
        return ParameterError(f"{who}: there is no key {key!r}; no key was given to init yet")
    near = meant(str(key), [str(each) for each in list(known)])
    message = f"{who}: there is no key {key!r}; give it to init first, or {near}"
    if str(key) in map(str, known):
        message = f"{who}: there is no key {key!r} of type {type(key).__name__}, but one that "
        message += "looks like it of another type"
    return ParameterError(message)
