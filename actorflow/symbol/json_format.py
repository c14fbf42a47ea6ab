"""Symbol files: MXNet's JSON, read as 0.x and 1.x write it, and written as 1.9.1 reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorflow.errors import FormatError, ParameterError
from actorflow.graph import Entry, Node, topological, variables
from actorflow.ops import Custom, from_file, to_file
from actorflow.symbol.naming import hidden_key, shown_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops import Operator

__all__ = ["dumps", "loads"]

_VERSION: Final = 10901  # the MXNet that reads what is written here
_LEGACY_POOLING: Final = "full"  # what pooling did before files said how
_MOST_OUTPUTS: Final = 1 << 16  # of one node; a hostile file may ask for billions

# What files before 1.0 hold among the parameters.
_PLAIN_ATTRIBUTES: Final = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")
_MULTIPLIERS: Final = ("lr_mult", "wd_mult")


def dumps(heads: Sequence[Entry]) -> str:
    """The text of a graph.

    Raises:
      FormatError: an operator has no name in files, such as one that a gradient is made of, or
        two variables have the same name.
    """
    order = topological(heads)
    name = _repeated_name(order)
    if name is not None:
        message = f"two variables are called {name!r}, so that no file can hold them"
        raise FormatError(message)
    numbers = {node: number for number, node in enumerate(order)}
    nodes = []
    rows = [0]
    for node in order:
        nodes.append(_written(node, numbers))
        # MXNet counts what it hides, too, but what is hidden of these is ours alone.
        own = isinstance(node.operator, Custom)
        rows.append(rows[-1] + (node.n_visible if own else node.n_outputs))
    document = {
        "nodes": nodes,
        "arg_nodes": [number for node, number in numbers.items() if node.is_variable],
        "node_row_ptr": rows,
        "heads": [[numbers[head.node], head.output, 0] for head in heads],
        "attrs": {"mxnet_version": ["int", _VERSION]},
    }
    return json.dumps(document, indent=2)


def _written(node: Node, numbers: dict[Node, int]) -> dict[str, Any]:
    """A node as files have it."""
    op: str = "null"
    parameters: dict[str, str] = {}
    if node.operator is not None:
        try:
            op, parameters = to_file(node.operator)
        except FormatError as error:
            message = f"node {node.name!r} cannot be written: {error}"
            raise FormatError(message) from None
    # 1.9.1 takes an attribute without underscores for a parameter.
    attributes = {hidden_key(key): value for key, value in node.attributes.items()}
    entry: dict[str, Any] = {"op": op, "name": node.name}
    if attributes or parameters:
        entry["attrs"] = {**attributes, **parameters}
    entry["inputs"] = [[numbers[each.node], each.output, 0] for each in node.inputs]
    return entry


class _Reader:
    """Reads one document."""

    def __init__(self, text: str, who: str) -> None:
        self.who = who
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.refuse(f"is no JSON: {error}")
        if not isinstance(document, dict):
            self.refuse("is no object")
        self.document: dict[str, Any] = document
        version = document.get("attrs", {})
        # The layout of 2015 and 2016 has no version, and its pooling rounded up.
        self.is_old = not (isinstance(version, dict) and "mxnet_version" in version)
        self.nodes: list[Node] = []

    def refuse(self, what: str) -> NoReturn:
        raise FormatError(f"{self.who}: this symbol file {what}")

    def read(self) -> list[Entry]:
        listed = self.document.get("nodes")
        if not isinstance(listed, list) or not listed:
            self.refuse("has no list of nodes")
        for number, entry in enumerate(listed):
            self.nodes.append(self._node(number, entry))
        heads = self.document.get("heads")
        if not isinstance(heads, list) or not heads:
            self.refuse("has no list of heads")
        return [self._entry("heads", pair) for pair in heads]

    def _node(self, number: int, entry: Any) -> Node:  # noqa: ANN401
        if not isinstance(entry, dict):
            self.refuse(f"has a node {number} that is no object")
        op, name = entry.get("op"), entry.get("name")
        if not isinstance(op, str) or not isinstance(name, str):
            self.refuse(f"has a node {number} without op and name")
        listed = entry.get("inputs", [])
        if not isinstance(listed, list):
            self.refuse(f"has a node {name!r} whose inputs are no list")
        inputs = [self._entry(f"node {name!r}", pair) for pair in listed]
        parameters, attributes = self._texts(name, entry)
        if op == "null":
            return Node(None, name, (), {**parameters, **attributes})
        return self._operator_node(op, name, parameters, inputs, attributes)

    def _operator_node(
        self,
        op: str,
        name: str,
        parameters: dict[str, str],
        inputs: list[Entry],
        attributes: dict[str, str],
    ) -> Node:
        if op == "Pooling" and self.is_old:
            parameters.setdefault("pooling_convention", _LEGACY_POOLING)
        try:
            operator: Operator = from_file(op, parameters, len(inputs))
        except ParameterError as error:
            message = f"{self.who}: node {name!r}: {error}"
            raise FormatError(message) from error
        if getattr(operator, "num_outputs", 0) > _MOST_OUTPUTS:
            self.refuse(f"has a node {name!r} with more than {_MOST_OUTPUTS} outputs")
        needed = len(operator.inputs)
        states = operator.auxiliary
        if len(inputs) == needed and states:
            # Old files leave the states out.
            inputs += [Entry(Node(None, f"{name}_{state}"), 0) for state in states]
        if len(inputs) != needed + len(states):
            self.refuse(
                f"gives node {name!r} ({op}) {len(inputs)} inputs, but it takes {needed}: "
                f"{', '.join(operator.inputs)}"
            )
        _hand_down(operator, inputs, attributes)
        return Node(operator, name, tuple(inputs), attributes)

    def _entry(self, where: str, pair: Any) -> Entry:  # noqa: ANN401
        if not isinstance(pair, list) or not 2 <= len(pair) <= 3:  # noqa: PLR2004
            self.refuse(f"has an input of {where} that is no pair: {pair!r}")
        number, index = pair[:2]
        whole = all(
            isinstance(each, int) and not isinstance(each, bool) for each in (number, index)
        )
        if not whole or not 0 <= number < len(self.nodes):
            self.refuse(f"has an input of {where} from a node that does not come before it: {pair}")
        node = self.nodes[number]
        if not 0 <= index < node.n_visible:
            self.refuse(f"has an input of {where} from output {index} of {node.name!r}")
        return Entry(node, index)

    def _texts(self, name: str, entry: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Parameters and attributes, which 0.x before 0.9 holds apart, and later ones do not."""
        parameters: dict[str, str] = {}
        attributes: dict[str, str] = {}
        apart = isinstance(entry.get("param"), dict)
        for key in ("param", "attr", "attrs"):
            part = entry.get(key, {})
            if not isinstance(part, dict):
                self.refuse(f"has a node {name!r} whose {key} is no object")
            for each, value in part.items():
                if not isinstance(value, str):
                    self.refuse(f"has a node {name!r} whose {each} is no text: {value!r}")
                if (apart and key != "param") or _is_attribute(each):
                    attributes[shown_key(each)] = value
                else:
                    parameters[each] = value
        return parameters, attributes


