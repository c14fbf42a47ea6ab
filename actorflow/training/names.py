"""Which arguments of a symbol are data, which are labels, and which are learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actorflow.graph import topological
from actorflow.io import DataDesc
from actorflow.ops import described, meant
from actorflow.symbol import Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Names", "as_descs", "label_names_of", "matched_labels"]


@attrs.frozen
class Names:
    """The arguments and states of a symbol by what becomes of them.

    Attributes:
      data, labels: what a batch brings.
      params: what is learnt, or fixed: all other arguments.
      states: the auxiliary states.
    """

    data: tuple[str, ...]
    labels: tuple[str, ...]
    params: tuple[str, ...]
    states: tuple[str, ...]

    @classmethod
    def of(
        cls,
        who: str,
        symbol: Symbol,
        data: Iterable[str | Symbol],
        labels: Iterable[str | Symbol] | None,
    ) -> Names:
        """Look at a symbol.

        Args:
          who: who asks, for the message.
          symbol: the symbol.
          data: the names of the data, or their variables.
          labels: likewise; None for what the symbol's losses compare with.

        Raises:
          ValueError: something is no argument of the symbol, or is named twice.
          TypeError: something is neither a name nor a variable.
        """
        arguments = symbol.list_arguments()
        found = _named(who, "data_names", data)
        wanted = label_names_of(symbol) if labels is None else _named(who, "label_names", labels)
        wanted = [name for name in wanted if labels is not None or name not in found]
        for what, names in (("data_names", found), ("label_names", wanted)):
            for name in names:
                if name not in arguments:
                    message = (
                        f"{who}: {what} has {name!r}, but {symbol!r} has no such argument; "
                        f"{meant(name, arguments)}"
                    )
                    raise ValueError(message)
        twice = [name for name in {*found, *wanted} if (*found, *wanted).count(name) > 1]
        if twice:
            message = f"{who}: {twice[0]!r} is named twice in data_names and label_names"
            raise ValueError(message)
        taken = {*found, *wanted}
        params = tuple(name for name in arguments if name not in taken)
        return cls(tuple(found), tuple(wanted), params, tuple(symbol.list_auxiliary_states()))


def _named(who: str, what: str, given: Iterable[str | Symbol]) -> list[str]:
    if isinstance(given, str | Symbol):
        given = (given,)
    names = []
    for each in given:
        name = each.name if isinstance(each, Symbol) else each
        if not isinstance(name, str):
            message = f"{who}: {what} takes names or variables, got {described(each)}"
            raise TypeError(message)
        names.append(name)
    return names


def label_names_of(symbol: Symbol) -> list[str]:
    """The variables that the losses of a symbol compare its values with, in their order.

    A loss says so itself: its input is called `label`, or `something_label` for one of a user's.
    Variables that come there through other operators, such as a `Reshape`, count too. Where no loss
    has such an input the arguments called `label` or `something_label` are taken.
    """
    found: dict[str, None] = {}
    for node in symbol._walk().order:
        operator = node.operator
        if operator is None or not any(_is_label(name) for name in operator.inputs):
            continue
        for name, entry in zip(operator.inputs, node.inputs, strict=False):
            if _is_label(name):
                variables = [each for each in topological([entry]) if each.is_variable]
                found.update(dict.fromkeys(each.name for each in variables))
    arguments = symbol.list_arguments()
    return [name for name in arguments if (name in found if found else _is_label(name))]


def _is_label(name: str) -> bool:
    return name == "label" or name.endswith("_label")


def as_descs(who: str, what: str, given: Sequence[Any] | None) -> list[DataDesc]:
    """Descriptions of arrays, from what an iterator provides or from pairs (name, shape).

    Raises:
      TypeError: something is neither.
    """
    found = []
    for each in given or ():
        if isinstance(each, DataDesc):
            found.append(each)
            continue
        try:
            found.append(DataDesc(*each))
        except (TypeError, ValueError) as error:
            message = f"{who}: {what} takes pairs of a name and a shape, got {described(each)}"
            raise TypeError(message) from error
    return found


def matched_labels(who: str, names: Names, given: Sequence[DataDesc]) -> list[DataDesc]:
    """What is given as labels, under the names that the symbol has for them.

    They are matched by name. If none of the names is known, and there are as many of them as the
    symbol has labels, they are matched by their order: an iterator need not know what the label of
    a network is called. Of a symbol without labels nothing is matched.

    Raises:
      ValueError: they cannot be matched.
    """
    if not names.labels or not given:
        return []
    known = [each for each in given if each.name in names.labels]
    if len(known) == len(given) == len(names.labels):
        return list(given)
    if not known and len(given) == len(names.labels):
        return [
            DataDesc(name, each.shape, each.dtype, each.layout)
            for name, each in zip(names.labels, given, strict=True)
        ]
    unknown = next((each.name for each in given if each.name not in names.labels), None)
    if unknown is None:
        lacking = ", ".join(n for n in names.labels if n not in {each.name for each in given})
        message = f"{who}: label_shapes lacks {lacking}"
    else:
        message = (
            f"{who}: label_shapes has {unknown!r}, but the labels are {', '.join(names.labels)}; "
            f"{meant(unknown, names.labels)}"
        )
    raise ValueError(message)
