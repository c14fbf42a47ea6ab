"""Trigonometric and hyperbolic functions, element by element."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.symbol.kit import unary

if TYPE_CHECKING:
    from actorflow.symbol.symbol import Symbol

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "cos",
    "cosh",
    "degrees",
    "radians",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


def arccos(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The inverse of the cosine, in radians."""
    return unary("arccos", data, name, attr)


def arccosh(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The inverse of the hyperbolic cosine."""
    return unary("arccosh", data, name, attr)


def arcsin(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The inverse of the sine, in radians."""
    return unary("arcsin", data, name, attr)


def arcsinh(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The inverse of the hyperbolic sine."""
    return unary("arcsinh", data, name, attr)


def arctan(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The inverse of the tangent, in radians."""
    return unary("arctan", data, name, attr)


def arctanh(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The inverse of the hyperbolic tangent."""
    return unary("arctanh", data, name, attr)


def cos(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The cosine of angles in radians."""
    return unary("cos", data, name, attr)


def cosh(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The hyperbolic cosine."""
    return unary("cosh", data, name, attr)


def degrees(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Angles in degrees, from radians."""
    return unary("degrees", data, name, attr)


def radians(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Angles in radians, from degrees."""
    return unary("radians", data, name, attr)


def sin(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The sine of angles in radians."""
    return unary("sin", data, name, attr)


def sinh(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The hyperbolic sine."""
    return unary("sinh", data, name, attr)


def tan(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The tangent of angles in radians."""
    return unary("tan", data, name, attr)


def tanh(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The hyperbolic tangent."""
    return unary("tanh", data, name, attr)
