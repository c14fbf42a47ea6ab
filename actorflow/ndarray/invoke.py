"""Where an operator meets the engine: check, infer, make the output, push one operation.

All errors of shapes and data types are raised here, in the call. What is pushed is a
`functools.partial` of a function in `kernels`. It holds the arrays, so an operation runs even if
the user has dropped them.

The short ways at the top are for what programs do most, element-wise operators on arrays that
need no conversion, where Python's own time counts. All else goes through `invoke`.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.engine import Engine, current_engine
from actorflow.errors import ContextError, DTypeError, OutOfMemoryError, ShapeError
from actorflow.ndarray import kernels
from actorflow.ndarray.block import Block, host_memory
from actorflow.ndarray.core import A, ArrayCore
from actorflow.ops import Copy, Elementwise, Scalar, Shape, WithScalar, prod, scalar_type, widened

if TYPE_CHECKING:
    from actorflow.device import Context
    from actorflow.ndarray.kernels import Draw
    from actorflow.ops import Operator

__all__ = [
    "SMALL",
    "binary",
    "check_out",
    "copy_into",
    "invoke",
    "make",
    "push",
    "unary",
    "with_scalar",
]

# Outputs of less than this many bytes: the kernel allocates them itself (malloc has warm memory of
# that size), an awaiting task may compute them in the event loop's thread, and they do not count
# against the engine's budget of bytes, whose budget of operations bounds them well enough.
SMALL: Final = 4 << 10
# Outputs of more than this many bytes: whether there can ever be as much is worth a question.
_LARGE: Final = 1 << 30


def unary(operator: Elementwise, data: A, out: A | None = None) -> A:
    """Apply an element-wise operator to one array."""
    block = data._block
    dtype = operator.same.get(block.dtype)
    engine = current_engine()
    if dtype is None or engine.verify:
        return invoke(operator, (data,), out)
    size = data._size
    if out is None:
        fresh = Block(data._shape, dtype, block.context)
        out = data.__class__(fresh, data._shape, size)
        nbytes = size * dtype.itemsize
        if operator.direct and nbytes < SMALL:
            run = partial(kernels.run_direct_1, operator.kernel, data, out)
        else:
            run = partial(kernels.run_into_1, operator.kernel, data, out)
        engine.push(
            run,
            reads=(data._resource,),
            writes=(fresh,),
            device=block.context.name,
            name=operator.name,
            nbytes=0 if nbytes < SMALL else nbytes,
            quick=nbytes < SMALL,
        )
        return out
    return invoke(operator, (data,), out)


def binary(operator: Elementwise, lhs: A, rhs: A, out: A | None = None) -> A:
    """Apply an element-wise operator to two arrays."""
    block = lhs._block
    other = rhs._block
    if block.dtype is other.dtype and block.context is other.context:
        dtype = operator.same.get(block.dtype)
        engine = current_engine()
        if dtype is not None and not engine.verify:
            shape = lhs._shape
            size = lhs._size
            if shape != rhs._shape:
                shape, _ = _infer(operator, (shape, rhs._shape), (block.dtype, block.dtype))
                size = prod(shape)
            nbytes = size * dtype.itemsize
            if out is None and nbytes <= _LARGE:
                fresh = Block(shape, dtype, block.context)
                out = lhs.__class__(fresh, shape, size)
                if operator.direct and nbytes < SMALL:
                    run = partial(kernels.run_direct_2, operator.kernel, lhs, rhs, out)
                else:
                    run = partial(kernels.run_into_2, operator.kernel, lhs, rhs, out)
                engine.push(
                    run,
                    reads=(lhs._resource, rhs._resource),
                    writes=(fresh,),
                    device=block.context.name,
                    name=operator.name,
                    nbytes=0 if nbytes < SMALL else nbytes,
                    quick=nbytes < SMALL,
                )
                return out
            if (
                out.__class__ is lhs.__class__
                and out._shape == shape
                and (target := out._block).dtype is dtype
                and target.context is block.context
                and out._writable
            ):
                # A ufunc computes as if there were no overlap, so none needs a copy here.
                engine.push(
                    partial(kernels.run_into_2, operator.kernel, lhs, rhs, out),
                    reads=(lhs._resource, rhs._resource),
                    writes=(out._resource,),
                    device=block.context.name,
                    name=operator.name,
                    nbytes=0 if target.data is not None or nbytes < SMALL else nbytes,
                    quick=nbytes < SMALL,
                )
                return out
    return invoke(operator, (lhs, rhs), out)


def with_scalar(
    operator: Elementwise, data: A, scalar: Scalar, out: A | None = None, *, reverse: bool = False
) -> A:
    """Apply a two-input element-wise operator to an array and a number, or with `reverse` to both.

    Args:
      reverse: the number is the left operand.
    """
    block = data._block
    # Python's own numbers adapt to the array's floating type: what is asked most often.
    if block.dtype.kind == "f" and (scalar.__class__ is float or scalar.__class__ is int):
        dtype = operator.same[block.dtype]
    else:
        dtype = scalar_type(operator, block.dtype, scalar, reverse=reverse)
        scalar = widened(scalar, dtype)
    engine = current_engine()
    if engine.verify:
        return invoke(WithScalar(operator, scalar, reverse), (data,), out)
    nbytes = data._size * dtype.itemsize
    if out is None:
        target = Block(data._shape, dtype, block.context)
        out = data.__class__(target, data._shape, data._size)
        if operator.direct and nbytes < SMALL:
            run = kernels.run_direct_left if reverse else kernels.run_direct_right
        else:
            run = kernels.run_into_left if reverse else kernels.run_into_right
    else:
        if (
            out.__class__ is not data.__class__
            or (target := out._block).dtype is not dtype
            or out._shape != data._shape
            or target.context is not block.context
            or not out._writable
        ):
            return invoke(WithScalar(operator, scalar, reverse), (data,), out)
        run = kernels.run_into_left if reverse else kernels.run_into_right
    engine.push(
        partial(run, operator.kernel, data, scalar, out),
        reads=(data._resource,),
        writes=(out._resource,),
        device=block.context.name,
        name=operator.name,
        nbytes=0 if nbytes < SMALL or target.data is not None else nbytes,
        quick=nbytes < SMALL,
    )
    return out


def invoke(operator: Operator, inputs: tuple[A, ...], out: A | None = None) -> A:
    """Apply any operator with one output to at least one input.

    Args:
      operator: what to compute.
      inputs: its inputs, all in one context.
      out: where the result goes instead of into a new array; it may be or overlap an input.

    Raises:
      ShapeError: the inputs' shapes do not fit, or `out` has not the result's shape.
      DTypeError: the operator does not take the inputs' data types, or the result cannot be
        converted to `out`'s without leaving its kind.
      ContextError: the arrays live in different contexts.
      OutOfMemoryError: the result is larger than all memory that there can ever be.
      ValueError: `out` is not writable.
    """
    first = inputs[0]
    context = first._block.context
    if len(inputs) == 1:
        shape, dtype = _infer(operator, (first._shape,), (first._block.dtype,))
    else:
        for each in inputs:
            if each._block.context is not context:
                _require_context(operator, inputs)
        shape, dtype = _infer(
            operator,
            tuple([each._shape for each in inputs]),
            tuple([each._block.dtype for each in inputs]),
        )
    if out is None:
        out = make(first.__class__, shape, dtype, context, operator.name)
    else:
        check_out(operator.name, out, shape, dtype, context)
    push(operator, inputs, out, dtype=dtype)
    return out


@lru_cache(maxsize=1024)
def _infer(
    operator: Operator, shapes: tuple[Shape, ...], dtypes: tuple[np.dtype[Any], ...]
) -> tuple[Shape, np.dtype[Any]]:
    """The shape and data type of the output. Programs ask the same again and again."""
    _, (shape,) = operator.infer_shape(*shapes)
    _, (dtype,) = operator.infer_type(*dtypes)
    if shape is None or dtype is None:
        raise ShapeError(f"{operator.name}: cannot tell the shape and data type of its output")
    return shape, dtype


def _require_context(operator: Operator, inputs: tuple[ArrayCore, ...]) -> None:
    """Raise unless all inputs are in one context."""
    context = inputs[0]._block.context
    for name, each in zip(operator.inputs, inputs, strict=True):
        if each._block.context != context:
            raise ContextError(
                f"{operator.name}: {name} is in {each._block.context}, but {operator.inputs[0]} in "
                f"{context}; copy it with as_in_context({context})"
            )


def make(
    cls: type[A], shape: Shape, dtype: np.dtype[Any], context: Context, who: str = "array"
) -> A:
    """A new array, not filled.

    Args:
      cls: its class.
      shape: its shape.
      dtype: its data type.
      context: where it lives.
      who: the function that makes it, for the message.

    Raises:
      OutOfMemoryError: it is larger than all memory that there can ever be. One that is only
        larger than what is free now fails when it is computed.
    """
    size = prod(shape)
    nbytes = size * dtype.itemsize
    if nbytes > _LARGE and nbytes > (most := host_memory.attainable_nbytes()):
        raise OutOfMemoryError(
            f"{who}: an array of shape {shape} ({dtype.name}) takes {nbytes} bytes, but this "
            f"process can have {most} at the most"
        )
    return cls(Block(shape, dtype, context), shape, size)


def check_out(
    name: str, out: ArrayCore, shape: Shape, dtype: np.dtype[Any], context: Context | None = None
) -> None:
    """Raise unless `out` can take a result; see `invoke`."""
    if not isinstance(out, ArrayCore):
        raise TypeError(f"{name}: out is a {type(out).__name__}, but needs to be an NDArray")
    if not out._writable:
        raise ValueError(f"{name}: out is not writable")
    if out._shape != shape:
        raise ShapeError(f"{name}: out has shape {out._shape}, but the result has {shape}")
    block = out._block
    if block.dtype is not dtype and not np.can_cast(dtype, block.dtype, "same_kind"):
        raise DTypeError(
            f"{name}: out has dtype {block.dtype.name}, to which the result's {dtype.name} "
            "is not converted; use astype"
        )
    if context is not None and block.context is not context and block.context != context:
        raise ContextError(f"{name}: out is in {block.context}, but the inputs in {context}")


def push(
    operator: Operator,
    inputs: tuple[ArrayCore, ...],
    out: ArrayCore,
    *,
    dtype: np.dtype[Any] | None = None,
    keeps: bool = False,
    draw: Draw | None = None,
    engine: Engine | None = None,
    reads: tuple[Any, ...] = (),
) -> None:
    """Push one operation of an operator whose inputs and output have been checked.

    Args:
      operator: what to compute.
      inputs: its inputs.
      out: where the result goes.
      dtype: the data type of the result, where it may differ from `out`'s.
      keeps: the operator changes only a part of `out`.
      draw: makes the generator, if the operator draws.
      engine: where to push it; the ambient one by default.
      reads: further resources that it reads.
    """
    block = out._block
    staged = dtype if dtype is not None and dtype is not block.dtype else None
    overlaps = False
    touched = nbytes = out._size * block.dtype.itemsize
    for each in inputs:
        source = each._block
        touched += each._size * source.dtype.itemsize
        if source is block and each._overlaps(out):
            overlaps = True
    if overlaps and not _computes_in_place(operator, inputs, out):
        staged = dtype or block.dtype
    if engine is None:
        engine = current_engine()
    if engine.verify:
        keeping = keeps or overlaps
        run = partial(kernels.run_verified, operator, inputs, out, staged, draw, keeps=keeping)
    else:
        run = partial(kernels.run, operator, inputs, out, staged, draw)
    written = (out._resource,)
    read = (inputs[0]._resource,) if len(inputs) == 1 else tuple([x._resource for x in inputs])
    engine.push(
        run,
        reads=read + reads if reads else read,
        writes=() if keeps else written,
        updates=written if keeps else (),
        device=block.context.name,
        name=operator.name,
        nbytes=0 if nbytes < SMALL or block.data is not None else nbytes,
        quick=touched < SMALL,
    )


def _computes_in_place(operator: Operator, inputs: tuple[ArrayCore, ...], out: ArrayCore) -> bool:
    """Whether the operator is made for an output that overlaps inputs as this one does."""
    if operator.overlap_safe:
        return True
    return all(
        each._coincides(out) and (name, "output") in operator.inplace
        for name, each in zip(operator.inputs, inputs, strict=True)
        if each._overlaps(out)
    )


_COPY: Final = Copy()


def copy_into(source: ArrayCore, target: ArrayCore) -> None:
    """Copy an array into another of the same shape, in any context, converting it.

    Raises:
      ShapeError: the shapes differ.
      ValueError: the target is not writable.
    """
    if not target._writable:
        raise ValueError("copyto: the target is not writable")
    if source._shape != target._shape:
        raise ShapeError(
            f"copyto: the source has shape {source._shape}, but the target {target._shape}"
        )
    push(_COPY, (source,), target)
