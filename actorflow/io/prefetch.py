"""Iterators of any kind, read ahead and side by side."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from actorflow.engine import Resource
from actorflow.errors import FormatError
from actorflow.io.ahead import Ahead, Ended, Job, quiet_after
from actorflow.io.batch import DataBatch, DataDesc
from actorflow.io.iterator import BatchIter, DataIter
from actorflow.io.order import checked_integer
from actorflow.io.resize import as_iterator
from actorflow.io.state import State, checked, counts, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.ndarray import NDArray

__all__ = ["PrefetchingIter"]

_Taken = tuple[DataBatch, State | None]
_MOST_RESETS: Final = 10**6  # each is carried out


@attrs.define
class _Source:
    """One iterator, which belongs to the operations that `chain` orders.

    Attributes:
      position: behind the batch that was handed out last; None if the iterator cannot say.
      resets: how often it was reset since then.
    """

    iterator: DataIter
    chain: Resource
    position: State | None
    resets: int = 0

    def begin(self, *, begun: bool) -> Callable[[], _Taken]:
        """What makes the batches from the position on, as operations.

        The first one brings the iterator there, if it has `begun` to read ahead before: what was
        read ahead must not decide how the next epoch begins.
        """
        before: list[Callable[[], None]] = [self.iterator.reset] * self.resets
        if self.position is None:
            before = before[-1:]  # earlier ones may have been carried out
        elif begun:
            before.insert(0, partial(self.iterator.load_state_dict, self.position))

        def make() -> _Taken:
            while before:
                before[0]()
                before.pop(0)
            batch = next(self.iterator)
            return batch, _position(self.iterator)

        return make


def _position(iterator: DataIter) -> State | None:
    try:
        return iterator.state_dict()
    except NotImplementedError:
        return None


class PrefetchingIter(BatchIter):
    """Reads other iterators ahead, each by operations of its own, and joins their batches.

    Each `next` of such an iterator runs as an operation on the engine's device "io", so it may
    block. From now on nobody else may use these iterators.

    Args:
      iters: an iterator, or a list of them, which give batches of the same `pad` and end together.
      rename_data, rename_label: for each iterator a dict from its names to those that
        `provide_data` and `provide_label` are to give; what is not in it keeps its name.
      prefetch_buffer: batches of each iterator that are made before they are asked for.

    Raises:
      TypeError: `iters` has something that is no `DataIter`.
      ValueError: it is empty, `rename_data` or `rename_label` are not one for each iterator, or two
        arrays have one name.
    """

    def __init__(
        self,
        iters: DataIter | Sequence[DataIter],
        rename_data: Sequence[Mapping[str, str]] | None = None,
        rename_label: Sequence[Mapping[str, str]] | None = None,
        *,
        prefetch_buffer: int = 1,
    ) -> None:
        who = "PrefetchingIter"
        given = list(iters) if isinstance(iters, list | tuple) else [iters]
        self.iters = [as_iterator(who, f"iters[{i}]", each) for i, each in enumerate(given)]
        if not given:
            raise ValueError(f"{who}: iters is empty; needs at least one iterator")
        self._depth = checked_integer(who, "prefetch_buffer", prefetch_buffer, 0)
        self._rename_data = self._checked_names("rename_data", rename_data)
        self._rename_label = self._checked_names("rename_label", rename_label)
        self._data = _renamed(self._rename_data, [each.provide_data for each in self.iters])
        self._label = _renamed(self._rename_label, [each.provide_label for each in self.iters])
        for argument, descs in (("rename_data", self._data), ("rename_label", self._label)):
            names = [each.name for each in descs]
            if len(set(names)) < len(names):
                raise ValueError(
                    f"{who}: a name would come twice: {', '.join(names)}; "
                    f"{argument} can tell them apart"
                )
        super().__init__(self.iters[0].batch_size)
        if hasattr(self.iters[0], "default_bucket_key"):
            self.default_bucket_key = self.iters[0].default_bucket_key
        self._sources = [
            _Source(each, Resource(f"{who} of {type(each).__name__}"), _position(each))
            for each in self.iters
        ]
        self._begun = False
        self._aheads: list[Ahead[_Taken]] = []

    def _checked_names(
        self, argument: str, renames: Sequence[Mapping[str, str]] | None
    ) -> list[Mapping[str, str]]:
        if renames is None:
            return [{} for _ in self.iters]
        if len(renames) != len(self.iters) or not all(isinstance(r, Mapping) for r in renames):
            raise ValueError(
                f"PrefetchingIter: {argument} needs a dict for each of {len(self.iters)} "
                f"iterators, got {renames!r}"
            )
        return list(renames)

    @property
    def provide_data(self) -> list[DataDesc]:
        """What all iterators together give, in their order."""
        return self._data

    @property
    def provide_label(self) -> list[DataDesc]:
        """What all iterators together give, in their order."""
        return self._label

    def _reading(self) -> list[Ahead[_Taken]]:
        if not self._aheads:
            for source in self._sources:
                who = f"PrefetchingIter({type(source.iterator).__name__})"
                job = partial(Job, source.begin(begun=self._begun))
                self._aheads.append(Ahead(who, job, source.chain, self._depth))
            self._begun = True
        return self._aheads

    def _take(self) -> DataBatch:
        aheads = self._reading()
        ready: list[_Taken | None] = []
        for ahead in aheads:
            try:
                ready.append(ahead.ready())
            except Ended:
                ready.append(None)
        return self._joined(aheads, ready)

    async def _take_async(self) -> DataBatch:
        aheads = self._reading()
        ready: list[_Taken | None] = []
        for ahead in aheads:
            try:
                ready.append(await ahead.ready_async())
            except Ended:
                ready.append(None)
        return self._joined(aheads, ready)

    def _joined(self, aheads: list[Ahead[_Taken]], ready: list[_Taken | None]) -> DataBatch:
        """One batch of one of each iterator. Only now are these removed."""
        taken = [each for each in ready if each is not None]
        if not taken:
            raise Ended
        pads = [each and (each[0].pad or 0) for each in ready]
        if len(taken) < len(ready) or len(set(pads)) > 1:
            said = ", ".join(
                f"{type(each).__name__} " + ("has ended" if pad is None else f"pads {pad}")
                for each, pad in zip(self.iters, pads, strict=True)
            )
            raise ValueError(f"PrefetchingIter: the iterators have to end together, but {said}")
        for ahead, source, (_, position) in zip(aheads, self._sources, taken, strict=True):
            ahead.pop()
            source.position, source.resets = position, 0
        first = taken[0][0]
        return DataBatch(
            data=_chained([batch.data for batch, _ in taken]),
            label=_chained([batch.label for batch, _ in taken]),
            pad=first.pad,
            index=first.index,
            bucket_key=first.bucket_key,
            provide_data=_renamed(
                self._rename_data,
                [
                    batch.provide_data or each.provide_data
                    for each, (batch, _) in zip(self.iters, taken, strict=True)
                ],
            ),
            provide_label=_renamed(
                self._rename_label,
                [
                    batch.provide_label or each.provide_label
                    for each, (batch, _) in zip(self.iters, taken, strict=True)
                ],
            ),
        )

    def _drop_aheads(self) -> None:
        for ahead in self._aheads:
            ahead.drop()
        self._aheads = []
        self._batch = None

    def reset(self) -> None:
        """Go to the beginning of the next epoch. Waits for nothing: the next operation does it."""
        self._check_open()
        self._drop_aheads()
        for source in self._sources:
            source.resets += 1

    def _identity(self) -> State:
        return {"iters": len(self.iters)}

    def state_dict(self) -> State:
        """Where the iterators stand; batches read ahead count as not read.

        Raises:
          NotImplementedError: one of them cannot say.
        """
        for source in self._sources:
            if source.position is None:
                source.iterator.state_dict()  # it says why
        iters = [[source.position, source.resets] for source in self._sources]
        return wrapped("PrefetchingIter", self._identity(), {"iters": iters})

    def load_state_dict(self, state: State) -> None:
        """Go to where an iterator of the same kinds and data stood. Waits for nothing."""
        self._check_open()
        found = self._checked(state)
        self._drop_aheads()
        self._begun = True  # so that the next operation goes to the position
        for source, (position, resets) in zip(self._sources, found, strict=True):
            source.position, source.resets = position, resets

    def _checked(self, state: object) -> list[tuple[State, int]]:
        position = checked("PrefetchingIter", self._identity(), state)
        found = position.get("iters")
        if not isinstance(found, list) or len(found) != len(self.iters):
            raise FormatError("PrefetchingIter.load_state_dict: needs a list of positions 'iters'")
        for iterator, each in zip(self.iters, found, strict=True):
            if not isinstance(each, list | tuple) or len(each) != 2:  # noqa: PLR2004 -- a pair
                raise FormatError(
                    "PrefetchingIter.load_state_dict: needs pairs of a state and a number of "
                    f"resets, got {each!r}"
                )
            iterator._check_state(each[0])
            counts("PrefetchingIter", {"resets": each[1]}, resets=_MOST_RESETS)
        return [(each[0], each[1]) for each in found]

    def _check_state(self, state: object) -> None:
        self._checked(state)

    def close(self) -> None:
        """Close the iterators, behind what runs. Returns at once."""
        if self._closed:
            return
        self._closed = True
        self._drop_aheads()
        for source in self._sources:
            quiet_after(source.chain, source.iterator.close, "PrefetchingIter")


def _renamed(
    renames: Sequence[Mapping[str, str]], given: Sequence[Sequence[DataDesc]]
) -> list[DataDesc]:
    """What all iterators give, under the new names; old programs give plain pairs."""
    found = []
    for names, descs in zip(renames, given, strict=True):
        for pair in descs:
            each = pair if isinstance(pair, DataDesc) else DataDesc(*pair)
            name = names.get(each.name, each.name)
            found.append(DataDesc(name, each.shape, each.dtype, each.layout))
    return found


def _chained(parts: Sequence[Sequence[NDArray] | None]) -> list[NDArray]:
    return [array for part in parts for array in part or ()]
