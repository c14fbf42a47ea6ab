"""What the generated functions on arrays are made of: any operator, as one message.

Beside inputs and outputs an operator may have states, working memory, outputs that only gradients
use, and random numbers. `invoke` is for operators that have none of these.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.device import is_poisoned, poison
from actorflow.engine import current_engine
from actorflow.errors import ContextError, DTypeError, ParameterError, ShapeError
from actorflow.ndarray.block import Block
from actorflow.ndarray.core import ArrayCore
from actorflow.ndarray.invoke import check_out, make
from actorflow.ndarray.kernels import frozen, quietly, unwritten
from actorflow.ndarray.random import stream
from actorflow.ops import carve, described, room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ndarray.array import NDArray
    from actorflow.ndarray.kernels import Draw
    from actorflow.ops import Memory, Operator, Shape

    Types = tuple[np.dtype[Any], ...]

__all__ = ["layer", "several", "variadic"]

_SMALL = 4 << 10  # bytes; what is less may be computed by whoever waits for it


def layer(
    operator: Operator, out: NDArray | None, *arrays: NDArray | None, is_train: bool = False
) -> NDArray:
    """Apply an operator that has one visible output.

    Args:
      operator: what to compute.
      out: where the result goes instead of into a new array.
      arrays: its inputs and states in their order; None for those that it does not have.
      is_train: whether to do what the operator does in training.

    Raises:
      TypeError: an array is missing, superfluous or none.
      ShapeError, DTypeError, ContextError: the arrays do not fit.
      ValueError: what is written is not writable, or memory of something else.
    """
    return _apply(operator, None if out is None else (out,), arrays, is_train=is_train)[0]


def several(
    operator: Operator,
    out: NDArray | Sequence[NDArray] | None,
    *arrays: NDArray | None,
    is_train: bool = False,
) -> NDArray | list[NDArray]:
    """Apply an operator that may have several visible outputs: a list, if there are several.

    Args:
      operator, arrays, is_train: as with `layer`.
      out: where the results go: an array for each output; one needs not be in a sequence.

    Raises:
      TypeError, ShapeError, DTypeError, ContextError, ValueError: as with `layer`.
    """
    outs = out
    if isinstance(outs, ArrayCore):
        outs = (outs,)
    elif outs is not None and not isinstance(outs, list | tuple):
        message = f"{operator.name}: out is a {type(out).__name__}, but needs to be a list"
        raise TypeError(message)
    results = _apply(operator, outs, arrays, is_train=is_train)
    return results if len(results) > 1 else results[0]


def variadic(
    kind: type[Operator],
    args: tuple[NDArray, ...],
    num_args: int | None,
    out: NDArray | None,
    **given: Any,
) -> NDArray:
    """Apply an operator that takes any number of arrays.

    Raises:
      ParameterError: `num_args` is another number than there are arrays, or there are none.
      TypeError, ShapeError, DTypeError, ContextError, ValueError: as with `layer`.
    """
    operator = kind.of(num_args=len(args), **given)
    if num_args is not None and num_args != len(args):
        message = f"{operator.name}: num_args is {num_args}, but there are {len(args)} arrays"
        raise ParameterError(message)
    return layer(operator, out, *args)


# -- Checks ------------------------------------------------------------------------------------


def _apply(
    operator: Operator,
    out: Sequence[NDArray] | None,
    given: tuple[NDArray | None, ...],
    *,
    is_train: bool,
) -> list[NDArray]:
    arrays = _given(operator, given)
    if not is_train:
        operator = operator.at_inference()
    first = arrays[0]
    context = first._block.context
    shapes, types, work = _inferred(
        operator,
        tuple([each._shape for each in arrays]),
        tuple([each._block.dtype for each in arrays]),
    )
    count = len(operator.outputs) - operator.hidden
    if out is None:
        outputs = [
            make(first.__class__, shape, dtype, context, operator.name)
            for shape, dtype in zip(shapes[:count], types, strict=False)
        ]
    else:
        if len(out) != count:
            message = f"{operator.name}: out has {len(out)} arrays, but there are {count} outputs"
            raise TypeError(message)
        for each, shape, dtype in zip(out, shapes, types, strict=False):
            check_out(operator.name, each, shape, dtype, context)
        outputs = list(out)
    cut = len(operator.inputs)
    states = arrays[cut:]
    _check_written(operator, arrays, outputs, changed=states if is_train else ())
    hidden = tuple(zip(shapes[count:], types[count:], strict=True))
    _push(
        _Call(
            operator,
            arrays[:cut],
            states,
            outputs,
            [_staged(operator, arrays, each, index, types) for index, each in enumerate(outputs)],
            () if operator.partial else hidden,
            work,
            changes=is_train,
        )
    )
    return outputs


def _given(operator: Operator, given: tuple[NDArray | None, ...]) -> tuple[NDArray, ...]:
    """The arrays of an operator, checked: all that it has, and no others."""
    names = (*operator.inputs, *operator.auxiliary)
    for extra in given[len(names) :]:
        if extra is not None:
            message = (
                f"{operator.name}: takes only {', '.join(names)} as it is, got "
                f"{described(extra)} too"
            )
            raise TypeError(message)
    found: list[NDArray] = []
    for name, each in zip(names, given, strict=False):
        if each is None:
            message = f"{operator.name}: {name} is missing; as it is, it takes {', '.join(names)}"
            raise TypeError(message)
        if not isinstance(each, ArrayCore):
            message = f"{operator.name}: {name} needs to be an NDArray, got {described(each)}"
            raise TypeError(message)
        if found and each._block.context != found[0]._block.context:
            context = found[0]._block.context
            message = (
                f"{operator.name}: {name} is in {each._block.context}, but {names[0]} in "
                f"{context}; copy it with as_in_context({context})"
            )
            raise ContextError(message)
        found.append(each)
    return tuple(found)


@lru_cache(maxsize=1024)
def _inferred(
    operator: Operator, shapes: tuple[Shape, ...], dtypes: Types
) -> tuple[tuple[Shape, ...], Types, tuple[tuple[Shape, np.dtype[Any]], ...]]:
    """The shapes and data types of all outputs, and the working memory."""
    needed, found = operator.infer_shape(*shapes)
    needed_types, types = operator.infer_type(*dtypes)
    names = (*operator.inputs, *operator.auxiliary)
    for name, shape, needs in zip(names, shapes, needed, strict=True):
        if shape != needs:
            message = f"{operator.name}: {name} has shape {shape}, but needs {needs}"
            raise ShapeError(message)
    for name, dtype, kind in zip(names, dtypes, needed_types, strict=True):
        if kind is None or dtype != kind:  # NumPy takes None for float64
            message = f"{operator.name}: {name} is {dtype.name}, but needs {kind}"
            raise DTypeError(message)
    if any(each is None for each in (*found, *types)):
        message = f"{operator.name}: cannot tell the shapes and data types of its outputs"
        raise ShapeError(message)
    return found, types, operator.scratch(shapes, dtypes)  # type: ignore[return-value]


def _check_written(
    operator: Operator,
    arrays: tuple[NDArray, ...],
    outputs: Sequence[NDArray],
    changed: Sequence[NDArray],
) -> None:
    """Raise if a state or an output lies in the memory of another one, or a state in an input's.

    An output may have an input's memory: the kernel then computes elsewhere, or is made for it.
    """
    names = (*operator.inputs, *operator.auxiliary)
    for name, state in zip(names[len(names) - len(changed) :], changed, strict=True):
        if not state._writable:
            message = f"{operator.name}: {name} is updated in training, but is not writable"
            raise ValueError(message)
        others = [*zip(names, arrays, strict=True), *(("out", each) for each in outputs)]
        for other, each in others:
            if other != name and state._overlaps(each):
                message = f"{operator.name}: {name} is updated, and {other} has the same memory"
                raise ValueError(message)
    for index, one in enumerate(outputs):
        if any(one._overlaps(other) for other in outputs[:index]):
            message = f"{operator.name}: two arrays in out have memory in common"
            raise ValueError(message)


def _staged(
    operator: Operator, arrays: tuple[NDArray, ...], output: NDArray, index: int, types: Types
) -> np.dtype[Any] | None:
    """The data type of memory to compute an output in before it is copied; None if none is needed.

    It is where the output has another data type, or is memory of an input that has to be there
    until all is computed.
    """
    dtype = types[index]
    if output._block.dtype is not dtype:
        return dtype
    names = (*operator.inputs, *operator.auxiliary)
    name = operator.outputs[index]
    for given, each in zip(names, arrays, strict=True):
        if each._overlaps(output):
            alone = len(operator.outputs) == 1 and operator.overlap_safe
            if not alone and not (each._coincides(output) and (given, name) in operator.inplace):
                return dtype
    return None


# -- Messages ----------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class _Call:
    """What a worker calls.

    Attributes:
      operator, inputs, states, outputs: what to compute, of what, into what.
      staged: for each output the data type of the memory to compute it in first, or None.
      hidden: the outputs that nobody takes, where the kernel needs memory for them.
      work: the kernel's working memory.
      changes: whether the states are updated.
      draw: makes the generator, if the operator draws.
      verify: whether to look at what the kernel does.
    """

    operator: Operator
    inputs: tuple[NDArray, ...]
    states: tuple[NDArray, ...]
    outputs: list[NDArray]
    staged: list[np.dtype[Any] | None]
    hidden: tuple[tuple[Shape, np.dtype[Any]], ...]
    work: tuple[tuple[Shape, np.dtype[Any]], ...]
    changes: bool
    draw: Draw | None = None
    verify: bool = False

    def __call__(self) -> None:
        sources = [each._view() for each in self.inputs]
        states = [each._view() for each in self.states]
        targets = [each._view() for each in self.outputs]
        filled = [
            target if dtype is None else np.empty(target.shape, dtype)
            for target, dtype in zip(targets, self.staged, strict=True)
        ]
        if self.verify:
            self._verified(sources, states, filled)
        else:
            quietly(self._forward, sources, states, filled)
        for target, memory in zip(targets, filled, strict=True):
            if memory is not target:
                np.copyto(target, memory, casting="same_kind")

    def _forward(self, sources: list[Memory], states: list[Memory], filled: list[Memory]) -> None:
        operator = self.operator
        rest: list[Any] = [None] * (operator.hidden - len(self.hidden))
        wanted = (*self.hidden, *self.work)
        if wanted:
            # From the pool, to which it goes back when this call is over.
            context = self.outputs[0]._block.context
            raw = Block((max(1, room(wanted)),), np.dtype(np.uint8), context).allocate()
            rest += carve(raw, wanted)
        if self.draw is not None:
            rest.append(self.draw())
        operator.forward(*sources, *states, *filled, *rest)

    def _verified(self, sources: list[Memory], states: list[Memory], filled: list[Memory]) -> None:
        """Compute with read-only inputs, and find an output that was not written.

        Raises:
          VerificationError: there is one.
        """
        views = [frozen(each) for each in sources]
        kept = states if self.changes else [frozen(each) for each in states]
        fresh = [
            index
            for index, each in enumerate(filled)
            if not any(np.may_share_memory(each, source) for source in sources)
        ]
        for index in fresh:
            poison(filled[index])
        quietly(self._forward, views, kept, filled)
        for index in fresh:
            memory = filled[index]
            if not is_poisoned(memory):
                continue
            # Integers may rightly be what the poison is. They are not two things at once. (What
            # updates states has floating outputs, so nothing is updated twice.)
            if memory.dtype.kind != "f":
                np.invert(memory, memory)
                before = memory.copy()
                quietly(self._forward, views, kept, filled)
                if not np.array_equal(before, memory):
                    continue
            raise unwritten(self.operator.name, self.outputs[index])


def _push(call: _Call) -> None:
    engine = current_engine()
    context = call.outputs[0]._block.context
    reads = [each._resource for each in call.inputs]
    states = tuple([each._resource for each in call.states])
    if not call.changes:
        reads += states
    if call.operator.draws:
        source = stream(context)
        call = attrs.evolve(call, draw=source.draw())
        reads.append(source.resource(engine))
    if engine.verify:
        call = attrs.evolve(call, verify=True)
    touched = new = 0
    for each in (*call.inputs, *call.outputs):
        touched += each.nbytes
    for each in call.outputs:
        new += each.nbytes if each._block.data is None else 0
    engine.push(
        call,
        reads=tuple(reads),
        writes=tuple([each._resource for each in call.outputs]),
        updates=states if call.changes else (),
        device=context.name,
        name=call.operator.name,
        nbytes=new if new >= _SMALL else 0,
        quick=touched < _SMALL,
    )
