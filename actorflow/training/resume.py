"""A run's whole state: taken between two batches, written meanwhile, and taken over again.

What makes the bits of all later batches is: parameters, auxiliary states, the optimizer's states
and counts, where the random streams and the iterator stand, and which batch is next. The metric's
sums come with them, so that its numbers are right, too. `state_files` has how they lie in files.

A `Keeper` notes after each batch where the run is. To write, it sends operations that copy the
arrays as they are at that moment, and one for the worker of files, which nobody waits for until the
next checkpoint. So the loop goes on, and what later batches wait for are the copies alone.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from actorflow import nd
from actorflow.device import cpu
from actorflow.engine import Resource, current_engine
from actorflow.errors import ActorflowError, FormatError, ParameterError
from actorflow.io import DataDesc
from actorflow.ndarray import checked_state, get_state, loads, pieces, set_state
from actorflow.ops import described
from actorflow.optimizer import Updater, create
from actorflow.training import plain, state_files
from actorflow.training.parameters import split_params

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from actorflow.engine import Accessible, Operation
    from actorflow.io import DataIter
    from actorflow.ndarray import NDArray
    from actorflow.training.evaluation import EvalMetric
    from actorflow.training.steps import ModuleSteps, Stateful
    from actorflow.training.tally import Sums, Tally

__all__ = ["Idle", "Keeper", "Resumed", "checked_arguments", "look_up"]

_STEM: Final = "model"


@attrs.frozen
class Place:
    """Between which batches a run is.

    Attributes:
      epoch, nbatch: the batch that comes next.
      position: where the iterator stands; None if it cannot say.
      tallies: where the metric's sums are.
    """

    epoch: int
    nbatch: int
    position: dict[str, Any] | None
    tallies: Sequence[Tally]


class Idle:
    """What notes nothing and writes nothing: the `Keeper` of a run without checkpoints."""

    place: Place | None = None
    writing: Operation | None = None

    def at(self, epoch: int, nbatch: int) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""

    def due(self, *, epoch_ended: bool, last: bool = False) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def send(self, prefix: str | os.PathLike[str] | None = None) -> Operation:
        """Refuse: there is nothing that was noted.

        Raises:
          ActorflowError: always.
        """
        message = f"checkpoint {prefix or ''}: there was no fit(..., checkpoint=...)"
        raise ActorflowError(message)


class Keeper(Idle):
    """What writes the checkpoints of a run.

    Args:
      who: who asks, for messages.
      module: what is trained; it has an optimizer.
      data: its batches.
      metric: what is said of them.
      prefix: what the folder's name begins with.
      every: after how many batches one is due; None for after each epoch.

    Attributes:
      place: where the run is; None while it is in the middle of a batch, or has failed there.
      writing: the operation that writes the last checkpoint; None before the first.

    Raises:
      ActorflowError: the module's state cannot be had.
      FormatError: its symbol cannot be saved.
    """

    def __init__(
        self,
        who: str,
        module: ModuleSteps,
        data: DataIter,
        metric: EvalMetric,
        prefix: str | os.PathLike[str],
        every: int | None,
    ) -> None:
        self._who = who
        self._parts = module.stateful(who)
        for part in self._parts:
            part.updater(who)
        self._data, self._metric = data, metric
        self._symbols = [part.symbol.tojson() for part in self._parts]
        self._program = _program(self._parts, self._symbols, data)
        self._home = state_files.home_of(prefix)
        self._swept = False
        self._every = every
        self._since = 0
        self.place: Place | None = None
        self.writing: Operation | None = None

    def at(self, epoch: int, nbatch: int) -> None:
        """Note that this batch comes next."""
        self._since += bool(nbatch)
        self.place = Place(epoch, nbatch, _position(self._data), self._metric.tallies())

    def leave(self) -> None:
        """Note that a batch has begun: what there is now belongs to none of two places."""
        self.place = None

    def due(self, *, epoch_ended: bool, last: bool = False) -> bool:
        """Whether a checkpoint is to be written now."""
        if self._every is None or last:
            return epoch_ended
        return not epoch_ended and self._since >= self._every

    def send(self, prefix: str | os.PathLike[str] | None = None) -> Operation:
        """Send the operations that write a checkpoint; the last one's result is its folder.

        Args:
          prefix: where to; default the run's own.

        Raises:
          ActorflowError: the run is in the middle of a batch.
          TypeError, ValueError: the iterator's state is no plain data.
        """
        place = self.place
        if place is None:
            message = (
                f"{self._who}: no checkpoint can be written of a run that failed, or has not begun"
            )
            raise ActorflowError(message)
        home = self._home if prefix is None else state_files.home_of(prefix)
        numbers = {
            "epoch": place.epoch,
            "nbatch": place.nbatch,
            "random": get_state(),
            "iterator": place.position,
            "program": self._program,
        }
        json.dumps(numbers, allow_nan=False)  # here is who has to know
        taken = Resource("metric's sums")
        sums: dict[str, Any] = {}
        engine = current_engine()
        engine.push(
            partial(_take, place, sums),
            reads=place.tallies,
            writes=[taken],
            name="checkpoint: metric",
            quick=True,
        )
        files = [self._part(number, place.epoch) for number in range(len(self._parts))]
        write = partial(_write, home, numbers | {"metric": sums}, files, sweep=not self._swept)
        reads = [taken, *(each for part in files for each in part.reads)]
        self._since = 0
        self._swept = self._swept or prefix is None
        self.writing = engine.push(write, reads=reads, device="io", name="checkpoint: files")
        return self.writing

    def _part(self, number: int, epoch: int) -> _Part:
        """The files of one part."""
        part = self._parts[number]
        arrays, states = part.get_params()
        params = {f"arg:{name}": each for name, each in arrays.items()}
        params |= {f"aux:{name}": each for name, each in states.items()}
        apart = {name: each.copyto(cpu()) for name, each in part.states_by_context().items()}
        updater = part.updater(self._who)
        assert updater is not None  # noqa: S101 -- a run has an optimizer
        packed = Resource("optimizer's states")
        packing = updater.push_states(writes=[packed])
        reads = [packed, *(each.resource for each in (*params.values(), *apart.values()))]
        return _Part(_stem(number), epoch, self._symbols[number], params, apart, packing, reads)


@attrs.frozen
class _Part:
    """What is written of one part.

    Attributes:
      stem: what its files' names begin with.
      epoch: the number in the name of the parameters' file.
      symbol: its JSON.
      params, apart: copies of arrays by name: as MXNet has them, and those of each context.
      packing: gives the bytes of the optimizer's states.
      reads: what all that needs.
    """

    stem: str
    epoch: int
    symbol: str
    params: Mapping[str, NDArray]
    apart: Mapping[str, NDArray]
    packing: Operation
    reads: Sequence[Accessible]

    def files(self) -> dict[str, Any]:
        """The files by name; in the operation that was granted the arrays."""
        found: dict[str, Any] = {
            _names(self.stem, self.epoch)[0]: [self.symbol.encode()],
            _names(self.stem, self.epoch)[1]: _pieces(self.params),
            _names(self.stem, self.epoch)[2]: [self.packing.result],
        }
        if self.apart:
            found[f"{self.stem}.contexts"] = _pieces(self.apart)
        return found


def _pieces(arrays: Mapping[str, NDArray]) -> Any:  # noqa: ANN401
    return pieces([each._view() for each in arrays.values()], list(arrays))


def _write(home: Path, numbers: Mapping[str, Any], parts: Sequence[_Part], *, sweep: bool) -> Path:
    files = {name: chunks for part in parts for name, chunks in part.files().items()}
    with state_files.turn(home):
        if sweep:
            state_files.sweep(home)
        return state_files.write(home, numbers, files)


def _take(place: Place, into: dict[str, Any]) -> None:
    into["names"] = [each.name for each in place.tallies]
    into["sums"] = [[plain.packed(each) for each in tally.sums()] for tally in place.tallies]


def _stem(number: int) -> str:
    return f"{_STEM}{number or ''}"


def _names(stem: str, epoch: int) -> tuple[str, str, str]:
    """The files of symbol, parameters and states."""
    return f"{stem}-symbol.json", f"{stem}-{epoch:04d}.params", f"{stem}-{epoch:04d}.states"


def _position(data: DataIter) -> dict[str, Any] | None:
    try:
        return data.state_dict()
    except NotImplementedError:
        return None


def _program(
    parts: Sequence[Stateful], symbols: Sequence[str], data: DataIter
) -> dict[str, list[Any]]:
    """What a run has to have in common with the one that goes on with it."""
    given = (*(data.provide_data or ()), *(data.provide_label or ()))
    descs = [each if isinstance(each, DataDesc) else DataDesc(*each) for each in given]
    return {
        "symbols": [hashlib.sha256(each.encode()).hexdigest() for each in symbols],
        "inputs": [[each.name, list(each.shape), str(each.dtype)] for each in descs],
        "placing": [part.placing() for part in parts],
    }


# -- Going on --------------------------------------------------------------------------------------


def checked_arguments(who: str, asked: Mapping[str, Any]) -> None:
    """Raise if the arguments of `fit` that concern checkpoints do not fit each other.

    Raises:
      ParameterError, TypeError: they do not.
    """
    prefix, every, resume = (asked[each] for each in ("checkpoint", "checkpoint_every", "resume"))
    if prefix is not None and not isinstance(prefix, str | os.PathLike):
        message = f"{who}: checkpoint needs a prefix of files or None, got {described(prefix)}"
        raise TypeError(message)
    if every is not None and (type(every) is not int or every < 1):
        message = f"{who}: checkpoint_every is a number of batches or None, got {every!r}"
        raise ParameterError(message)
    if not isinstance(resume, str | os.PathLike | bool | None):
        message = f"{who}: resume needs a prefix, True or None, got {described(resume)}"
        raise TypeError(message)
    if prefix is None and (every is not None or resume is True):
        what = "resume=True" if every is None else f"checkpoint_every={every}"
        message = f"{who}: {what} needs checkpoint, which says where the checkpoints are"
        raise ParameterError(message)


@attrs.frozen
class Resumed:
    """A checkpoint that was read and that fits a run.

    Attributes:
      who: who asks, for messages.
      folder: where it lies.
      epoch, nbatch: the batch that comes next.
      position: where the iterator stood.
      random: where the random streams stood.
      sums: those of the metric.
      params, states: all parameters and auxiliary states.
      apart: for each part the auxiliary states of its contexts.
      packed: for each part the optimizer's states.
    """

    who: str
    folder: Path
    epoch: int
    nbatch: int
    position: dict[str, Any] | None
    random: dict[str, Any]
    sums: Sequence[Sums]
    params: dict[str, NDArray]
    states: dict[str, NDArray]
    apart: Sequence[Mapping[str, NDArray]]
    packed: Sequence[bytes]

    @property
    def where(self) -> tuple[Path, int, int]:
        """The folder, the epoch and the batch, for a log."""
        return self.folder, self.epoch, self.nbatch

    def place(self, data: DataIter, epoch_size: int | None) -> None:
        """Bring the iterator to where it stood.

        Raises:
          ActorflowError: that is not known, and not the beginning of an epoch.
          FormatError, TypeError: it stood in other data; nothing has changed.
        """
        if self.position is not None:
            data.load_state_dict(self.position)
        elif self.nbatch or epoch_size is not None:
            message = (
                f"{self.who}: {self.folder} lies in the middle of an epoch, before batch "
                f"{self.nbatch} of epoch {self.epoch}, and the iterator of that run could not say "
                f"where it stood: {type(data).__name__} needs state_dict and load_state_dict"
            )
            raise ActorflowError(message)

    def fill(self, module: ModuleSteps) -> None:
        """Give a bound module its parameters and auxiliary states."""
        module.set_params(self.params, self.states)
        for part, apart in zip(module.stateful(self.who), self.apart, strict=True):
            own = part.states_by_context()
            for name, value in apart.items():
                value.copyto(own[name])

    def finish(self, module: ModuleSteps, metric: EvalMetric) -> None:
        """Take over the rest, once there is an optimizer."""
        for part, packed in zip(module.stateful(self.who), self.packed, strict=True):
            updater = part.updater(self.who)
            assert updater is not None  # noqa: S101 -- a run has an optimizer
            updater.set_states(packed)
        if self.nbatch:
            metric.restore(self.sums)
        set_state(self.random)


def look_up(
    who: str, module: ModuleSteps, data: DataIter, metric: EvalMetric, asked: Mapping[str, Any]
) -> Resumed | None:
    """Read the checkpoint that `fit` was asked to go on with, and see that it fits.

    Returns:
      None if none was asked for, or if there is none yet, and `resume` is True.

    Raises:
      FileNotFoundError: there is none.
      FormatError: it is damaged, or of another program; nothing has changed.
      ActorflowError: the module has no state that can be had, or a store has its parameters.
    """
    given = asked["checkpoint"] if asked["resume"] is True else asked["resume"]
    if asked["resume"] in {None, False}:
        return None
    folder = state_files.find(given)
    if folder is None:
        if asked["resume"] is True:
            return None
        message = f"{who}: resume: there is no checkpoint in {state_files.home_of(given)}"
        raise FileNotFoundError(message)
    parts = module.stateful(who)
    for part in parts:
        part.require_free(who)
    with state_files.turn(folder.parent):
        numbers, files = state_files.read(folder)
    source = str(folder / state_files.MANIFEST)
    _require_same(source, numbers, _program(parts, [p.symbol.tojson() for p in parts], data))
    epoch, nbatch = (_count(source, numbers, each) for each in ("epoch", "nbatch"))
    random, position = numbers.get("random"), numbers.get("iterator")
    if not isinstance(random, dict):
        raise FormatError(f"{source}: random is {random!r}, and needs to be a state")
    checked_state(random)
    if position is not None and not isinstance(position, dict):
        raise FormatError(f"{source}: iterator is {position!r}, and needs to be a state")
    params, states, apart, packed = {}, {}, [], []
    for number, part in enumerate(parts):
        stem = _stem(number)
        _, name, name_of_states = _names(stem, epoch)
        own, own_states = split_params(who, _arrays(folder, files, name))
        apart.append(_arrays(folder, files, f"{stem}.contexts", part.states_of_contexts()))
        packed.append(_file(folder, files, name_of_states))
        _check_states(source, part.updater(who), packed[-1], asked, own)
        params.update(own)
        states.update(own_states)
    sums = _sums(source, numbers.get("metric"), metric) if nbatch else []
    return Resumed(
        who, folder, epoch, nbatch, position, random, sums, params, states, apart, packed
    )


def _require_same(source: str, numbers: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise unless a checkpoint is of the same program."""
    theirs = numbers.get("program")
    if not isinstance(theirs, Mapping):
        raise FormatError(f"{source}: there is no 'program'")
    what = {"symbols": "another symbol", "inputs": "other inputs", "placing": "other contexts"}
    for name, other in what.items():
        if theirs.get(name) != ours[name]:
            raise FormatError(
                f"{source}: the checkpoint is of {other}: {name} were {theirs.get(name)!r}, and "
                f"are {ours[name]!r} here"
            )


