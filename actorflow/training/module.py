"""Modules of one symbol."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorflow.device import Context, as_context, cpu
from actorflow.errors import ActorflowError
from actorflow.io import DataDesc
from actorflow.ndarray import NDArray
from actorflow.ops import described, meant
from actorflow.symbol import Symbol
from actorflow.training.base_module import BaseModule
from actorflow.training.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    save_checkpoint_async,
)
from actorflow.training.group import ExecutorGroup, merged, split
from actorflow.training.names import Names, as_descs, matched_labels
from actorflow.training.parameters import DEFAULT_INITIALIZER, checked, fill, mean_of
from actorflow.training.steps import Settling, Stateful
from actorflow.training.updates import Updates

if TYPE_CHECKING:
    import logging
    import os
    from collections.abc import Iterable

    from actorflow.io import DataBatch
    from actorflow.optimizer import Updater
    from actorflow.training.steps import OptimizerParams

__all__ = ["Module"]

_KEPT: Final = 16  # groups for other shapes of batches that are kept

Key = tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]


class Module(BaseModule):
    """A symbol with parameters, in one context or in several that share each batch.

    Args:
      symbol: what is computed.
      data_names: the arguments that batches bring as data, by name or as variables.
      label_names: those that they bring as labels; default: what the losses of the symbol compare
        their values with, whatever that is called.
      logger: where runs say how they go; default `logging.getLogger("actorflow")`.
      context: where to compute: a context, or a list of them, among which each batch is divided.
      work_load_list: how much each context is to do, in proportion; default the same.
      fixed_param_names: parameters that are not learnt.

    All other arguments are parameters.

    Raises:
      ValueError: a name is no argument of the symbol, or a load is not positive.
      TypeError: something is not of the kind given above.
    """

    def __init__(
        self,
        symbol: Symbol,
        data_names: Iterable[str | Symbol] = ("data",),
        label_names: Iterable[str | Symbol] | None = None,
        logger: logging.Logger | None = None,
        context: Context | Sequence[Context] | None = None,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Iterable[str] | None = None,
    ) -> None:
        if not isinstance(symbol, Symbol):
            message = f"Module: symbol needs to be a Symbol, got {described(symbol)}"
            raise TypeError(message)
        super().__init__(logger)
        self._symbol = symbol
        self._names = Names.of("Module", symbol, data_names, label_names)
        given = list(context) if isinstance(context, Sequence) else [context]
        self._contexts = [as_context(each, "Module: context") for each in given]
        loads = [1] * len(self._contexts) if work_load_list is None else list(work_load_list)
        if not self._contexts or len(loads) != len(self._contexts):
            message = f"Module: {len(loads)} loads for {len(self._contexts)} contexts"
            raise ValueError(message)
        split("Module", 1 << 30, loads)
        self._loads = loads
        self._fixed = list(fixed_param_names or ())
        for name in self._fixed:
            if name not in self._names.params:
                message = (
                    f"Module: fixed_param_names has {name!r}, which is no parameter; "
                    f"{meant(name, self._names.params)}"
                )
                raise ValueError(message)
        self._group: ExecutorGroup | None = None  # of the last batch
        self._groups: OrderedDict[Key, ExecutorGroup] = OrderedDict()
        self._main: ExecutorGroup | None = None  # what it was bound to
        self._grad_req: dict[str, str] = {}
        self._updates: Updates | None = None
        self._monitor: Any = None
        self._checked = False
        # What `load` has read, until it is bound and has an optimizer.
        self._loaded: tuple[dict[str, NDArray], dict[str, NDArray]] | None = None
        self._states_file: str | None = None

    @staticmethod
    def load(
        prefix: str,
        epoch: int,
        load_optimizer_states: bool = False,  # noqa: FBT001, FBT002 -- MXNet's signature
        **kwargs: Any,
    ) -> Module:
        """A module from the files that `save_checkpoint`, or MXNet, wrote.

        Args:
          prefix, epoch: which ones.
          load_optimizer_states: whether `init_optimizer` is to read `prefix-0001.states`, too.
          kwargs: what `Module` takes.

        Raises:
          FormatError: a file is damaged.
          OSError: a file cannot be read.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        module = Module(symbol, **kwargs)
        module._loaded = arg_params, aux_params
        if load_optimizer_states:
            module._states_file = f"{prefix}-{epoch:04d}.states"
        return module

    # -- What it is ------------------------------------------------------------------------------

    @property
    def symbol(self) -> Symbol:
        """What is computed."""
        return self._symbol

    @property
    def data_names(self) -> list[str]:  # noqa: D102 -- as in ModuleSteps, like all below
        return list(self._names.data)

    @property
    def label_names(self) -> list[str]:  # noqa: D102
        return list(self._names.labels)

    @property
    def output_names(self) -> list[str]:  # noqa: D102
        return self._symbol.list_outputs()

    @property
    def data_shapes(self) -> list[DataDesc]:  # noqa: D102
        return list(self._bound("data_shapes").data_shapes)

    @property
    def label_shapes(self) -> list[DataDesc]:  # noqa: D102
        return list(self._bound("label_shapes").label_shapes)

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:  # noqa: D102
        group = self._bound("output_shapes")
        given = {each.name: each.shape for each in (*group.data_shapes, *group.label_shapes)}
        shapes = self._symbol.infer_shape_partial(**given)[1]
        return [(n, s or ()) for n, s in zip(self.output_names, shapes, strict=True)]

    def _bound(self, who: str) -> ExecutorGroup:
        self.require(who)
        assert self._main is not None  # noqa: S101 -- it is bound
        return self._main

    # -- Binding ---------------------------------------------------------------------------------

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
            self.logger.warning("Module.bind: it is bound already; force_rebind=True binds again")
            return
        data, labels = self._described("Module.bind", data_shapes, label_shapes)
        reqs = self._requests(grad_req, for_training=for_training, inputs=inputs_need_grad)
        shared = self._main
        if shared_module is not None:
            if not isinstance(shared_module, Module) or shared_module._main is None:
                message = f"Module.bind: shared_module needs a bound Module, got {shared_module!r}"
                raise TypeError(message)
            shared = shared_module._main
        self._grad_req = reqs
        self._main = self._group = self._made("Module.bind", data, labels, shared)
        self._groups.clear()
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad
        if shared_module is not None:
            self.params_initialized = shared_module.params_initialized
            if shared_module.optimizer_initialized:
                self.borrow_optimizer(shared_module)
        elif self._loaded is not None and not self.params_initialized:
            self.set_params(*self._loaded)

    def reshape(
        self, data_shapes: Sequence[Any], label_shapes: Sequence[Any] | None = None
    ) -> None:
        """Be bound to batches of another shape from now on, with the same parameters.

        `forward` does so by itself for a batch that has another shape than the one before.
        """
        main = self._bound("reshape")
        data, labels = self._described("Module.reshape", data_shapes, label_shapes)
        self._main = self._group = self._made("Module.reshape", data, labels, main)

    def _described(
        self, who: str, data_shapes: Sequence[Any], label_shapes: Sequence[Any] | None
    ) -> tuple[list[DataDesc], list[DataDesc]]:
        data = as_descs(who, "data_shapes", data_shapes)
        names = [each.name for each in data]
        for name in names:
            if name not in self._names.data:
                message = (
                    f"{who}: data_shapes has {name!r}, but the data are "
                    f"{', '.join(self._names.data)}; {meant(name, self._names.data)}"
                )
                raise ValueError(message)
        missing = [name for name in self._names.data if name not in names]
        if missing:
            message = f"{who}: data_shapes lacks {', '.join(missing)}"
            raise ValueError(message)
        labels = as_descs(who, "label_shapes", label_shapes)
        return data, matched_labels(who, self._names, labels)

    def _requests(
        self, grad_req: str | Mapping[str, str] | Sequence[str], *, for_training: bool, inputs: bool
    ) -> dict[str, str]:
        arguments = self._symbol.list_arguments()
        if isinstance(grad_req, str):
            given = dict.fromkeys(arguments, grad_req)
        elif isinstance(grad_req, Mapping):
            given = {**dict.fromkeys(arguments, "write"), **grad_req}
        else:
            given = dict(zip(arguments, grad_req, strict=True))
        wanted = [name for name in self._names.params if name not in self._fixed]
        if inputs:
            wanted += self._names.data
        return {name: given[name] for name in wanted} if for_training else {}

    def _made(
        self,
        who: str,
        data: Sequence[DataDesc],
        labels: Sequence[DataDesc],
        shared: ExecutorGroup | None,
    ) -> ExecutorGroup:
        made = ExecutorGroup(
            who,
            self._symbol,
            self._contexts,
            self._loads,
            self._names,
            data,
            labels,
            self._grad_req,
            shared,
        )
        self._watch(made)
        return made

    def _group_for(self, batch: DataBatch) -> ExecutorGroup:
        """The executors for a batch; made, if batches of its shape have not been seen lately."""
        main = self._bound("forward")
        data, labels = list(batch.data or ()), list(batch.label or ())
        if len(data) != len(main.data_shapes):
            message = (
                f"Module.forward: the batch has {len(data)} arrays of data, but the module takes "
                f"{', '.join(self._names.data)}"
            )
            raise ValueError(message)
        if not main.label_shapes or len(labels) != len(main.label_shapes):
            labels = []
        key = tuple(each.shape for each in data), tuple(each.shape for each in labels)
        if key[0] == tuple(each.shape for each in main.data_shapes) and (
            not labels or key[1] == tuple(each.shape for each in main.label_shapes)
        ):
            return main
        found = self._groups.get(key)
        if found is None:
            found = self._groups[key] = self._made(
                "Module.forward",
                _reshaped(main.data_shapes, key[0]),
                _reshaped(main.label_shapes, key[1]),
                main,
            )
            if len(self._groups) > _KEPT:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return found

    # -- Parameters ------------------------------------------------------------------------------

    def init_params(  # noqa: D102
        self,
        initializer: Any = DEFAULT_INITIALIZER,  # noqa: ANN401
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = False,  # noqa: FBT001, FBT002
        allow_extra: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        group = self._bound("init_params")
        if self.params_initialized and not force_init:
            return
        if self._updates is not None:
            self._updates.require_free("Module.init_params")
        given = checked(
            "Module.init_params",
            group,
            arg_params,
            aux_params,
            # Nobody is there to fill them.
            allow_missing=allow_missing and initializer is not None,
            allow_extra=allow_extra,
        )
        fill(group, self._symbol, given, initializer)
        self.params_initialized = True

    def set_params(  # noqa: D102
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = True,  # noqa: FBT001, FBT002
        allow_extra: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        group = self._bound("set_params")
        if self.params_initialized and not force_init:
            return
        if self._updates is not None:
            self._updates.require_free("Module.set_params")
        given = checked(
            "Module.set_params",
            group,
            arg_params,
            {} if aux_params is None else aux_params,
            allow_missing=allow_missing,
            allow_extra=allow_extra,
        )
        fill(group, self._symbol, given, None)
        self.params_initialized = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:  # noqa: D102
        self.require("get_params", params=True)
        group = self._bound("get_params")
        # The parameters of all contexts are the same; states are of what each context saw.
        params = zip(group.param_names, group.param_arrays, strict=True)
        states = zip(self._names.states, group.aux_arrays, strict=True)
        return (
            {name: parts[0].copyto(cpu()) for name, parts in params},
            {name: mean_of(parts) for name, parts in states},
        )

    # -- The optimizer ---------------------------------------------------------------------------

    def init_optimizer(  # noqa: D102
        self,
        kvstore: Any = "local",  # noqa: ANN401
        optimizer: Any = "sgd",  # noqa: ANN401
        optimizer_params: OptimizerParams = (("learning_rate", 0.01),),
        force_init: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.require("init_optimizer", params=True)
        if self.optimizer_initialized and not force_init:
            self.logger.warning(
                "Module.init_optimizer: there is one; force_init=True makes another"
            )
            return
        group = self._bound("init_optimizer")
        who = "Module.init_optimizer"
        self._updates = Updates(who, kvstore, optimizer, optimizer_params, group, self._symbol)
        self.optimizer_initialized = True
        if self._states_file is not None:
            self.load_optimizer_states(self._states_file)
            self._states_file = None

    def borrow_optimizer(self, shared_module: Module) -> None:
        """Use the optimizer of another module, with its states, from now on.

        The other one needs parameters of the same names.

        Raises:
          ActorflowError: it has none.
        """
        shared_module.require("borrow_optimizer", optimizer=True)
        self._updates = shared_module._updates
        self.optimizer_initialized = True

    def save_optimizer_states(self, fname: str | os.PathLike[str]) -> None:
        """Write what the optimizer keeps to a file, whole or not at all. Waits for it."""
        self.require("save_optimizer_states", optimizer=True)
        assert self._updates is not None  # noqa: S101 -- it is there
        self._updates.save(fname)

    def load_optimizer_states(self, fname: str | os.PathLike[str]) -> None:
        """Take what `save_optimizer_states` wrote.

        Raises:
          FormatError: the file holds something else.
          OSError: it cannot be read.
        """
        self.require("load_optimizer_states", optimizer=True)
        assert self._updates is not None  # noqa: S101 -- it is there
        self._updates.load(fname)

    def save_checkpoint(
        self,
        prefix: str,
        epoch: int,
        save_optimizer_states: bool = False,  # noqa: FBT001, FBT002 -- MXNet's signature
    ) -> None:
        """Write `prefix-symbol.json` and `prefix-0001.params`, which MXNet reads, too.

        Args:
          prefix, epoch: how the files are called.
          save_optimizer_states: write `prefix-0001.states`, too.
        """
        save_checkpoint(prefix, epoch, self._symbol, *self.get_params())
        if save_optimizer_states:
            self.save_optimizer_states(f"{prefix}-{epoch:04d}.states")

    async def save_checkpoint_async(
        self,
        prefix: str,
        epoch: int,
        save_optimizer_states: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Do like `save_checkpoint` in a trio or asyncio task; workers write.

        What is written is as of this call, if no batch is sent before it returns.
        """
        await save_checkpoint_async(prefix, epoch, self._symbol, *self.get_params())
        if save_optimizer_states:
            self.require("save_checkpoint_async", optimizer=True)
            assert self._updates is not None  # noqa: S101 -- it is there
            group = self._bound("save_checkpoint_async")
            await self._updates.save_async(f"{prefix}-{epoch:04d}.states", group)

    # -- Checkpoints of runs -----------------------------------------------------------------

    def stateful(self, who: str) -> Sequence[Stateful]:  # noqa: D102
        if "add" in self._grad_req.values():
            message = f"{who}: with grad_req='add' the gradients are a state, which is not written"
            raise ActorflowError(message)
        return [self]

    def placing(self) -> dict[str, Any]:  # noqa: D102 -- as in Stateful, like all here
        return {
            "contexts": [each.name for each in self._contexts],
            "loads": list(map(float, self._loads)),
            "fixed": sorted(self._fixed),
        }

    def states_by_context(self) -> dict[str, NDArray]:  # noqa: D102
        group = self._bound("states_by_context")
        found = zip(self._names.states, group.aux_arrays, strict=True)
        return {
            f"{number}:{name}": each
            for name, arrays in found
            for number, each in enumerate(arrays)
            if len(arrays) > 1
        }

    def states_of_contexts(self) -> list[str]:  # noqa: D102
        count = len(self._contexts)
        names = self._names.states if count > 1 else ()
        return [f"{number}:{name}" for name in names for number in range(count)]

    def updater(self, who: str) -> Updater | None:  # noqa: D102
        return None if self._updates is None else self._updates.updater(who)

    def require_free(self, who: str) -> None:  # noqa: D102
        if self._updates is not None:
            self._updates.require_free(who)

    # -- Steps -----------------------------------------------------------------------------------

    def forward(self, data_batch: DataBatch, is_train: bool | None = None) -> None:  # noqa: D102, FBT001
        self.require("forward", params=True)
        training = self.for_training if is_train is None else bool(is_train)
        if training and not self.for_training:
            message = "Module.forward: is_train=True, but it was bound with for_training=False"
            raise ActorflowError(message)
        self._group = group = self._group_for(data_batch)
        group.load(data_batch.data or (), data_batch.label or ())
        group.forward(is_train=training)

    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:  # noqa: D102
        self.require("backward", params=True)
        if not self.for_training:
            message = "Module.backward: it was bound with for_training=False"
            raise ActorflowError(message)
        self._current().backward([out_grads] if isinstance(out_grads, NDArray) else out_grads)

    def update(self) -> None:  # noqa: D102
        self.require("update", params=True, optimizer=True)
        assert self._updates is not None  # noqa: S101 -- it is there
        self._updates.send(self._current())

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: D102, FBT001, FBT002
        parts = self._current().outputs()
        return [merged(each) for each in parts] if merge_multi_context else parts

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: D102, FBT001, FBT002
        if not self.inputs_need_grad:
            message = "Module.get_input_grads: bind it with inputs_need_grad=True"
            raise ActorflowError(message)
        parts = self._current().input_grads()
        return [merged(each) for each in parts] if merge_multi_context else parts

    def update_metric(self, eval_metric: Any, labels: Sequence[NDArray]) -> None:  # noqa: D102, ANN401
        self._current().update_metric(eval_metric, labels)

    def _current(self) -> ExecutorGroup:
        self._bound("forward")
        assert self._group is not None  # noqa: S101 -- it is bound
        return self._group

    # -- Looking inside --------------------------------------------------------------------------

    def install_monitor(self, mon: Any) -> None:  # noqa: D102, ANN401
        self._monitor = mon
        for group in self._all_groups("install_monitor"):
            self._watch(group)

    def detect_anomaly(self, *, active: bool) -> None:  # noqa: D102
        self._checked = active
        for group in self._all_groups("detect_anomaly"):
            self._watch(group)

    def _all_groups(self, who: str) -> list[ExecutorGroup]:
        return [self._bound(who), *self._groups.values()]

    def _watch(self, group: ExecutorGroup) -> None:
        for executor in group.executors:
            executor.set_detect_anomaly(self._checked)
            if self._monitor is not None:
                self._monitor.install(executor)

    def settling(self) -> Settling:  # noqa: D102
        group = self._current()
        outputs = [part.resource for parts in group.outputs() for part in parts]
        if self._updates is None:
            return Settling(outputs)
        learnt = [
            (arrays, grads)
            for arrays, grads in zip(group.param_arrays, group.grad_arrays, strict=True)
            if grads is not None
        ]
        if self._updates.store is None:
            # All are changed by one message, which comes after all gradients.
            return Settling(outputs, (), [arrays[0].resource for arrays, _ in learnt[:1]])
        computed = [each.resource for _, grads in learnt for each in grads]
        return Settling(outputs, computed, [e.resource for arrays, _ in learnt for e in arrays])


def _reshaped(descs: Sequence[DataDesc], shapes: Sequence[tuple[int, ...]]) -> list[DataDesc]:
    pairs = zip(descs, shapes, strict=False)
    return [DataDesc(each.name, shape, each.dtype, each.layout) for each, shape in pairs]
