"""Symbol files: MXNet's JSON, read as 0.x and 1.x write it, and written as 1.9.1 reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorflow.errors import FormatError, ParameterError
from actorflow.graph import Entry, Node, topological, variables
from actorflow.ops import from_file, to_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops import Operator

__all__ = ["dumps", "loads"]

_VERSION: Final = 10901  # the MXNet that reads what is written here
_LEGACY_POOLING: Final = "full"  # what pooling did before files said how


def dumps(heads: Sequence[Entry]) -> str:
    """The text of a graph.

    Raises:
      FormatError: an operator has no name in files, such as one made by hand.
    """
    order = topological(heads)
    numbers = {node: number for number, node in enumerate(order)}
    nodes = []
    rows = [0]
    for node in order:
        entry: dict[str, Any] = {"op": "null", "name": node.name}
        attributes = dict(node.attributes)
        if node.operator is not None:
            entry["op"], parameters = to_file(node.operator)
            attributes = {**{_hidden(key): value for key, value in attributes.items()}, **parameters}
        else:
            attributes = {_hidden(key): value for key, value in attributes.items()}
        if attributes:
            entry["attrs"] = attributes
        entry["inputs"] = [[numbers[each.node], each.output, 0] for each in node.inputs]
        nodes.append(entry)
        rows.append(rows[-1] + node.n_outputs)
    document = {
        "nodes": nodes,
        "arg_nodes": [number for node, number in numbers.items() if node.is_variable],
        "node_row_ptr": rows,
        "heads": [[numbers[head.node], head.output, 0] for head in heads],
        "attrs": {"mxnet_version": ["int", _VERSION]},
    }
    return json.dumps(document, indent=2)


def _hidden(key: str) -> str:
    """How 1.9.1 wants the user's own attributes: it takes others for parameters."""
    return key if key.startswith("__") and key.endswith("__") else f"__{key}__"


def _shown(key: str) -> str:
    """The user's name of an attribute; what MXNet itself names so keeps its underscores."""
    inner = key[2:-2]
    if key.startswith("__") and key.endswith("__") and inner not in _OWN:
        return inner
    return key


_OWN: Final = ("shape", "dtype", "lr_mult", "wd_mult", "init", "storage_type", "profiler_scope")


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
        given = self._texts(name, entry)
        if op == "null":
            attributes = {_shown(key): value for key, value in given.items()}
            return Node(None, name, (), attributes)
        attributes = {
            _shown(key): given.pop(key) for key in list(given) if key.startswith("__")
        }
        if isinstance(entry.get("attr"), dict) and isinstance(entry.get("param"), dict):
            attributes.update({key: given.pop(key) for key in entry["attr"] if key in given})
        return self._operator_node(op, name, given, inputs, attributes)

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
            operator: Operator = from_file(op, parameters)
        except ParameterError as error:
            raise FormatError(f"{self.who}: node {name!r}: {error}") from error
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
        return Node(operator, name, tuple(inputs), attributes)

    def _entry(self, where: str, pair: Any) -> Entry:  # noqa: ANN401
        if not isinstance(pair, list) or not 2 <= len(pair) <= 3:  # noqa: PLR2004
            self.refuse(f"has an input of {where} that is no pair: {pair!r}")
        number, index = pair[:2]
        whole = all(isinstance(each, int) and not isinstance(each, bool) for each in (number, index))
        if not whole or not 0 <= number < len(self.nodes):
            self.refuse(f"has an input of {where} from a node that does not come before it: {pair}")
        node = self.nodes[number]
        if not 0 <= index < node.n_outputs:
            self.refuse(f"has an input of {where} from output {index} of {node.name!r}")
        return Entry(node, index)

    def _texts(self, name: str, entry: dict[str, Any]) -> dict[str, str]:
        """Parameters and attributes, which 0.x holds apart and 1.x does not."""
        found: dict[str, str] = {}
        for key in ("param", "attr", "attrs"):
            part = entry.get(key, {})
            if not isinstance(part, dict):
                self.refuse(f"has a node {name!r} whose {key} is no object")
            for each, value in part.items():
                if not isinstance(value, str):
                    self.refuse(f"has a node {name!r} whose {each} is no text: {value!r}")
                found[each] = value
        return found


def loads(text: str, who: str = "load_json") -> list[Entry]:
    """Read the heads of a graph.

    Raises:
      FormatError: it is no symbol file, or has an operator or parameter that is not known; the
        message names the file and the node.
    """
    heads = _Reader(text, who).read()
    _refuse_same_names(heads, who)
    return heads


def _refuse_same_names(heads: Sequence[Entry], who: str) -> None:
    arguments, states = variables(topological(heads))
    seen: set[str] = set()
    for node in (*arguments, *states):
        if node.name in seen:
            message = f"{who}: this symbol file has two variables called {node.name!r}"
            raise FormatError(message)
        seen.add(node.name)
