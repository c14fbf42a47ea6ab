"""What the public functions on symbols are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from actorflow.errors import ParameterError
from actorflow.ops import ELEMENTWISE, WithScalar
from actorflow.symbol import compose
from actorflow.symbol.symbol import Symbol

if TYPE_CHECKING:
    from actorflow.ops import Operator

__all__ = ["Operand", "Sizes", "binary", "layer", "unary", "variadic"]

Sizes: TypeAlias = int | Sequence[int]
Operand: TypeAlias = Union[Symbol, int, float, "np.generic"]

Attributes: TypeAlias = dict[str, str] | None


def layer(
    hint: str, operator: Operator, name: str | None, attr: Attributes, *inputs: Symbol | None
) -> Symbol:
    """A symbol of an operator.

    Args:
      hint: what a made-up name begins with.
      operator: the operator.
      name: what to call it.
      attr: attributes.
      inputs: its inputs and states in their order; variables are made for those that are missing.

    Raises:
      TypeError: an input is no symbol of one output, or the operator does not have so many.
    """
    names = (*operator.inputs, *operator.auxiliary)
    for extra in inputs[len(names) :]:
        if extra is not None:
            message = f"{operator.name}: takes only {', '.join(names)} as it is, got {extra!r} too"
            raise TypeError(message)
    given = dict(zip(names, inputs, strict=False))
    return Symbol(compose.apply(operator, hint, given, name, attr))


def unary(called: str, data: Symbol | None, name: str | None, attr: Attributes) -> Symbol:
    """A symbol of an element-wise operator on one input."""
    return layer(called, ELEMENTWISE[called], name, attr, data)


def binary(called: str, lhs: Operand, rhs: Operand, name: str | None, attr: Attributes) -> Symbol:
    """A symbol of an element-wise operator on two inputs, one of which may be a number.

    Raises:
      TypeError: neither is a symbol, or one is neither a symbol nor a number.
    """
    operator = ELEMENTWISE[called]
    if isinstance(lhs, Symbol) and isinstance(rhs, Symbol):
        return layer(called, operator, name, attr, lhs, rhs)
    for symbol, number, reverse in ((lhs, rhs, False), (rhs, lhs, True)):
        if isinstance(symbol, Symbol) and isinstance(number, int | float | np.generic):
            with_number = WithScalar(operator, number, reverse)
            return layer(f"{called}_scalar", with_number, name, attr, symbol)
    message = f"{called}: takes two symbols, or a symbol and a number, got {lhs!r} and {rhs!r}"
    raise TypeError(message)


def variadic(
    hint: str,
    kind: type[Operator],
    args: tuple[Symbol, ...],
    num_args: int | None,
    name: str | None,
    attr: Attributes,
    **given: Any,
) -> Symbol:
    """A symbol of an operator on any number of inputs.

    Raises:
      ParameterError: `num_args` is another number than there are symbols.
    """
    if num_args is not None and args and num_args != len(args):
        message = f"{hint}: num_args is {num_args}, but there are {len(args)} symbols"
        raise ParameterError(message)
    operator = kind.of(num_args=len(args) or num_args or 0, **given)
    return layer(hint, operator, name, attr, *args)
