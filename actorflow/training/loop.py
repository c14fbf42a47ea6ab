"""The loop: what a run does with each batch, of training, of validation and of prediction.

These are generators that never wait themselves, see `requests`. They send messages, and hold back
so far that no more than `AHEAD` batches are on their way: more would not make it faster, and would
take memory. Modules are all they know, so whatever is a module can be trained by them.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from actorflow.engine import current_engine
from actorflow.errors import TrainingError
from actorflow.io import DataDesc
from actorflow.training.callback import BatchEndParam
from actorflow.training.report import Report, Sent, Times, Values
from actorflow.training.requests import Arrays, Call, Counted, Done, NextBatch, Seen
from actorflow.training.resume import Idle

if TYPE_CHECKING:
    from actorflow.engine import Accessible, Operation
    from actorflow.io import DataBatch, DataIter
    from actorflow.ndarray import NDArray
    from actorflow.training.evaluation import EvalMetric
    from actorflow.training.requests import Steps
    from actorflow.training.steps import ModuleSteps

__all__ = [
    "AHEAD",
    "Run",
    "evaluating",
    "predicting",
    "predicting_one",
    "predicting_with_data",
    "training",
]

AHEAD: Final = 2
"""Batches that may be on their way when the next one is sent."""

Callback = Callable[..., object]
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Run:
    """What a run of training is made of, see `BaseModule.fit`.

    Attributes:
      data: the batches.
      metric: what is said of them.
      begin_epoch, num_epoch: the first epoch, and the one that is not begun any more.
      epoch_size: batches of an epoch; None for all that the iterator has.
      eval_data, validation_metric: what is looked at after each epoch, if anything.
      every: after what reports are given: "batch" or "epoch".
      begin_batch: the first batch of the first epoch, whose metric has the sums of those before.
      keeper: what writes checkpoints, if any are wanted.
    """

    data: DataIter
    metric: EvalMetric
    begin_epoch: int
    num_epoch: int
    epoch_size: int | None = None
    eval_data: DataIter | None = None
    validation_metric: EvalMetric | None = None
    batch_end: Sequence[Callback] = ()
    epoch_end: Sequence[Callback] = ()
    eval_batch_end: Sequence[Callback] = ()
    eval_end: Sequence[Callback] = ()
    monitor: Any = None
    every: str = "epoch"
    begin_batch: int = 0
    keeper: Idle = attrs.field(factory=Idle)


def training(module: ModuleSteps, run: Run) -> Steps[Report]:
    """Train a module that is bound and has parameters and an optimizer; return a report of it all.

    Raises:
      TrainingError: a batch, the iterator or the engine failed; its cause says how.
    """
    total, batches = Times(), 0
    metric: Values = ()
    validation: Values = ()
    keeper = run.keeper
    for epoch in range(run.begin_epoch, run.num_epoch):
        times = yield from _epoch(module, run, epoch)
        batches += times.batches
        with _blaming(epoch, times.batches - 1):
            yield Counted(run.metric)
            metric = tuple(run.metric.get_name_value())
        _log(module, "Train", epoch, metric)
        module.logger.info("Epoch[%d] Time cost=%.3f", epoch, times.seconds)
        validation = ()
        if run.epoch_end:
            arg_params, aux_params = module.get_params()
            ready = (Arrays([*arg_params.values(), *aux_params.values()]),)
            for callback in run.epoch_end:
                yield Call(callback, (epoch, module.symbol, arg_params, aux_params), ready)
        if run.eval_data is not None and run.validation_metric is not None:
            validation = yield from evaluating(
                module,
                run.eval_data,
                run.validation_metric,
                batch_end=run.eval_batch_end,
                end=run.eval_end,
                epoch=epoch,
            )
            _log(module, "Validation", epoch, validation)
        if run.epoch_size is None:
            run.data.reset()
        keeper.at(epoch + 1, 0)
        yield from _keep(keeper, epoch_ended=True, last=epoch + 1 == run.num_epoch)
        total.add(times)
        yield times.report("epoch", epoch, times.batches, metric, validation)
    if keeper.writing is not None:
        with _blaming(run.num_epoch - 1, 0):
            yield Done(keeper.writing)
    return total.report("run", run.num_epoch - 1, batches, metric, validation)


def _keep(keeper: Idle, *, epoch_ended: bool, last: bool = False) -> Steps[None]:
    """Have a checkpoint written if one is due, when the one before is."""
    if not keeper.due(epoch_ended=epoch_ended, last=last):
        return
    place = keeper.place
    epoch, nbatch = (place.epoch, place.nbatch) if place is not None else (0, 0)
    with _blaming(epoch, max(0, nbatch - 1)):
        if keeper.writing is not None:
            yield Done(keeper.writing)
        keeper.send()


def _epoch(module: ModuleSteps, run: Run, epoch: int) -> Steps[Times]:
    """One epoch; return where its time went."""
    pending: deque[Sent] = deque()
    begin = run.begin_batch if epoch == run.begin_epoch else 0
    if not begin:
        run.metric.reset()
    try:
        return (yield from _batches(module, run, epoch, begin, pending))
    except TrainingError as error:
        # What was sent before that was known ends first, or fails too.
        for sent in pending:
            try:
                yield Done(sent.updated)
            except Exception as other:  # noqa: BLE001 -- told together with the first
                if other is not error.__cause__:
                    error.add_note(f"batch {sent.nbatch}, sent meanwhile, failed, too: {other!r}")
        raise


def _batches(
    module: ModuleSteps, run: Run, epoch: int, begin: int, pending: deque[Sent]
) -> Steps[Times]:
    """The batches of an epoch from `begin` on; `pending` has those that are on their way."""
    times = Times(batches=begin)
    keeper = run.keeper
    keeper.at(epoch, begin)
    reset_at = -1
    while run.epoch_size is None or times.batches < run.epoch_size:
        nbatch = times.batches
        asked = perf_counter()
        with _blaming(epoch, nbatch, run.data):
            batch = yield NextBatch(run.data)
        got = perf_counter()
        if batch is None:
            if reset_at == nbatch or (nbatch and run.epoch_size is None):
                break
            reset_at = nbatch  # somebody has read it to its end before, or the epoch goes on
            run.data.reset()
            continue
        if len(pending) >= AHEAD:
            yield from _settle(pending, times, epoch)
        if run.monitor is not None:
            run.monitor.tic()
        keeper.leave()
        with _blaming(epoch, nbatch):
            pushed = perf_counter()
            module.forward(batch, is_train=True)
            module.backward()
            module.update()
            module.update_metric(run.metric, batch.label or ())
            computed, updated = _fences(module)
        pending.append(Sent(nbatch, asked, got, pushed, computed, updated))
        times.batches += 1
        times.examples += _rows(batch)
        keeper.at(epoch, times.batches)
        yield from _keep(keeper, epoch_ended=False)
        if run.monitor is not None:
            with _blaming(epoch, nbatch):
                yield Seen(run.monitor, module.logger)
        if run.batch_end:
            param = BatchEndParam(epoch, nbatch, run.metric, locals())
            for callback in run.batch_end:
                yield Call(callback, (param,), (Counted(run.metric),))
        if run.every == "batch":
            yield from _report(run, times, epoch, nbatch)
    while pending:
        yield from _settle(pending, times, epoch)
    if not times.batches:
        message = f"epoch {epoch}: {type(run.data).__name__} gives no batch, even after reset()"
        raise TrainingError(message, epoch, 0)
    return times


def _report(run: Run, times: Times, epoch: int, nbatch: int) -> Steps[None]:
    """Report a batch, when it was counted."""
    with _blaming(epoch, nbatch):
        yield Counted(run.metric)
        metric = tuple(run.metric.get_name_value())
    yield times.report("batch", epoch, nbatch, metric, ())


def _settle(pending: deque[Sent], times: Times, epoch: int) -> Steps[None]:
    """Wait for the oldest batch that is on its way."""
    sent = pending[0]
    with _blaming(epoch, sent.nbatch):
        yield Done(sent.updated)
        if sent.computed is not None:
            yield Done(sent.computed)
    pending.popleft()
    times.end(sent)


def evaluating(
    module: ModuleSteps,
    data: DataIter,
    metric: EvalMetric,
    *,
    num_batch: int | None = None,
    batch_end: Sequence[Callback] = (),
    end: Sequence[Callback] = (),
    reset: bool = True,
    epoch: int = 0,
) -> Steps[Values]:
    """Compute outputs, and have a metric compare them with labels; return its names and values.

    Rows that only fill up a batch do not count.
    """
    if reset:
        data.reset()
    metric.reset()
    pending: deque[Operation] = deque()
    nbatch = 0
    while num_batch is None or nbatch < num_batch:
        batch = yield from _forward_next(module, data, pending, epoch, nbatch)
        if batch is None:
            break
        with _blaming(epoch, nbatch):
            if batch.pad:
                labels = [_front(each, batch) for each in batch.label or ()]
                metric.update(labels, [_front(each, batch) for each in module.get_outputs()])
            else:
                module.update_metric(metric, batch.label or ())
        param = BatchEndParam(epoch, nbatch, metric, locals() if batch_end else None)
        for callback in batch_end:
            yield Call(callback, (param,), (Counted(metric),))
        nbatch += 1
    with _blaming(epoch, nbatch - 1):
        yield Counted(metric)
        values = tuple(metric.get_name_value())
    for callback in end:
        yield Call(callback, (BatchEndParam(epoch, nbatch, metric, None),))
    return values


def predicting(
    module: ModuleSteps, data: DataIter, *, num_batch: int | None, reset: bool
) -> Steps[list[list[NDArray]]]:
    """Compute outputs; return copies of them for each batch, without rows that only fill it up."""

    def taken(batch: DataBatch) -> list[NDArray]:
        return _copies(module.get_outputs(), batch)

    return (yield from _taking(module, data, num_batch, taken, reset=reset))


def predicting_with_data(
    module: ModuleSteps, data: DataIter, *, num_batch: int | None, reset: bool
) -> Steps[tuple[list[list[NDArray]], ...]]:
    """Compute outputs; return likewise copies of the outputs, of the data and of the labels."""

    def taken(batch: DataBatch) -> tuple[list[NDArray], ...]:
        arrays = module.get_outputs(), batch.data or (), batch.label or ()
        return tuple(_copies(each, batch) for each in arrays)

    found = yield from _taking(module, data, num_batch, taken, reset=reset)
    return tuple(list(each) for each in zip(*found, strict=True)) or ([], [], [])


def _taking(
    module: ModuleSteps,
    data: DataIter,
    num_batch: int | None,
    taken: Callable[[DataBatch], T],
    *,
    reset: bool,
) -> Steps[list[T]]:
    """Compute outputs; return what is taken of each batch."""
    if reset:
        data.reset()
    pending: deque[Operation] = deque()
    found: list[T] = []
    while num_batch is None or len(found) < num_batch:
        batch = yield from _forward_next(module, data, pending, 0, len(found))
        if batch is None:
            break
        found.append(taken(batch))
    return found


def predicting_one(
    module: ModuleSteps, data: DataIter, nbatch: int
) -> Steps[tuple[list[NDArray], DataBatch] | None]:
    """Compute the outputs of one batch; return copies of them, and the batch; None at the end."""
    batch = yield from _forward_next(module, data, deque(), 0, nbatch)
    if batch is None:
        return None
    return _copies(module.get_outputs(), batch), batch


def _forward_next(
    module: ModuleSteps, data: DataIter, pending: deque[Operation], epoch: int, nbatch: int
) -> Steps[DataBatch | None]:
    """Send the next batch through a module, as in prediction; return it, or None at the end."""
    with _blaming(epoch, nbatch, data):
        batch = yield NextBatch(data)
    if batch is None:
        return None
    if len(pending) >= AHEAD:
        with _blaming(epoch, nbatch - len(pending)):
            yield Done(pending[0])
        pending.popleft()
    with _blaming(epoch, nbatch):
        module.forward(batch, is_train=False)
        pending.append(_fence(module.settling().outputs, "end of a pass"))
    found: DataBatch = batch
    return found


def _fences(module: ModuleSteps) -> tuple[Operation | None, Operation]:
    """Operations that end when a step's gradients, and its parameters, are there, and say when."""
    settling = module.settling()
    if not settling.updated:
        return None, _fence(settling.computed or settling.outputs, "end of a step")
    first = _fence(settling.computed, "end of a pass") if settling.computed else None
    return first, _fence(settling.updated, "end of a step")


