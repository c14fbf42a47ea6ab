"""Functions of whole arrays: products, reductions, new shapes, picking by index.

Each takes `out`, an array for the result instead of a new one, which may overlap an input. Each
raises `ShapeError`, `DTypeError` or `ContextError` in the call if its arguments do not fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow import ops
from actorflow.ndarray.core import ArrayCore
from actorflow.ndarray.invoke import check_out, invoke, push
from actorflow.ops import (
    ArgMax,
    ArgMaxChannel,
    ArgMin,
    Axis,
    BroadcastTo,
    ChooseElement0Index,
    Clip,
    Concat,
    Dot,
    FillElement0Index,
    Max,
    Mean,
    Min,
    Norm,
    OneHotEncode,
    Operator,
    Prod,
    Sum,
    Take,
    Transpose,
    shared,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ndarray.array import NDArray

__all__ = [
    "Flatten",
    "Reshape",
    "argmax",
    "argmax_channel",
    "argmin",
    "broadcast_to",
    "choose_element_0index",
    "clip",
    "concatenate",
    "dot",
    "expand_dims",
    "fill_element_0index",
    "flatten",
    "max",
    "max_axis",
    "mean",
    "min",
    "min_axis",
    "norm",
    "onehot_encode",
    "prod",
    "reshape",
    "sum",
    "sum_axis",
    "take",
    "transpose",
]


def _invoke(operator: Operator, out: NDArray | None, *inputs: NDArray) -> NDArray:
    for index, value in enumerate(inputs):
        if not isinstance(value, ArrayCore):
            _require_array(operator.name, operator.inputs[index], value)
    return invoke(operator, inputs, out)


# -- Products ----------------------------------------------------------------------------------


def dot(
    lhs: NDArray,
    rhs: NDArray,
    transpose_a: bool = False,  # noqa: FBT001, FBT002
    transpose_b: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """The product over the last axis of `lhs` and the first of `rhs`.

    Args:
      lhs: `(..., k)`.
      rhs: `(k, ...)`.
      transpose_a: take `lhs` transposed; it then needs one or two axes.
      transpose_b: take `rhs` transposed; it then needs one or two axes.
      out: where the result goes.

    Returns:
      An array with the other axes of `lhs`, then those of `rhs`; `(1,)` for two vectors.
    """
    return _invoke(shared(Dot, transpose_a, transpose_b), out, lhs, rhs)


# -- Reductions --------------------------------------------------------------------------------
# `axis` is an axis, a tuple of them, or None for all; with `keepdims` the reduced axes stay, with
# size 1, and with `exclude` all axes but those are reduced. All axes reduced give the shape (1,).


def sum(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """The sum along axes; int64 for integers and bool."""
    return _invoke(shared(Sum, axis, keepdims, exclude), out, data)


def prod(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """The product along axes; int64 for integers and bool."""
    return _invoke(shared(Prod, axis, keepdims, exclude), out, data)


def mean(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """The mean along axes; float64 for integers and bool."""
    return _invoke(shared(Mean, axis, keepdims, exclude), out, data)


def max(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """The greatest element along axes; a NaN wins."""
    return _invoke(shared(Max, axis, keepdims, exclude), out, data)


def min(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """The least element along axes; a NaN wins."""
    return _invoke(shared(Min, axis, keepdims, exclude), out, data)


def sum_axis(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """Early MXNet's name of `sum`."""
    return _invoke(shared(Sum, axis, keepdims, exclude), out, data)


