"""Networks as tables: layers, shapes and numbers of parameters."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from actorflow.errors import ShapeError
from actorflow.graph import Entry, topological, variables
from actorflow.ops import described, prod
from actorflow.symbol import infer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.graph import Node
    from actorflow.ops import Shape
    from actorflow.symbol.symbol import Symbol

__all__ = ["Row", "known_shapes", "print_summary", "summary_rows"]


@attrs.frozen
class Row:
    """A layer of a network.

    Attributes:
      name: its name.
      kind: its operator.
      shape: the shape of its first output; None if not known.
      count: how many numbers it learns; None if not known.
      inputs: the names of what it takes, without its own variables.
    """

    name: str
    kind: str
    shape: Shape | None
    count: int | None
    inputs: tuple[str, ...]


def known_shapes(symbol: Symbol, shape: Mapping[str, Shape] | None) -> dict[Entry, Shape]:
    """The shapes of what is inside of a symbol, as far as they follow from some.

    Raises:
      KeyError: there is no such argument.
      ShapeError: they do not fit.
    """
    inside = symbol.get_internals()._entries
    found = infer.shapes(infer.walk(inside), (), shape or {})[1]
    return {entry: each for entry, each in zip(inside, found, strict=True) if each is not None}


def summary_rows(symbol: Symbol, shape: Mapping[str, Shape] | None = None) -> list[Row]:
    """The layers of a network, and the variables that are its data.

    Args:
      symbol: the network.
      shape: the shapes of its data by name; nothing else counts as data then.
    """
    shapes = known_shapes(symbol, shape)
    order = topological(symbol._entries)
    data = {node for node in variables(order)[0] if shape and node.name in shape}
    counted: set[Node] = set()
    rows = []
    for node in order:
        if node in data:
            rows.append(Row(node.name, "data", shapes.get(Entry(node, 0)), 0, ()))
        elif node.operator is not None:
            own = [
                entry
                for entry in node.inputs[: len(node.operator.inputs)]
                if entry.node.is_variable and entry.node not in data
            ]
            learnt = [entry for entry in own if _is_learnt(node, entry)]
            new = [entry for entry in learnt if entry.node not in counted]
            counted.update(entry.node for entry in new)
            sizes = [shapes.get(entry) for entry in new]
            count = None if None in sizes else sum(prod(size) for size in sizes if size is not None)
            inputs = tuple(entry.name for entry in node.inputs if not entry.node.is_variable)
            inputs += tuple(entry.name for entry in node.inputs if entry.node in data)
            rows.append(
                Row(node.name, node.operator.name, shapes.get(Entry(node, 0)), count, inputs)
            )
    return rows


def _is_learnt(node: Node, entry: Entry) -> bool:
    """Whether a variable is a parameter: not what everything starts with, and no label."""
    assert node.operator is not None  # noqa: S101 -- it has inputs
    names = node.operator.inputs
    roles = {names[place] for place, each in enumerate(node.inputs[: len(names)]) if each == entry}
    return not roles & {"data", "label", "lhs", "rhs"}


def print_summary(
    symbol: Symbol,
    shape: Mapping[str, Shape] | None = None,
    line_length: int = 100,
    positions: Sequence[float] = (0.35, 0.6, 0.75, 1.0),
) -> None:
    """Print a table of a network: each layer, its shape, its parameters and what it takes.

    Args:
      symbol: the network.
      shape: the shapes of its data by name, such as `{"data": (1, 1, 28, 28)}`; without them the
        table lacks what they would tell.
      line_length: how many characters a line has.
      positions: where each of the four columns ends, as parts of a line.

    Raises:
      TypeError: the shapes are not given by name.
      KeyError: there is no such argument.
      ShapeError: the shapes do not fit, or do not tell all others.
    """
    if shape is not None and not isinstance(shape, Mapping):
        message = (
            "print_summary: shape needs shapes by name, such as {'data': (1, 1, 28, 28)}, "
            f"got {described(shape)}"
        )
        raise TypeError(message)
    rows = summary_rows(symbol, shape)
    unknown = [row.name for row in rows if shape and (row.shape is None or row.count is None)]
    if unknown:
        message = f"print_summary: the shapes given do not tell that of {unknown[0]}"
        raise ShapeError(message)
    ends = [int(line_length * each) for each in positions]
    lines = ["_" * line_length]
    lines += _cells(("Layer (type)", "Output shape", "Parameters", "Takes"), ends)
    lines.append("=" * line_length)
    for row in rows:
        shown = "" if row.shape is None else str(row.shape)
        count = "" if row.count is None else f"{row.count:,}"
        takes = row.inputs or ("",)
        lines += _cells((f"{row.name} ({row.kind})", shown, count, takes[0]), ends)
        for more in takes[1:]:
            lines += _cells(("", "", "", more), ends)
    lines.append("=" * line_length)
    counts = [row.count for row in rows if row.count is not None]
    least = "" if len(counts) == len(rows) else " or more: not all shapes are known"
    lines.append(f"Parameters in all: {sum(counts):,}{least}")
    sys.stdout.write("\n".join(lines) + "\n")


def _cells(texts: Sequence[str], ends: Sequence[int]) -> list[str]:
    """A row as lines: a text that is too long for its column goes on below."""
    starts = [0, *ends[:-1]]
    widths = [max(end - start - 1, 1) for start, end in zip(starts, ends, strict=True)]
    height = max(-(-len(text) // width) for text, width in zip(texts, widths, strict=True))
    lines = []
    for row in range(max(height, 1)):
        line = ""
        for text, start, width in zip(texts, starts, widths, strict=True):
            line = line.ljust(start) + text[row * width : (row + 1) * width]
        lines.append(line.rstrip())
    return lines
