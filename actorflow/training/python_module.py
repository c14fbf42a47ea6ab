"""Modules whose steps are written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.errors import ActorflowError
from actorflow.ndarray import NDArray, array
from actorflow.training.base_module import BaseModule
from actorflow.training.names import as_descs
from actorflow.training.parameters import DEFAULT_INITIALIZER

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actorflow.io import DataBatch, DataDesc
    from actorflow.training.steps import OptimizerParams, Stateful

__all__ = ["PythonLossModule", "PythonModule"]


class PythonModule(BaseModule):
    """A base for modules without parameters, of which a subclass writes the steps.

    A subclass writes `forward`, `get_outputs` and `_compute_output_shapes`, and, if it is trained
    through, `backward` and `get_input_grads`.

    Args:
      data_names, label_names, output_names: what it takes and gives.
      logger: where runs say how they go.
    """

    def __init__(
        self,
        data_names: Iterable[str],
        label_names: Iterable[str] | None,
        output_names: Iterable[str],
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(logger)
        self._data_names = list(data_names)
        self._label_names = list(label_names or ())
        self._output_names = list(output_names)
        self._data_shapes: list[DataDesc] = []
        self._label_shapes: list[DataDesc] = []
        self._output_shapes: list[tuple[str, tuple[int, ...]]] = []

    @property
    def data_names(self) -> list[str]:  # noqa: D102 -- as in ModuleSteps, like all below
        return self._data_names

    @property
    def label_names(self) -> list[str]:  # noqa: D102
        return self._label_names

    @property
    def output_names(self) -> list[str]:  # noqa: D102
        return self._output_names

    @property
    def data_shapes(self) -> list[DataDesc]:  # noqa: D102
        return self._data_shapes

    @property
    def label_shapes(self) -> list[DataDesc]:  # noqa: D102
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:  # noqa: D102
        return self._output_shapes

    def bind(  # noqa: D102
        self,
        data_shapes: Sequence[Any],
        label_shapes: Sequence[Any] | None = None,
        for_training: bool = True,  # noqa: FBT001, FBT002
        inputs_need_grad: bool = False,  # noqa: FBT001, FBT002
        force_rebind: bool = False,  # noqa: FBT001, FBT002
        shared_module: Any = None,  # noqa: ANN401, ARG002 -- there is nothing to share
        grad_req: str | Mapping[str, str] | Sequence[str] = "write",  # noqa: ARG002
    ) -> None:
        who = type(self).__name__
        if self.binded and not force_rebind:
            self.logger.warning("%s.bind: it is bound already; see force_rebind", who)
            return
        data = as_descs(f"{who}.bind", "data_shapes", data_shapes)
        if [each.name for each in data] != self._data_names:
            got = ", ".join(each.name for each in data)
            message = f"{who}.bind: it takes {', '.join(self._data_names)}, got {got}"
            raise ValueError(message)
        self._data_shapes = data
        self._label_shapes = as_descs(f"{who}.bind", "label_shapes", label_shapes)
        self._output_shapes = self._compute_output_shapes()
        self.binded, self.for_training, self.inputs_need_grad = True, for_training, inputs_need_grad

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """The names and shapes of the outputs, from `data_shapes`."""
        message = f"{type(self).__name__} does not define _compute_output_shapes"
        raise NotImplementedError(message)

    def init_params(  # noqa: D102
        self,
        initializer: Any = DEFAULT_INITIALIZER,  # noqa: ANN401, ARG002 -- there are no parameters
        arg_params: Mapping[str, NDArray] | None = None,  # noqa: ARG002
        aux_params: Mapping[str, NDArray] | None = None,  # noqa: ARG002
        allow_missing: bool = False,  # noqa: ARG002, FBT001, FBT002
        force_init: bool = False,  # noqa: ARG002, FBT001, FBT002
        allow_extra: bool = False,  # noqa: ARG002, FBT001, FBT002
    ) -> None:
        self.params_initialized = True

    def set_params(  # noqa: D102
        self,
        arg_params: Mapping[str, NDArray],  # noqa: ARG002 -- there are no parameters
        aux_params: Mapping[str, NDArray] | None = None,  # noqa: ARG002
        allow_missing: bool = False,  # noqa: ARG002, FBT001, FBT002
        force_init: bool = True,  # noqa: ARG002, FBT001, FBT002
        allow_extra: bool = False,  # noqa: ARG002, FBT001, FBT002
    ) -> None:
        self.params_initialized = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:  # noqa: D102
        return {}, {}

    def init_optimizer(  # noqa: D102
        self,
        kvstore: Any = "local",  # noqa: ANN401, ARG002 -- there is nothing to update
        optimizer: Any = "sgd",  # noqa: ANN401, ARG002
        optimizer_params: OptimizerParams = (("learning_rate", 0.01),),  # noqa: ARG002
        force_init: bool = False,  # noqa: ARG002, FBT001, FBT002
    ) -> None:
        self.optimizer_initialized = True

    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:  # noqa: D102
        message = f"{type(self).__name__} does not define backward"
        raise NotImplementedError(message)

    def update(self) -> None:  # noqa: D102
        self.require("update")

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: D102, FBT001, FBT002
        message = f"{type(self).__name__} does not define get_input_grads"
        raise NotImplementedError(message)

    def update_metric(self, eval_metric: Any, labels: Sequence[NDArray]) -> None:  # noqa: D102, ANN401
        if self._label_shapes:
            eval_metric.update(labels, self.get_outputs())

    def install_monitor(self, mon: Any) -> None:  # noqa: ANN401
        """There is nothing inside to watch."""

    def detect_anomaly(self, *, active: bool) -> None:
        """There is no operator inside to look at."""


class PythonLossModule(PythonModule):
    """A loss behind a network, whose gradient a function of yours computes.

    Its output is its data.

    Args:
      name: what it is called.
      data_names, label_names: what it takes; one of each.
      logger: where runs say how they go.
      grad_func: called with the scores and the labels, NDArrays; gives the gradient of the scores,
        an NDArray or an array of NumPy. It need not wait: operations on arrays do not. Default: a
        subclass writes `_backward_impl`.

    Raises:
      TypeError: `grad_func` cannot be called.
      ValueError: there are more names.
    """

    def __init__(
        self,
        name: str = "pyloss",
        data_names: Iterable[str] = ("data",),
        label_names: Iterable[str] = ("softmax_label",),
        logger: logging.Logger | None = None,
        grad_func: Callable[[NDArray, NDArray], Any] | None = None,
    ) -> None:
        super().__init__(data_names, label_names, [f"{name}_output"], logger)
        self._name = name
        if len(self.data_names) != 1 or len(self.label_names) != 1:
            message = f"PythonLossModule: {name} takes one array of data and one of labels"
            raise ValueError(message)
        if grad_func is not None and not callable(grad_func):
            message = f"PythonLossModule: grad_func has to be a function, got {grad_func!r}"
            raise TypeError(message)
        self._grad_func = grad_func
        self._scores: NDArray | None = None
        self._labels: NDArray | None = None
        self._scores_grad: NDArray | None = None

    def stateful(self, who: str) -> Sequence[Stateful]:  # noqa: ARG002
        """It has no state."""
        return []

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(self.output_names[0], self.data_shapes[0].shape)]

    def forward(self, data_batch: DataBatch, is_train: bool | None = None) -> None:  # noqa: D102, FBT001
        self.require("forward")
        (self._scores,) = data_batch.data or (None,)
        training = self.for_training if is_train is None else is_train
        if training:
            if not data_batch.label:
                message = f"PythonLossModule.forward: {self._name} needs labels in training"
                raise ActorflowError(message)
            (self._labels,) = data_batch.label

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: ARG002, D102, FBT001, FBT002
        return [self._scores]

    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:  # noqa: D102
        if out_grads is not None:
            message = f"PythonLossModule.backward: {self._name} is a loss, which takes no out_grads"
            raise ActorflowError(message)
        self._backward_impl()

    def _backward_impl(self) -> None:
        """Compute `_scores_grad` from `_scores` and `_labels`."""
        if self._grad_func is None or self._scores is None or self._labels is None:
            message = "PythonLossModule.backward: needs grad_func, and a forward before"
            raise ActorflowError(message)
        found = self._grad_func(self._scores, self._labels)
        self._scores_grad = found if isinstance(found, NDArray) else array(found)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:  # noqa: ARG002, D102, FBT001, FBT002
        return [self._scores_grad]
