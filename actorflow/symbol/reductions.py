"""Sums, extremes, products and what picks elements."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.symbol.kit import layer

if TYPE_CHECKING:
    from actorflow.symbol.kit import Sizes
    from actorflow.symbol.symbol import Symbol

__all__ = [
    "argmax",
    "argmax_channel",
    "argmin",
    "choose_element_0index",
    "dot",
    "fill_element_0index",
    "max",
    "max_axis",
    "mean",
    "min",
    "min_axis",
    "norm",
    "prod",
    "sum",
    "sum_axis",
    "take",
]


def argmax(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Where the greatest element is, as int64; without an axis, counted through all elements.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.ArgMax.of(axis=axis, keepdims=keepdims)
    return layer("argmax", operator, name, attr, data)


def argmax_channel(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Where the greatest element of each row is, in the data type of `data`, as labels are held.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.ArgMaxChannel.of()
    return layer("argmax_channel", operator, name, attr, data)


def argmin(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Where the least element is, as int64; without an axis, counted through all elements.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.ArgMin.of(axis=axis, keepdims=keepdims)
    return layer("argmin", operator, name, attr, data)


def choose_element_0index(
    lhs: Symbol | None = None,
    rhs: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`output[i] = lhs[i, rhs[i]]`.

    Args:
      lhs, rhs: symbols of one output; variables are made for those that are missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.ChooseElement0Index.of()
    return layer("choose_element_0index", operator, name, attr, lhs, rhs)


def dot(
    lhs: Symbol | None = None,
    rhs: Symbol | None = None,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The product over the last axis of `lhs` and the first of `rhs`.

    For matrices that is the matrix product and for vectors the inner product, of shape `(1,)`.
    float16 is multiplied in float32.

    Args:
      lhs, rhs: symbols of one output; variables are made for those that are missing.
      transpose_a: take lhs transposed; it then needs one or two axes.
      transpose_b: take rhs transposed; it then needs one or two axes.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Dot.of(transpose_a=transpose_a, transpose_b=transpose_b)
    return layer("dot", operator, name, attr, lhs, rhs)


def fill_element_0index(
    lhs: Symbol | None = None,
    mhs: Symbol | None = None,
    rhs: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`lhs` with `mhs[i]` at `[i, rhs[i]]`.

    Args:
      lhs, mhs, rhs: symbols of one output; variables are made for those that are missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.FillElement0Index.of()
    return layer("fill_element_0index", operator, name, attr, lhs, mhs, rhs)


def max(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    exclude: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The greatest element; a NaN wins. At a tie each of the greatest gets the whole gradient.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      exclude: reduce the axes that axis does not name.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Max.of(axis=axis, keepdims=keepdims, exclude=exclude)
    return layer("max", operator, name, attr, data)


max_axis = max


def mean(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    exclude: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The mean; of integers and bool in float64, of float16 added up in float32.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      exclude: reduce the axes that axis does not name.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Mean.of(axis=axis, keepdims=keepdims, exclude=exclude)
    return layer("mean", operator, name, attr, data)


def min(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    exclude: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The least element; a NaN wins. At a tie each of the least gets the whole gradient.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      exclude: reduce the axes that axis does not name.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Min.of(axis=axis, keepdims=keepdims, exclude=exclude)
    return layer("min", operator, name, attr, data)


min_axis = min


def norm(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    ord: int = 2,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The norm of the elements, seen as one vector.

    `ord` 2 is the Euclidean norm, 1 the sum of absolute values. Where the norm is 0, so is its
    gradient.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      ord: the order of the norm; 1 or 2.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Norm.of(axis=axis, keepdims=keepdims, ord=ord)
    return layer("norm", operator, name, attr, data)


def prod(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    exclude: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The product; integers and bool are multiplied as int64.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      exclude: reduce the axes that axis does not name.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Prod.of(axis=axis, keepdims=keepdims, exclude=exclude)
    return layer("prod", operator, name, attr, data)


def sum(
    data: Symbol | None = None,
    axis: Sizes | None = None,
    *,
    keepdims: bool = False,
    exclude: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The sum; integers and bool are summed as int64.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis or axes to reduce; None, or none at all, means all of them; an integer, or
        integers.
      keepdims: keep the reduced axes, with size 1.
      exclude: reduce the axes that axis does not name.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Sum.of(axis=axis, keepdims=keepdims, exclude=exclude)
    return layer("sum", operator, name, attr, data)


sum_axis = sum


def take(
    data: Symbol | None = None,
    indices: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`data[indices]`: parts of the first axis, picked by another array.

    Indices of a floating data type, in which MXNet's programs hold them, are cut to integers; an
    index out of range fails the operation.

    Args:
      data, indices: symbols of one output; variables are made for those that are missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Take.of()
    return layer("take", operator, name, attr, data, indices)
