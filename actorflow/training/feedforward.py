"""`FeedForward`: a network, its parameters and how to train it, in one object."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from actorflow import nd
from actorflow.errors import ActorflowError, ParameterError
from actorflow.ops import described
from actorflow.optimizer import Optimizer, create
from actorflow.symbol import Symbol
from actorflow.training import metric as metrics
from actorflow.training.checkpoint import load_checkpoint, save_checkpoint, save_checkpoint_async
from actorflow.training.given import as_eval_iterator, as_iterator, positive
from actorflow.training.loop import predicting, predicting_with_data
from actorflow.training.module import Module
from actorflow.training.names import as_descs, label_names_of
from actorflow.training.parameters import DEFAULT_INITIALIZER
from actorflow.training.requests import Driven, drive

if TYPE_CHECKING:
    import logging
    import os

    from actorflow.device import Context
    from actorflow.io import DataIter
    from actorflow.ndarray import NDArray
    from actorflow.training.base_module import Callbacks
    from actorflow.training.report import Report
    from actorflow.training.requests import Steps

    Params = dict[str, NDArray]

__all__ = ["FeedForward"]


class FeedForward:
    """A network that is trained and asked, on arrays as they are or on iterators.

    It trains by a `Module`, which offers single steps and more.

    Args:
      symbol: the network, which ends with a loss.
      ctx: where to compute: a context, or a list of them, among which each batch is divided.
      num_epoch: the epoch that is not begun any more; `fit` needs it.
      epoch_size: batches of an epoch; None for all that the data has.
      optimizer: a name for `af.optimizer.create`, or an optimizer.
      initializer: fills, called with a name and an array, what `arg_params` does not have.
      numpy_batch_size: rows of a batch, where arrays are given instead of an iterator.
      arg_params, aux_params: parameters and auxiliary states to begin with, by name.
      allow_extra_params: whether these may have names that the network has not.
      begin_epoch: the number of the first epoch.
      kwargs: what the optimizer takes, if it is a name: `learning_rate`, `momentum`, `wd` and so
        on. `rescale_grad` is by default 1 / batch size.

    Attributes:
      arg_params, aux_params: the parameters and the auxiliary states by name, as of now; None
        before there are any. While a run is under way these are copies.
      report: how the last `fit` went, and where its time went; None before one.

    Raises:
      ParameterError: the optimizer does not take an argument, or a number is not valid.
      TypeError: something is not of the kind given above.
    """

    report: Report | None = None

    def __init__(
        self,
        symbol: Symbol,
        ctx: Context | Sequence[Context] | None = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: str | Optimizer = "sgd",
        initializer: Any = DEFAULT_INITIALIZER,  # noqa: ANN401 -- called with names and arrays
        numpy_batch_size: int = 128,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,  # noqa: FBT001, FBT002 -- MXNet's signature
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        if not isinstance(symbol, Symbol):
            message = f"FeedForward: symbol needs to be a Symbol, got {described(symbol)}"
            raise TypeError(message)
        _check_optimizer(symbol, optimizer, kwargs)
        # Contexts are looked at before the first run.
        Module(symbol, (), context=ctx)
        self.symbol = symbol
        self.ctx = list(ctx) if isinstance(ctx, Sequence) else [ctx]
        self.num_epoch = positive("FeedForward", "num_epoch", num_epoch, least=0)
        self.epoch_size = positive("FeedForward", "epoch_size", epoch_size)
        self.optimizer = optimizer
        self.initializer = initializer
        self.numpy_batch_size = positive("FeedForward", "numpy_batch_size", numpy_batch_size) or 128
        self.allow_extra_params = allow_extra_params
        self.begin_epoch = positive("FeedForward", "begin_epoch", begin_epoch, least=0) or 0
        self.kwargs = kwargs
        self._arg_params = _by_name("arg_params", arg_params)
        self._aux_params = _by_name("aux_params", aux_params)
        self._run: Module | None = None  # has the parameters, while it is trained
        self._over = False  # whether that has come to its end
        # For batches of one kind; of how many rows does not matter.
        self._predictor: tuple[tuple[Any, ...], Module] | None = None

    # -- Parameters ------------------------------------------------------------------------------

    @property
    def arg_params(self) -> Params | None:
        """The parameters by name, as of now. Waits for nothing."""
        return self._current()[0]

    @arg_params.setter
    def arg_params(self, given: Mapping[str, NDArray] | None) -> None:
        self._aux_params = self._current()[1]
        self._arg_params, self._run = _by_name("arg_params", given), None

    @property
    def aux_params(self) -> Params | None:
        """The auxiliary states by name, as of now. Waits for nothing."""
        return self._current()[1]

    @aux_params.setter
    def aux_params(self, given: Mapping[str, NDArray] | None) -> None:
        self._arg_params = self._current()[0]
        self._aux_params, self._run = _by_name("aux_params", given), None

    def _current(self) -> tuple[Params | None, Params | None]:
        if self._run is not None:
            self._arg_params, self._aux_params = self._run.get_params()
            if self._over:
                self._run = None
        return self._arg_params, self._aux_params

    def _params(self, who: str) -> tuple[Params, Params]:
        arg_params, aux_params = self._current()
        if arg_params is None:
            message = f"{who}: there are no parameters; call fit, or give arg_params"
            raise ActorflowError(message)
        return arg_params, aux_params or {}

    # -- Training --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,  # noqa: ANN401, N803 -- MXNet's signature, see below
        y: Any = None,  # noqa: ANN401
        eval_data: Any = None,  # noqa: ANN401
        eval_metric: Any = "acc",  # noqa: ANN401 -- what af.metric.create takes
        epoch_end_callback: Callbacks = None,
        batch_end_callback: Callbacks = None,
        kvstore: Any = "local",  # noqa: ANN401 -- its name or itself
        logger: logging.Logger | None = None,
        work_load_list: Sequence[float] | None = None,
        monitor: Any = None,  # noqa: ANN401 -- a Monitor
        eval_batch_end_callback: Callbacks = None,
        *,
        nan: str | None = None,
    ) -> None:
        """Train from epoch `begin_epoch` to `num_epoch`, with the parameters that are there.

        What they lack is initialised. The optimizer begins anew, unless it was given as an object.
        Afterwards `arg_params` and `aux_params` hold what was learnt, and `report` says how it
        went.

        Args:
          X: an iterator; or rows of data: an array (of NumPy, or an NDArray), or several in a dict
            by the names of the network's arguments. Rows are shuffled, in the same way each time;
            those that do not fill a batch begin the next epoch.
          y: the labels of these rows: an array of one axis, or whatever the loss takes; or a dict
            likewise. An iterator brings labels of its own.
          eval_data: what is scored after each epoch: an iterator, or a pair (X, y).
          eval_metric: what is said of both: a metric, or what makes one.
          epoch_end_callback: called with epoch, symbol, parameters and states after each epoch,
            such as `do_checkpoint("prefix")`; or several in a list, as all callbacks.
          batch_end_callback, eval_batch_end_callback: called with a `BatchEndParam` after each
            batch was sent.
          kvstore: where the gradients of several contexts meet: a name for `af.kv.create`, or a
            store. With one context and a store of this process there is none.
          logger: where the run says how it goes; default `logging.getLogger("actorflow")`.
          work_load_list: how much each context is to do, in proportion; default the same.
          monitor: watches the values inside. Each batch that it looks at is waited for.
          nan: "raise" to stop at the first operator that gives NaN or an infinity, and name it.

        Raises:
          TrainingError: a batch failed; it says which, and why.
          ParameterError: labels are missing, or an argument is not valid.
          ValueError, TypeError: the data do not fit together, or do not fit the network.
        """
        options = {name: value for name, value in locals().items() if name != "self"}
        drive(self._fitting(every="epoch", **options))

    def fit_async(
        self,
        X: Any,  # noqa: ANN401, N803 -- as in fit
        y: Any = None,  # noqa: ANN401
        *,
        every: str = "epoch",
        **options: Any,
    ) -> Driven[Report]:
        """Train in a trio or asyncio task: `async for report in model.fit_async(...)`.

        A cancellation ends the wait at once: the batches that were sent end by themselves, the
        model can be asked and saved, and the next report of the same object goes on where it was.

        Args:
          X, y: the data.
          every: after what a report is given: "epoch" or "batch".
          options: the other arguments of `fit`, by name.

        Raises:
          ParameterError: an argument is not valid.
          ValueError, TypeError: as for `fit`.
        """
        return Driven(self._fitting(X=X, y=y, every=every, **options))

    def _fitting(self, *, every: str, **options: Any) -> Steps[Report]:
        """A run, which begins at once: mistakes in arguments are those of this call."""
        who = "FeedForward.fit"
        given = inspect.signature(FeedForward.fit).bind(self, **options)
        given.apply_defaults()
        asked = given.arguments
        del asked["self"]
        if self.num_epoch is None:
            message = f"{who}: FeedForward(num_epoch=...) has to say how many epochs to train"
            raise ParameterError(message)
        rows = self.numpy_batch_size
        data = as_iterator(who, asked.pop("X"), asked.pop("y"), rows, training=True)
        eval_data = asked.pop("eval_data")
        if eval_data is not None:
            eval_data = as_eval_iterator(who, "eval_data", eval_data, rows)
        module = self._made(data, self.ctx, asked.pop("work_load_list"), asked.pop("logger"))
        module.bind(data.provide_data, data.provide_label)
        arg_params, aux_params = self._current()
        module.init_params(
            self.initializer,
            arg_params,
            aux_params,
            allow_missing=True,
            allow_extra=self.allow_extra_params,
        )
        steps = module._fitting(
            every=every,
            train_data=data,
            eval_data=eval_data,
            optimizer=self.optimizer,
            optimizer_params=self.kwargs,
            begin_epoch=self.begin_epoch,
            num_epoch=self.num_epoch,
            epoch_size=self.epoch_size,
            **asked,
        )
        return self._reported(module, steps)

    def _reported(self, module: Module, steps: Steps[Report]) -> Steps[Report]:
        self._run, self._over = module, False
        try:
            self.report = yield from steps
        finally:
            # Nothing is sent from here: who has given a run up may have ended its engine, too.
            self._over = self._over or self._run is module
        if self._run is module:
            self._current()
        return self.report

    def _made(
        self,
        data: DataIter,
        contexts: Sequence[Context | None],
        loads: Sequence[float] | None = None,
        logger: logging.Logger | None = None,
    ) -> Module:
        """A module for what an iterator provides."""
        inputs, labels = self._inputs(data)
        return Module(self.symbol, inputs, labels, logger, contexts, loads)  # type: ignore[arg-type]

    def _inputs(self, data: DataIter) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The arguments that batches bring: as data, and as labels."""
        arguments = self.symbol.list_arguments()
        inputs = [each.name for each in as_descs("FeedForward", "provide_data", data.provide_data)]
        given = as_descs("FeedForward", "provide_label", data.provide_label)
        # A label need not come to a loss as such, if an argument has its name.
        named = [each.name for each in given if each.name in arguments]
        labels = dict.fromkeys([*label_names_of(self.symbol), *named])
        return tuple(inputs), tuple(name for name in labels if name not in inputs)

    # -- Prediction and validation ---------------------------------------------------------------

    def predict(
        self,
        X: Any,  # noqa: ANN401, N803 -- MXNet's signature, see below
        num_batch: int | None = None,
        return_data: bool = False,  # noqa: FBT001, FBT002
        reset: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401 -- see below
        """Compute the outputs for rows of data, in the first context.

        Args:
          X: an iterator, an array, or a dict of arrays, as for `fit`.
          num_batch: how many batches; None for all.
          return_data: whether to return the data and the labels, too.
          reset: whether an iterator begins at the beginning.

        Returns:
          A NumPy array with a row for each example, without those that only fill up a batch; a list
          of them if there are several outputs. With `return_data` it is a tuple of this, the data
          and the labels, which have the same form; labels that are not there are an empty list.

        Raises:
          ActorflowError: there are no parameters.
          ParameterError: some are missing, or too many.
          TrainingError: a batch failed.
        """
        parts = drive(self._predicting(X, num_batch, return_data=return_data, reset=reset))
        found = [[each.asnumpy() for each in _joined(part)] for part in parts]
        return _answer(found, return_data=return_data)

    async def predict_async(
        self,
        X: Any,  # noqa: ANN401, N803
        num_batch: int | None = None,
        return_data: bool = False,  # noqa: FBT001, FBT002
        reset: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401
        """Do like `predict` in a trio or asyncio task."""
        steps = self._predicting(X, num_batch, return_data=return_data, reset=reset)
        parts = await Driven(steps).finish()
        found = [[await each for each in _joined(part)] for part in parts]
        return _answer(found, return_data=return_data)

    def _predicting(
        self,
        X: Any,  # noqa: ANN401, N803
        num_batch: int | None,
        *,
        return_data: bool,
        reset: bool,
    ) -> Steps[tuple[list[list[NDArray]], ...]]:
        data = as_iterator("FeedForward.predict", X, None, self.numpy_batch_size, training=False)
        module = self._ready("FeedForward.predict", data)
        if return_data:
            return predicting_with_data(module, data, num_batch=num_batch, reset=reset)
        return _alone(predicting(module, data, num_batch=num_batch, reset=reset))

    def score(
        self,
        X: Any,  # noqa: ANN401, N803 -- MXNet's signature, see below
        eval_metric: Any = "acc",  # noqa: ANN401 -- what af.metric.create takes
        num_batch: int | None = None,
        batch_end_callback: Callbacks = None,
        reset: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401 -- see below
        """Compute the outputs for rows of data, and compare them with their labels.

        Rows that only fill up a batch do not count.

        Args:
          X: an iterator, or a pair (X, y).
          eval_metric: a metric, or what makes one.
          num_batch: how many batches; None for all.
          batch_end_callback: called with a `BatchEndParam` after each.
          reset: whether an iterator begins at the beginning.

        Returns:
          The value of the metric; a list if it has several.

        Raises:
          ActorflowError, ParameterError, TrainingError: as for `predict`.
        """
        metric, data = metrics.create(eval_metric), self._scored(X)
        module = self._ready("FeedForward.score", data)
        return _values(module.score(data, metric, num_batch, batch_end_callback, reset))

    async def score_async(
        self,
        X: Any,  # noqa: ANN401, N803
        eval_metric: Any = "acc",  # noqa: ANN401
        num_batch: int | None = None,
        batch_end_callback: Callbacks = None,
        reset: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:  # noqa: ANN401
        """Do like `score` in a trio or asyncio task."""
        metric, data = metrics.create(eval_metric), self._scored(X)
        module = self._ready("FeedForward.score", data)
        return _values(await module.score_async(data, metric, num_batch, batch_end_callback, reset))

    def _scored(self, given: Any) -> DataIter:  # noqa: ANN401
        return as_eval_iterator("FeedForward.score", "X", given, self.numpy_batch_size)

    def _ready(self, who: str, data: DataIter) -> Module:
        """A module in the first context that has the parameters as of now."""
        arg_params, aux_params = self._params(who)
        shapes = [each.shape[1:] for each in as_descs(who, "provide_data", data.provide_data)]
        kind = *self._inputs(data), tuple(shapes)
        if self._predictor is not None and self._predictor[0] == kind:
            module = self._predictor[1]
        else:
            module = self._made(data, self.ctx[:1])
            module.bind(data.provide_data, data.provide_label, for_training=False)
        module.set_params(arg_params, aux_params, allow_extra=self.allow_extra_params)
        self._predictor = kind, module
        return module

    # -- Files -----------------------------------------------------------------------------------

    def save(self, prefix: str | os.PathLike[str], epoch: int | None = None) -> None:
        """Write `prefix-symbol.json` and `prefix-0001.params`, which MXNet reads, too.

        Args:
          prefix: what the files' names begin with.
          epoch: the number in the second one; default `num_epoch`.

        Raises:
          ActorflowError: there are no parameters.
          ParameterError: neither `epoch` nor `num_epoch` is given.
          OSError: a file cannot be written.
        """
        params = self._params("FeedForward.save")
        save_checkpoint(prefix, self._epoch(epoch), self.symbol, *params)

    async def save_async(self, prefix: str | os.PathLike[str], epoch: int | None = None) -> None:
        """Do like `save` in a trio or asyncio task; workers write."""
        params = self._params("FeedForward.save")
        await save_checkpoint_async(prefix, self._epoch(epoch), self.symbol, *params)

    def _epoch(self, epoch: int | None) -> int:
        found = self.num_epoch if epoch is None else epoch
        if found is None:
            raise ParameterError("FeedForward.save: needs epoch, since there is no num_epoch")
        return found

    @staticmethod
    def load(
        prefix: str | os.PathLike[str],
        epoch: int,
        ctx: Context | Sequence[Context] | None = None,
        **kwargs: Any,
    ) -> FeedForward:
        """A model from the files that `save`, `do_checkpoint` or MXNet wrote.

        Args:
          prefix, epoch: which ones. `fit` goes on with this epoch.
          ctx: where to compute.
          kwargs: what else `FeedForward` takes.

        Raises:
          FormatError: a file is damaged.
          OSError: a file cannot be read.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        kwargs.setdefault("begin_epoch", epoch)
        given = {"arg_params": arg_params, "aux_params": aux_params, **kwargs}
        return FeedForward(symbol, ctx, **given)

    @staticmethod
    def create(
        symbol: Symbol,
        X: Any,  # noqa: ANN401, N803 -- MXNet's signature
        y: Any = None,  # noqa: ANN401
        ctx: Context | Sequence[Context] | None = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: str | Optimizer = "sgd",
        initializer: Any = DEFAULT_INITIALIZER,  # noqa: ANN401
        eval_data: Any = None,  # noqa: ANN401
        eval_metric: Any = "acc",  # noqa: ANN401
        epoch_end_callback: Callbacks = None,
        batch_end_callback: Callbacks = None,
        kvstore: Any = "local",  # noqa: ANN401
        logger: logging.Logger | None = None,
        work_load_list: Sequence[float] | None = None,
        eval_batch_end_callback: Callbacks = None,
        **kwargs: Any,
    ) -> FeedForward:
        """Make a model and train it: `FeedForward(...)` and `fit(...)` in one call.

        Args:
          symbol, ctx, num_epoch, epoch_size, optimizer, initializer, kwargs: as for `FeedForward`.
          X, y, eval_data, eval_metric, kvstore, logger, work_load_list: as for `fit`.
          epoch_end_callback, batch_end_callback, eval_batch_end_callback: as for `fit`.
        """
        model = FeedForward(symbol, ctx, num_epoch, epoch_size, optimizer, initializer, **kwargs)
        model.fit(
            X,
            y,
            eval_data,
            eval_metric,
            epoch_end_callback,
            batch_end_callback,
            kvstore,
            logger,
            work_load_list,
            eval_batch_end_callback=eval_batch_end_callback,
        )
        return model


def _check_optimizer(symbol: Symbol, optimizer: object, options: Mapping[str, Any]) -> None:
    """Refuse what no optimizer can be made of.

    Raises:
      ParameterError: an argument is not known, or not valid.
      TypeError: it is neither a name nor an optimizer.
    """
    if isinstance(optimizer, Optimizer):
        if options:
            message = (
                f"FeedForward: {', '.join(options)} would be for an optimizer that is made here, "
                f"but {described(optimizer)} is given"
            )
            raise ParameterError(message)
        return
    if not isinstance(optimizer, str):
        message = f"FeedForward: optimizer needs a name or an Optimizer, got {described(optimizer)}"
        raise TypeError(message)
    try:
        create(optimizer, **{"sym": symbol, **options})
    except ParameterError as error:
        own = [name for name in inspect.signature(FeedForward).parameters if name != "kwargs"]
        near = [each for name in options for each in difflib.get_close_matches(name, own, 1)]
        hint = f" (FeedForward itself takes {', '.join(near)})" if near else ""
        raise ParameterError(f"FeedForward: {error}{hint}") from None


def _by_name(what: str, given: Mapping[str, NDArray] | None) -> Params | None:
    if given is not None and not isinstance(given, Mapping):
        message = f"FeedForward: {what} are arrays by name, got {described(given)}"
        raise TypeError(message)
    return None if given is None else dict(given)


def _alone(steps: Steps[list[list[NDArray]]]) -> Steps[tuple[list[list[NDArray]], ...]]:
    outputs = yield from steps
    return (outputs,)


def _joined(batches: list[list[NDArray]]) -> list[NDArray]:
    """The arrays of all batches, end to end."""
    return [nd.concatenate(list(parts)) for parts in zip(*batches, strict=True)]


def _answer(found: list[list[Any]], *, return_data: bool) -> Any:  # noqa: ANN401
    """What `predict` returns: a single array of a kind without a list around it."""
    answers = tuple(each[0] if len(each) == 1 else each for each in found)
    return answers if return_data else answers[0]


def _values(found: list[tuple[str, float]]) -> Any:  # noqa: ANN401
    return found[0][1] if len(found) == 1 else [value for _, value in found]
