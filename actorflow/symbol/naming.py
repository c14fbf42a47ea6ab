"""Names and attributes that new symbols get from what surrounds them."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "AttrScope",
    "NameManager",
    "Prefix",
    "SupportsDumps",
    "current_attributes",
    "current_name",
    "find_attribute",
    "hidden_key",
    "shown_key",
]

_OWN: Final = ("shape", "dtype", "init", "storage_type", "profiler_scope")
_MULTIPLIERS: Final = ("lr_mult", "wd_mult")


class SupportsDumps(Protocol):
    """What can be said as a text, such as an initializer."""

    def dumps(self) -> str:
        """The text."""


class _Scope:
    """Something that is current inside a `with` block, in this task or thread."""

    _tokens: list[Token[Any]]

    def _variable(self) -> ContextVar[Any]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Make it the current one."""
        self._tokens.append(self._variable().set(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Make the one before it the current one again."""
        self._variable().reset(self._tokens.pop())


class NameManager(_Scope):
    """Gives names to symbols that get none: the operator and a number, such as `convolution0`."""

    def __init__(self) -> None:
        self._tokens = []
        self._counts: dict[str, int] = {}

    def _variable(self) -> ContextVar[Any]:
        return _names

    def get(self, name: str | None, hint: str) -> str:
        """The name of a new symbol.

        Args:
          name: what the user calls it; None to make up a name.
          hint: what made-up names begin with.
        """
        if name is not None:
            return name
        count = self._counts.get(hint, 0)
        self._counts[hint] = count + 1
        return f"{hint}{count}"


class Prefix(NameManager):
    """Puts a prefix before every name, given or made up.

    Args:
      prefix: the prefix, such as `"encoder_"`.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        """The name of a new symbol, with the prefix."""
        return self._prefix + super().get(name, hint)


class AttrScope(_Scope):
    """Gives attributes to all symbols that are made inside of it; inner scopes win.

    Args:
      attributes: texts by name, such as `ctx_group="stage1"`.

    Raises:
      TypeError: a value is no text.
    """

    def __init__(self, **attributes: str) -> None:
        self._tokens = []
        check_attributes("AttrScope", attributes)
        self._own = attributes
        self._all = attributes

    def _variable(self) -> ContextVar[Any]:
        return _attributes

    def __enter__(self) -> Self:
        """Make it the current one, inside the one that was."""
        self._all = {**_attributes.get()._all, **self._own}
        return super().__enter__()

    def get(self, attributes: dict[str, str] | None) -> dict[str, str]:
        """All attributes of a new symbol that is given these."""
        return {**self._all, **(attributes or {})}


def hidden_key(key: str) -> str:
    """An attribute's name as 1.9.1 spells it in files, with underscores around it."""
    return key if key.startswith("__") and key.endswith("__") else f"__{key}__"


def shown_key(key: str) -> str:
    """An attribute's name as users spell it; what MXNet itself names so keeps its underscores."""
    inner = key[2:-2] if key.startswith("__") and key.endswith("__") else key
    if inner in _MULTIPLIERS or (inner != key and inner in _OWN):
        return f"__{inner}__"
    return inner


def find_attribute(attributes: Mapping[str, str], key: str) -> str | None:
    """The value of an attribute, which may be spelled with or without underscores."""
    if key in attributes:
        return attributes[key]
    hidden = hidden_key(key)
    return attributes.get(hidden if hidden != key else key[2:-2])


def check_attributes(who: str, attributes: dict[str, str] | None) -> None:
    """Refuse attributes that are no texts.

    Raises:
      TypeError: one is none, or has no text for a name, or they are no mapping.
    """
    if attributes is None:
        return
    if not isinstance(attributes, Mapping):
        message = f"{who}: attr has to be a dict of texts, got {attributes!r}"
        raise TypeError(message)
    for key, value in attributes.items():
        if not isinstance(key, str):
            message = f"{who}: an attribute is called {key!r}, but needs a text"
            raise TypeError(message)
        if not isinstance(value, str):
            message = f"{who}: the attribute {key} has to be a text, got {value!r}"
            raise TypeError(message)


# One manager for the whole process, so that names made up in different threads differ, too.
_names: ContextVar[NameManager] = ContextVar("actorflow_names", default=NameManager())  # noqa: B039
_attributes: ContextVar[AttrScope] = ContextVar("actorflow_attributes", default=AttrScope())  # noqa: B039


def current_name(name: str | None, hint: str) -> str:
    """The name of a new symbol, from the current `NameManager`."""
    return _names.get().get(name, hint)


def current_attributes(attributes: dict[str, str] | None) -> dict[str, str]:
    """The attributes of a new symbol, from the current `AttrScope`."""
    return _attributes.get().get(attributes)
