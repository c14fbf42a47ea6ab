"""What every module offers: the steps of training, and whole runs made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from actorflow.errors import ActorflowError
from actorflow.training.parameters import DEFAULT_INITIALIZER

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from actorflow.engine import Accessible
    from actorflow.io import DataBatch, DataDesc
    from actorflow.ndarray import NDArray
    from actorflow.optimizer import Updater
    from actorflow.symbol import Symbol

    OptimizerParams: TypeAlias = Mapping[str, Any] | Sequence[tuple[str, Any]]

__all__ = ["ModuleSteps", "Settling", "Stateful"]


@attrs.frozen
class Settling:
    """What a step writes: when it is there, the step is done.

    Attributes:
      outputs: the outputs.
      computed: what there is when all gradients are; empty if `updated` says enough.
      updated: what there is when all parameters have been changed; empty if none are.
    """

    outputs: Sequence[Accessible]
    computed: Sequence[Accessible] = ()
    updated: Sequence[Accessible] = ()


class Stateful(Protocol):
    """What a checkpoint holds of one symbol with parameters."""

    @property
    def symbol(self) -> Symbol:
        """The symbol."""

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of the parameters and auxiliary states."""

    def placing(self) -> dict[str, Any]:
        """Where and how it is computed, as plain data: as far as the bits depend on it."""

    def states_by_context(self) -> dict[str, NDArray]:
        """The auxiliary states themselves, if there are several contexts: each has its own."""

    def states_of_contexts(self) -> Sequence[str]:
        """The names in `states_by_context`, which are known before it is bound."""

    def updater(self, who: str) -> Updater | None:
        """What applies the optimizer; None before there is one.

        Raises:
          ActorflowError: it is not in this process, or its state is not all that there is.
        """

    def require_free(self, who: str) -> None:
        """Raise if the parameters cannot get other values any more."""


