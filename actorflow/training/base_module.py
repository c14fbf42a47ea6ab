"""What every module offers beyond its steps: whole runs, and files of parameters."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from actorflow import nd
from actorflow.errors import ActorflowError, ParameterError
from actorflow.io import DataIter
from actorflow.ops import described
from actorflow.training import metric as metrics
from actorflow.training.loop import Run, evaluating, predicting, predicting_one, training
from actorflow.training.parameters import DEFAULT_INITIALIZER, split_params
from actorflow.training.requests import Driven, drive
from actorflow.training.resume import Idle, Keeper, checked_arguments, look_up
from actorflow.training.steps import ModuleSteps

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from actorflow.io import DataBatch
    from actorflow.ndarray import NDArray
    from actorflow.training.evaluation import EvalMetric
    from actorflow.training.report import Report, Values
    from actorflow.training.requests import Steps
    from actorflow.training.resume import Resumed
    from actorflow.training.steps import OptimizerParams

    Callback: TypeAlias = Callable[..., object]
    Callbacks: TypeAlias = Callback | Sequence[Callback] | None

__all__ = ["BaseModule"]


class BaseModule(ModuleSteps):
    """The steps of a module, and runs made of them.

    Attributes:
      report: how the last `fit` went, and where its time went; None before one.
    """

    report: Report | None = None
    _keeper: Keeper | None = None

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logging.getLogger("actorflow") if logger is None else logger

    # -- Training --------------------------------------------------------------------------------

    def forward_backward(self, data_batch: DataBatch) -> None:
        """Compute outputs and gradients of a batch. Waits for nothing."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def fit(
        self,
        train_data: DataIter,
        eval_data: DataIter | None = None,
        eval_metric: Any = "acc",  # noqa: ANN401 -- what af.metric.create takes
        epoch_end_callback: Callbacks = None,
        batch_end_callback: Callbacks = None,
        kvstore: Any = "local",  # noqa: ANN401 -- its name or itself
        optimizer: Any = "sgd",  # noqa: ANN401 -- its name or itself
        optimizer_params: OptimizerParams = (("learning_rate", 0.01),),
        eval_end_callback: Callbacks = None,
        eval_batch_end_callback: Callbacks = None,
        initializer: Any = DEFAULT_INITIALIZER,  # noqa: ANN401
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002 -- MXNet's signature
        force_rebind: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = False,  # noqa: FBT001, FBT002
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,  # noqa: ANN401
        monitor: Any = None,  # noqa: ANN401 -- a Monitor
        *,
        epoch_size: int | None = None,
        nan: str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        resume: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        """Train: bind, initialise what is not yet, and go through the data `num_epoch` times.

        `report` says afterwards how it went and where its time went; it is logged, too.

        Args:
          train_data: the batches; reset after each epoch.
          eval_data: what is scored after each epoch, by `validation_metric`.
          eval_metric: what is said of the training batches: a metric, or what makes one.
          epoch_end_callback: called with epoch, symbol, parameters and states after each epoch,
            such as `do_checkpoint("prefix")`; or several in a list, as all callbacks.
          batch_end_callback: called with a `BatchEndParam` after each batch was sent.
          kvstore, optimizer, optimizer_params: as for `init_optimizer`.
          eval_end_callback, eval_batch_end_callback: called with a `BatchEndParam` likewise.
          initializer, arg_params, aux_params, allow_missing, force_init: as for `init_params`.
          force_rebind: bind again.
          begin_epoch, num_epoch: the first epoch, and the one that is not begun any more.
          validation_metric: what `eval_data` is scored by; default `eval_metric`.
          monitor: watches the values inside. Each batch that it looks at is waited for.
          epoch_size: batches of an epoch; the iterator goes on where it was. None for all it has.
          nan: "raise" to stop at the first operator that gives NaN or an infinity; takes longer.
          checkpoint: a prefix; the run's whole state goes to the folder `<checkpoint>-resume`.
          checkpoint_every: after how many batches, and at the end; None for after each epoch.
          resume: a prefix, of which the newest checkpoint is gone on with, or the folder of one.
            True is that of `checkpoint`, or the beginning if there is none yet.

        Raises:
          FormatError: the checkpoint is damaged, or of another program; nothing has changed.
          TrainingError: a batch failed; it says which, and why. Callbacks' exceptions come as such.
        """
        options = {name: value for name, value in locals().items() if name != "self"}
        self._driven(self._fitting(every="epoch", **options))

    def fit_async(
        self,
        train_data: DataIter,
        *,
        every: str = "epoch",
        **options: Any,
    ) -> Driven[Report]:
        """Train in a trio or asyncio task: `async for report in module.fit_async(...)`.

        Other tasks and other users of the engine go on meanwhile. A cancellation ends the wait at
        once and leaves the module as it is after the batches that were sent, which end by
        themselves; to take the next report of the same object goes on where it was.

        Args:
          train_data: the batches.
          every: after what a report is given: "epoch" or "batch". For those of batches the metric
            is waited for, so that batches do not overlap.
          options: the other arguments of `fit`, by name.

        Callbacks that have `call_async`, as those of `af.callback`, are awaited. Before others
        are called, what they are given is waited for.

        Raises:
          ValueError: `every` is something else.
        """
        return Driven(self._fitting(train_data=train_data, every=every, **options))

    def _fitting(self, *, every: str, **options: Any) -> Steps[Report]:
        """A run of `fit`, which begins at once: mistakes in arguments are those of this call."""
        who = f"{type(self).__name__}.fit"
        given = inspect.signature(BaseModule.fit).bind(self, **options)
        given.apply_defaults()
        asked = given.arguments
        if every not in {"batch", "epoch"}:
            message = f"{who}: every is 'batch' or 'epoch', got {every!r}"
            raise ParameterError(message)
        if asked["nan"] not in {None, "raise"}:
            message = f"{who}: nan is None or 'raise', got {asked['nan']!r}"
            raise ParameterError(message)
        begin, end = asked["begin_epoch"], asked["num_epoch"]
        if not isinstance(end, int) or not isinstance(begin, int):
            message = f"{who}: num_epoch has to say how many epochs to train, got {end!r}"
            raise ParameterError(message)
        checked_arguments(who, asked)
        data = _as_iterator(who, "train_data", asked["train_data"])
        eval_data = asked["eval_data"]
        if eval_data is not None:
            _as_iterator(who, "eval_data", eval_data)
        metric = metrics.create(asked["eval_metric"])
        scored = asked["validation_metric"]
        found = look_up(who, self, data, metric, asked)
        if found is not None:
            found.place(data, asked["epoch_size"])
        self.prepare_fit(data, {**asked, "found": found})
        if found is not None:
            found.finish(self, metric)
            self.logger.info("Resumed %s at epoch %d, batch %d", *found.where)
        self._keeper = self._kept(who, data, metric, asked)
        run = Run(
            data=data,
            metric=metric,
            begin_epoch=begin if found is None else found.epoch,
            begin_batch=0 if found is None else found.nbatch,
            keeper=self._keeper or Idle(),
            num_epoch=end,
            epoch_size=asked["epoch_size"],
            eval_data=eval_data,
            validation_metric=metric if scored is None else metrics.create(scored),
            batch_end=_listed(asked["batch_end_callback"]),
            epoch_end=_listed(asked["epoch_end_callback"]),
            eval_batch_end=_listed(asked["eval_batch_end_callback"]),
            eval_end=_listed(asked["eval_end_callback"]),
            monitor=asked["monitor"],
            every=every,
        )
        return self._reported(run)

    def prepare_fit(self, data: DataIter, asked: Mapping[str, Any]) -> None:
        """Bind, initialise and choose an optimizer, as far as that was not done yet.

        Args:
          data: what it will learn from.
          asked: the arguments of `fit`, and as `found` the checkpoint that is resumed, if any.
        """
        if not self.binded or asked["force_rebind"]:
            self.bind(
                data.provide_data,
                data.provide_label,
                for_training=True,
                force_rebind=asked["force_rebind"],
            )
        if asked["monitor"] is not None:
            self.install_monitor(asked["monitor"])
        if asked["nan"] is not None:
            self.detect_anomaly(active=True)
        found: Resumed | None = asked.get("found")
        if found is not None:
            found.fill(self)
        else:
            self.init_params(
                asked["initializer"],
                asked["arg_params"],
                asked["aux_params"],
                asked["allow_missing"],
                asked["force_init"],
            )
        if not self.optimizer_initialized or asked["force_init"]:
            self.init_optimizer(
                asked["kvstore"],
                asked["optimizer"],
                asked["optimizer_params"],
                force_init=asked["force_init"],
            )

    def _kept(
        self, who: str, data: DataIter, metric: EvalMetric, asked: Mapping[str, Any]
    ) -> Keeper | None:
        """What writes the checkpoints, if they are wanted."""
        if asked["checkpoint"] is None:
            return None
        return Keeper(who, self, data, metric, asked["checkpoint"], asked["checkpoint_every"])

    def _driven(self, steps: Steps[Report]) -> None:
        """Go through a run. If it fails, the checkpoint that is being written is finished."""
        try:
            drive(steps)
        except Exception as error:
            if self._keeper is not None and self._keeper.writing is not None:
                try:
                    self._keeper.writing.wait()
                except Exception as other:  # noqa: BLE001 -- told together with the first
                    if other is not error.__cause__:
                        error.add_note(f"the last checkpoint was not written: {other!r}")
            raise

    def _reported(self, run: Run) -> Steps[Report]:
        self.report = yield from training(self, run)
        self.logger.info("%s", self.report)
        return self.report

    # -- Validation and prediction ---------------------------------------------------------------

    def score(
        self,
        eval_data: DataIter,
        eval_metric: Any,  # noqa: ANN401 -- what af.metric.create takes
        num_batch: int | None = None,
        batch_end_callback: Callbacks = None,
        reset: bool = True,  # noqa: FBT001, FBT002 -- MXNet's signature
        epoch: int = 0,
    ) -> list[tuple[str, float]]:
        """Compute the outputs for batches, and compare them with their labels.

        Rows that only fill up a batch (`pad`) do not count.

        Args:
          eval_data: the batches.
          eval_metric: a metric, or what makes one.
          num_batch: how many batches; None for all.
          batch_end_callback: called with a `BatchEndParam` after each.
          reset: whether to begin at the beginning.
          epoch: its number, for callbacks.

        Returns:
          The names and values of the metric.

        Raises:
          TrainingError: a batch failed.
        """
        steps = self._evaluating(
            eval_data, eval_metric, num_batch, batch_end_callback, reset, epoch
        )
        return list(drive(steps))

    async def score_async(
        self,
        eval_data: DataIter,
        eval_metric: Any,  # noqa: ANN401
        num_batch: int | None = None,
        batch_end_callback: Callbacks = None,
        reset: bool = True,  # noqa: FBT001, FBT002
        epoch: int = 0,
    ) -> list[tuple[str, float]]:
        """Do like `score` in a trio or asyncio task."""
        steps = self._evaluating(
            eval_data, eval_metric, num_batch, batch_end_callback, reset, epoch
        )
        return list(await Driven(steps).finish())

    def _evaluating(
        self,
        data: DataIter,
        metric: Any,  # noqa: ANN401
        num_batch: int | None,
        callbacks: Callbacks,
        reset: bool,  # noqa: FBT001
        epoch: int,
    ) -> Steps[Values]:
        self.require("score", params=True)
        return evaluating(
            self,
            _as_iterator("score", "eval_data", data),
            metrics.create(metric),
            num_batch=num_batch,
            batch_end=_listed(callbacks),
            reset=reset,
            epoch=epoch,
        )

    def predict(
        self,
        eval_data: DataIter,
        num_batch: int | None = None,
        merge_batches: bool = True,  # noqa: FBT001, FBT002 -- MXNet's signature
        reset: bool = True,  # noqa: FBT001, FBT002
        always_output_list: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401 -- see below
        """Compute the outputs for batches.

        Args:
          eval_data: the batches.
          num_batch: how many; None for all.
          merge_batches: join the outputs of all batches.
          reset: whether to begin at the beginning.
          always_output_list: give a list for a single output, too.

        Returns:
          An array with a row for each example, without those that only fill up a batch; a list of
          them if there are several outputs; without `merge_batches` a list of the outputs of each
          batch.

        Raises:
          TrainingError: a batch failed.
        """
        found = drive(self._predicting(eval_data, num_batch, reset=reset))
        return _joined(found, merge=merge_batches, listed=always_output_list)

    async def predict_async(
        self,
        eval_data: DataIter,
        num_batch: int | None = None,
        merge_batches: bool = True,  # noqa: FBT001, FBT002
        reset: bool = True,  # noqa: FBT001, FBT002
        always_output_list: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401
        """Do like `predict` in a trio or asyncio task."""
        found = await Driven(self._predicting(eval_data, num_batch, reset=reset)).finish()
        return _joined(found, merge=merge_batches, listed=always_output_list)

    def _predicting(
        self, data: DataIter, num_batch: int | None, *, reset: bool
    ) -> Steps[list[list[NDArray]]]:
        self.require("predict", params=True)
        data = _as_iterator("predict", "eval_data", data)
        return predicting(self, data, num_batch=num_batch, reset=reset)

    def iter_predict(
        self,
        eval_data: DataIter,
        num_batch: int | None = None,
        reset: bool = True,  # noqa: FBT001, FBT002 -- MXNet's signature
    ) -> Iterator[tuple[list[NDArray], int, DataBatch]]:
        """Compute the outputs for batches one by one.

        Yields:
          The outputs, without rows that only fill up the batch, the number of the batch, and
          the batch. The outputs are yours: later batches are computed elsewhere.
        """
        self.require("iter_predict", params=True)
        data = _as_iterator("iter_predict", "eval_data", eval_data)
        if reset:
            data.reset()
        nbatch = 0
        while num_batch is None or nbatch < num_batch:
            found = drive(predicting_one(self, data, nbatch))
            if found is None:
                return
            outputs, batch = found
            yield outputs, nbatch, batch
            nbatch += 1

    # -- Checkpoints of runs -----------------------------------------------------------------

    def save_state(self, prefix: str | os.PathLike[str] | None = None) -> Path:
        """Write a checkpoint of the last run, where it is now, for `fit(..., resume=...)`.

        The run is one with `checkpoint`; it may have been cancelled, or be over. Waits for its
        batches and the files.

        Args:
          prefix: where to; default the run's `checkpoint`.

        Returns:
          The folder of the checkpoint.

        Raises:
          ActorflowError: there is no such run, or it failed in the middle of a batch.
          WouldBlockError: in an event loop; use `await save_state_async(...)` there.
          OSError: it cannot be written.
        """
        keeper = self._run_kept("save_state")
        if keeper.writing is not None:
            keeper.writing.wait()
        written: Path = keeper.send(prefix).wait()
        return written

    async def save_state_async(self, prefix: str | os.PathLike[str] | None = None) -> Path:
        """Do like `save_state` in a trio or asyncio task; a worker writes.

        Cancelling it ends the wait: the checkpoint may still appear, whole.
        """
        keeper = self._run_kept("save_state_async")
        if keeper.writing is not None:
            await keeper.writing
        written: Path = await keeper.send(prefix)
        return written

    def _run_kept(self, who: str) -> Keeper:
        if self._keeper is None:
            message = (
                f"{type(self).__name__}.{who}: there was no fit(..., checkpoint=...), which notes "
                "where it is"
            )
            raise ActorflowError(message)
        return self._keeper

    # -- Files -----------------------------------------------------------------------------------

    def save_params(self, fname: str | os.PathLike[str]) -> None:
        """Write parameters and states to a file that `load_params`, and MXNet, read.

        Waits for them. The file appears whole or not at all.
        """
        arg_params, aux_params = self.get_params()
        found = {f"arg:{name}": value for name, value in arg_params.items()}
        nd.save(fname, found | {f"aux:{name}": value for name, value in aux_params.items()})

    def load_params(self, fname: str | os.PathLike[str]) -> None:
        """Take what `save_params`, or MXNet, wrote.

        Raises:
          FormatError, ParameterError: the file does not hold the parameters.
          ShapeError: one has another shape.
          OSError: it cannot be read.
        """
        self.set_params(*split_params(f"{type(self).__name__}.load_params", nd.load(fname)))


def _listed(callbacks: Callbacks) -> list[Callable[..., object]]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]  # type: ignore[list-item]


def _as_iterator(who: str, what: str, given: object) -> DataIter:
    if not isinstance(given, DataIter):
        message = f"{who}: {what} needs a DataIter, such as af.io.NDArrayIter(...), got "
        raise TypeError(message + described(given))
    return given


def _joined(found: list[list[NDArray]], *, merge: bool, listed: bool) -> Any:  # noqa: ANN401
    if not merge or not found:
        return found
    outputs = [nd.concatenate(list(parts)) for parts in zip(*found, strict=True)]
    return outputs[0] if len(outputs) == 1 and not listed else outputs
