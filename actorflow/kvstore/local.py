"""The devices of one process: what they push is added up in memory that all of them reach."""

from __future__ import annotations

import contextlib
import threading
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from actorflow.engine import capture_line, current_engine, describe_site, prioritised
from actorflow.errors import ParameterError, WouldBlockError
from actorflow.kvstore.arguments import gathered, require_alike, unknown
from actorflow.kvstore.store import KVStore
from actorflow.ndarray import Block, NDArray, copy_into, quietly, replace_file
from actorflow.ops import ElementWiseSum, described
from actorflow.optimizer import Optimizer, Updater, get_updater

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from actorflow.device import Context
    from actorflow.engine import Failure, Operation, Site
    from actorflow.kvstore.arguments import Given, Key, Keys
    from actorflow.kvstore.store import Rule

__all__ = ["DeviceStore", "LocalStore", "send_sums"]

# Bytes that a key's part of a message touches: one with more is a message of its own, which may run
# beside others, and takes longer than to send one. Smaller ones are gathered up to the second.
_ALONE: Final = 256 << 10
_TOGETHER: Final = 1 << 20
_QUICK: Final = 16 << 10  # bytes; what touches less takes some microseconds

Step = tuple[NDArray, "Sequence[NDArray]"]  # where a sum goes, and what is added up


class KeyBlock(Block):
    """The memory of a key. It says of a failure that is left in it which key that is.

    Attributes:
      key: the key.
      store: the name of the store.
      pushed_at: where that was pushed which changes it now, for updaters that users wrote.
    """

    __slots__ = ("_left", "key", "pushed_at", "store")

    def __init__(self, key: Key, store: str, array: NDArray, context: Context) -> None:
        self.key = key
        self.store = store
        self.pushed_at: Site | None = None
        self._left: Failure | None = None
        super().__init__(array.shape, array.dtype, context)
        self.name = f"key {key!r} of a {store} KVStore"

    # The engine asks for this of each resource, and sets it whenever a write ends.
    @property
    def _failure(self) -> Failure | None:
        return self._left

    @_failure.setter
    def _failure(self, failure: Failure | None) -> None:
        if failure is not None and failure is not self._left:
            note = f"actorflow: so {self.name} has no value{describe_site(self.pushed_at)}"
            with contextlib.suppress(Exception):  # some exceptions take no note
                failure.exception.add_note(note)
        self._left = failure


@attrs.define(eq=False)
class _Slot:
    """What the store has of a key.

    Attributes:
      key: the key.
      value: what is stored.
      merged: where sums go that an updater takes; None before there was one.
      placed: whether its context is the one where it stays.
    """

    key: Key
    value: NDArray
    merged: NDArray | None = None
    placed: bool = False

    def room(self) -> NDArray:
        """Where a sum goes that an updater takes, in the context of the value."""
        if self.merged is None:
            value = self.value
            self.merged = _array(Block(value.shape, value.dtype, value.context))
        return self.merged


