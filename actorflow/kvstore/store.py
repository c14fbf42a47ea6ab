"""What every store offers, and which store a name makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from actorflow.errors import ParameterError
from actorflow.ops import described, meant

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import TypeAlias

    from actorflow.engine import Operation
    from actorflow.kvstore.arguments import Given, Key, Keys
    from actorflow.ndarray import NDArray
    from actorflow.optimizer import Optimizer, Updater

    Rule: TypeAlias = Callable[[Key, NDArray, NDArray], object]

__all__ = ["KVStore", "create"]


class KVStore(ABC):
    """Arrays by key, where the gradients of several devices meet. `create` makes one.

    `push` adds up what the devices have for a key, and `pull` gives every device what is stored.
    Both are operations of the engine: they return at once, and take effect in the order in which
    they were sent, for each key by itself. So a pull waits for the pushes of its own key alone, and
    whoever uses a pulled array waits for that pull.

    A key is an integer or a string. Its arrays are one NDArray or a list with one for each device.
    A list of keys takes a list of these, and a mapping of keys to arrays stands for both. Arrays
    of one key have the same shape and data type, always.

    Errors of arguments are raised in the call, before anything is changed.
    """

    @property
    @abstractmethod
    def type(self) -> str:
        """The name that it was made by."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """The number of this worker, from 0 to `num_workers - 1`."""

    @property
    @abstractmethod
    def num_workers(self) -> int:
        """How many workers take part: 1 where all devices are of one process."""

    @property
    def updater(self) -> Updater | None:
        """What applies the optimizer, if that is in this process; else None."""
        return None

    @abstractmethod
    def init(self, key: Keys, value: Given = None) -> None:
        """Give keys their first values, once each, before anything else is done with them.

        Args:
          key: a key, a list of keys, or a mapping of keys to values.
          value: an array for each, which is copied.

        Raises:
          ParameterError: a key has a value already, or is given twice.
          TypeError: something is no key or no array.
        """

    @abstractmethod
    def push(self, key: Keys, value: Given = None, priority: int = 0) -> None:
        """Add up arrays of several devices and hand the sum to the updater of the store.

        They are added in the order of the list. Without an updater the sum is what is stored from
        now on. Small arrays of keys that are pushed in one call are one message together.

        Args:
          key: a key, a list of keys, or a mapping of keys to values.
          value: for each key an array or a list of arrays, one for each device.
          priority: higher goes first where the engine's policy looks at it (`"priority"`). In
            training it is minus the number of the layer: what the next pass needs first goes first.

        Raises:
          ParameterError: a key is not known, or the numbers of keys, values or devices differ.
          ShapeError, DTypeError: an array is not like the stored one.
          TypeError: something is no key or no array.
          Exception: what the updater raised in the call. What it raises later, in the engine, is
            raised to whoever uses what is pulled.
        """

    @abstractmethod
    def pull(self, key: Keys, out: Given = None, priority: int = 0) -> None:
        """Copy what is stored to arrays, which get it when all earlier pushes of the key are done.

        Args:
          key: a key, a list of keys, or a mapping of keys to arrays.
          out: for each key an array or a list of arrays, in any contexts.
          priority: as for `push`.

        Raises:
          ParameterError: a key is not known, or the numbers of keys, arrays or devices differ.
          ShapeError, DTypeError: an array is not like the stored one.
          ValueError: an array is not writable.
          TypeError: something is no key or no array.
        """

    @abstractmethod
    def set_updater(self, updater: Rule | None) -> None:
        """Have a function of yours change what is stored at each push.

        Args:
          updater: called as `updater(key, recv, stored)` in `push`, in the thread that pushes. It
            changes `stored` by operations on arrays, such as `stored += 0.1 * recv`, and so need
            not wait. What `recv` holds is its own for these operations only: a later push
            writes to the same array. None for none: the last sum is what is stored.

        Raises:
          TypeError: it cannot be called.
        """

    def _set_updater(self, updater: Rule | None) -> None:
        """`set_updater`, as early MXNet calls it."""
        self.set_updater(updater)

    @abstractmethod
    def set_optimizer(self, optimizer: Optimizer) -> None:
        """Have an optimizer update what is stored at each push, which then is of gradients.

        Args:
          optimizer: of `actorflow.optimizer`. Its multipliers are looked up by the keys.

        Raises:
          TypeError: it is none.
        """

    @abstractmethod
    def barrier(self) -> Operation:
        """Wait until all workers are here and everything that they have sent to the store is done.

        In a script it blocks; in a trio or asyncio task write `await store.barrier()`.

        Returns:
          What to await. Outside of an event loop it is done.

        Raises:
          Exception: the first cause why a key has no value.
        """

    def _barrier(self) -> Operation:
        """`barrier`, as early MXNet calls it."""
        return self.barrier()

    @abstractmethod
    def save_optimizer_states(
        self,
        fname: str | os.PathLike[str],
        dump_optimizer: bool = False,  # noqa: FBT001, FBT002 -- MXNet's
    ) -> None:
        """Write what the optimizer keeps between steps, such as momenta, to a file.

        It waits for them. The file appears whole, in place of an older one, or not at all.

        Args:
          fname: the file.
          dump_optimizer: the optimizer's kind and numbers, too, so that it is the one that goes on.

        Raises:
          WouldBlockError: the states are not finished, and an event loop runs in this thread.
          ParameterError: no optimizer is set.
          OSError: the file cannot be written.
        """

    @abstractmethod
    async def save_optimizer_states_async(
        self, fname: str | os.PathLike[str], *, dump_optimizer: bool = False
    ) -> None:
        """Do like `save_optimizer_states` in a trio or asyncio task; a worker copies and writes."""

    @abstractmethod
    def load_optimizer_states(self, fname: str | os.PathLike[str]) -> None:
        """Take what `save_optimizer_states` has written.

        Raises:
          ParameterError: no optimizer is set.
          FormatError: the file holds something else.
          OSError: the file cannot be read.
        """


def _make_local(name: str) -> KVStore:
    from actorflow.kvstore.local import LocalStore  # noqa: PLC0415 -- it needs this module

    return LocalStore(name)


def _make_device(name: str) -> KVStore:
    from actorflow.kvstore.local import DeviceStore  # noqa: PLC0415 -- it needs this module

    return DeviceStore(name)


def _make_distributed(name: str) -> KVStore:
    from actorflow.kvstore.worker import DistributedStore  # noqa: PLC0415 -- needs an extra

    return DistributedStore(name)


_MAKERS: Final[dict[str, Callable[[str], KVStore]]] = {
    "local": _make_local,
    "local_update_cpu": _make_local,
    "local_allreduce_cpu": _make_local,
    "device": _make_device,
    "local_update_device": _make_device,
    "local_allreduce_device": _make_device,
    "dist": _make_distributed,
    "dist_sync": _make_distributed,
    "dist_async": _make_distributed,
    "dist_ssp:": _make_distributed,
    "dist_sync_device": _make_distributed,
    "dist_async_device": _make_distributed,
    "distributed_async": _make_distributed,
}
"""What makes a store, by its name up to a colon, with it; it gets the whole name."""


def create(name: str = "local") -> KVStore:
    """Make a store.

    Args:
      name: `"local"`, or by its older names `"local_update_cpu"` and `"local_allreduce_cpu"`: a
        key stays where its first value was, and arrays of all devices are added up there.
        `"device"`, or `"local_update_device"` and `"local_allreduce_device"`: keys are spread over
        the devices that push, so that each adds up, and updates, its part. `"dist_sync"` (or
        `"dist_sync_device"`), `"dist_async"` (or `"dist"`, `"dist_async_device"`,
        `"distributed_async"`) and `"dist_ssp:N"`: of several processes, started by `actorflow
        launch`; this one becomes a worker. Capitals do not count.

    Raises:
      ParameterError: there is no such store.
      TypeError: it is no string.
      LaunchError: of a distributed store: this process is no worker of a run, or is refused.
      UnreachableError: of a distributed store: a server, or a worker, did not come in time.
      MissingExtraError: of a distributed store: pyzmq or msgspec is not installed.
    """
    if not isinstance(name, str):
        raise TypeError(f"kvstore.create: the name is a string, got {described(name)}")
    lower = name.lower()
    maker = _MAKERS.get("".join(lower.partition(":")[:2]))
    if maker is None:
        message = f"kvstore.create: there is no store called {name!r}; {meant(lower, _MAKERS)}"
        raise ParameterError(message)
    return maker(lower)
