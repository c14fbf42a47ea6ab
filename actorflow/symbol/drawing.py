"""Networks as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import FormatError, MissingExtraError
from actorflow.graph import topological, variables
from actorflow.ops import to_file
from actorflow.symbol.summary import known_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actorflow.graph import Node
    from actorflow.ops import Shape
    from actorflow.symbol.symbol import Symbol

__all__ = ["plot_network"]

_COLORS: Final = {
    "variable": "#e8e8e8",
    "weighted": "#f4a582",
    "activation": "#ffd92f",
    "pooling": "#92c5de",
    "shape": "#fddbc7",
    "loss": "#b3de69",
    "other": "#d1e5f0",
}
_KINDS: Final = {
    **dict.fromkeys(("Convolution", "Deconvolution", "FullyConnected", "Embedding"), "weighted"),
    **dict.fromkeys(("Activation", "LeakyReLU", "BatchNorm", "LRN"), "activation"),
    "Pooling": "pooling",
    **dict.fromkeys(("Concat", "Flatten", "Reshape", "SliceChannel", "transpose"), "shape"),
}
_TOLD: Final = ("kernel", "stride", "num_filter", "num_hidden", "pool_type", "act_type", "p")
_STYLE: Final = {"shape": "box", "style": "filled", "fontsize": "11", "height": "0.6"}


def plot_network(
    symbol: Symbol,
    title: str = "plot",
    shape: Mapping[str, Shape] | None = None,
    node_attrs: Mapping[str, str] | None = None,
    *,
    save_format: str = "pdf",
    hide_weights: bool = True,
) -> Any:  # noqa: ANN401 -- graphviz has no types
    """Draw a network: its layers as boxes, an arrow from each to what it takes.

    Args:
      symbol: the network.
      title: the name of the graph, and of the file if it is rendered.
      shape: the shapes of its data by name; then the arrows say the shapes.
      node_attrs: graphviz's attributes of all boxes, such as `{"fixedsize": "true"}`.
      save_format: the format that it is rendered in.
      hide_weights: leave out the variables of layers, such as `fc1_weight`.

    Returns:
      A `graphviz.Digraph`: notebooks show it, `render()` writes a file, `source` is its text.

    Raises:
      MissingExtraError: the package graphviz is not installed.
      KeyError, ShapeError: as with `Symbol.infer_shape`.
    """
    try:
        import graphviz  # noqa: PLC0415 -- an extra
    except ImportError as error:
        message = "plot_network needs graphviz: pip install 'actorflow[viz]'"
        raise MissingExtraError(message) from error
    shapes = known_shapes(symbol, shape) if shape else {}
    order = topological(symbol._entries)
    hidden = _own_variables(order) if hide_weights else set()
    dot = graphviz.Digraph(name=title, format=save_format)
    boxes = {**_STYLE, **(node_attrs or {})}
    numbers = {node: f"n{number}" for number, node in enumerate(order) if node not in hidden}
    for node, number in numbers.items():
        colour = {"fillcolor": _COLORS[_kind(node)]}
        dot.node(number, label=_label(node), **{**boxes, **colour, **(node_attrs or {})})
    for node, number in numbers.items():
        for entry in node.inputs:
            if entry.node in numbers:
                told = shapes.get(entry)
                label = "" if told is None else "x".join(map(str, told[1:] or told))
                dot.edge(number, numbers[entry.node], label=label, dir="back", arrowtail="open")
    return dot


def _own_variables(order: list[Node]) -> set[Node]:
    """The variables that belong to one layer: its states, and what bears its name."""
    found = set(variables(order)[1])
    for node in order:
        if node.operator is not None:
            for name, entry in zip(node.operator.inputs, node.inputs, strict=False):
                if entry.node.is_variable and name not in ("data", "label"):
                    found.update({entry.node} if entry.name == f"{node.name}_{name}" else ())
    return found


def _kind(node: Node) -> str:
    if node.operator is None:
        return "variable"
    return "loss" if node.operator.is_loss else _KINDS.get(node.operator.name, "other")


def _label(node: Node) -> str:
    if node.operator is None:
        return node.name.replace("\\", "\\\\")
    try:
        op, texts = to_file(node.operator)
    except FormatError:  # what has no name in files
        op, texts = node.operator.name, {}
    told = [f"{key}={texts[key]}" for key in _TOLD if key in texts]
    lines = [node.name.replace("\\", "\\\\"), op, *([", ".join(told)] if told else [])]
    return r"\n".join(lines)  # an escape of graphviz's own
