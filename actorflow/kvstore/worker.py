"""The store of one worker among several processes: `dist_sync` and its like.

A push is two operations: one that hands the sum over to the network's thread, and, where arrays are
sent as they lie, one that keeps them as they are until nobody reads them any more. A pull waits for
the first of them only; the server waits for the push itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.comm import encode, messages as say
from actorflow.comm.wire import INLINE_NBYTES
from actorflow.engine import Completion, Resource, current_engine
from actorflow.errors import EngineError, LaunchError, ParameterError, WouldBlockError
from actorflow.kvstore import environment
from actorflow.kvstore.arguments import gathered, require_alike, unknown
from actorflow.kvstore.consistency import Consistency
from actorflow.kvstore.history import Entered, Initialized, Pulled, Pushed
from actorflow.kvstore.local import send_sums
from actorflow.kvstore.members import Worker
from actorflow.kvstore.network import Network, Request
from actorflow.kvstore.partition import Partition
from actorflow.kvstore.sending import (
    Count,
    Outcome,
    Pair,
    Piece,
    Slot,
    by_server,
    groups,
    ignore,
    name_of,
    now,
    start_keeping,
    whole,
)
from actorflow.kvstore.server import patience, timeout
from actorflow.kvstore.store import KVStore
from actorflow.ndarray import Block, NDArray
from actorflow.ops import described
from actorflow.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.comm.wire import Array
    from actorflow.engine import Operation
    from actorflow.kvstore.arguments import Given, Key, Keys
    from actorflow.kvstore.history import History
    from actorflow.kvstore.store import Rule

__all__ = ["DistributedStore"]


class DistributedStore(KVStore):
    """A worker's store. What its keys promise, docs/guides/distributed.md says.

    Making one joins the run that the environment names and waits until all servers know this
    worker. `init` and `set_optimizer` are called by all workers; what rank 0 gives is what counts,
    and keys of the others wait for it. At the end of the process, or with `close`, it leaves.

    Attributes:
      history: where pushes and pulls are noted for `af.testing.check_history`; None for nowhere.

    Args:
      name: what it was made by.

    Raises:
      LaunchError: this process is no worker of a run, or is refused.
      UnreachableError: a server did not answer in time.
    """

    def __init__(self, name: str) -> None:
        model = Consistency.parse(name)
        place = environment.read(os.environ)
        if place.role != "worker":
            raise LaunchError(f"kvstore.create: this process is a {place.role}, and no worker")
        self._type = name
        self._slots: dict[Key, Slot] = {}
        self._lock = threading.Lock()
        self._rule = Resource("the optimizer of the servers")
        self._rules = 0
        self._closed = False
        self.history: History | None = None
        self._network = Network(place, model, timeout=timeout(), patience=patience())
        self._network.start()
        self._partition = Partition(self._network.servers)
        atexit.register(self.close)

    @property
    def type(self) -> str:  # noqa: D102 -- KVStore.type
        return self._type

    @property
    def rank(self) -> int:  # noqa: D102 -- KVStore.rank
        return self._network.worker.rank

    @property
    def num_workers(self) -> int:  # noqa: D102 -- KVStore.num_workers
        return self._network.num_workers

    # -- Keys -------------------------------------------------------------------------------------

    def init(self, key: Keys, value: Given = None) -> None:  # noqa: D102 -- KVStore.init
        given = gathered("KVStore.init", "value", key, value)
        self._require_open("init")
        with self._lock:
            for each, arrays in given.items():
                if each in self._slots:
                    raise ParameterError(f"KVStore.init: key {each!r} has a value already")
                if len(arrays) > 1:
                    message = f"KVStore.init: key {each!r} is given {len(arrays)} values"
                    raise ParameterError(message)
            found: list[Pair] = []
            for each, (first,) in given.items():
                name = f"key {each!r} of a {self._type} KVStore"
                parts = self._partition.parts(each, first.size)
                slot = self._slots[each] = Slot(each, first, Resource(name), parts)
                found.append((slot, [first]))
            for group in groups(found):
                current_engine().push_async(
                    partial(self._start_init, group),
                    reads=[arrays[0]._resource for _, arrays in group],
                    updates=[slot.sent for slot, _ in group],
                    name="kvstore_init",
                )

    def push(  # noqa: D102 -- KVStore.push
        self, key: Keys, value: Given = None, priority: int = 0
    ) -> None:
        found = self._find("push", "value", key, value, priority)
        engine = current_engine()
        with self._lock:
            sums = []
            for slot, arrays in found:
                if len(arrays) > 1:
                    first = arrays[0]
                    if slot.merged is None:
                        block = Block(first.shape, first.dtype, first.context)
                        slot.merged = NDArray(block, first.shape, first.size)
                    sums.append((slot.merged, list(arrays)))
                    arrays[:] = [slot.merged]
            send_sums("kvstore_push", sums, priority)
            for group in groups(found):
                reads = [arrays[0]._resource for _, arrays in group]
                sent = [slot.sent for slot, _ in group]
                over = Count(1)
                engine.push(
                    partial(self._push, group, priority, over),
                    reads=[*reads, self._rule],
                    updates=sent,
                    priority=priority,
                    name="kvstore_push",
                    quick=True,
                )
                if any(slot.like.nbytes > INLINE_NBYTES for slot, _ in group):
                    engine.push_async(
                        partial(start_keeping, over),
                        reads=[*reads, *sent],
                        priority=priority,
                        name="kvstore_sending",
                    )

    def pull(  # noqa: D102 -- KVStore.pull
        self, key: Keys, out: Given = None, priority: int = 0
    ) -> None:
        found = self._find("pull", "out", key, out, priority)
        for slot, arrays in found:
            for each in arrays:
                if not each.writable:
                    message = f"KVStore.pull: out of key {slot.key!r} is not writable"
                    raise ValueError(message)
        for group in groups(found):
            current_engine().push_async(
                partial(self._start_pull, group, priority),
                reads=[slot.sent for slot, _ in group],
                writes=[each._resource for _, arrays in group for each in arrays],
                priority=priority,
                name="kvstore_pull",
            )

    def _find(self, who: str, what: str, key: Keys, value: Given, priority: int) -> list[Pair]:
        """What this worker knows of the keys that it is given, with the arrays, checked."""
        who = f"KVStore.{who}"
        if not isinstance(priority, int):
            raise TypeError(f"{who}: priority has to be an integer, got {described(priority)}")
        found = []
        for each, arrays in gathered(who, what, key, value).items():
            slot = self._slots.get(each)
            if slot is None:
                raise unknown(who, each, self._slots)
            require_alike(who, what, each, slot.like, arrays)
            found.append((slot, arrays))
        self._require_open(who)
        return found

    # -- As operations, in the engine's threads ---------------------------------------------------

    def _start_init(self, group: Sequence[Pair], completion: Completion) -> None:
        start = time.monotonic()
        pieces = [
            (slot, part, arrays[0]._view().reshape(-1)[part.start : part.stop])
            for slot, arrays in group
            for part in slot.parts
        ]
        first = self.rank == 0

        def done() -> None:
            if self.history is not None and first:
                for slot, part, array in pieces:
                    value = whole(array)
                    noted = Initialized(
                        key=name_of(slot, part), value=value, start=start, end=now()
                    )
                    self.history.note(noted)
            completion.succeed()

        sendings = by_server(pieces, split=True)
        outcome = Outcome(len(sendings), done, completion.fail)
        requests = []
        for server, some in sendings:
            slices = [say.Slice(p.start, p.stop, slot.like.size) for slot, p, _ in some]
            seq = self._network.next_seq()
            message = say.Init(seq, [slot.key for slot, _, _ in some], list(slices))
            arrays = [array for _, _, array in some] if first else []
            frames = encode(message, arrays)
            requests.append(
                # The array is kept until the answer has come; nobody reads it after that.
                Request(server, message, frames, outcome.ignore, outcome.note, outcome.one)
            )
        self._network.send(requests)

    def _push(self, group: Sequence[Pair], priority: int, over: Count) -> None:
        """Hand arrays over. `over` counts to the end of the last of them, and of the keeping."""
        pieces: list[Piece] = []
        start = time.monotonic()
        for slot, (array,) in group:
            slot.pushed += 1
            flat = array._view().reshape(-1)
            pieces += [(slot, part, flat[part.start : part.stop]) for part in slot.parts]
        requests = []
        sendings = by_server(pieces, split=True)
        over.left += len(sendings)
        for server, some in sendings:
            message = say.Push(
                self._network.next_seq(),
                [slot.key for slot, _, _ in some],
                [slot.pushed for slot, _, _ in some],
                priority,
            )
            frames = encode(message, [array for _, _, array in some])
            note: Callable[..., None] = ignore
            if self.history is not None:
                noted = [
                    (name_of(slot, part), slot.pushed, whole(array)) for slot, part, array in some
                ]
                note = partial(self._note_push, noted, start)
            requests.append(Request(server, message, frames, note, ignore, over.one))
        self._network.send(requests, priority)

    def _start_pull(self, group: Sequence[Pair], priority: int, completion: Completion) -> None:
        start = time.monotonic()
        pieces: list[Piece] = [
            (slot, part, arrays) for slot, arrays in group for part in slot.parts
        ]
        sendings = by_server(pieces, split=False)
        outcome = Outcome(len(sendings), completion.succeed, completion.fail)
        requests = []
        for server, some in sendings:
            seen = [slot.pushed for slot, _, _ in some]
            message = say.Pull(
                self._network.next_seq(),
                [slot.key for slot, _, _ in some],
                [{self.rank: count} for count in seen],
                priority=priority,
            )
            take = partial(self._take, some, seen, start, outcome)
            requests.append(Request(server, message, encode(message), take, outcome.fail))
        self._network.send(requests, priority)

    def _take(
        self,
        pieces: Sequence[Piece],
        seen: Sequence[int],
        start: float,
        outcome: Outcome,
        message: say.Value,
        arrays: Sequence[Array],
    ) -> None:
        """A value has come. In the network's thread, while the outs are the pull's."""
        for (slot, part, outs), array in zip(pieces, arrays, strict=True):
            for out in outs:
                np.copyto(out._view().reshape(-1)[part.start : part.stop], array.reshape(-1))
            if self.history is not None:
                number = message.keys.index(slot.key)
                version = {Worker(r): n for r, n in message.versions[number].items()}
                self.history.note(
                    Pulled(
                        worker=self._network.worker,
                        key=name_of(slot, part),
                        seen=seen[number],
                        version=version,
                        round=message.rounds[number],
                        start=start,
                        end=now(),
                        value=whole(array),
                    )
                )
        outcome.one()

    def _note_push(
        self, noted: Sequence[tuple[str, int, int | None]], start: float, *_: object
    ) -> None:
        if self.history is not None:
            worker = self._network.worker
            for key, seq, value in noted:
                self.history.note(
                    Pushed(worker=worker, key=key, seq=seq, start=start, end=now(), value=value)
                )

    # -- Rules ------------------------------------------------------------------------------------

    def set_updater(self, updater: Rule | None) -> None:  # noqa: D102 -- KVStore.set_updater
        message = (
            f"KVStore.set_updater: {described(updater)} cannot go to the servers of a {self._type} "
            "store; an optimizer can, by its name and numbers: use set_optimizer"
        )
        raise ParameterError(message)

    def set_optimizer(self, optimizer: Optimizer) -> None:  # noqa: D102 -- KVStore.set_optimizer
        if not isinstance(optimizer, Optimizer):
            message = f"KVStore.set_optimizer: needs an Optimizer, got {described(optimizer)}"
            raise TypeError(message)
        self._require_open("set_optimizer")
        rule = optimizer.describe()
        with self._lock:
            self._rules += 1
            description = {"number": self._rules, "rule": rule}
            current_engine().push_async(
                partial(self._start_rule, description),
                updates=[self._rule, *[slot.sent for slot in self._slots.values()]],
                name="kvstore_optimizer",
            )

    def _start_rule(self, description: dict[str, Any], completion: Completion) -> None:
        servers = range(self._network.servers)
        outcome = Outcome(len(servers), completion.succeed, completion.fail)
        requests = []
        for server in servers:
            message = say.SetOptimizer(self._network.next_seq(), description)
            requests.append(Request(server, message, encode(message), outcome.count, outcome.fail))
        self._network.send(requests)

    def save_optimizer_states(  # noqa: D102 -- KVStore.save_optimizer_states
        self,
        fname: str | os.PathLike[str],
        dump_optimizer: bool = False,  # noqa: FBT001, FBT002 -- MXNet's
    ) -> None:
        raise self._no_states("save_optimizer_states", fname, dump_optimizer)

    async def save_optimizer_states_async(  # noqa: D102 -- KVStore.save_optimizer_states_async
        self, fname: str | os.PathLike[str], *, dump_optimizer: bool = False
    ) -> None:
        raise self._no_states("save_optimizer_states_async", fname, dump_optimizer)

    def load_optimizer_states(  # noqa: D102 -- KVStore.load_optimizer_states
        self, fname: str | os.PathLike[str]
    ) -> None:
        raise self._no_states("load_optimizer_states", fname)

    def _no_states(self, who: str, fname: str | os.PathLike[str], *_: object) -> ParameterError:
        return ParameterError(
            f"KVStore.{who}: {os.fspath(fname)}: the states of a {self._type} store are in its "
            "servers, and no worker has them"
        )

    # -- Together ---------------------------------------------------------------------------------

    def barrier(self) -> Operation:  # noqa: D102 -- KVStore.barrier
        self._require_open("barrier")
        network = self._network

        def start(completion: Completion) -> None:
            began = time.monotonic()

            def passed(number: int) -> None:
                if self.history is not None:
                    noted = Entered(worker=network.worker, number=number, start=began, end=now())
                    self.history.note(noted)
                completion.succeed()

            network.run(network.barrier, passed, completion.fail)

        done = current_engine().push_async(
            start,
            updates=[self._rule, *[slot.sent for slot in self._slots.values()]],
            name="kvstore_barrier",
        )
        with contextlib.suppress(WouldBlockError):  # inside an event loop it is awaited
            done.wait()
        return done

    def close(self) -> None:
        """Leave the run, after all that was sent to the store. Nobody waits for this worker then.

        At the end of a process this happens by itself. Once more does nothing.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        for slot in self._slots.values():
            # What has failed was told to who wanted it; here only the end counts.
            with contextlib.suppress(Exception):
                current_engine().wait(slot.sent)
        self._network.close()

    def _require_open(self, who: str) -> None:
        if self._closed:
            raise EngineError(f"{who}: this store is closed")
