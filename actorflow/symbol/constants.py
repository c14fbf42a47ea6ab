"""Constants: what needs no array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.symbol.kit import layer

if TYPE_CHECKING:
    from actorflow.ops import DTypeLike
    from actorflow.symbol.kit import Sizes
    from actorflow.symbol.symbol import Symbol

__all__ = ["full", "ones", "zeros"]


def full(
    shape: Sizes,
    val: float,
    dtype: DTypeLike = "float32",
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """One value everywhere.

    Args:
      shape: the shape.
      val: the value.
      dtype: the data type.
      name: what to call it; None to make up a name.
      attr: attributes.
    """
    return layer("full", ops.Full.of(shape=shape, value=val, dtype=dtype), name, attr)


def zeros(
    shape: Sizes,
    dtype: DTypeLike = "float32",
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """0 everywhere; arguments as in `full`."""
    return layer("zeros", ops.Full.of(shape=shape, value=0, dtype=dtype), name, attr)


def ones(
    shape: Sizes,
    dtype: DTypeLike = "float32",
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 everywhere; arguments as in `full`."""
    return layer("ones", ops.Full.of(shape=shape, value=1, dtype=dtype), name, attr)
