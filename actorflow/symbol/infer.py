"""What symbols tell of shapes and data types."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, NamedTuple

from actorflow.errors import ShapeError
from actorflow.graph import Entry, Node, infer_shapes, infer_types, topological, variables
from actorflow.ops import DTYPES, as_dtype, as_shape
from actorflow.symbol.compose import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from actorflow.ops import Shape

__all__ = ["Walk", "shape_hint", "shapes", "type_hint", "types", "walk"]

Found = tuple[list[Any], list[Any], list[Any]]


def shape_hint(node: Node) -> Shape | None:
    """The shape that a variable was given when it was made."""
    text = node.attributes.get("__shape__")
    if text is None:
        return None
    try:
        shape = as_shape(ast.literal_eval(text), node.name)
    except (ValueError, SyntaxError, TypeError) as error:
        message = f"{node.name}: its attribute __shape__ is no shape: {text!r}"
        raise ShapeError(message) from error
    return None if 0 in shape else shape  # MXNet spells what is unknown as 0


def type_hint(node: Node) -> np.dtype[Any] | None:
    """The data type that a variable was given when it was made.

    Raises:
      DTypeError: the attribute is neither MXNet's number of a data type nor its name.
    """
    text = node.attributes.get("__dtype__")
    if text is None or text == "-1":  # how MXNet spells what is unknown
        return None
    if text.isdecimal() and int(text) < len(DTYPES):
        return DTYPES[int(text)]
    return as_dtype(text, node.name)


class Walk(NamedTuple):
    """A graph, walked through once."""

    heads: tuple[Entry, ...]
    order: list[Node]
    arguments: list[Node]
    states: list[Node]


def walk(heads: tuple[Entry, ...]) -> Walk:
    """Walk through the graph of some heads."""
    order = topological(heads)
    return Walk(heads, order, *variables(order))


def shapes(walked: Walk, args: Sequence[Shape | None], kwargs: Mapping[str, Shape]) -> Found:
    """Shapes of arguments, outputs and states; None for each that cannot be told."""
    heads, order, arguments, states = walked
    known = _given("infer_shape", arguments, states, args, kwargs)
    for name, shape in known.items():
        known[name] = as_shape(shape, f"infer_shape: {name}")
    for node in (*arguments, *states):
        if node.name not in known and (hint := shape_hint(node)) is not None:
            known[node.name] = hint
    nodes = {node: known[node.name] for node in (*arguments, *states) if node.name in known}
    return _collected(infer_shapes(order, nodes), heads, arguments, states)


def types(
    walked: Walk,
    args: Sequence[np.dtype[Any] | None],
    kwargs: Mapping[str, np.dtype[Any]],
    otherwise: np.dtype[Any] | None = None,
) -> Found:
    """Data types of arguments, outputs and states; None for each that cannot be told.

    Args:
      walked: the graph.
      args, kwargs: what is known of its arguments, in order or by name.
      otherwise: the data type of arguments that nothing tells, one after the other.
    """
    heads, order, arguments, states = walked
    known = _given("infer_type", arguments, states, args, kwargs)
    for node in (*arguments, *states):
        if node.name not in known and (hint := type_hint(node)) is not None:
            known[node.name] = hint
    nodes = {node: known[node.name] for node in (*arguments, *states) if node.name in known}
    guesses = {} if otherwise is None else dict.fromkeys(arguments, otherwise)
    return _collected(infer_types(order, nodes, guesses), heads, arguments, states)


def _given(
    who: str,
    arguments: list[Node],
    states: list[Node],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """What the user says, by name."""
    if args and kwargs:
        message = f"{who}: give what is known in order or by name, not both"
        raise TypeError(message)
    names = [node.name for node in arguments]
    if len(args) > len(names):
        message = f"{who}: {len(args)} values for {len(names)} arguments"
        raise TypeError(message)
    refuse_unknown(who, kwargs, [*names, *(node.name for node in states)])
    given = dict(zip(names, args, strict=False)) if args else dict(kwargs)
    return {name: value for name, value in given.items() if value is not None}


def _collected(
    found: Mapping[Entry, Any], heads: tuple[Entry, ...], arguments: list[Node], states: list[Node]
) -> Found:
    return (
        [found.get(Entry(node, 0)) for node in arguments],
        [found.get(head) for head in heads],
        [found.get(Entry(node, 0)) for node in states],
    )
