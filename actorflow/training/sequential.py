"""Modules one behind the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actorflow.errors import ActorflowError, ParameterError
from actorflow.io import DataBatch, DataDesc
from actorflow.ops import described, meant
from actorflow.training.base_module import BaseModule
from actorflow.training.parameters import DEFAULT_INITIALIZER
from actorflow.training.steps import ModuleSteps, Settling

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from actorflow.ndarray import NDArray
    from actorflow.training.steps import OptimizerParams, Stateful

__all__ = ["SequentialModule"]


@attrs.frozen
class _Link:
    """A module of the chain.

    Attributes:
      module: the module.
      take_labels: whether it gets the labels of batches.
      auto_wiring: whether it takes its data by their order, whatever they are called.
    """

    module: ModuleSteps
    take_labels: bool
    auto_wiring: bool


class SequentialModule(BaseModule):
    """A chain of modules: each takes the outputs of the one before as its data.

    Args:
      logger: where runs say how they go.
    """

    META_TAKE_LABELS = "take_labels"
    META_AUTO_WIRING = "auto_wiring"

    def __init__(self, logger: logging.Logger | None = None) -> None:
        super().__init__(logger)
        self._links: list[_Link] = []
        self._label_shapes: list[Any] = []

    def add(
        self,
        module: ModuleSteps,
        take_labels: bool = False,  # noqa: FBT001, FBT002 -- MXNet's signature
        auto_wiring: bool = False,  # noqa: FBT001, FBT002
    ) -> SequentialModule:
        """Add a module behind the others; return this one.

        Args:
          module: the module; not bound.
          take_labels: whether it gets the labels of batches, and metrics look at its outputs.
          auto_wiring: whether it takes the outputs of the one before by their order, whatever its
            data are called; else by their names.

        Raises:
          TypeError: it is no module.
          ActorflowError: the chain is bound.
        """
        if not isinstance(module, ModuleSteps):
            message = f"SequentialModule.add: needs a module, got {described(module)}"
            raise TypeError(message)
        if self.binded:
            message = "SequentialModule.add: it is bound already"
            raise ActorflowError(message)
        self._links.append(_Link(module, take_labels, auto_wiring))
        return self

    @property
    def _modules(self) -> list[ModuleSteps]:
        if not self._links:
            message = "SequentialModule: there is no module in it yet; call add() first"
            raise ActorflowError(message)
        return [link.module for link in self._links]

    # -- What it is ------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:  # noqa: D102 -- as in ModuleSteps, like all below
        return self._modules[0].data_names

    @property
    def label_names(self) -> list[str]:  # noqa: D102
        return [
            name for link in self._links if link.take_labels for name in link.module.label_names
        ]

    @property
    def output_names(self) -> list[str]:  # noqa: D102
        return self._modules[-1].output_names

    @property
    def data_shapes(self) -> list[DataDesc]:  # noqa: D102
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> list[DataDesc]:  # noqa: D102
        self.require("label_shapes")
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:  # noqa: D102
        return self._modules[-1].output_shapes

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
            self.logger.warning("SequentialModule.bind: it is bound already; see force_rebind")
            return
        if shared_module is not None:
            message = "SequentialModule.bind: a chain shares its parameters with no other"
            raise ParameterError(message)
        shapes: Sequence[Any] = data_shapes
        for number, (link, module) in enumerate(zip(self._links, self._modules, strict=True)):
            if number and link.auto_wiring:
                shapes = _wired(module, shapes)
            module.bind(
                shapes,
                label_shapes if link.take_labels else None,
                for_training,
                # What comes before it needs the gradients of its outputs.
                for_training and (inputs_need_grad or number > 0),
                force_rebind,
                None,
                grad_req,
            )
            shapes = module.output_shapes
        self._label_shapes = list(label_shapes or ())
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad

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
        if self.params_initialized and not force_init:
            return
        for module in self._modules:
            # What is another module's is no mistake: `_check_names` looks at all of them.
            given = (arg_params, aux_params, allow_missing, force_init)
            module.init_params(initializer, *given, allow_extra=True)
        self._check_names(arg_params, aux_params, allow_extra=allow_extra)
        self.params_initialized = True

    def set_params(  # noqa: D102
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = True,  # noqa: FBT001, FBT002
        allow_extra: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.require("set_params")
        for module in self._modules:
            given = (arg_params, aux_params, allow_missing, force_init)
            module.set_params(*given, allow_extra=True)
        self._check_names(arg_params, aux_params, allow_extra=allow_extra)
        self.params_initialized = True

    def _check_names(
        self,
        arg_params: Mapping[str, NDArray] | None,
        aux_params: Mapping[str, NDArray] | None,
        *,
        allow_extra: bool,
    ) -> None:
        """Raise if two modules have a parameter of one name, or none has a name that is given."""
        owners: dict[str, int] = {}
        for number, module in enumerate(self._modules):
            for name in (name for part in module.get_params() for name in part):
                if name in owners:
                    message = (
                        f"SequentialModule: the modules {owners[name]} and {number} both have a "
                        f"parameter called {name!r}"
                    )
                    raise ParameterError(message)
                owners[name] = number
        for name in (*(arg_params or ()), *(aux_params or ())):
            if name not in owners and not allow_extra:
                message = f"SequentialModule: no module has a parameter {name!r}; "
                raise ParameterError(message + meant(name, owners))

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:  # noqa: D102
        self.require("get_params", params=True)
        found: tuple[dict[str, NDArray], dict[str, NDArray]] = {}, {}
        for module in self._modules:
            for own, part in zip(found, module.get_params(), strict=True):
                own.update(part)
        return found

    def stateful(self, who: str) -> Sequence[Stateful]:  # noqa: D102
        return [part for module in self._modules for part in module.stateful(who)]

    def init_optimizer(  # noqa: D102
        self,
        kvstore: Any = "local",  # noqa: ANN401
        optimizer: Any = "sgd",  # noqa: ANN401
        optimizer_params: OptimizerParams = (("learning_rate", 0.01),),
        force_init: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.require("init_optimizer", params=True)
        for module in self._modules:
            module.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        self.optimizer_initialized = True

    def forward(self, data_batch: DataBatch, is_train: bool | None = None) -> None:  # noqa: D102, FBT001
        self.require("forward", params=True)
        data: Sequence[NDArray] = list(data_batch.data or ())
        for link in self._links:
            labels = data_batch.label if link.take_labels else None
            link.module.forward(DataBatch(list(data), labels, data_batch.pad), is_train)
            data = link.module.get_outputs()

    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:  # noqa: D102
        self.require("backward", params=True)
        modules = self._modules
        for module in reversed(modules):
            module.backward(out_grads)
            if module is not modules[0]:
                out_grads = module.get_input_grads()

    def update(self) -> None:  # noqa: D102
        self.require("update", params=True, optimizer=True)
        for module in self._modules:
            module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: D102, FBT001, FBT002
        return self._modules[-1].get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: D102, FBT001, FBT002
        if not self.inputs_need_grad:
            message = "SequentialModule.get_input_grads: bind it with inputs_need_grad=True"
            raise ActorflowError(message)
        return self._modules[0].get_input_grads(merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Sequence[NDArray]) -> None:  # noqa: D102, ANN401
        for link in self._links:
            if link.take_labels:
                link.module.update_metric(eval_metric, labels)

    def install_monitor(self, mon: Any) -> None:  # noqa: D102, ANN401
        for module in self._modules:
            module.install_monitor(mon)

    def detect_anomaly(self, *, active: bool) -> None:  # noqa: D102
        for module in self._modules:
            module.detect_anomaly(active=active)

    def settling(self) -> Settling:  # noqa: D102
        found = [module.settling() for module in self._modules]
        last = found[-1]
        updated = [each for one in found for each in one.updated]
        # The modules share no message, so those without a store are done when their parameters are.
        return Settling(last.outputs, [e for one in found for e in one.computed], updated)


def _wired(module: ModuleSteps, shapes: Sequence[tuple[str, Sequence[int]]]) -> list[DataDesc]:
    names = module.data_names
    if len(names) != len(shapes):
        message = (
            f"SequentialModule.bind: a module takes {', '.join(names)}, but the one before has "
            f"{len(shapes)} outputs"
        )
        raise ParameterError(message)
    return [DataDesc(name, shape) for name, (_, shape) in zip(names, shapes, strict=True)]