def max_axis(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """Early MXNet's name of `max`."""
    return _invoke(shared(Max, axis, keepdims, exclude), out, data)


def min_axis(
    data: NDArray,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    exclude: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """Early MXNet's name of `min`."""
    return _invoke(shared(Min, axis, keepdims, exclude), out, data)


def argmax(
    data: NDArray,
    axis: int | None = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """Where the greatest element is along an axis, or among all elements: the first, as int64."""
    return _invoke(shared(ArgMax, axis, keepdims), out, data)


def argmin(
    data: NDArray,
    axis: int | None = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """Where the least element is along an axis, or among all elements: the first, as int64."""
    return _invoke(shared(ArgMin, axis, keepdims), out, data)


def argmax_channel(data: NDArray, out: NDArray | None = None) -> NDArray:
    """Where the greatest element of each row of `(batch, channels)` is, in `data`'s data type."""
    return _invoke(shared(ArgMaxChannel), out, data)


def norm(
    data: NDArray,
    ord: int = 2,
    axis: Axis = None,
    keepdims: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """The norm along axes, of elements seen as one vector; float64 for integers and bool.

    Args:
      data: the array.
      ord: 2 for the root of the sum of squares, 1 for the sum of absolute values.
      axis: an axis, a tuple of them, or None for all.
      keepdims: whether reduced axes stay, with size 1.
      out: where the result goes.
    """
    return _invoke(shared(Norm, axis, keepdims, ord), out, data)


# -- Shapes ------------------------------------------------------------------------------------


def reshape(
    data: NDArray,
    shape: int | Sequence[int] = (),
    reverse: bool = False,  # noqa: FBT001, FBT002
    target_shape: int | Sequence[int] = (),
    keep_highest: bool = False,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """A view of `data` with another shape, or a copy in `out`.

    Args:
      data: the array.
      shape: the sizes, or one size, in which some numbers have a meaning: 0 keeps the size at its
        place, -1, once, is what is left; -2 is all axes that are left, -3 two axes merged, -4 an
        axis split into the two sizes that follow.
      reverse: read `shape` from the right.
      target_shape: early MXNet's spelling of `shape`, where one 0 is what is left.
      keep_highest: the first axis keeps its size, whatever `target_shape` says.
      out: where the elements go, if they are to be copied.
    """
    operator = ops.Reshape.of(
        shape=shape, reverse=reverse, target_shape=target_shape, keep_highest=keep_highest
    )
    return _reshaped(operator, data, out)


Reshape = reshape


def flatten(data: NDArray, out: NDArray | None = None) -> NDArray:
    """A view of `data` with two axes, the first and all others as one; or a copy in `out`."""
    return _reshaped(shared(ops.Flatten), data, out)


Flatten = flatten


def expand_dims(data: NDArray, axis: int, out: NDArray | None = None) -> NDArray:
    """A view of `data` with an axis of size 1 put in at `axis`, or a copy in `out`."""
    return _reshaped(ops.ExpandDims.of(axis=axis), data, out)


def _reshaped(operator: Operator, data: NDArray, out: NDArray | None) -> NDArray:
    """What an operator gives that changes the shape alone."""
    _require_array(operator.name, "data", data)
    if out is not None:
        return _invoke(operator, out, data)
    return data._reshaped(operator.output_shape(data._shape))


def transpose(
    data: NDArray, axes: Sequence[int] | None = None, out: NDArray | None = None
) -> NDArray:
    """A copy with the axes in another order.

    Args:
      data: the array.
      axes: which axis of `data` each axis of the result is; None, or none at all, reverses them.
      out: where the result goes.
    """
    return _invoke(Transpose(tuple(axes) if axes else None), out, data)


def broadcast_to(data: NDArray, shape: Sequence[int], out: NDArray | None = None) -> NDArray:
    """A copy with axes of size 1 repeated.

    Args:
      data: the array.
      shape: the shape to give; 0 keeps the size of an axis.
      out: where the result goes.
    """
    return _invoke(BroadcastTo(tuple(shape)), out, data)


def concatenate(
    arrays: Sequence[NDArray],
    axis: int = 0,
    always_copy: bool = True,  # noqa: FBT001, FBT002
    out: NDArray | None = None,
) -> NDArray:
    """Arrays one behind the other along an axis.

    Args:
      arrays: at least one; their other sizes are equal. Different data types are promoted as by
        `nd.add`.
      axis: the axis.
      always_copy: if not, and there is only one array, return that itself.
      out: where the result goes.

    Raises:
      ValueError: there is no array.
    """
    if not arrays:
        raise ValueError("concatenate: needs at least one array")
    if len(arrays) == 1 and not always_copy and out is None:
        return arrays[0]
    return _invoke(shared(Concat, len(arrays), axis), out, *arrays)


def clip(data: NDArray, a_min: float, a_max: float, out: NDArray | None = None) -> NDArray:
    """Every element moved into `[a_min, a_max]`.

    Raises:
      ValueError: `a_min` is greater than `a_max`.
    """
    return _invoke(Clip(a_min, a_max), out, data)


# -- Picking by index --------------------------------------------------------------------------
# Indices may have a floating data type, in which MXNet's programs hold labels. One that is out of
# range fails the operation: `IndexError`, where the result is waited for.


def take(data: NDArray, indices: NDArray, out: NDArray | None = None) -> NDArray:
    """The parts of the first axis of `data` that `indices`, of any shape, name."""
    return _invoke(shared(Take), out, data, indices)


def choose_element_0index(lhs: NDArray, rhs: NDArray, out: NDArray | None = None) -> NDArray:
    """One element of each row: `lhs[i, rhs[i]]`.

    Args:
      lhs: `(rows, columns)`.
      rhs: `(rows,)`.
      out: `(rows,)`, where the result goes.
    """
    return _invoke(shared(ChooseElement0Index), out, lhs, rhs)


def fill_element_0index(
    lhs: NDArray, mhs: NDArray, rhs: NDArray, out: NDArray | None = None
) -> NDArray:
    """`lhs` with `mhs[i]` at `[i, rhs[i]]`.

    Args:
      lhs: `(rows, columns)`.
      mhs: `(rows,)`.
      rhs: `(rows,)`.
      out: where the result goes; it may be `lhs`.
    """
    return _invoke(shared(FillElement0Index), out, lhs, mhs, rhs)


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write 1 at `[i, indices[i]]` and 0 elsewhere.

    Args:
      indices: `(rows,)`.
      out: `(rows, depth)`.

    Returns:
      `out`.
    """
    for name, value in (("indices", indices), ("out", out)):
        _require_array("onehot_encode", name, value)
    operator = shared(OneHotEncode)
    operator.check(indices.shape, out.shape)
    check_out(operator.name, out, out.shape, out.dtype, indices.context)
    push(operator, (indices,), out)
    return out


def _require_array(who: str, name: str, value: Any) -> None:  # noqa: ANN401
    if not isinstance(value, ArrayCore):
        raise TypeError(f"{who}: {name} needs to be an NDArray, got {type(value).__name__}")
