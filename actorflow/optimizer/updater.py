"""What applies an optimizer and keeps its states, by weight; and how both are saved."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.engine import current_engine
from actorflow.errors import FormatError, ParameterError, WouldBlockError
from actorflow.ndarray import NDArray, array, dumps, loads
from actorflow.optimizer.optimizer import Optimizer, from_description

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.engine import Operation, Resource
    from actorflow.optimizer.optimizer import Index, State

__all__ = ["Updater", "get_updater"]

_VERSION: Final = 1
_NUMBERS: Final = "numbers"  # the array that holds JSON
_MOST: Final = 1 << 53  # updates: as far as a float counts
_DEPTH: Final = 8  # of tuples in tuples
_WHO: Final = "Updater.set_states"


class Updater:
    """An optimizer, and the states of the weights that it has updated.

    Args:
      optimizer: the optimizer.

    Attributes:
      optimizer: the optimizer.
      states: the state of each weight, made at its first step.

    Raises:
      TypeError: this is no optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Updater: needs an Optimizer, got {optimizer!r}")
        self.optimizer = optimizer
        self.states: dict[Index, State] = {}
        self._restored: set[Index] = set()  # which may have to go to another context

    def __call__(self, index: Index, grad: NDArray, weight: NDArray) -> None:
        """Make a step of a weight, in place.

        Args:
          index: which weight it is: a number or a name.
          grad: its gradient.
          weight: the weight.

        Raises:
          ShapeError, DTypeError, ContextError, ValueError, TypeError: the arrays do not fit.
          ParameterError: a number is not valid.
        """
        self.optimizer.update(index, weight, grad, self._state(index, weight))

    def update_all(
        self, indices: Sequence[Index], grads: Sequence[NDArray], weights: Sequence[NDArray]
    ) -> None:
        """Make a step of many weights, in as few operations as the optimizer can.

        Args:
          indices: which weights they are.
          grads: their gradients.
          weights: the weights.

        Raises:
          ParameterError: there are not as many of each, or a number is not valid.
          ShapeError, DTypeError, ContextError, ValueError, TypeError: arrays do not fit.
        """
        if not len(indices) == len(grads) == len(weights):
            raise ParameterError(
                f"Updater.update_all: got {len(indices)} indices, {len(grads)} grads and "
                f"{len(weights)} weights"
            )
        states = [self._state(*each) for each in zip(indices, weights, strict=True)]
        self.optimizer.update_all(indices, weights, grads, states)

    def _state(self, index: Index, weight: NDArray) -> State:
        states = self.states
        if index not in states:
            if isinstance(index, bool) or not isinstance(index, int | str):
                raise TypeError(f"Updater: a weight is a number or a name, got {index!r}")
            if not isinstance(weight, NDArray):
                raise TypeError(f"Updater: weight {index!r} is no NDArray, got {weight!r}")
            states[index] = self.optimizer.create_state(index, weight)
        elif index in self._restored:
            self._restored.discard(index)
            states[index] = _moved(states[index], weight)
        return states[index]

    # -- Saving ----------------------------------------------------------------------------------

    def get_states(self, dump_optimizer: bool = False) -> bytes:  # noqa: FBT001, FBT002 -- MXNet's
        """All states and counts, as they are after the steps made so far.

        Args:
          dump_optimizer: the description of the optimizer, too.

        Returns:
          A file of arrays, one of which holds JSON: no code.

        Raises:
          WouldBlockError: the states are not finished, and an event loop runs in this thread; use
            `await get_states_async()` there.
          ParameterError, TypeError: the optimizer cannot be described.
          Exception: what a state holds instead of its value.
        """
        arrays, numbers = self._gathered(dump_optimizer=dump_optimizer)
        pack = partial(_packed, arrays, numbers)
        engine = arrays[0]._engine() if arrays else current_engine()
        try:
            found: bytes = engine.read(pack, [each._resource for each in arrays], name="states")
        except WouldBlockError as error:
            error.add_note("get_states: in an event loop, write `await get_states_async(...)`")
            raise
        return found

    async def get_states_async(self, *, dump_optimizer: bool = False) -> bytes:
        """Do like `get_states` in a trio or asyncio task; a worker copies."""
        found: bytes = await self.push_states(dump_optimizer=dump_optimizer)
        return found

    def push_states(
        self, *, dump_optimizer: bool = False, writes: Sequence[Resource] = ()
    ) -> Operation:
        """Send the operation whose result is what `get_states` gives now. Waits for nothing.

        Args:
          dump_optimizer: the description of the optimizer, too.
          writes: what shall hold its error if it fails, and whose readers run behind it.
        """
        arrays, numbers = self._gathered(dump_optimizer=dump_optimizer)
        engine = arrays[0]._engine() if arrays else current_engine()
        pack = partial(_packed, arrays, numbers)
        reads = [each._resource for each in arrays]
        return engine.push(pack, reads=reads, writes=writes, device="io", name="states")

    def _gathered(self, *, dump_optimizer: bool) -> tuple[list[NDArray], bytes]:
        optimizer = self.optimizer
        arrays: list[NDArray] = []
        numbers = {
            "version": _VERSION,
            "kind": type(optimizer).__name__.lower(),
            "optimizer": optimizer.describe() if dump_optimizer else None,
            "begin_num_update": optimizer.begin_num_update,
            "num_update": optimizer.num_update,
            "counts": [list(each) for each in optimizer._index_update_count.items()],
            "states": [[index, _taken(each, arrays)] for index, each in self.states.items()],
        }
        return arrays, json.dumps(numbers).encode()

    def set_states(self, states: bytes) -> None:
        """Take over what `get_states` gave: the next steps have the same bits as there.

        The states go to the current context, and to that of their weight at its next step.

        Args:
          states: the bytes. If they describe an optimizer, that one is used from now on.

        Raises:
          FormatError: they are damaged, or of another kind of optimizer.
          ParameterError, TypeError: they describe an optimizer that cannot be made.
        """
        arrays, numbers = _unpacked(states)
        if numbers.get("version") != _VERSION:
            got = numbers.get("version")
            raise FormatError(f"{_WHO}: the version is {got!r}; this release reads {_VERSION}")
        optimizer = self.optimizer
        if numbers.get("optimizer") is not None:
            optimizer = from_description(numbers["optimizer"])
        ours = type(optimizer).__name__.lower()
        if numbers.get("kind") != ours:
            raise FormatError(f"{_WHO}: the states are of {numbers.get('kind')!r}, not {ours!r}")
        begin = _count(numbers.get("begin_num_update"), "begin_num_update")
        most = _count(numbers.get("num_update"), "num_update")
        counts = {
            index: _count(count, f"the count of {index!r}")
            for index, count in _by_index(numbers, "counts").items()
        }
        used: set[int] = set()
        kept = _by_index(numbers, "states")
        found = {index: _given(each, arrays, used) for index, each in kept.items()}
        if len(used) != len(arrays):
            raise FormatError(f"{_WHO}: {len(arrays)} arrays, of which {len(used)} are in states")
        self.optimizer, self.states, self._restored = optimizer, found, set(found)
        optimizer.begin_num_update, optimizer.num_update = begin, most
        optimizer._index_update_count = counts