class LocalStore(KVStore):
    """`"local"`: a key stays where its first value was, or where the one device is that pushes it.

    Args:
      name: what it was made by.
    """

    def __init__(self, name: str) -> None:
        self._type = name
        self._slots: dict[Key, _Slot] = {}
        self._updater: Rule | None = None
        self._rules: Updater | None = None  # the updater, if it is an optimizer's
        # Between the sum and the update that takes it no other thread may push.
        self._lock = threading.RLock()

    @property
    def type(self) -> str:  # noqa: D102 -- KVStore.type
        return self._type

    @property
    def rank(self) -> int:  # noqa: D102 -- KVStore.rank
        return 0

    @property
    def num_workers(self) -> int:  # noqa: D102 -- KVStore.num_workers
        return 1

    def init(self, key: Keys, value: Given = None) -> None:  # noqa: D102 -- KVStore.init
        given = gathered("KVStore.init", "value", key, value)
        with self._lock:
            for each, arrays in given.items():
                if each in self._slots:
                    raise ParameterError(f"KVStore.init: key {each!r} has a value already")
                if len(arrays) > 1:
                    message = f"KVStore.init: key {each!r} is given {len(arrays)} values"
                    raise ParameterError(message)
            for each, (first,) in given.items():
                slot = _Slot(each, _array(KeyBlock(each, self._type, first, first.context)))
                copy_into(first, slot.value)
                self._slots[each] = slot

    def push(  # noqa: D102 -- KVStore.push
        self, key: Keys, value: Given = None, priority: int = 0
    ) -> None:
        pushed = self._find("KVStore.push", "value", key, value, priority)
        with self._lock:
            self._place(pushed)
            if self._updater is None:
                steps = [(slot.value, arrays) for slot, arrays in pushed]
                send_sums("kvstore_push", steps, priority)
                return
            received: list[tuple[_Slot, NDArray]] = []
            sums: list[Step] = []
            for slot, arrays in pushed:
                recv = arrays[0]
                if len(arrays) > 1 or recv.context != slot.value.context:
                    recv = slot.room()
                    sums.append((recv, arrays))
                received.append((slot, recv))
            send_sums("kvstore_push", sums, priority)
            with prioritised(priority):
                self._update(self._updater, received)

    def pull(  # noqa: D102 -- KVStore.pull
        self, key: Keys, out: Given = None, priority: int = 0
    ) -> None:
        found = self._find("KVStore.pull", "out", key, out, priority)
        for slot, arrays in found:
            for each in arrays:
                if not each.writable:
                    message = f"KVStore.pull: out of key {slot.key!r} is not writable"
                    raise ValueError(message)
        steps = [(each, (slot.value,)) for slot, arrays in found for each in arrays]
        send_sums("kvstore_pull", steps, priority)

    def _find(
        self, who: str, what: str, key: Keys, value: Given, priority: int
    ) -> list[tuple[_Slot, list[NDArray]]]:
        """What the store has of the keys that it is given, with the arrays, checked."""
        if not isinstance(priority, int):
            raise TypeError(f"{who}: priority has to be an integer, got {described(priority)}")
        found = []
        for each, arrays in gathered(who, what, key, value).items():
            slot = self._slots.get(each)
            if slot is None:
                raise unknown(who, each, self._slots)
            require_alike(who, what, each, slot.value, arrays)
            found.append((slot, arrays))
        return found

    # -- Where ------------------------------------------------------------------------------------

    def _place(self, pushed: Sequence[tuple[_Slot, list[NDArray]]]) -> None:
        """Choose the contexts of keys that are pushed for the first time."""
        fresh = [(slot, arrays) for slot, arrays in pushed if not slot.placed]
        # The large ones first: then small ones even out what they leave.
        for slot, arrays in sorted(fresh, key=lambda pair: -pair[0].value.nbytes):
            context = self._choose(slot, list(dict.fromkeys(each.context for each in arrays)))
            if context != slot.value.context:
                old = slot.value
                slot.value = _array(KeyBlock(slot.key, self._type, old, context))
                copy_into(old, slot.value)
            slot.placed = True

    def _choose(self, slot: _Slot, contexts: list[Context]) -> Context:
        """Where a key stays that is pushed from some contexts."""
        # What one device has alone is updated there, straight from its gradient.
        return contexts[0] if len(contexts) == 1 else slot.value.context

    # -- Updates ----------------------------------------------------------------------------------

    def set_updater(self, updater: Rule | None) -> None:  # noqa: D102 -- KVStore.set_updater
        if updater is not None and not callable(updater):
            message = f"KVStore.set_updater: needs a function, got {described(updater)}"
            raise TypeError(message)
        self._updater = updater
        self._rules = updater if isinstance(updater, Updater) else None

    def set_optimizer(self, optimizer: Optimizer) -> None:  # noqa: D102 -- KVStore.set_optimizer
        if not isinstance(optimizer, Optimizer):
            message = f"KVStore.set_optimizer: needs an Optimizer, got {described(optimizer)}"
            raise TypeError(message)
        self._updater = self._rules = get_updater(optimizer)

    def _update(self, updater: Rule, received: Sequence[tuple[_Slot, NDArray]]) -> None:
        """Have an updater change what is stored."""
        rules = self._rules
        if rules is not None:
            for group in _groups(received):
                keys = [slot.key for slot, _ in group]
                with _told(keys):
                    rules.update_all(
                        keys, [recv for _, recv in group], [slot.value for slot, _ in group]
                    )
            return
        site = capture_line()
        for slot, recv in received:
            value = slot.value
            # What the updater sends is known by the updater's line; this says whose push it was.
            current_engine().push(
                partial(setattr, value._block, "pushed_at", site),
                updates=(value.resource,),
                device=value.context.name,
                name="kvstore_push",
                quick=True,
            )
            with _told([slot.key]):
                updater(slot.key, recv, value)

    def save_optimizer_states(  # noqa: D102 -- KVStore.save_optimizer_states
        self,
        fname: str | os.PathLike[str],
        dump_optimizer: bool = False,  # noqa: FBT001, FBT002 -- MXNet's
    ) -> None:
        updater = self._states_of("save_optimizer_states")
        path = _absolute(fname)
        try:
            states = updater.get_states(dump_optimizer)
        except WouldBlockError as error:
            note = "in an event loop, write `await store.save_optimizer_states_async(...)`"
            error.add_note(f"KVStore.save_optimizer_states: {note}")
            raise
        replace_file(path, [states])

    async def save_optimizer_states_async(  # noqa: D102 -- KVStore.save_optimizer_states_async
        self, fname: str | os.PathLike[str], *, dump_optimizer: bool = False
    ) -> None:
        updater = self._states_of("save_optimizer_states_async")
        path = _absolute(fname)
        states = await updater.get_states_async(dump_optimizer=dump_optimizer)
        write = partial(replace_file, path, [states])
        await current_engine().push(write, device="io", name="save")

    def load_optimizer_states(  # noqa: D102 -- KVStore.load_optimizer_states
        self, fname: str | os.PathLike[str]
    ) -> None:
        updater = self._states_of("load_optimizer_states")
        updater.set_states(Path(fname).read_bytes())

    @property
    def updater(self) -> Updater | None:
        """What applies the optimizer, in this process; None before `set_optimizer`."""
        return self._rules

    def _states_of(self, who: str) -> Updater:
        if self._rules is None:
            message = f"KVStore.{who}: there are no states before set_optimizer"
            raise ParameterError(message)
        return self._rules

    def barrier(self) -> Operation:  # noqa: D102 -- KVStore.barrier
        done = current_engine().push(
            _nothing,
            updates=tuple(slot.value.resource for slot in self._slots.values()),
            name="kvstore_barrier",
            quick=True,
        )
        with contextlib.suppress(WouldBlockError):  # inside an event loop it is awaited
            done.wait()
        return done