def _fence(reads: Sequence[Accessible], name: str) -> Operation:
    return current_engine().push(perf_counter, reads=reads, name=name, quick=True)


def _rows(batch: DataBatch) -> int:
    """How many rows of a batch count."""
    return _size(batch) - (batch.pad or 0)


def _size(batch: DataBatch) -> int:
    if not batch.data:
        return 0
    shape = batch.data[0].shape
    layout = batch.provide_data[0].layout if batch.provide_data else None
    axis = DataDesc.get_batch_axis(layout)
    return shape[axis if 0 <= axis < len(shape) else 0]


def _copies(arrays: Sequence[NDArray], batch: DataBatch) -> list[NDArray]:
    """Copies of what belongs to the rows of a batch that count."""
    return [_front(each, batch).copy() for each in arrays]


def _front(array: NDArray, batch: DataBatch) -> NDArray:
    """What belongs to the rows of a batch that count, of an array for all of its rows.

    A network may give several rows for each, as one that reads sentences does.
    """
    size = _size(batch)
    if not batch.pad or not size or array.shape[0] % size:
        return array
    return array[: array.shape[0] // size * _rows(batch)]


def _log(module: ModuleSteps, what: str, epoch: int, values: Values) -> None:
    for name, value in values:
        module.logger.info("Epoch[%d] %s-%s=%f", epoch, what, name, value)


@contextlib.contextmanager
def _blaming(epoch: int, nbatch: int, data: DataIter | None = None) -> Iterator[None]:
    """What fails inside is the fault of a batch, or of the iterator that was to give it."""
    try:
        yield
    except Exception as error:
        where = "" if data is None else f" from {type(data).__name__}"
        notes = [
            note.partition(": ")[2].partition("\n")[0]
            for note in getattr(error, "__notes__", ())
            if note.startswith("actorflow: operation")
        ]
        said = "".join(f"; {note}" for note in notes[:1])
        message = f"epoch {epoch}, batch {nbatch}{where}: {type(error).__name__}: {error}{said}"
        raise TrainingError(message, epoch, nbatch) from error
