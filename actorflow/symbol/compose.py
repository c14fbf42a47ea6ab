"""Making graphs: operators applied to entries, variables replaced, copies, gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.engine import capture_line
from actorflow.errors import GradientError
from actorflow.graph import Entry, Node, gradient, rebuild, topological, variables
from actorflow.ops import OnesLike, described, meant
from actorflow.symbol.naming import check_attributes, current_attributes, current_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actorflow.ops import Operator

__all__ = ["apply", "copied", "gradients", "substitute"]

Entries = tuple[Entry, ...]


def single(who: str, argument: str, symbol: Any) -> Entry:  # noqa: ANN401 -- what a user passes
    """The one entry of a symbol.

    Raises:
      TypeError: it is no symbol, or has several outputs.
    """
    entries = getattr(symbol, "_entries", None)
    if entries is None:
        message = f"{who}: {argument} has to be a symbol, got {described(symbol)}"
        if isinstance(symbol, list | tuple) and any(hasattr(each, "_entries") for each in symbol):
            message += "; give its elements one by one, such as *symbols"
        raise TypeError(message)
    if len(entries) != 1:
        message = (
            f"{who}: {argument} has to be a symbol with one output, but {symbol!r} has "
            f"{len(entries)}: choose one by its number or name"
        )
        raise TypeError(message)
    entry: Entry = entries[0]
    return entry


def apply(
    operator: Operator,
    hint: str,
    inputs: Mapping[str, Any],
    name: str | None,
    attr: dict[str, str] | None = None,
) -> Entries:
    """Make a node of an operator.

    Args:
      operator: the operator.
      hint: what a name that is made up begins with.
      inputs: symbols by the names of the operator's inputs and states; for those that are missing
        variables are made, called after the node and the input.
      name: what to call it.
      attr: its attributes, and those of the variables that are made.

    Returns:
      Its visible outputs.

    Raises:
      TypeError: an input is not a symbol of one output, or the name or an attribute is no text.
    """
    check_attributes(operator.name, attr)
    if name is not None and not isinstance(name, str):
        message = f"{operator.name}: the name has to be a text, got {name!r}"
        raise TypeError(message)
    names = (*operator.inputs, *operator.auxiliary)
    attributes = current_attributes(attr)
    site = capture_line()
    called = current_name(name, hint)
    entries = []
    for each in names:
        given = inputs.get(each)
        if given is None:
            variable = Node(None, f"{called}_{each}", (), dict(attributes), site)
            entries.append(Entry(variable, 0))
        else:
            entries.append(single(operator.name, each, given))
    node = Node(operator, called, tuple(entries), attributes, site)
    return node.entries()[: node.n_visible]


def substitute(
    heads: Entries, args: Sequence[Any], kwargs: Mapping[str, Any], name: str | None
) -> list[Entry]:
    """The same graph with other entries in the place of its variables."""
    if args and kwargs:
        message = "composition: give the arguments in their order or by name, not both"
        raise TypeError(message)
    arguments, states = variables(topological(heads))
    if len(args) > len(arguments):
        message = f"composition: {len(args)} symbols for {len(arguments)} arguments"
        raise TypeError(message)
    names = [node.name for node in arguments]
    given = dict(zip(names, args, strict=False)) if args else dict(kwargs)
    refuse_unknown("composition", given, [*names, *(node.name for node in states)])
    new = {key: single("composition", key, symbol) for key, symbol in given.items()}
    last = heads[0].node if len({entry.node for entry in heads}) == 1 else None

    def change(node: Node, inputs: Entries) -> Entries | None:
        if node.is_variable:
            return (new[node.name],) if node.name in new else None
        if node is last and name is not None:
            return Node(node.operator, name, inputs, node.attributes, node.site).entries()
        return None

    return rebuild(heads, change)


def refuse_unknown(who: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse names that are none of an expression's.

    Raises:
      KeyError: one is; the message lists near ones.
    """
    for name in given:
        if name not in known:
            message = f"{who}: there is no argument {name!r}; {meant(name, known)}"
            raise KeyError(message)


def copied(heads: Entries) -> list[Entry]:
    """The same graph with nodes of its own."""

    def change(node: Node, inputs: Entries) -> Entries:
        made = Node(node.operator, node.name, inputs, dict(node.attributes), node.site)
        return made.entries()

    return rebuild(heads, change)


def gradients(heads: Entries, wrt: Sequence[str]) -> list[Entry]:
    """The gradients of the sum of all heads with respect to variables, by name."""
    if isinstance(wrt, str):
        message = f"grad: wrt needs a list of names, such as [{wrt!r}], got {wrt!r}"
        raise TypeError(message)
    arguments, _ = variables(topological(heads))
    by_name = {node.name: node for node in arguments}
    refuse_unknown("grad", dict.fromkeys(wrt), list(by_name))
    nodes = [by_name[name] for name in wrt]
    ones = [_ones_like(head) for head in heads]
    found = gradient(heads, ones, nodes)
    entries = []
    for node in nodes:
        entry = found[node]
        if entry is None:
            message = f"grad: no output depends on {node.name!r} in a way that has a gradient"
            raise GradientError(message)
        entries.append(entry)
    return entries


def _ones_like(head: Entry) -> Entry | None:
    operator = head.node.operator
    if operator is not None and operator.is_loss:
        return None
    return Node(OnesLike(), f"{head.name}_ones", (head,)).entries()[0]
