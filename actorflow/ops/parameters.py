"""The parameters of operators: fields that know what they may be, and how files spell them.

A parameter is a field of an operator's class, made by one of the functions here: `integer`,
`number`, `flag`, `sizes`, `choice`, `data_type`. It takes Python's values and the texts that symbol
files hold (`"(3, 3)"`, `"True"`, `"0.9"`), says in its errors what it takes, and carries a line of
documentation, from which the reference is made.
"""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from actorflow.errors import ParameterError
from actorflow.ops.types import DTYPES, as_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

__all__ = [
    "choice",
    "data_type",
    "flag",
    "integer",
    "make",
    "number",
    "optional",
    "parameters",
    "signature",
    "sizes",
    "spelled",
]

T = TypeVar("T")

REQUIRED: Final[Any] = attrs.NOTHING

_TRUE: Final = ("true", "1")
_FALSE: Final = ("false", "0")


def _field(
    default: Any,  # noqa: ANN401
    convert: Callable[[Any], Any],
    takes: str,
    doc: str,
) -> Any:  # noqa: ANN401 -- attrs gives fields the type of their values
    return attrs.field(default=default, converter=convert, metadata={"takes": takes, "doc": doc})


def _wrong(value: object, takes: str) -> ValueError:
    return ValueError(f"needs {takes}, got {value!r}")


def _literal(text: str) -> Any:  # noqa: ANN401 -- whatever it spells
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def integer(default: int = REQUIRED, *, least: int | None = None, doc: str = "") -> Any:  # noqa: ANN401
    """An integer."""
    takes = "an integer" if least is None else f"an integer of at least {least}"

    def convert(value: Any) -> int:  # noqa: ANN401
        given = _literal(value) if isinstance(value, str) else value
        if isinstance(given, float) and given.is_integer() and isinstance(value, str):
            given = int(given)
        if isinstance(given, bool) or not hasattr(given, "__index__"):
            raise _wrong(value, takes)
        found: int = given.__index__()
        if least is not None and found < least:
            raise _wrong(value, takes)
        return found

    return _field(default, convert, takes, doc)


def number(
    default: float = REQUIRED,
    *,
    least: float | None = None,
    most: float | None = None,
    doc: str = "",
) -> Any:  # noqa: ANN401
    """A number, as a float."""
    takes = "a number"
    if least is not None:
        takes += f" of at least {least:g}"
    if most is not None:
        takes += f"{' and' if least is not None else ' of'} at most {most:g}"

    def convert(value: Any) -> float:  # noqa: ANN401
        try:
            found = float(value.rstrip("fF") if isinstance(value, str) else value)
        except (TypeError, ValueError, OverflowError):
            raise _wrong(value, takes) from None
        if isinstance(value, bool) or found != found:  # noqa: PLR0124 -- NaN
            raise _wrong(value, takes)
        if (least is not None and found < least) or (most is not None and found > most):
            raise _wrong(value, takes)
        return found

    return _field(default, convert, takes, doc)


def flag(default: bool = REQUIRED, *, doc: str = "") -> Any:  # noqa: ANN401, FBT001
    """True or False."""

    def convert(value: Any) -> bool:  # noqa: ANN401
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise _wrong(value, "True or False")

    return _field(default, convert, "True or False", doc)


def sizes(default: tuple[int, ...] = REQUIRED, *, least: int = 0, doc: str = "") -> Any:  # noqa: ANN401
    """One integer or several, as a tuple."""
    takes = "integers" if least < 0 else f"integers of at least {least}"

    def convert(value: Any) -> tuple[int, ...]:  # noqa: ANN401
        given = _literal(value) if isinstance(value, str) else value
        if hasattr(given, "__index__") and not isinstance(given, bool):
            given = (given,)
        try:
            found = tuple(size.__index__() for size in given)
        except (AttributeError, TypeError):
            raise _wrong(value, takes) from None
        if least >= 0 and any(size < least for size in found):
            raise _wrong(value, takes)
        return found

    return _field(default, convert, takes, doc)


def choice(*values: str, default: str = REQUIRED, doc: str = "") -> Any:  # noqa: ANN401
    """One of some words."""
    takes = " or ".join(repr(value) for value in values)

    def convert(value: Any) -> str:  # noqa: ANN401
        if value not in values:
            near = difflib.get_close_matches(str(value), values, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"needs {takes}, got {value!r}{hint}")
        return str(value)

    return _field(default, convert, takes, doc)


def data_type(default: str = REQUIRED, *, doc: str = "") -> Any:  # noqa: ANN401
    """A data type of arrays."""

    def convert(value: Any) -> np.dtype[Any]:  # noqa: ANN401
        return as_dtype(value, "dtype")

    takes = " or ".join(repr(dtype.name) for dtype in DTYPES)
    return _field(default, convert, takes, doc)


def optional(field: Any) -> Any:  # noqa: ANN401
    """The same parameter, which may also be None, and is if it is not given."""
    convert = field.converter

    def or_none(value: Any) -> Any:  # noqa: ANN401
        return None if value is None or value == "None" else convert(value)

    metadata = field.metadata
    return _field(None, or_none, f"{metadata['takes']}, or None", metadata["doc"])


# -- All parameters of an operator -------------------------------------------------------------


def parameters(kind: type) -> dict[str, attrs.Attribute[Any]]:
    """The parameters of an operator's class, by name, in order."""
    return {field.name: field for field in attrs.fields(kind) if field.init}


def make(kind: type[T], given: Mapping[str, Any]) -> T:
    """Make an operator.

    Raises:
      ParameterError: a parameter is unknown, missing or not valid; the message names the operator.
    """
    name = getattr(kind, "name", kind.__name__)
    known = parameters(kind)
    for each in given:
        if each not in known:
            near = difflib.get_close_matches(each, known, 3)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else signature(kind)
            raise ParameterError(f"{name}: there is no parameter {each!r}; {hint}")
    for each, field in known.items():
        if field.default is attrs.NOTHING and each not in given:
            takes = field.metadata.get("takes", "a value")
            raise ParameterError(f"{name}: the parameter {each!r} is missing; it is {takes}")
    for each, value in given.items():
        convert: Any = known[each].converter
        try:
            if convert is not None:
                convert(value)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"{name}: {each} {error}") from None
    try:
        return kind(**given)
    except ParameterError:
        raise
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name}: {error}") from error


def signature(kind: type) -> str:
    """The parameters in a line, as messages show them."""
    shown = [
        each if field.default is attrs.NOTHING else f"{each}={field.default!r}"
        for each, field in parameters(kind).items()
    ]
    return f"it takes {', '.join(shown)}" if shown else "it takes none"


def spelled(operator: Any) -> dict[str, str]:  # noqa: ANN401
    """The parameters that differ from their defaults, as symbol files spell them."""
    found = {}
    for name, field in parameters(type(operator)).items():
        value = getattr(operator, name)
        default = field.default
        convert: Any = field.converter
        if default is not attrs.NOTHING and default is not None and convert is not None:
            default = convert(default)
        if default is attrs.NOTHING or value != default:
            found[name] = value.name if hasattr(value, "itemsize") else str(value)
    return found
