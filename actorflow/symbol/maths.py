"""Other functions element by element."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.symbol.kit import unary

if TYPE_CHECKING:
    from actorflow.symbol.symbol import Symbol

__all__ = [
    "abs",
    "cbrt",
    "ceil",
    "exp",
    "expm1",
    "fix",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_not",
    "negative",
    "reciprocal",
    "relu",
    "rint",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "softrelu",
    "sqrt",
    "square",
    "trunc",
]


def abs(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The absolute value of each element."""
    return unary("abs", data, name, attr)


def cbrt(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The cube root of each element."""
    return unary("cbrt", data, name, attr)


def ceil(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The smallest integers that are not below."""
    return unary("ceil", data, name, attr)


def exp(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The exponential function, e to the power of each element."""
    return unary("exp", data, name, attr)


def expm1(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`exp(data) - 1`, exact near 0 too."""
    return unary("expm1", data, name, attr)


def floor(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The largest integers that are not above."""
    return unary("floor", data, name, attr)


def log(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The natural logarithm."""
    return unary("log", data, name, attr)


def log1p(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`log(1 + data)`, exact near 0 too."""
    return unary("log1p", data, name, attr)


def log2(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The logarithm to base 2."""
    return unary("log2", data, name, attr)


def log10(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The logarithm to base 10."""
    return unary("log10", data, name, attr)


def logical_not(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """1 where an element is 0, else 0, in its own data type."""
    return unary("logical_not", data, name, attr)


def negative(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`-data`; for unsigned integers, modulo their range."""
    return unary("negative", data, name, attr)


def reciprocal(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`1 / data`, in floats."""
    return unary("reciprocal", data, name, attr)


def relu(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`max(data, 0)`."""
    return unary("relu", data, name, attr)


def rint(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The nearest integers; halves go to the even one."""
    return unary("rint", data, name, attr)


def round(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The nearest integers; halves go away from zero, as in MXNet."""
    return unary("round", data, name, attr)


def rsqrt(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`1 / sqrt(data)`."""
    return unary("rsqrt", data, name, attr)


def sigmoid(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`1 / (1 + exp(-data))`."""
    return unary("sigmoid", data, name, attr)


def sign(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """-1, 0 or 1."""
    return unary("sign", data, name, attr)


def softrelu(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`log(1 + exp(data))`."""
    return unary("softrelu", data, name, attr)


def sqrt(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The square root of each element."""
    return unary("sqrt", data, name, attr)


def square(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`data * data`."""
    return unary("square", data, name, attr)


def trunc(
    data: Symbol | None = None,
    *,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The integers towards zero."""
    return unary("trunc", data, name, attr)


fix = trunc
