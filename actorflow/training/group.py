"""Executors of one symbol in several contexts, each with a part of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow import nd
from actorflow.errors import ShapeError
from actorflow.executor import bind
from actorflow.io import DataDesc
from actorflow.ndarray import NDArray, zeros
from actorflow.ops import meant, prod

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.device import Context
    from actorflow.executor import Executor
    from actorflow.ops import Shape
    from actorflow.symbol import Symbol
    from actorflow.training.names import Names

__all__ = ["ExecutorGroup", "merged", "split"]


def split(who: str, batch_size: int, work_load_list: Sequence[float]) -> list[slice]:
    """Which rows of a batch each context gets.

    Args:
      who: who asks, for the message.
      batch_size: rows of the batch.
      work_load_list: how much each context is to do, in proportion.

    Raises:
      ValueError: a context would get no row, or a load is not positive.
    """
    if not all(isinstance(load, int | float) and load > 0 for load in work_load_list):
        message = f"{who}: work_load_list needs positive numbers, got {list(work_load_list)!r}"
        raise ValueError(message)
    total = sum(work_load_list)
    ends = [
        round(batch_size * sum(work_load_list[: number + 1]) / total)
        for number in range(len(work_load_list))
    ]
    slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    if any(each.start >= each.stop for each in slices):
        message = (
            f"{who}: a batch of {batch_size} cannot be divided among {len(slices)} contexts by "
            f"{list(work_load_list)!r}: one would get nothing"
        )
        raise ValueError(message)
    return slices


@attrs.define(eq=False)
class _Place:
    """A context, and the memory of what batches bring there, which groups share.

    Attributes:
      context: the context.
      inputs: for each name and data type the largest array that was needed, flat.
    """

    context: Context
    inputs: dict[tuple[str, np.dtype[Any]], NDArray] = attrs.field(factory=dict)

    def array(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> NDArray:
        """An array for what a batch brings; it may be the memory of another one of that name."""
        size = prod(shape)
        flat = self.inputs.get((name, dtype))
        if flat is None or flat.size < size:
            flat = self.inputs[name, dtype] = zeros((size,), self.context, dtype)
        return (flat if flat.size == size else flat[:size]).reshape(shape)


class ExecutorGroup:
    """One executor for each context. Together they compute whole batches; nothing here waits.

    Groups of the same parameters share their arrays, and the memory for all else, so that they take
    turns: one for each shape of batches, or for each bucket.

    Attributes:
      executors: in the order of the contexts.
      slices: which rows of a batch each has.
      batch_size: rows of a batch.
      data_shapes, label_shapes: of whole batches.
      param_names: the names of the parameters.
      param_arrays: for each parameter its arrays, one for each context.
      grad_arrays: likewise its gradients; None if it has none.
      aux_arrays: likewise the auxiliary states.
    """

    def __init__(
        self,
        who: str,
        symbol: Symbol,
        contexts: Sequence[Context],
        work_load_list: Sequence[float],
        names: Names,
        data_shapes: Sequence[DataDesc],
        label_shapes: Sequence[DataDesc],
        grad_req: Mapping[str, str],
        shared: ExecutorGroup | None,
    ) -> None:
        """Bind the symbol.

        Args:
          who: who asks, for messages.
          symbol: what is computed.
          contexts: where.
          work_load_list: how much each is to do.
          names: what the arguments are.
          data_shapes, label_shapes: what batches bring.
          grad_req: for each argument that has a gradient, "write" or "add".
          shared: a group with the same contexts whose arrays and memory are shared.

        Raises:
          ShapeError: shapes do not fit, or cannot be told.
          ValueError: the batch cannot be divided.
        """
        self._who = who
        self.names = names
        self.param_names = names.params
        self.data_shapes, self.label_shapes = list(data_shapes), list(label_shapes)
        first = self.data_shapes[0]
        axis = DataDesc.get_batch_axis(first.layout) if first.layout else 0
        self.batch_size = first.shape[axis if 0 <= axis < len(first.shape) else 0]
        if len(contexts) > 1:
            self._require_rows()
        self.slices = split(who, self.batch_size, work_load_list)
        self._places: list[_Place] = (
            [_Place(each) for each in contexts] if shared is None else shared._places
        )
        self.executors: list[Executor] = []
        for number, part in enumerate(self.slices):
            before = None if shared is None else shared.executors[number]
            self.executors.append(self._bind(symbol, number, part, grad_req, before))
        every = self.executors
        self.param_arrays: list[list[NDArray]] = [
            [each.arg_dict[name] for each in every] for name in names.params
        ]
        self.grad_arrays: list[list[NDArray] | None] = [
            _present([each.grad_dict[name] for each in every]) for name in names.params
        ]
        self.aux_arrays = [[e.aux_dict[name] for e in every] for name in names.states]

    def _require_rows(self) -> None:
        """Raise unless the first axis of everything is that of the batch: it is divided."""
        for each in (*self.data_shapes, *self.label_shapes):
            if not each.shape or each.shape[0] != self.batch_size:
                message = (
                    f"{self._who}: several contexts divide the first axis of a batch of "
                    f"{self.batch_size}, but {each.name} has shape {each.shape}"
                )
                raise ShapeError(message)

    def _bind(
        self,
        symbol: Symbol,
        number: int,
        part: slice,
        grad_req: Mapping[str, str],
        shared: Executor | None,
    ) -> Executor:
        place, whole = self._places[number], len(self._places) == 1
        rows = part.stop - part.start
        brought = (*self.data_shapes, *self.label_shapes)
        given = {each.name: each.shape if whole else (rows, *each.shape[1:]) for each in brought}
        arguments, states = symbol.list_arguments(), symbol.list_auxiliary_states()
        arg_shapes, _, aux_shapes = symbol.infer_shape_partial(**given)
        types = {each.name: each.dtype for each in brought}
        arg_types, _, aux_types = symbol._infer_type_or(np.dtype("float32"), types)
        params = {*self.names.params, *self.names.states}
        had = {} if shared is None else {**shared.arg_dict, **shared.aux_dict}
        arrays: dict[str, NDArray] = {}
        for name, shape, dtype in zip(
            (*arguments, *states), (*arg_shapes, *aux_shapes), (*arg_types, *aux_types), strict=True
        ):
            if shape is None:
                told = ", ".join(f"{each.name} {each.shape}" for each in brought)
                message = f"{self._who}: the shape of {name!r} cannot be told from {told}"
                raise ShapeError(message)
            held = np.dtype(dtype or "float32")
            if name not in params:
                arrays[name] = place.array(name, shape, held)
            elif shared is None:
                arrays[name] = zeros(shape, place.context, held)
            else:
                arrays[name] = self._shared(name, had, shape)
        grads: dict[str, NDArray] = {}
        for name, req in grad_req.items():
            if req != "null":
                own = shared.grad_dict[name] if shared is not None and name in params else None
                array = arrays[name]
                grads[name] = zeros(array.shape, place.context, array.dtype) if own is None else own
        reqs = {name: grad_req[name] for name in grads}
        args = {name: arrays[name] for name in arguments}
        auxiliary = {name: arrays[name] for name in states}
        # A part of a batch has another shape than its variable may say.
        more = (reqs, auxiliary, None, shared)
        return bind(symbol, place.context, args, grads, *more, hinted=False)

    def _shared(self, name: str, had: Mapping[str, NDArray], shape: Shape) -> NDArray:
        found = had.get(name)
        if found is None:
            message = (
                f"{self._who}: the parameter {name!r} is not in the module whose parameters are "
                f"shared; {meant(name, had)}"
            )
            raise ValueError(message)
        if found.shape != shape:
            message = (
                f"{self._who}: {name} would have shape {shape}, but has {found.shape} in the "
                "module whose parameters are shared"
            )
            raise ShapeError(message)
        return found

    # -- Computing -----------------------------------------------------------------------------

    def load(self, data: Sequence[Any], labels: Sequence[Any]) -> None:
        """Send messages that copy a batch into the executors' arrays.

        Args:
          data, labels: the arrays, in the order of `data_shapes` and `label_shapes`; no labels if
            they are not needed.
        """
        for descs, arrays in ((self.data_shapes, data), (self.label_shapes, labels)):
            for desc, array in zip(descs, arrays, strict=False):
                whole = len(self.executors) == 1
                for executor, part in zip(self.executors, self.slices, strict=True):
                    executor.arg_dict[desc.name][:] = array if whole else array[part]

    def forward(self, *, is_train: bool) -> None:
        """Compute the outputs of the batch that was loaded."""
        for executor in self.executors:
            executor.forward(is_train=is_train)

    def backward(self, out_grads: Sequence[NDArray] | None) -> None:
        """Compute the gradients, of whole batches' `out_grads` if outputs need them."""
        for executor, part in zip(self.executors, self.slices, strict=True):
            own = out_grads
            if out_grads is not None and len(self.executors) > 1:
                own = [each[part].as_in_context(executor.context) for each in out_grads]
            executor.backward(own)

    def outputs(self) -> list[list[NDArray]]:
        """For each output its parts, one for each context: always the same arrays."""
        return [list(parts) for parts in zip(*(e.outputs for e in self.executors), strict=True)]

    def input_grads(self) -> list[list[NDArray]]:
        """For each array of the data its gradients, one for each context."""
        every = self.executors
        return [
            _present([executor.grad_dict[each.name] for executor in every]) or []
            for each in self.data_shapes
        ]

    def update_metric(self, metric: Any, labels: Sequence[NDArray]) -> None:  # noqa: ANN401
        """Have a metric compare the outputs with labels, one context after the other."""
        for executor, part in zip(self.executors, self.slices, strict=True):
            own = labels if len(self.executors) == 1 else [each[part] for each in labels]
            metric.update(own, executor.outputs)


def _present(arrays: Sequence[NDArray | None]) -> list[NDArray] | None:
    found = [each for each in arrays if each is not None]
    return found or None


def merged(parts: Sequence[NDArray]) -> NDArray:
    """The parts of several contexts as one array in the first one."""
    if len(parts) == 1:
        return parts[0]
    context = parts[0].context
    return nd.concatenate([each.as_in_context(context) for each in parts])
