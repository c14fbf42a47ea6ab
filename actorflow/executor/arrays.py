"""The arrays of an executor by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BoundArrays"]

Bound = TypeVar("Bound")


class BoundArrays(dict[str, Bound]):
    """Arrays by name, in which no other array takes the place of one that is bound.

    An executor computes with the very arrays that it was bound to. Were `arg_dict["w"] = w - g`
    taken, it would go on with the old one, and nobody would notice that nothing is learned.

    Args:
      what: what it is called, such as `arg_dict`.
      arrays: the arrays.
    """

    def __init__(self, what: str, arrays: Mapping[str, Bound]) -> None:
        super().__init__(arrays)
        self._what = what

    def __setitem__(self, name: str, value: Bound) -> None:
        """Take what is there already: `arg_dict[name] -= gradient` ends so.

        Raises:
          TypeError: it is something else.
        """
        if name not in self or self[name] is not value:
            self._refuse(name)

    def __delitem__(self, name: str) -> None:
        """Refuse.

        Raises:
          TypeError: always.
        """
        self._refuse(name)

    def update(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse.

        Raises:
          TypeError: always.
        """
        self._refuse("name")

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled and copied as a plain dictionary."""
        return dict, (dict(self),)

    def _refuse(self, name: str) -> NoReturn:
        message = (
            f"{self._what}: an executor keeps the arrays that it was bound to, so write into them, "
            f"as in {self._what}[{name!r}][:] = value, or bind others"
        )
        raise TypeError(message)
