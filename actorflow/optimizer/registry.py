"""Classes by name, objects as their names and numbers, and checks of what they are given.

An optimizer or a scheduler travels as plain data: the name under which its class is registered, and
the arguments that would make it again. These are the attributes that are called like the arguments
of its constructor, so that a class of a user's has a description without saying anything.
"""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from actorflow.errors import FormatError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Plain",
    "Registry",
    "arguments_of",
    "arguments_or_refuse",
    "as_bound",
    "as_count",
    "as_number",
    "plain",
    "refuse_unknown",
]

T = TypeVar("T")

Plain: TypeAlias = dict[str, Any]
"""None, booleans, finite numbers, strings, and lists and dictionaries of them."""

_DEPTH: Final = 16  # of lists in lists


class Registry(Generic[T]):
    """Classes by their names in lower case.

    Attributes:
      what: what they are, for messages.
      classes: the classes by name.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.classes: dict[str, type[T]] = {}

    def register(self, kind: type[T], base: type[T]) -> type[T]:
        """Give a class its name, which a class from the same place may have had.

        Raises:
          TypeError: it is no class, or not of the kind that is kept here.
          ParameterError: another class has the name.
        """
        if not isinstance(kind, type) or not issubclass(kind, base):
            raise TypeError(f"register: needs a subclass of {base.__name__}, got {kind!r}")
        name = kind.__name__.lower()
        known = self.classes.get(name)
        if known is not None and _place(known) != _place(kind):
            raise ParameterError(f"register: {name!r} is {_place(known)} already")
        self.classes[name] = kind
        return kind

    def find(self, name: object) -> type[T]:
        """The class of a name, in any case.

        Raises:
          TypeError: the name is no text.
          ParameterError: there is none; the message has names that are near.
        """
        if not isinstance(name, str):
            raise TypeError(f"create: the name of {self.what} is a text, got {name!r}")
        found = self.classes.get(name.lower())
        if found is None:
            needs = _near(name.lower(), self.classes, "there are")
            raise ParameterError(f"create: there is no {self.what} {name!r}; {needs}")
        return found

    def name(self, kind: type[T]) -> str:
        """The name of a class.

        Raises:
          ParameterError: it is not registered, so nobody else could find it.
        """
        name = kind.__name__.lower()
        if self.classes.get(name) is not kind:
            raise ParameterError(
                f"describe: {kind.__name__} is not registered, and who reads the description has "
                "to find it by name"
            )
        return name

    def described(self, description: object) -> tuple[type[T], Plain]:
        """The class and the arguments in a description.

        Raises:
          FormatError: it is none.
          ParameterError: there is no such class.
        """
        who = "from_description"
        if not isinstance(description, dict):
            raise FormatError(f"{who}: needs a dictionary, got {description!r}")
        given = description.get("arguments")
        if not isinstance(description.get("name"), str) or not isinstance(given, dict):
            raise FormatError(f"{who}: needs 'name', a text, and 'arguments', a dictionary")
        kind = self.find(description["name"])
        refuse_unknown(kind, given.keys() - {*arguments_of(kind)})
        return kind, plain(who, given)


def _place(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _near(name: str, known: Iterable[str], otherwise: str) -> str:
    every = sorted(known)
    near = difflib.get_close_matches(name, every, 3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"{otherwise} {', '.join(every)}"


def arguments_of(kind: type) -> tuple[str, ...]:
    """The names of the arguments that make an object of a class.

    Where a constructor takes any others, it hands them on to that of the class above.
    """
    found: list[str] = []
    for base in kind.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = [*inspect.signature(vars(base)["__init__"]).parameters.values()][1:]
        named = [
            each.name
            for each in parameters
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        ]
        found += [name for name in named if name not in found]
        if all(each.kind is not each.VAR_KEYWORD for each in parameters):
            break
    return tuple(found)


def refuse_unknown(kind: type, unknown: Iterable[str]) -> None:
    """Raise if there are arguments that a constructor does not know.

    Raises:
      ParameterError: there are; the message has names that are near.
    """
    for name in unknown:
        needs = _near(name, arguments_of(kind), "it takes")
        raise ParameterError(f"{kind.__name__}: there is no argument {name!r}; {needs}")


def arguments_or_refuse(owner: object, left_out: Iterable[str], **other: Any) -> Plain:
    """The arguments that would make an object again, as plain data.

    Args:
      owner: the object.
      left_out: arguments that need not be there.
      other: those that are not attributes of their own names.

    Raises:
      ParameterError: one is no attribute.
      TypeError: one is not plain.
    """
    found: Plain = {}
    for name in arguments_of(type(owner)):
        if name in left_out:
            continue
        if name not in other and not hasattr(owner, name):
            raise ParameterError(
                f"describe: {type(owner).__name__} has no attribute {name!r} for the argument of "
                "this name, so it could not be made again"
            )
        value = other[name] if name in other else getattr(owner, name)
        found[name] = plain(f"describe: {type(owner).__name__}.{name}", value)
    return found


def plain(who: str, value: object, depth: int = 0) -> Any:  # noqa: ANN401 -- plain data
    """A value as plain data: tuples become lists, numbers of NumPy Python's.

    Raises:
      TypeError: it is something else.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    if depth < _DEPTH and isinstance(value, list | tuple):
        return [plain(who, each, depth + 1) for each in value]
    if depth < _DEPTH and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(who, each, depth + 1) for key, each in value.items()}
    raise TypeError(
        f"{who} needs to be None, a flag, a finite number, a text, or a list or dictionary of "
        f"them, got {value!r}"
    )


# -- Numbers -------------------------------------------------------------------------------------


def as_number(
    who: str, name: str, value: object, *, least: float | None = None, most: float | None = None
) -> float:
    """A finite number.

    Raises:
      ParameterError: it is something else, or not between the bounds.
    """
    needs = "a finite number"
    if least is not None:
        needs += f" of at least {least:g}"
    if most is not None:
        needs += f"{' and' if least is not None else ' of'} at most {most:g}"
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        low = -math.inf if least is None else least
        high = math.inf if most is None else most
        if math.isfinite(found) and low <= found <= high:
            return found
    raise ParameterError(f"{who}: {name} needs {needs}, got {value!r}")


def as_bound(who: str, name: str, value: object) -> float | None:
    """A number, or None.

    Raises:
      ParameterError: it is something else.
    """
    return None if value is None else as_number(who, name, value)


def as_count(who: str, name: str, value: object, *, least: int = 0) -> int:
    """An integer.

    Raises:
      ParameterError: it is something else, or less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ParameterError(f"{who}: {name} needs an integer of at least {least}, got {value!r}")
    return int(value)
