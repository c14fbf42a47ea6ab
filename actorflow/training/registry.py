"""Classes that a text can name, such as `"xavier"` or `"acc"`."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from actorflow.errors import ParameterError
from actorflow.ops import described, meant

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes by name; capitals in a name do not count.

    Args:
      base: what all of them derive from.
      kind: what they are, for messages.
    """

    def __init__(self, base: type[T], kind: str) -> None:
        self._base = base
        self._kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, cls: type[T]) -> type[T]:
        """Make a class known by its own name; a decorator.

        A class of the same name that was registered before is forgotten.

        Raises:
          TypeError: it does not derive from the base.
        """
        self._add(cls.__name__, cls)
        return cls

    def alias(self, *names: str) -> Callable[[type[T]], type[T]]:
        """Make a class known by further names; a decorator."""

        def decorate(cls: type[T]) -> type[T]:
            for name in names:
                self._add(name, cls)
            return cls

        return decorate

    def create(self, given: object, *args: Any, **kwargs: Any) -> T:
        """Make an object of what names it.

        Args:
          given: such an object itself, the name of a class, or JSON as `dumps` of an initializer
            gives it: `["xavier", {"magnitude": 2.34}]`.
          args, kwargs: what to make it with, if `given` is a name.

        Raises:
          ParameterError: the name is not known, or the class does not take these arguments.
          TypeError: it is nothing of this.
        """
        if isinstance(given, self._base):
            return given
        if not isinstance(given, str):
            message = f"{self._kind}: needs a name or an object of it, got {described(given)}"
            raise TypeError(message)
        name = given
        if given.lstrip().startswith("["):
            name, kwargs = self._from_json(given)
        cls = self._classes.get(name.lower())
        if cls is None:
            hint = meant(name.lower(), sorted(self._classes))
            raise ParameterError(f"{self._kind}: there is none called {name!r}; {hint}")
        try:
            inspect.signature(cls).bind(*args, **kwargs)
        except TypeError as error:
            raise ParameterError(f"{self._kind}: {name!r}: {error}") from None
        return cls(*args, **kwargs)

    def _from_json(self, text: str) -> tuple[str, dict[str, Any]]:
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ParameterError(f"{self._kind}: {text!r} is no JSON: {error}") from None
        if (
            isinstance(found, list)
            and len(found) == 2  # noqa: PLR2004 -- a name and what it is made with
            and isinstance(found[0], str)
            and isinstance(found[1], dict)
        ):
            return found[0], found[1]
        raise ParameterError(f'{self._kind}: needs ["name", {{parameters}}], got {text!r}')

    def _add(self, name: str, cls: type[T]) -> None:
        if not (isinstance(cls, type) and issubclass(cls, self._base)):
            message = f"{self._kind}: needs a class of {self._base.__name__}, got {cls!r}"
            raise TypeError(message)
        self._classes[name.lower()] = cls