def _count(source: str, numbers: Mapping[str, Any], name: str) -> int:
    found = numbers.get(name)
    if type(found) is not int or found < 0:
        raise FormatError(f"{source}: {name} is {found!r}, and needs to be a number from 0 on")
    return found


def _file(folder: Path, files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise FormatError(f"{folder}: the manifest does not name {name}")
    return files[name]


def _arrays(
    folder: Path, files: Mapping[str, bytes], name: str, expected: Sequence[str] | None = None
) -> dict[str, NDArray]:
    """The arrays in a file; none if none are expected."""
    if expected is not None and not expected:
        return {}
    arrays, names = loads(_file(folder, files, name), str(folder / name))
    if expected is not None and set(names) != set(expected):
        raise FormatError(f"{folder / name}: has {', '.join(names)}; needs {', '.join(expected)}")
    return {
        each: nd.array(array, dtype=array.dtype) for each, array in zip(names, arrays, strict=True)
    }


def _check_states(
    source: str,
    updater: Updater | None,
    packed: bytes,
    asked: Mapping[str, Any],
    params: Mapping[str, NDArray],
) -> None:
    """Raise if the optimizer that there is, or will be, cannot take states over."""
    optimizer = asked["optimizer"] if updater is None else updater.optimizer
    if isinstance(optimizer, str):
        optimizer = create(optimizer, **dict(asked["optimizer_params"]))
    trial = Updater(copy.copy(optimizer))
    trial.set_states(packed)
    for index in trial.states:
        if index not in params:
            raise FormatError(f"{source}: the optimizer has a state of {index!r}, no parameter")


def _sums(source: str, given: object, metric: EvalMetric) -> list[Sums]:
    names = [each.name for each in metric.tallies()]
    theirs = given.get("names") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or theirs != names:
        raise FormatError(
            f"{source}: the checkpoint is of another metric: it was {theirs!r}, and is {names!r}"
        )
    found = given.get("sums")
    if not isinstance(found, list) or len(found) != len(names):
        raise FormatError(f"{source}: the metric's sums are {found!r}")
    sums: list[Sums] = []
    for each in found:
        if not isinstance(each, list) or len(each) != 4:  # noqa: PLR2004 -- as `Tally.sums`
            raise FormatError(f"{source}: the metric's sums are {each!r}, and need to be four")
        total, count, past_total, past_count = (plain.unpacked(source, part) for part in each)
        sums.append((total, count, past_total, past_count))
    return sums
