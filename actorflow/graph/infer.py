"""Shapes and data types of all entries of a graph, from those of some of its variables."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.engine import describe_site
from actorflow.errors import DTypeError, ShapeError
from actorflow.graph.node import Entry, Node
from actorflow.ops import Operator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from actorflow.ops import Shape

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
    return _Inference(known, "shape").run(order, {})


def infer_types(
    order: Sequence[Node],
    known: Mapping[Node, np.dtype[Any]],
    otherwise: Mapping[Node, np.dtype[Any]] | None = None,
) -> dict[Entry, np.dtype[Any]]:
    """Find data types in the same way.

    Args:
      order: as with `infer_shapes`.
      known: the data types of variables.
      otherwise: data types for variables that nothing tells. The first of them gets its own, the
        others may follow from that, and so on.

    Raises:
      DTypeError: two do not fit each other; otherwise like `infer_shapes`.
    """
    return _Inference(known, "data type").run(order, otherwise or {})


class _Inference:
    """One run of inference: what is known so far."""

    def __init__(self, known: Mapping[Node, Any], what: str) -> None:
        self.what = what
        self.by_shape = what == "shape"
        self.known: dict[Entry, Any] = {
            Entry(node, 0): value for node, value in known.items() if node.is_variable
        }
        # What was learnt, for those that may learn from it.
        self.news: list[Entry] = []
        # The nodes about which something is missing, each with whether it waits to be visited.
        self.left: dict[Node, bool] = {}
        self.touching: dict[Entry, list[Node]] = {}

    def run(self, order: Sequence[Node], otherwise: Mapping[Node, Any]) -> dict[Entry, Any]:
        if otherwise and all(
            node.operator is None or self._goes_forward(node.operator) for node in order
        ):
            # No guess follows from another one.
            for node, value in otherwise.items():
                self.known.setdefault(Entry(node, 0), value)
        # Most graphs are complete after one walk.
        left = [node for node in order if node.operator is not None and not self._visit(node)]
        if left:
            self.left = dict.fromkeys(left, False)
            for node in left:
                for entry in (*node.inputs, *node.entries()):
                    self.touching.setdefault(entry, []).append(node)
            self._spread()
        for node, value in otherwise.items():
            entry = Entry(node, 0)
            if entry not in self.known:
                self.known[entry] = value
                self.news.append(entry)
                self._spread()
        return self.known

    def _goes_forward(self, operator: Operator) -> bool:
        """Whether an operator has the usual rule, which says nothing of its inputs."""
        if self.by_shape:
            return type(operator).infer_shape is Operator.infer_shape
        return type(operator).infer_type is Operator.infer_type

    def _spread(self) -> None:
        """Visit the nodes that may learn from the news, until there are none."""
        waiting: deque[Node] = deque()
        while True:
            for entry in self.news:
                for node in self.touching.get(entry, ()):
                    if self.left.get(node) is False:
                        self.left[node] = True
                        waiting.append(node)
            self.news.clear()
            if not waiting:
                return
            node = waiting.popleft()
            self.left[node] = False
            if self._visit(node):
                del self.left[node]

    def _visit(self, node: Node) -> bool:
        """Apply an operator's rule; say whether everything about its node is known by that."""
        operator = node.operator
        assert operator is not None  # noqa: S101 -- variables are not visited
        known = self.known
        given = tuple([known.get(entry) for entry in node.inputs])
        rule = operator.infer_shape if self.by_shape else operator.infer_type
        try:
            inputs, outputs = rule(*given)
        except Exception as error:  # the rule of an operator that a user wrote may raise any
            self._explain(error, node, operator)
            raise
        complete = True
        if not self._goes_forward(operator):
            for entry, value, before in zip(node.inputs, inputs, given, strict=True):
                if value is None:
                    complete = False
                elif value is not before:
                    self._learn(node, entry, value)
        for entry, value in zip(node.entries(), outputs, strict=True):
            if value is None:
                complete = False
            elif entry in known:
                self._learn(node, entry, value)
            else:
                known[entry] = value
                self.news.append(entry)
        return complete

    def _learn(self, node: Node, entry: Entry, value: Any) -> None:  # noqa: ANN401
        before = self.known.get(entry)
        if before is None:
            self.known[entry] = value
            self.news.append(entry)
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
