"""The values that a server has, and the rule by which pushes change them."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.device import cpu
from actorflow.errors import ParameterError
from actorflow.ndarray import Block, NDArray, quietly
from actorflow.ops import ElementWiseSum
from actorflow.optimizer import Updater, from_description, get_updater

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.comm.wire import Array
    from actorflow.kvstore.arguments import Key
    from actorflow.kvstore.consistency import Apply

__all__ = ["Values"]


@attrs.define(eq=False)
class _Stored:
    """One key: its value, and how many messages on their way read it where it lies."""

    value: Array
    readers: int = 0
    lock: threading.Lock = attrs.Factory(threading.Lock)

    def let_go(self) -> None:
        """A message is sent. In any thread."""
        with self.lock:
            self.readers -= 1


class Values:
    """The values of a server's keys. One thread uses it.

    What was read may be sent as it is: a value that is on its way is not changed, but replaced.
    The current engine has to be a naive one, so that an update is done when it returns.
    """

    def __init__(self) -> None:
        self._stored: dict[Key, _Stored] = {}
        self._updater: Updater | None = None
        self._description: Any = None
        self.optimizers = 0  # set so far

    def __contains__(self, key: Key) -> bool:
        return key in self._stored

    def init(self, key: Key, value: Array) -> None:
        """Give a key its first value, which is copied."""
        self._stored[key] = _Stored(np.array(value))

    def check(self, key: Key, array: Array, *, waits: bool) -> None:
        """Refuse a push before anything is changed by it.

        Args:
          key: which is there.
          array: what came for it.
          waits: whether pushes of this key wait for each other. If not, something has to say how
            each of them changes the value.

        Raises:
          ParameterError: it has another size or data type, or an optimizer is needed.
        """
        value = self._stored[key].value
        if array.size != value.size or array.dtype != value.dtype:
            raise ParameterError(
                f"push: key {key!r} has {value.size} elements of {value.dtype} here, and "
                f"{array.size} of {array.dtype} came"
            )
        if self._updater is None and not waits:
            raise ParameterError(
                f"push: key {key!r} is updated by each push alone, which needs an optimizer; call "
                "set_optimizer first, or use 'dist_sync'"
            )

    def check_size(self, key: Key, size: int) -> None:
        """Refuse who takes a key for one of another size.

        Raises:
          ParameterError: it has another one.
        """
        there = self._stored[key].value.size
        if size != there:
            raise ParameterError(
                f"init: key {key!r} has {there} elements from rank 0, and {size} in another worker"
            )

    def set_optimizer(self, number: int, description: object) -> None:
        """Take the `number`-th optimizer of a run; one that was taken before changes nothing.

        Raises:
          ParameterError: it is another one than was taken under that number.
          FormatError, TypeError: it is no description.
        """
        if number > self.optimizers:
            self._updater = get_updater(from_description(description))
            self._description, self.optimizers = description, number
        elif number == self.optimizers and description != self._description:
            raise ParameterError(
                f"set_optimizer: {description} is another optimizer than rank 0 gave, "
                f"{self._description}"
            )

    def apply(self, key: Key, action: Apply) -> None:
        """Sum pushes, in the order of the ranks, and hand the sum to the optimizer."""
        pushed = [push.value for push in action.pushes]
        stored = self._stored[key]
        total = pushed[0]
        if len(pushed) > 1:
            total = np.empty(total.shape, total.dtype)
            quietly(partial(ElementWiseSum(num_args=len(pushed)).forward, *pushed, total))
        if self._updater is None:
            self._stored[key] = _Stored(total)
            return
        if stored.readers:
            stored = self._stored[key] = _Stored(stored.value.copy())
        # In a naive engine: each operation is done when it was sent, here.
        weight, gradient = _array(stored.value), _array(total.reshape(stored.value.shape))
        self._updater.update_all([key], [gradient], [weight])

    def read(self, keys: Sequence[Key]) -> tuple[list[Array], list[_Stored]]:
        """The values of some keys, to be sent as they are; `let_go` each when that is done."""
        found = [self._stored[key] for key in keys]
        for each in found:
            with each.lock:
                each.readers += 1
        return [each.value for each in found], found


def _array(data: Array) -> NDArray:
    return NDArray(Block(data.shape, data.dtype, cpu(0), data), data.shape, data.size)