def _is_attribute(key: str) -> bool:
    hidden = key.startswith("__") and key.endswith("__")
    return hidden or key.endswith(_PLAIN_ATTRIBUTES)


def _hand_down(operator: Operator, inputs: list[Entry], attributes: dict[str, str]) -> None:
    """Give variables what old files say about them at their operator, as `weight_lr_mult`."""
    for place, each in enumerate(operator.inputs):
        variable = inputs[place].node
        for multiplier in _MULTIPLIERS:
            key = f"{each}_{multiplier}"
            if key in attributes and variable.is_variable:
                variable.attributes.setdefault(hidden_key(multiplier), attributes.pop(key))


def loads(text: str, who: str = "load_json") -> list[Entry]:
    """Read the heads of a graph.

    Raises:
      FormatError: it is no symbol file, or has an operator or parameter that is not known; the
        message names the file and the node.
    """
    heads = _Reader(text, who).read()
    name = _repeated_name(topological(heads))
    if name is not None:
        message = f"{who}: this symbol file has two variables called {name!r}"
        raise FormatError(message)
    return heads


def _repeated_name(order: Sequence[Node]) -> str | None:
    """A name that two variables have: what is bound by name cannot tell them apart."""
    arguments, states = variables(order)
    seen: set[str] = set()
    for node in (*arguments, *states):
        if node.name in seen:
            return node.name
        seen.add(node.name)
    return None
