"""Operators on symbols."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from actorflow.ops import ELEMENTWISE, WithScalar, described
from actorflow.symbol import compose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.graph import Entry
    from actorflow.ops import Scalar

__all__ = ["Arithmetic"]


class Arithmetic:
    """What `+ - * / **` and their like do with symbols and numbers."""

    __slots__ = ()

    # To NumPy a symbol would be a sequence: its numbers and arrays are to leave operators to it.
    __array_ufunc__ = None

    _entries: tuple[Entry, ...]

    def __init__(self, entries: Iterable[Entry]) -> None:
        raise NotImplementedError

    def __bool__(self) -> bool:
        """Refuse: a symbol has no value.

        Raises:
          TypeError: always.
        """
        message = f"{self!r} has no truth value: it has not been computed"
        raise TypeError(message)

    def _binary(self, name: str, other: object, *, reverse: bool = False) -> Self:
        if isinstance(other, Arithmetic):
            pair = {"lhs": other, "rhs": self} if reverse else {"lhs": self, "rhs": other}
            return type(self)(compose.apply(ELEMENTWISE[name], f"_{name}", pair, None))
        if isinstance(other, np.ndarray) or getattr(other, "shape", None):
            message = (
                f"{name}: a symbol goes with symbols and numbers, got {described(other)}: put a "
                "Variable in its place, and bind the array to that"
            )
            raise TypeError(message)
        if not isinstance(other, int | float | np.generic) or isinstance(other, np.complexfloating):
            return NotImplemented  # type: ignore[no-any-return]  # Python asks the other operand
        scalar: Scalar = other
        operator = WithScalar(ELEMENTWISE[name], scalar, reverse)
        side = "_r" if reverse else "_"
        entries = compose.apply(operator, f"{side}{name}_scalar", {"data": self}, None)
        return type(self)(entries)

    def _unary(self, name: str) -> Self:
        return type(self)(compose.apply(ELEMENTWISE[name], f"_{name}", {"data": self}, None))

    def __add__(self, other: object) -> Self:
        """`self + other`, element by element."""
        return self._binary("add", other)

    def __radd__(self, other: object) -> Self:
        """`other + self`."""
        return self._binary("add", other)

    def __sub__(self, other: object) -> Self:
        """`self - other`."""
        return self._binary("subtract", other)

    def __rsub__(self, other: object) -> Self:
        """`other - self`."""
        return self._binary("subtract", other, reverse=True)

    def __mul__(self, other: object) -> Self:
        """`self * other`."""
        return self._binary("multiply", other)

    def __rmul__(self, other: object) -> Self:
        """`other * self`."""
        return self._binary("multiply", other)

    def __truediv__(self, other: object) -> Self:
        """`self / other`."""
        return self._binary("divide", other)

    def __rtruediv__(self, other: object) -> Self:
        """`other / self`."""
        return self._binary("divide", other, reverse=True)

    def __mod__(self, other: object) -> Self:
        """`self % other`."""
        return self._binary("modulo", other)

    def __rmod__(self, other: object) -> Self:
        """`other % self`."""
        return self._binary("modulo", other, reverse=True)

    def __pow__(self, other: object) -> Self:
        """`self ** other`."""
        return self._binary("power", other)

    def __rpow__(self, other: object) -> Self:
        """`other ** self`."""
        return self._binary("power", other, reverse=True)

    def __neg__(self) -> Self:
        """`-self`."""
        return self._unary("negative")

    def __abs__(self) -> Self:
        """`abs(self)`."""
        return self._unary("abs")

    def __gt__(self, other: object) -> Self:
        """Where `self > other`: 1, else 0."""
        return self._binary("greater", other)

    def __ge__(self, other: object) -> Self:
        """Where `self >= other`: 1, else 0."""
        return self._binary("greater_equal", other)

    def __lt__(self, other: object) -> Self:
        """Where `self < other`: 1, else 0."""
        return self._binary("lesser", other)

    def __le__(self, other: object) -> Self:
        """Where `self <= other`: 1, else 0."""
        return self._binary("lesser_equal", other)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same object, so that symbols can be keys.

        Raises:
          TypeError: `other` is a number: nobody wants to know whether that is a symbol.
        """
        if isinstance(other, Number) and not isinstance(other, bool):
            message = (
                f"== compares symbols as objects: write `sym.equal({self!r}, {other!r})` for where "
                "the elements are equal, or `sym.not_equal`"
            )
            raise TypeError(message)
        return self is other

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Say what a symbol lacks.

        Raises:
          AttributeError: always.
        """
        hint = ""
        if name in ("asnumpy", "asscalar", "wait_to_read", "shape", "dtype"):
            hint = ": it has not been computed; bind it to arrays first"
        message = f"{type(self).__name__} has no attribute {name!r}{hint}"
        raise AttributeError(message)
