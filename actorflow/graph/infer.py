"""Shapes and data types of all entries of a graph, from those of some of its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.engine import describe_site
from actorflow.errors import DTypeError, ShapeError
from actorflow.graph.node import Entry, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from actorflow.ops import Operator, Shape

__all__ = ["infer_shapes", "infer_types"]


def infer_shapes(
    order: Sequence[Node],
    known: Mapping[Node, Shape],
) -> dict[Entry, Shape]:
    """Find shapes, forward and backward, until nothing more follows.

    Args:
      order: the nodes, in topological order.
      known: the shapes of variables.

    Returns:
      The shapes that are known by then; what is missing could not be told.

    Raises:
      ShapeError: two do not fit each other; the message names the node, the argument and both
        shapes, and notes say where the node and the argument were made.
    """
    return _Inference(order, known, "shape").run(_shapes_of)


def infer_types(
    order: Sequence[Node],
    known: Mapping[Node, np.dtype[Any]],
) -> dict[Entry, np.dtype[Any]]:
    """Find data types in the same way.

    Raises:
      DTypeError: two do not fit each other; otherwise like `infer_shapes`.
    """
    return _Inference(order, known, "data type").run(_types_of)


def _shapes_of(operator: Operator, given: list[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    return operator.infer_shape(*given)


def _types_of(operator: Operator, given: list[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    return operator.infer_type(*given)


class _Inference:
    """One run of inference: what is known so far."""

    def __init__(
        self,
        order: Sequence[Node],
        known: Mapping[Node, Any],
        what: str,
    ) -> None:
        self.order = order
        self.what = what
        self.known: dict[Entry, Any] = {
            Entry(node, 0): value for node, value in known.items() if node.is_variable
        }
        # Who said so, for messages.
        self.source: dict[Entry, Node] = {}

    def run(
        self, rule: Callable[[Operator, list[Any]], tuple[Sequence[Any], Sequence[Any]]]
    ) -> dict[Entry, Any]:
        # Most graphs are complete after one walk; what a walk finds backward takes another.
        before = -1
        left = [node for node in self.order if node.operator is not None]
        while left and before < len(self.known):
            before = len(self.known)
            left = [node for node in left if not self._visit(node, rule)]
        return self.known

    def _visit(
        self,
        node: Node,
        rule: Callable[[Operator, list[Any]], tuple[Sequence[Any], Sequence[Any]]],
    ) -> bool:
        """Apply an operator's rule; say whether everything about its node is known by that."""
        operator = node.operator
        assert operator is not None  # noqa: S101 -- variables are not visited
        known = self.known
        given = [known.get(entry) for entry in node.inputs]
        try:
            inputs, outputs = rule(operator, given)
        except Exception as error:  # the rule of an operator that a user wrote may raise any
            self._explain(error, node, operator)
            raise
        complete = True
        for entry, value, before in zip(node.inputs, inputs, given, strict=True):
            if value is None:
                complete = False
            elif value is not before:
                self._learn(node, entry, value)
        for entry, value in zip(node.entries(), outputs, strict=True):
            if value is None:
                complete = False
            else:
                self._learn(node, entry, value)
        return complete

    def _learn(self, node: Node, entry: Entry, value: Any) -> None:  # noqa: ANN401
        before = self.known.get(entry)
        if before is None:
            self.known[entry] = value
            self.source[entry] = node
        elif before != value:
            kind = ShapeError if self.what == "shape" else DTypeError
            message = f"{node.name}: {entry.name} has {self.what} {before}, but needs {value} here"
            error = kind(message)
            self._explain(error, node, node.operator)
            raise error

    def _explain(self, error: Exception, node: Node, operator: Operator | None) -> None:
        """Note which node it was, what its inputs are and where all of them were made."""
        kind = "variable" if operator is None else operator.name
        made = describe_site(node.site, verb="made")
        error.add_note(f"actorflow: in {kind} {node.name!r}{made}")
        names: tuple[str, ...] = ()
        if operator is not None:
            names = (*operator.inputs, *operator.auxiliary)
        for name, entry in zip(names, node.inputs, strict=True):
            value = self.known.get(entry, "unknown")
            made = describe_site(entry.node.site, verb="made")
            error.add_note(f"actorflow:   {name} is {entry.name!r}, {self.what} {value}{made}")