class ModuleSteps(ABC):
    """The steps that a module is made of; `BaseModule` makes runs of them.

    A module is bound to shapes, gets parameters and an optimizer, and then takes batches. No step
    waits for anything: each sends messages to the engine.

    Attributes:
      binded, for_training, inputs_need_grad: whether it is bound, and what for.
      params_initialized, optimizer_initialized: whether it has parameters, and an optimizer.
      logger: where runs say how they go.
    """

    logger: logging.Logger
    binded = False
    for_training = False
    inputs_need_grad = False
    params_initialized = False
    optimizer_initialized = False

    # -- What it is ------------------------------------------------------------------------------

    @property
    @abstractmethod
    def data_names(self) -> list[str]:
        """The names of the data that it takes."""

    @property
    @abstractmethod
    def label_names(self) -> list[str]:
        """The names of the labels that it takes."""

    @property
    @abstractmethod
    def output_names(self) -> list[str]:
        """The names of its outputs."""

    @property
    @abstractmethod
    def data_shapes(self) -> list[DataDesc]:
        """What it is bound to: the data."""

    @property
    @abstractmethod
    def label_shapes(self) -> list[DataDesc]:
        """What it is bound to: the labels."""

    @property
    @abstractmethod
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """The names and shapes of its outputs."""

    @property
    def symbol(self) -> Symbol | None:
        """The symbol that it computes, if it is one."""
        return None

    # -- Steps -----------------------------------------------------------------------------------

    @abstractmethod
    def bind(
        self,
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None = None,
        for_training: bool = True,  # noqa: FBT001, FBT002 -- MXNet's signature
        inputs_need_grad: bool = False,  # noqa: FBT001, FBT002
        force_rebind: bool = False,  # noqa: FBT001, FBT002
        shared_module: Any = None,  # noqa: ANN401 -- a module of its own kind
        grad_req: str | Mapping[str, str] | Sequence[str] = "write",
    ) -> None:
        """Make executors for batches of certain shapes; does nothing if it is bound already.

        Args:
          data_shapes, label_shapes: what iterators provide, or pairs (name, shape). Labels that the
            module knows by other names are matched by their order.
          for_training: whether gradients will be wanted.
          inputs_need_grad: whether gradients of the data will be.
          force_rebind: bind again. The parameters are kept if they can be.
          shared_module: a bound module whose parameters and memory are shared.
          grad_req: "write" or "add": what becomes of gradients; by name, or for all.
        """

    @abstractmethod
    def init_params(
        self,
        initializer: Any = DEFAULT_INITIALIZER,  # noqa: ANN401 -- called with names and arrays
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = False,  # noqa: FBT001, FBT002
        allow_extra: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Fill the parameters and auxiliary states; does nothing if they are filled already.

        Args:
          initializer: fills, called with a name and an array, what is not given; default
            `Uniform(0.01)`.
          arg_params, aux_params: values by name, for all or none of them.
          allow_missing: whether some may be missing where any are given; they are initialised.
          force_init: fill again.
          allow_extra: whether there may be values of names that the module has not.

        Raises:
          ParameterError: a value is missing, or not known.
          ShapeError: a value has another shape.
        """

    @abstractmethod
    def set_params(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_missing: bool = False,  # noqa: FBT001, FBT002
        force_init: bool = True,  # noqa: FBT001, FBT002
        allow_extra: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Give the parameters, and the auxiliary states, values; see `init_params`.

        Those that are missing, if that is allowed, stay as they are.
        """

    @abstractmethod
    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of the parameters and of the auxiliary states, by name. Waits for nothing."""

    @abstractmethod
    def init_optimizer(
        self,
        kvstore: Any = "local",  # noqa: ANN401 -- its name or itself
        optimizer: Any = "sgd",  # noqa: ANN401 -- its name or itself
        optimizer_params: OptimizerParams = (("learning_rate", 0.01),),
        force_init: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Choose how gradients change parameters; does nothing if that is chosen already.

        Args:
          kvstore: where the gradients of several contexts meet: a name for `af.kv.create`, a store,
            or None. With one context and a store of this process there is none.
          optimizer: a name for `af.optimizer.create`, or an optimizer.
          optimizer_params: what that takes; `rescale_grad` is by default 1 / batch size.
          force_init: choose again. The states are lost.
        """

    @abstractmethod
    def forward(self, data_batch: DataBatch, is_train: bool | None = None) -> None:  # noqa: FBT001
        """Compute the outputs of a batch; `is_train` is what it is bound for, by default."""

    @abstractmethod
    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:
        """Compute the gradients of the last `forward(is_train=True)`.

        Args:
          out_grads: the gradients of the outputs; not needed for losses.
        """

    @abstractmethod
    def update(self) -> None:
        """Change the parameters by the gradients, and the optimizer."""

    @abstractmethod
    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: FBT001, FBT002
        """The outputs of the last `forward`.

        With one context they are the same arrays each time, into which the next `forward` computes.

        Args:
          merge_multi_context: whether the parts of several contexts are joined; else each output is
            a list of them.
        """

    @abstractmethod
    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: FBT001, FBT002
        """The gradients of the data of the last `backward`; the rest as for `get_outputs`."""

    @abstractmethod
    def update_metric(self, eval_metric: Any, labels: Sequence[NDArray]) -> None:  # noqa: ANN401
        """Have a metric compare the outputs of the last `forward` with labels."""

    @abstractmethod
    def install_monitor(self, mon: Any) -> None:  # noqa: ANN401 -- a Monitor
        """Have a monitor watch the values inside."""

    # -- For runs --------------------------------------------------------------------------------

    def detect_anomaly(self, *, active: bool) -> None:
        """Have every operator looked at for NaN and infinities, or no more; see `Executor`.

        Raises:
          ActorflowError: this kind of module cannot do that.
        """
        del active
        message = f"{type(self).__name__}: cannot look for NaN inside"
        raise ActorflowError(message)

    def stateful(self, who: str) -> Sequence[Stateful]:
        """The parts that have parameters and states, for a checkpoint to resume from.

        Args:
          who: who asks, for messages.

        Raises:
          ActorflowError: this kind of module cannot say.
        """
        message = (
            f"{who}: {type(self).__name__} does not say what its state is, so no checkpoint can "
            "hold it; stateful() has to give its parts, or [] if it has no state"
        )
        raise ActorflowError(message)

    def settling(self) -> Settling:
        """What the last step writes."""
        return Settling([each.resource for each in self.get_outputs()])

    def require(self, who: str, *, params: bool = False, optimizer: bool = False) -> None:
        """Raise unless the module is ready for a step.

        Raises:
          ActorflowError: it is not; the message says what to call first.
        """
        lacks = None
        if not self.binded:
            lacks = "bind(data_shapes, label_shapes)"
        elif params and not self.params_initialized:
            lacks = "init_params()"
        elif optimizer and not self.optimizer_initialized:
            lacks = "init_optimizer()"
        if lacks is not None:
            message = f"{type(self).__name__}.{who}: call {lacks} first"
            raise ActorflowError(message)
