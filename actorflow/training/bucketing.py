"""Modules for batches of several kinds, such as sentences of several lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.errors import ParameterError
from actorflow.ops import described
from actorflow.symbol import Symbol
from actorflow.training.base_module import BaseModule
from actorflow.training.checkpoint import save_checkpoint
from actorflow.training.module import Module
from actorflow.training.parameters import DEFAULT_INITIALIZER

if TYPE_CHECKING:
    import logging
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actorflow.device import Context
    from actorflow.io import DataBatch, DataDesc
    from actorflow.ndarray import NDArray
    from actorflow.training.steps import OptimizerParams, Settling, Stateful

__all__ = ["BucketingModule"]


class BucketingModule(BaseModule):
    """A module for each key of a bucket, all with the same parameters, optimizer and memory.

    Args:
      sym_gen: called with the key of a bucket; gives its symbol, or the symbol, the names of the
        data and those of the labels (None for what the losses compare with).
      default_bucket_key: the largest bucket, which has all parameters and lends its memory.
      logger, context, work_load_list, fixed_param_names: as for `Module`.

    Raises:
      TypeError: `sym_gen` cannot be called, or gives something else.
    """

    def __init__(
        self,
        sym_gen: Callable[[Any], Any],
        default_bucket_key: Any = None,  # noqa: ANN401 -- the user's own
        logger: logging.Logger | None = None,
        context: Context | Sequence[Context] | None = None,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Iterable[str] | None = None,
    ) -> None:
        super().__init__(logger)
        if not callable(sym_gen):
            message = f"BucketingModule: sym_gen has to be a function, got {described(sym_gen)}"
            raise TypeError(message)
        self._sym_gen = sym_gen
        self._default_key = default_bucket_key
        self._options = {
            "logger": self.logger,
            "context": context,
            "work_load_list": work_load_list,
            "fixed_param_names": list(fixed_param_names or ()),
        }
        self._grad_req: str | Mapping[str, str] | Sequence[str] = "write"
        self._default = self._generated(default_bucket_key)
        self._current = self._default
        self._buckets: dict[Any, Module] = {default_bucket_key: self._default}
        self._monitor: Any = None
        self._checked = False

    def _generated(self, key: Any) -> Module:  # noqa: ANN401
        """The module of a key, not bound."""
        found = self._sym_gen(key)
        data: Iterable[str] = ("data",)
        labels: Iterable[str] | None = None
        if isinstance(found, tuple) and len(found) == 3:  # noqa: PLR2004 -- as later versions have it
            found, data, labels = found
        if not isinstance(found, Symbol):
            message = (
                f"BucketingModule: sym_gen({key!r}) has to give a Symbol, or one and the names "
                f"of data and labels, got {described(found)}"
            )
            raise TypeError(message)
        options: dict[str, Any] = self._options
        return Module(found, data, labels, **options)

    # -- What it is: what the bucket of the last batch is ----------------------------------------

    @property
    def symbol(self) -> Symbol:
        """The symbol of the bucket of the last batch."""
        return self._current.symbol

    @property
    def data_names(self) -> list[str]:  # noqa: D102 -- as in ModuleSteps, like all below
        return self._current.data_names

    @property
    def label_names(self) -> list[str]:  # noqa: D102
        return self._current.label_names

    @property
    def output_names(self) -> list[str]:  # noqa: D102
        return self._current.output_names

    @property
    def data_shapes(self) -> list[DataDesc]:  # noqa: D102
        return self._current.data_shapes

    @property
    def label_shapes(self) -> list[DataDesc]:  # noqa: D102
        return self._current.label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:  # noqa: D102
        return self._current.output_shapes

    # -- Steps -----------------------------------------------------------------------------------

    def bind(  # noqa: D102
        self,
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None = None,
        for_training: bool = True,  # noqa: FBT001, FBT002
        inputs_need_grad: bool = False,  # noqa: FBT001, FBT002
        force_rebind: bool = False,  # noqa: FBT001, FBT002
        shared_module: Any = None,  # noqa: ANN401
        grad_req: str | Mapping[str, str] | Sequence[str] = "write",
    ) -> None:
        if self.binded and not force_rebind:
            self.logger.warning("BucketingModule.bind: it is bound already; see force_rebind")
            return
        if shared_module is not None:
            message = "BucketingModule.bind: it shares its parameters among its buckets alone"
            raise ParameterError(message)
        kinds = (for_training, inputs_need_grad)
        self._default.bind(data_shapes, label_shapes, *kinds, force_rebind, None, grad_req)
        self._grad_req = grad_req
        self._buckets = {self._default_key: self._default}
        self._current = self._default
        self.binded, self.for_training, self.inputs_need_grad = True, *kinds

    def switch_bucket(
        self,
        bucket_key: Any,  # noqa: ANN401 -- the user's own
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None = None,
    ) -> None:
        """Have the bucket of a key take the next batch; it is bound when it first comes.

        Args:
          bucket_key: the key.
          data_shapes, label_shapes: what its batches bring.
        """
        self.require("switch_bucket")
        found = self._buckets.get(bucket_key)
        if found is None:
            found = self._generated(bucket_key)
            found.bind(
                data_shapes,
                label_shapes,
                self.for_training,
                self.inputs_need_grad,
                shared_module=self._default,
                grad_req=self._grad_req,
            )
            if self._monitor is not None:
                found.install_monitor(self._monitor)
            found.detect_anomaly(active=self._checked)
            self._buckets[bucket_key] = found
        self._current = found

    def init_params(  # noqa: D102
        self,
        initializer: Any = DEFAULT_INITIALIZER,  # noqa: ANN401
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = False,  # noqa: FBT001, FBT002
        allow_extra: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.require("init_params")
        given = (arg_params, aux_params, allow_missing, force_init, allow_extra)
        self._default.init_params(initializer, *given)
        self._initialized()

    def set_params(  # noqa: D102
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = True,  # noqa: FBT001, FBT002
        allow_extra: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.require("set_params")
        given = (arg_params, aux_params, allow_missing, force_init, allow_extra)
        self._default.set_params(*given)
        self._initialized()

    def _initialized(self) -> None:
        """The parameters, which all buckets share, have values."""
        self.params_initialized = True
        for each in self._buckets.values():
            each.params_initialized = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:  # noqa: D102
        self.require("get_params", params=True)
        return self._default.get_params()

    def init_optimizer(  # noqa: D102
        self,
        kvstore: Any = "local",  # noqa: ANN401
        optimizer: Any = "sgd",  # noqa: ANN401
        optimizer_params: OptimizerParams = (("learning_rate", 0.01),),
        force_init: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.require("init_optimizer", params=True)
        self._default.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        for each in self._buckets.values():
            if each is not self._default:
                each.borrow_optimizer(self._default)
        self.optimizer_initialized = True

    def forward(self, data_batch: DataBatch, is_train: bool | None = None) -> None:  # noqa: D102, FBT001
        self.require("forward", params=True)
        if data_batch.bucket_key is None:
            message = "BucketingModule.forward: the batch has no bucket_key"
            raise ParameterError(message)
        if data_batch.bucket_key in self._buckets:
            self._current = self._buckets[data_batch.bucket_key]
        elif data_batch.provide_data is None:
            message = (
                f"BucketingModule.forward: the first batch of the bucket {data_batch.bucket_key!r} "
                "has to say what it provides: its provide_data is None"
            )
            raise ParameterError(message)
        else:
            labels = data_batch.provide_label
            self.switch_bucket(data_batch.bucket_key, data_batch.provide_data, labels)
        self._current.forward(data_batch, is_train)

    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:  # noqa: D102
        self._current.backward(out_grads)

    def update(self) -> None:  # noqa: D102
        self._current.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: D102, FBT001, FBT002
        return self._current.get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: D102, FBT001, FBT002
        return self._current.get_input_grads(merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Sequence[NDArray]) -> None:  # noqa: D102, ANN401
        self._current.update_metric(eval_metric, labels)

    def install_monitor(self, mon: Any) -> None:  # noqa: D102, ANN401
        self._monitor = mon
        for each in self._buckets.values():
            each.install_monitor(mon)

    def detect_anomaly(self, *, active: bool) -> None:  # noqa: D102
        self._checked = active
        for each in self._buckets.values():
            each.detect_anomaly(active=active)

    def settling(self) -> Settling:  # noqa: D102
        return self._current.settling()

    def stateful(self, who: str) -> Sequence[Stateful]:  # noqa: D102
        return self._default.stateful(who)  # which has what all buckets share

    # -- Files -----------------------------------------------------------------------------------

    def save_checkpoint(
        self,
        prefix: str,
        epoch: int,
        save_optimizer_states: bool = False,  # noqa: FBT001, FBT002 -- MXNet's signature
    ) -> None:
        """Write the symbol of the default bucket, and the parameters; see `Module`."""
        save_checkpoint(prefix, epoch, self._default.symbol, *self.get_params())
        if save_optimizer_states:
            self.save_optimizer_states(f"{prefix}-{epoch:04d}.states")

    def save_optimizer_states(self, fname: str | os.PathLike[str]) -> None:
        """Write what the optimizer keeps to a file; see `Module`."""
        self._default.save_optimizer_states(fname)

    def load_optimizer_states(self, fname: str | os.PathLike[str]) -> None:
        """Take what `save_optimizer_states` wrote; see `Module`."""
        self._default.load_optimizer_states(fname)
