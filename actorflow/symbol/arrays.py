"""Sums of many, bounds, and arrays like another."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.symbol.kit import layer, variadic

if TYPE_CHECKING:
    from actorflow.symbol.symbol import Symbol

__all__ = [
    "ElementWiseSum",
    "add_n",
    "clip",
    "identity",
    "ones_like",
    "zeros_like",
]


def clip(
    data: Symbol | None,
    a_min: float,
    a_max: float,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`min(max(data, a_min), a_max)`; a NaN stays one. Keeps the data type.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      a_min: the least value; a number.
      a_max: the greatest value, at least a_min; a number.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Clip.of(a_min=a_min, a_max=a_max)
    return layer("clip", operator, name, attr, data)


def ElementWiseSum(
    *args: Symbol,
    num_args: int | None = None,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The sum of arrays of one shape and data type; float16 is added up in float32.

    Args:
      args: symbols of one output each.
      num_args: how many there are, for those who say so; without args, variables are made.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    return variadic("elementwisesum", ops.ElementWiseSum, args, num_args, name, attr)


add_n = ElementWiseSum


def identity(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The same elements; it need not copy them.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Identity.of()
    return layer("identity", operator, name, attr, data)


def ones_like(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 everywhere, in the shape and the data type of `data`.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.OnesLike.of()
    return layer("ones_like", operator, name, attr, data)


def zeros_like(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """0 everywhere, in the shape and the data type of `data`.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.ZerosLike.of()
    return layer("zeros_like", operator, name, attr, data)