class DeviceStore(LocalStore):
    """`"device"`: keys are spread over the devices that push them, by their sizes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._nbytes: dict[Context, int] = {}  # of the keys that were placed there

    def _choose(self, slot: _Slot, contexts: list[Context]) -> Context:
        chosen = min(contexts, key=lambda context: self._nbytes.get(context, 0))
        self._nbytes[chosen] = self._nbytes.get(chosen, 0) + slot.value.nbytes
        return chosen


# -- Messages -------------------------------------------------------------------------------------


def _absolute(fname: str | os.PathLike[str]) -> Path:
    """Where a file is to be: the current folder may be another one after a wait."""
    return Path(fname).resolve()


def _nothing() -> None:
    """What a barrier does."""


def _array(block: Block) -> NDArray:
    return NDArray(block, block.shape, block.size)


@contextlib.contextmanager
def _told(keys: Sequence[Key]) -> Iterator[None]:
    """Note with an error whose update it comes from."""
    try:
        yield
    except Exception as error:
        error.add_note(f"KVStore.push: in the updater, for {', '.join(map(repr, keys))}")
        raise


def _groups(
    received: Iterable[tuple[_Slot, NDArray]],
) -> Iterator[list[tuple[_Slot, NDArray]]]:
    """Updates, parted into those that are one message: of one context, and small."""
    groups: dict[Context, list[tuple[_Slot, NDArray]]] = {}
    sizes: dict[Context, int] = {}
    for slot, recv in received:
        touched, context = 3 * recv.nbytes, recv.context
        if touched >= _ALONE:
            yield [(slot, recv)]
            continue
        groups.setdefault(context, []).append((slot, recv))
        sizes[context] = sizes.get(context, 0) + touched
        if sizes[context] >= _TOGETHER:
            yield groups.pop(context)
            del sizes[context]
    yield from groups.values()


def send_sums(name: str, steps: Sequence[Step], priority: int) -> None:
    """Send sums, or copies, in few messages."""
    together: list[Step] = []
    size = 0
    for step in steps:
        touched = step[0].nbytes * (1 + len(step[1]))
        if touched >= _ALONE:
            _push(name, [step], touched, priority)
            continue
        together.append(step)
        size += touched
        if size >= _TOGETHER:
            _push(name, together, size, priority)
            together, size = [], 0
    if together:
        _push(name, together, size, priority)


def _push(name: str, steps: Sequence[Step], touched: int, priority: int) -> None:
    """Send one message: sums, each in the order of its parts."""
    new = [target.nbytes for target, _ in steps if target._block.data is None]
    current_engine().push(
        partial(quietly, _add_up, steps),
        reads=tuple([part._resource for _, parts in steps for part in parts]),
        writes=tuple([target._resource for target, _ in steps]),
        device=steps[0][0].context.name,
        priority=priority,
        name=name,
        nbytes=sum(new) if touched >= _QUICK else 0,
        quick=touched < _QUICK,
    )


def _add_up(steps: Sequence[Step]) -> None:
    """As an operation that was granted all of these arrays."""
    for target, parts in steps:
        _adder(len(parts)).forward(*[part._view() for part in parts], target._view())


@lru_cache
def _adder(count: int) -> ElementWiseSum:
    """What adds up so many arrays: float16 in float32, all others in their own type."""
    return ElementWiseSum(num_args=count)
