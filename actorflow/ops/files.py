"""The operators as symbol files know them: their names, old and new, and their parameters.

A row of the tables below is an operator here and what it is called in files. The first name is the
one that is written, which MXNet 1.9.1 reads; the others are older ones, or later aliases.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.errors import FormatError, ParameterError
from actorflow.ops.activation import Activation
from actorflow.ops.constant import Full
from actorflow.ops.custom import Custom, from_texts, to_texts
from actorflow.ops.elementwise import ELEMENTWISE
from actorflow.ops.file_names import BINARY, CLASSES, MIRRORED, SCALAR, UNARY
from actorflow.ops.parameters import make, parameters, spelled
from actorflow.ops.reduce import ArgMax, ArgMin
from actorflow.ops.scalar import WithScalar
from actorflow.ops.slicing import Concat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actorflow.ops.file_names import Row
    from actorflow.ops.operator import Operator
    from actorflow.ops.types import Scalar

__all__ = ["from_file", "to_file"]

_ROWS: Final[dict[str, Row]] = {name: row for row in reversed(CLASSES) for name in row.names}
_BY_CLASS: Final[dict[type, Row]] = {row.kind: row for row in reversed(CLASSES)}
_ELEMENTWISE: Final[dict[str, str]] = {
    name: ours for table in (BINARY, UNARY) for ours, names in table.items() for name in names
}
_SCALARS: Final[dict[str, tuple[str, bool]]] = {
    name: (base, reverse) for (base, reverse), names in SCALAR.items() for name in names
}
_FILLED: Final = {"_zeros": 0.0, "_ones": 1.0}
_FILLED_NAMES: Final = {value: name for name, value in _FILLED.items()}
_LARGEST: Final = 1 << 64  # no array holds a greater integer


def from_file(op: str, params: Mapping[str, str], n_inputs: int | None = None) -> Operator:
    """The operator that a file means.

    Args:
      op: its name in the file.
      params: its parameters as the file spells them.
      n_inputs: how many inputs it has there, which says for an operator on any number of inputs
        how many it has if the parameters do not.

    Raises:
      ParameterError: the operator, or a parameter, is not known or not valid; the message names
        the operator and near names.
    """
    if op in _ELEMENTWISE:
        _only(op, params, ())
        return ELEMENTWISE[_ELEMENTWISE[op]]
    if op in _SCALARS:
        return _read_scalar(op, params)
    if op == "Custom":
        return from_texts(params)
    if op in _FILLED or op == "_full":
        given = {key: value for key, value in params.items() if key != "ctx"}
        if op in _FILLED:
            _only(op, given, ("shape", "dtype"))
            given["value"] = str(_FILLED[op])
        return make(Full, given)
    if op in _ROWS:
        return _read_row(op, _ROWS[op], params, n_inputs)
    near = difflib.get_close_matches(op, _names(), 3, 0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ParameterError(f"there is no operator {op!r}{hint}")


def to_file(operator: Operator) -> tuple[str, dict[str, str]]:
    """The name and the parameters that MXNet 1.9.1 reads.

    Raises:
      FormatError: it has no such operator.
    """
    if isinstance(operator, WithScalar):
        return _write_scalar(operator)
    if isinstance(operator, Full):
        return _write_full(operator)
    if isinstance(operator, Custom):
        return "Custom", to_texts(operator)
    row = _BY_CLASS.get(type(operator))
    if row is not None:
        found = spelled(operator)
        if isinstance(operator, Concat):
            found.pop("axis", None)
            found["dim"] = str(operator.along)
        if isinstance(operator, ArgMax | ArgMin) and operator.axis is not None:
            found["axis"] = _one_axis(operator.name, operator.axis)
        return row.names[0], found
    name = operator.name if operator is ELEMENTWISE.get(operator.name) else ""
    if name == "softrelu":
        return Activation.name, {"act_type": "softrelu"}
    names = BINARY.get(name) or UNARY.get(name)
    if names:
        return names[0], {}
    raise FormatError(f"symbol files have no name for the operator {operator.name!r}")


def _names() -> list[str]:
    return sorted({*_ROWS, *_ELEMENTWISE, *_SCALARS, *_FILLED, "_full", "Custom"})


def _one_axis(name: str, axis: int | tuple[int, ...]) -> str:
    axes = axis if isinstance(axis, tuple) else (axis,)
    if len(axes) > 1:
        raise FormatError(f"{name}: symbol files hold one axis or none, not {axes}")
    return str(axes[0])


def _only(op: str, params: Mapping[str, str], known: tuple[str, ...]) -> None:
    for each in params:
        if each not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ParameterError(f"{op}: there is no parameter {each!r}; {takes}")


def _read_row(op: str, row: Row, params: Mapping[str, str], n_inputs: int | None) -> Operator:
    known = parameters(row.kind)
    given: dict[str, Any] = {}
    for each, value in params.items():
        allowed = row.fixed.get(each)
        if allowed is not None and value not in allowed:
            raise ParameterError(
                f"{op}: {each} needs {' or '.join(map(repr, allowed))}, got {value!r}"
            )
        if (
            allowed is None and value != "None"
        ):  # which leaves the default, whatever the parameter takes
            given[each] = value
    if "num_args" in known and n_inputs is not None:
        given.setdefault("num_args", str(n_inputs))
        # Before the operator names each of its inputs: a file may say that there are billions.
        _refuse_other_number(op, given["num_args"], n_inputs)
    return make(row.kind, given)


def _refuse_other_number(op: str, said: str, n_inputs: int) -> None:
    if said.strip() != str(n_inputs):
        raise ParameterError(f"{op}: num_args is {said}, but it has {n_inputs} inputs")


def _read_scalar(op: str, params: Mapping[str, str]) -> Operator:
    _only(op, params, ("scalar", "is_int", "scalar_on_left"))
    base, reverse = _SCALARS[op]
    text = params.get("scalar")
    if text is None:
        raise ParameterError(f"{op}: the parameter 'scalar' is missing; it is a number")
    if params.get("scalar_on_left", "0").strip().lower() in ("1", "true"):  # as 0.5 spells it
        reverse = True
    scalar: Scalar
    try:
        scalar = int(text)
        if params.get("is_int", "1").strip().lower() in ("0", "false"):
            scalar = float(scalar)
    except (ValueError, OverflowError):
        try:
            scalar = float(text)
        except ValueError:
            raise ParameterError(f"{op}: scalar needs a number, got {text!r}") from None
    if isinstance(scalar, int) and abs(scalar) > _LARGEST:
        raise ParameterError(f"{op}: scalar {text} is too large")
    return WithScalar(ELEMENTWISE[base], scalar, reverse)


def _write_full(operator: Full) -> tuple[str, dict[str, str]]:
    found = spelled(operator)
    if operator.value in _FILLED_NAMES:
        found.pop("value", None)
        return _FILLED_NAMES[operator.value], found
    return "_full", found


def _write_scalar(operator: WithScalar) -> tuple[str, dict[str, str]]:
    scalar = operator.scalar
    number = scalar.item() if isinstance(scalar, np.generic) else scalar
    base = operator.base.name
    names = SCALAR.get((base, operator.reverse))
    if names is None and operator.reverse:
        names = SCALAR.get((MIRRORED.get(base, ""), False))
    if names is None:
        side = "on the left" if operator.reverse else "on the right"
        raise FormatError(f"symbol files have no name for {base!r} with a number {side}")
    if isinstance(number, float):
        return names[0], {"scalar": repr(number)}
    return names[0], {"scalar": str(int(number))}
