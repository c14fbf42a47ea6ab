"""Constants are computed once, and what changes nothing is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.graph.node import Node
from actorflow.ops import (
    ELEMENTWISE,
    Constant,
    Elementwise,
    Full,
    OnesLike,
    WithScalar,
    ZerosLike,
    eager,
    prod,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.graph.node import Entry, Rule
    from actorflow.ops import Memory, Operator

    Known = dict[Entry, Any]

__all__ = ["LIMIT", "dropping_neutral", "folding"]

LIMIT: Final = 1 << 20
"""Bytes of the largest array that is kept. A constant lies in memory for as long as the executor,
where a value in between shares its place with others; and of a large array, reading takes as long
as filling it again."""

_UNDONE: Final = {ELEMENTWISE["negative"]: ELEMENTWISE["negative"]}
_IDEMPOTENT: Final = frozenset(
    ELEMENTWISE[name] for name in ("abs", "ceil", "floor", "rint", "trunc")
)


def folding(order: Iterable[Node], shapes: Known, types: Known) -> Rule:
    """A rule for `rebuild`: compute what depends on no variable once and for all, up to `LIMIT`.

    An operator that reads no elements of an input, as `zeros_like`, does not depend on it.

    Args:
      order: the nodes of the graph.
      shapes, types: of all entries.
    """
    # A state is written by its operator.
    states = {entry for node in order for entry in node.states()}

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if operator is None or not _is_foldable(operator, inputs):
            return None
        if not states.isdisjoint(node.entries()):
            return None
        every = (*node.inputs, *node.entries())
        if any(prod(shapes[each]) * types[each].itemsize > LIMIT for each in every):
            return None
        arrays: list[Memory] = [
            source.node.operator.value
            if isinstance(source.node.operator, Constant)
            else np.empty(shapes[entry], types[entry])  # it is not read
            for source, entry in zip(inputs, node.inputs, strict=True)
        ]
        try:
            found = eager.apply(operator, *arrays)
        except IndexError:
            return None  # of a value, such as a class: it says so when it is run
        return tuple(
            _constant(entry.name, node, value)
            for entry, value in zip(node.entries(), found, strict=True)
        )

    return change


def _is_foldable(operator: Operator, inputs: tuple[Entry, ...]) -> bool:
    """Whether it depends on constants alone, and nothing has to be done about it anyway."""
    if operator.draws or operator.auxiliary or operator.has_instances or operator.is_loss:
        return False
    unread = operator.unread
    for place, entry in enumerate(inputs):
        if not isinstance(entry.node.operator, Constant) and (
            not unread or operator.inputs[place] not in unread
        ):
            return False
    return not isinstance(operator, Constant)


def _constant(name: str, node: Node, value: Memory) -> Entry:
    value.flags.writeable = False
    return Node(Constant(value), name, (), node.attributes, node.site).entries()[0]


def dropping_neutral(shapes: Known, types: Known) -> Rule:
    """A rule for `rebuild`: leave out what gives one of its inputs, whatever that is.

    Be it a NaN, an infinity or -0.0. So `x * 1`, `x / 1`, `x - 0`, `-(-x)` and `floor(floor(x))`
    become what is inside. `x + 0` does for integers alone: with floats, -0.0 + 0 is 0.0. Nor is the
    power of 1 left out for floats, which libraries may round.
    """

    def change(node: Node, inputs: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
        operator = node.operator
        if not isinstance(operator, WithScalar | Elementwise):
            return None
        (out,) = node.entries()
        found = _same_as(operator, inputs, floats=types[out].kind == "f")
        if found is None or shapes[found] != shapes[out] or types[found] != types[out]:
            return None
        return (found,)

    return change


def _same_as(operator: Operator, inputs: tuple[Entry, ...], *, floats: bool) -> Entry | None:
    """What the output is, if it has the shape and the data type of that."""
    if isinstance(operator, WithScalar):
        left = operator.reverse
        neutral = _is_neutral(operator.base.name, operator.scalar, left=left, floats=floats)
        return inputs[0] if neutral else None
    if operator in _UNARY:
        inner = inputs[0].node
        if inner.operator is None:
            return None
        if _UNDONE.get(operator) is inner.operator:
            return inner.inputs[0]
        return inputs[0] if operator in _IDEMPOTENT and inner.operator is operator else None
    if operator in _BINARY:
        for place, other in ((0, 1), (1, 0)):
            number = _uniform(inputs[place])
            if number is None:
                continue
            if _is_neutral(operator.name, number, left=place == 0, floats=floats):
                return inputs[other]
    return None


_UNARY: Final = _IDEMPOTENT | _UNDONE.keys()
_BINARY: Final = frozenset(
    ELEMENTWISE[name] for name in ("add", "subtract", "multiply", "divide", "power")
)


def _uniform(entry: Entry) -> Any:  # noqa: ANN401 -- a number
    """The number that all elements are, if it can be told."""
    operator = entry.node.operator
    if isinstance(operator, Constant):
        return operator.uniform
    if isinstance(operator, Full):
        return operator.value
    if isinstance(operator, ZerosLike):
        return 1 if isinstance(operator, OnesLike) else 0
    return None


def _is_neutral(name: str, number: Any, *, left: bool, floats: bool) -> bool:  # noqa: ANN401
    """Whether an operator with this number on one side gives the other side."""
    if name == "add":
        return bool(number == 0) and (not floats or bool(np.signbit(number)))
    if name == "multiply":
        return bool(number == 1)
    if left:
        return False
    if name == "subtract":
        return bool(number == 0) and not (floats and np.signbit(number))
    return bool(number == 1) and (name == "divide" or (name == "power" and not floats))
