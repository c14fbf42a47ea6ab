"""Graphs as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.errors import FormatError
from actorflow.graph import topological
from actorflow.ops import to_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.graph import Entry, Node

__all__ = ["debug_text"]


def debug_text(heads: Sequence[Entry]) -> str:
    """What each node computes, from what and with which parameters."""
    lines = ["Outputs:"]
    lines += [f"  {number}: {head.name}" for number, head in enumerate(heads)]
    for node in topological(heads):
        lines.append(_title(node))
        if node.operator is not None:
            names = (*node.operator.inputs, *node.operator.auxiliary)
            for name, entry in zip(names, node.inputs, strict=True):
                lines.append(f"  {name} = {entry.name}")
        lines += [f"  [{key} = {value}]" for key, value in node.attributes.items()]
    return "\n".join(lines)


def _title(node: Node) -> str:
    if node.operator is None:
        return f"Variable {node.name}"
    try:
        op, texts = to_file(node.operator)
    except FormatError:  # what has no name in files, such as what gradients are made of
        op, texts = node.operator.name, {}
    inside = ", ".join(f"{key}={value}" for key, value in texts.items())
    return f"{op} {node.name}({inside})"
