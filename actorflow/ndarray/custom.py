"""Operators that users write, applied to arrays."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.device import current_context
from actorflow.engine import current_engine
from actorflow.errors import ContextError, DTypeError, ShapeError
from actorflow.ndarray.array import NDArray
from actorflow.ndarray.invoke import check_out, make
from actorflow.ndarray.kernels import quietly
from actorflow.ops import custom, described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops import Operator

__all__ = ["Custom"]


def Custom(  # noqa: N802 -- MXNet's name
    *data: NDArray,
    op_type: str,
    out: NDArray | Sequence[NDArray] | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> NDArray | list[NDArray]:
    """Apply an operator that was registered with `actorflow.operator.register`.

    It is one operation of the engine. Nothing is learnt, so it only reads its states.

    Args:
      data: its inputs and then its states, all in one context.
      op_type: the name by which it was registered.
      out: an array, or one for each output, to write the results to.
      name: what messages call it; default `op_type`.
      kwargs: arrays are inputs by their names; all else is a parameter, which the operator gets as
        a text.

    Returns:
      The output, or a list of them if there are several.

    Raises:
      ParameterError: no operator has that name, or it does not take these parameters.
      TypeError: an input is missing or no array.
      ShapeError, DTypeError, ContextError: the arrays do not fit.
      ValueError: `out` is not writable, or is one of the inputs.

    What the operator raises is raised where an output is waited for.
    """
    named = {key: value for key, value in kwargs.items() if isinstance(value, NDArray)}
    texts = {key: str(value) for key, value in kwargs.items() if key not in named}
    operator: Operator = custom(op_type, texts)
    called = name or op_type
    inputs = _inputs(called, operator, data, named)
    context = inputs[0].context if inputs else current_context()
    shapes = [each.shape for each in inputs]
    dtypes = [each._block.dtype for each in inputs]
    kinds = _outputs(called, operator, shapes, dtypes)
    if out is None:
        outputs = [make(NDArray, shape, dtype, context, called) for shape, dtype in kinds]
    else:
        outputs = _given(called, inputs, [out] if isinstance(out, NDArray) else list(out), kinds)
    bound = operator.at_bind(repr(called), context, shapes, dtypes, [None] * len(inputs))
    current_engine().push(
        partial(_run, bound.at_inference(), inputs, outputs),
        reads=tuple([each._resource for each in inputs]),
        writes=tuple([each._resource for each in outputs]),
        device=context.name,
        name=called,
        nbytes=sum(each.nbytes for each in outputs if each._block.data is None),
    )
    return outputs[0] if len(outputs) == 1 else outputs


def _inputs(
    called: str, operator: Operator, data: Sequence[Any], named: dict[str, NDArray]
) -> tuple[NDArray, ...]:
    """All inputs and states in their order."""
    names = (*operator.inputs, *operator.auxiliary)
    given = dict(zip(names, data, strict=False))
    wrong = [name for name in named if name not in names or name in given]
    given.update(named)
    if wrong or len(data) > len(names) or len(given) < len(names):
        got = f"{len(data)} arrays in order and {', '.join(named) or 'none'} by name"
        raise TypeError(f"{called}: takes {', '.join(names)}, each once, got {got}")
    found = tuple(given[name] for name in names)
    for name, each in zip(names, found, strict=True):
        if not isinstance(each, NDArray):
            raise TypeError(f"{called}: {name} has to be an NDArray, got {described(each)}")
        if each.context != found[0].context:
            raise ContextError(
                f"{called}: {name} is in {each.context}, but {names[0]} in {found[0].context}"
            )
    return found


def _outputs(
    called: str, operator: Operator, shapes: list[Any], dtypes: list[Any]
) -> list[tuple[Any, Any]]:
    """The shapes and data types of the outputs."""
    found, out_shapes = operator.infer_shape(*shapes)
    types, out_types = operator.infer_type(*dtypes)
    names = (*operator.inputs, *operator.auxiliary)
    for name, shape, got in zip(names, found, shapes, strict=True):
        if shape != got:
            raise ShapeError(f"{called}: {name} has shape {got}, but needs {shape}")
    for name, dtype, had in zip(names, types, dtypes, strict=True):
        if dtype != had:
            raise DTypeError(f"{called}: {name} is {had.name}, but needs {dtype}")
    visible = len(operator.outputs) - operator.hidden
    return list(zip(out_shapes, out_types, strict=True))[:visible]


def _given(
    called: str, inputs: Sequence[NDArray], outputs: list[NDArray], kinds: list[Any]
) -> list[NDArray]:
    """The arrays to write, checked."""
    if len(outputs) != len(kinds):
        raise ValueError(f"{called}: out has {len(outputs)} arrays for {len(kinds)} outputs")
    for number, (each, (shape, dtype)) in enumerate(zip(outputs, kinds, strict=True)):
        check_out(called, each, shape, dtype, inputs[0].context if inputs else None)
        if each._block.dtype is not dtype:
            raise DTypeError(f"{called}: out is {each.dtype.name}, but the result {dtype.name}")
        # The user's code may read its inputs after it has written a part of the output.
        if any(each._overlaps(other) for other in (*inputs, *outputs[:number])):
            raise ValueError(f"{called}: out has memory in common with an input or another output")
    return outputs


def _run(operator: Operator, inputs: Sequence[NDArray], outputs: Sequence[NDArray]) -> None:
    """As an operation that was granted all arrays."""
    hidden = [None] * operator.hidden
    memory = [each._view() for each in (*inputs, *outputs)]
    quietly(operator.forward, *memory, *hidden)