def get_updater(optimizer: Optimizer) -> Updater:
    """What applies an optimizer to weights, for `KVStore` and whoever else keeps weights.

    Raises:
      TypeError: this is no optimizer.
    """
    return Updater(optimizer)


def _moved(state: State, weight: NDArray) -> State:
    """A state where its weight is."""
    if isinstance(state, tuple):
        return tuple(_moved(each, weight) for each in state)
    return None if state is None else state.as_in_context(weight.context)


def _taken(state: State, arrays: list[NDArray]) -> object:
    """A state with the numbers of its arrays instead of these, which are added to `arrays`."""
    if state is None:
        return None
    if isinstance(state, NDArray):
        arrays.append(state)
        return len(arrays) - 1
    if isinstance(state, tuple | list):
        return [_taken(each, arrays) for each in state]
    raise TypeError(
        f"Updater.get_states: a state is None, an NDArray or a tuple of these, got {state!r}"
    )


def _packed(arrays: Sequence[NDArray], numbers: bytes) -> bytes:
    names = [_NUMBERS, *map(str, range(len(arrays)))]
    text = np.frombuffer(numbers, np.uint8)
    return dumps([text, *(each._view() for each in arrays)], names)


def _unpacked(states: bytes) -> tuple[list[np.ndarray[Any, Any]], dict[str, Any]]:
    if not isinstance(states, bytes | bytearray | memoryview):
        raise TypeError(f"{_WHO}: needs bytes, got {type(states).__name__}")
    arrays, names = loads(bytes(states), _WHO)
    if names != [_NUMBERS, *map(str, range(len(arrays) - 1))] or arrays[0].dtype != np.uint8:
        raise FormatError(f"{_WHO}: these are arrays, but no states")
    try:
        numbers = json.loads(arrays[0].tobytes(), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{_WHO}: the numbers are no JSON: {error}") from error
    if not isinstance(numbers, dict):
        raise FormatError(f"{_WHO}: the numbers are {type(numbers).__name__}, and need to be dict")
    return arrays[1:], numbers


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
        raise FormatError(f"{_WHO}: {name} is {value!r}, and needs to be a number of updates")
    return value


def _by_index(numbers: dict[str, Any], name: str) -> dict[Index, Any]:
    given = numbers.get(name)
    if not isinstance(given, list):
        raise FormatError(f"{_WHO}: {name} is {given!r}, and needs to be a list")
    found: dict[Index, Any] = {}
    for each in given:
        if (
            not isinstance(each, list)
            or len(each) != 2  # noqa: PLR2004 -- a pair
            or isinstance(each[0], bool)
            or not isinstance(each[0], int | str)
            or each[0] in found
        ):
            raise FormatError(f"{_WHO}: {name} has {each!r}, and needs pairs of different weights")
        found[each[0]] = each[1]
    return found


def _given(
    state: object, arrays: Sequence[np.ndarray[Any, Any]], used: set[int], depth: int = 0
) -> State:
    """The opposite of `_taken`."""
    if state is None:
        return None
    if isinstance(state, list) and depth < _DEPTH:
        return tuple(_given(each, arrays, used, depth + 1) for each in state)
    if isinstance(state, bool) or not isinstance(state, int) or not 0 <= state < len(arrays):
        raise FormatError(f"{_WHO}: a state is {state!r}, and there are {len(arrays)} arrays")
    if state in used:
        raise FormatError(f"{_WHO}: the array {state} is in two states")
    used.add(state)
    return array(arrays[state], dtype=arrays[state].dtype)
