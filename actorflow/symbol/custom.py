"""Symbols of operators that users write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.ops import custom
from actorflow.symbol.kit import layer
from actorflow.symbol.symbol import Symbol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.ops import Operator

__all__ = ["Custom", "symbol_of"]


def Custom(  # noqa: N802 -- MXNet's name
    *data: Symbol,
    op_type: str,
    name: str | None = None,
    attr: dict[str, str] | None = None,
    **kwargs: Any,
) -> Symbol:
    """A symbol of an operator that was registered with `actorflow.operator.register`.

    Args:
      data: its inputs and states, symbols of one output each; variables are made for those that
        are missing.
      op_type: the name by which it was registered.
      name, attr: its name, None to make one up; attributes, also of variables made.
      kwargs: symbols are inputs by their names; all else is a parameter, which the operator gets as
        a text.

    Raises:
      ParameterError: no operator has that name, or it does not take these parameters.
      TypeError: something is no symbol of one output, or an input is given twice.
    """
    named = {key: value for key, value in kwargs.items() if isinstance(value, Symbol)}
    texts = {key: str(value) for key, value in kwargs.items() if key not in named}
    return symbol_of("custom", custom(op_type, texts), data, named, name, attr)


def symbol_of(
    hint: str,
    operator: Operator,
    data: Sequence[Any],
    named: Mapping[str, Any],
    name: str | None,
    attr: dict[str, str] | None,
) -> Symbol:
    """A symbol of an operator whose inputs are given in order or by name.

    Raises:
      TypeError: something is no symbol of one output, or an input is unknown or given twice.
    """
    names = (*operator.inputs, *operator.auxiliary)
    for key in named:
        if key not in names:
            message = f"{operator.name}: there is no input {key!r}; it takes {', '.join(names)}"
            raise TypeError(message)
        if names.index(key) < len(data):
            message = f"{operator.name}: the input {key!r} is given twice"
            raise TypeError(message)
    given = [*data, *(named.get(key) for key in names[len(data) :])]
    return layer(hint, operator, name, attr, *given)
