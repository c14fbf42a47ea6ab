"""Writes the functions on arrays that apply an operator, for `make_symbols`.

Functions that are written by hand, since they have a shorter way to the engine or give views, stay
where they are.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from actorflow.ops import Operator
from docs.make_parts import (
    ORIGIN,
    ROOT,
    aliases,
    argument,
    by_kind,
    described,
    description,
    listed,
    making,
    namespace,
    parameter,
    shown,
)
from docs.symbol_tables import MODULES, UPDATES, Function, Module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BY_HAND = ("apply", "array", "creation", "custom", "functions", "serialize", "update")
"""The modules that are written by hand and whose public names are those of `af.nd`."""

RAISES = """
`out` is where the result goes instead of into a new array. It may be or overlap an input, but not
a state. What `is_train` chooses is what `Executor.forward` takes it for.

Each raises in the call: `ParameterError` if a parameter is not valid, `TypeError` if an array is
missing or superfluous or is none, `ShapeError`, `DTypeError` and `ContextError` if the arrays or
`out` do not fit, and `ValueError` if what is written is not writable or is memory of something
else that is written. Wrong values, such as an index, fail the operation, where it is waited for.
"""
ELEMENTWISE = {
    "unary": """Functions of one array, element by element.

Each takes the array and `out`, an array for the result instead of a new one; that may be the array
itself, or overlap it. Data types are as in NumPy 2: a function that needs floats gives, for
integers, floats wide enough (float64 for int32).

Each raises `DTypeError` if it does not take the data type or the result does not convert to that
of `out`, and `ShapeError` if `out` has another shape.
""",
    "binary": """Functions of two operands, element by element.

Each takes two arrays, which broadcast as in NumPy, or an array and a number on either side, and
`out`, an array for the result instead of a new one; that may be one of the operands, or overlap it.
Data types are promoted as in NumPy 2: Python's own numbers adapt to the array. int8 with uint8 is
int32, because no array has NumPy's int16.

Each raises `ShapeError` if the operands do not broadcast or `out` has not the result's shape,
`DTypeError` if the function does not take their data types or the result does not convert to
`out`'s, `ContextError` if they live in different places, and `TypeError` for anything else.
""",
}
UPDATE = """Steps of optimizers: weights changed by their gradients, in one pass over the memory.

Each reads `grad` and changes `weight`, or another array given as `out`, and its states in place.
`grad` is multiplied by `rescale_grad` first, and then clipped. The same step asked for again, on
the same arrays, is sent sooner, whatever `lr` is.

Each raises in the call: `ParameterError` if a parameter is not valid, `TypeError` if something is
no array, `ShapeError`, `DTypeError` and `ContextError` if the arrays do not fit, and `ValueError`
if what is written is not writable or is memory of something else.
"""
LAST = ("wd", "rescale_grad", "clip_gradient", "clip_weights")
"""The parameters of updates that come after their own in MXNet."""
UNION = "NDArray | list[NDArray]"
TRAIN = "    is_train: bool = False,"


def written() -> dict[Path, str]:
    """Every file that is generated, with its text."""
    public = {f"actorflow.ndarray.{name}": _names(name) for name in BY_HAND}
    known = {name for found in public.values() for name in found}
    files = {}
    for module in MODULES:
        path = ROOT / "actorflow" / "ndarray" / f"{module.name}.py"
        if module.unary or module.binary:
            files[path], public[f"actorflow.ndarray.{module.name}"] = _elementwise(module)
            continue
        functions = [each for each in module.functions if each.name not in known]
        if not functions:
            continue
        text = "\n\n\n".join("\n".join(_function(each)) for each in functions) + "\n"
        names = by_kind(name for each in functions for name in (each.name, *each.aliases))
        public[f"actorflow.ndarray.{module.name}"] = names
        head = _head(module, text, names)
        files[path] = head + text
    path = ROOT / "actorflow" / "ndarray" / f"{UPDATES.name}.py"
    files[path], public[f"actorflow.ndarray.{UPDATES.name}"] = _updates()
    doc = "Arrays whose content may still be computed: early MXNet's `mx.nd`."
    files[ROOT / "actorflow" / "nd.py"] = namespace(doc, public)
    return files


def _names(module: str) -> list[str]:
    found: list[str] = import_module(f"actorflow.ndarray.{module}").__all__
    return found


def _elementwise(module: Module) -> tuple[str, list[str]]:
    """A module of functions of one or two operands: its text and its names."""
    parts, names = [], []
    for name, (doc, others) in (module.unary or module.binary).items():
        if module.unary:
            taken, given, call = "data: NDArray", "data", "unary"
        else:
            taken, given, call = "lhs: Operand, rhs: Operand", "lhs, rhs", "binary"
        lines = [
            f"def {name}({taken}, out: NDArray | None = None) -> NDArray:",
            f'    """{doc}"""',
            f'    return {call}("{name}", {given}, out)',
        ]
        parts.append("\n".join([*lines, *aliases(name, others)]))
        names += [name, *others]
    call = "unary" if module.unary else "binary"
    operand = "" if module.unary else "    from actorflow.ndarray.arithmetic import Operand\n"
    head = (
        f'"""{ELEMENTWISE[call]}"""\n\n{ORIGIN}\n'
        "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\n"
        f"from actorflow.ndarray.operands import {call}\n\nif TYPE_CHECKING:\n"
        f"{operand}    from actorflow.ndarray.array import NDArray\n\n"
    )
    return f"{head}{listed(by_kind(names))}\n\n" + "\n\n\n".join(parts) + "\n", by_kind(names)


def _updates() -> tuple[str, list[str]]:
    """The module of updates: its text and its names."""
    parts = []
    for function in UPDATES.functions:
        fields = shown(function)
        order = ["lr", *(each for each in fields if each not in (*LAST, "lr"))]
        order += [each for each in LAST if each in fields]
        arrays = [f"    {name}: NDArray," for name in function.inputs]
        lines = [f"def {function.name}(", *arrays]
        lines += [parameter(name, fields[name]) for name in order]
        lines += ["    out: NDArray | None = None,", ") -> NDArray:", *description(function)]
        lines += argument("weight", "of a floating type")
        lines += argument("grad", "of its shape and data type")
        states = function.kind.auxiliary
        if states:
            what = "the state, which is updated" if len(states) == 1 else "the states, updated"
            lines += argument(", ".join(states), f"{what}; alike")
        lines += described(function)
        lines += argument("out", "where the result goes, usually weight itself; None for a new one")
        given = [f"ops.{function.kind.__name__}", f"({', '.join(function.inputs)})", "out"]
        given += [f"{name}={name}" for name in order]
        call = "".join(f"        {each},\n" for each in given)
        parts.append("\n".join([*lines, '    """', f"    return update(\n{call}    )"]))
    names = by_kind(function.name for function in UPDATES.functions)
    head = (
        f'"""{UPDATE}"""\n\n{ORIGIN}\n'
        "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING\n\n"
        "from actorflow import ops\nfrom actorflow.ndarray.update import update\n\n"
        "if TYPE_CHECKING:\n    from actorflow.ndarray.array import NDArray\n\n"
    )
    return f"{head}{listed(names)}\n\n" + "\n\n\n".join(parts) + "\n", names


def _head(module: Module, text: str, names: list[str]) -> str:
    kit = [name for name in ("layer", "several", "variadic") if f" {name}(" in text]
    types = []
    if "Sequence[" in text or re.search(r": Sizes\b", text):
        types.append("    from collections.abc import Sequence")
    if types:
        types[-1] += "\n"
    types.append("    from actorflow.ndarray.array import NDArray")
    if "DTypeLike" in text:
        types.append("    from actorflow.ops import DTypeLike")
    if re.search(r": Sizes\b", text):
        types.append("\n    Sizes = int | Sequence[int]")
    typing = "TYPE_CHECKING, Literal, overload" if "@overload" in text else "TYPE_CHECKING"
    return "\n".join(
        [
            f'"""{module.doc}\n{RAISES}"""\n',
            ORIGIN,
            "from __future__ import annotations\n",
            f"from typing import {typing}\n",
            "from actorflow import ops",
            f"from actorflow.ndarray.kit import {', '.join(kit)}",
            "\nif TYPE_CHECKING:",
            *types,
            "",
            listed(names) + "\n\n",
        ]
    )


# -- Functions ---------------------------------------------------------------------------------


def _function(function: Function) -> list[str]:
    lines = [*_signature(function, _result(function)), *_docstring(function), *_body(function)]
    return [*_overloads(function), *lines, *aliases(function.name, function.aliases)]


def learns(kind: type[Operator]) -> bool:
    """Whether an operator does something else in training."""
    return kind.at_inference is not Operator.at_inference


def _result(function: Function) -> str:
    return UNION if function.several else "NDArray"


def _overloads(function: Function) -> Iterator[str]:
    """What a flag that shows more outputs makes of the result."""
    if not function.several or shown(function)[function.several].type != "bool":
        return
    for value, result in (("False", "NDArray"), ("True", "list[NDArray]")):
        default = " = False" if value == "False" else ""
        for line in _signature(function, result):
            name = line.strip().partition(":")[0]
            if name == function.several:
                yield f"    {name}: Literal[{value}]{default},"
            elif line.startswith("def "):
                yield from ("@overload", line)
            elif line.startswith(")"):
                yield from (f"{line} ...", "", "")
            else:
                yield line


def _signature(function: Function, result: str) -> list[str]:
    fields = shown(function)
    lines = [f"def {function.name}("]
    if function.any_number:
        lines.append("    *args: NDArray,")
        lines.append("    num_args: int | None = None,")
    for name in function.inputs:
        missing = " | None = None" if name in function.optional else ""
        lines.append(f"    {name}: NDArray{missing},")
    starred = function.any_number
    for name, field in fields.items():
        if not starred and (function.is_layer or field.type == "bool"):
            lines.append("    *,")
            starred = True
        lines.append(parameter(name, field))
    if not starred:
        lines.append("    *,")
    if learns(function.kind):
        lines.append(TRAIN)
    several = "Sequence[NDArray] | " if function.several else ""
    lines.append(f"    out: NDArray | {several}None = None,")
    return [*lines, f") -> {result}:"]


def _docstring(function: Function) -> list[str]:
    lines = description(function)
    if function.any_number:
        lines += argument("args", "the arrays")
        lines += argument("num_args", "how many there are, for those who say so")
    always = [name for name in function.inputs if name not in function.optional]
    states = [name for name in always if name in function.kind.auxiliary]
    inputs = [name for name in always if name not in states]
    if inputs:
        lines += argument(", ".join(inputs), "the inputs" if inputs[1:] else "the input")
    if function.optional:
        lines += argument(", ".join(function.optional), "an input that only some parameters need")
    if states:
        lines += argument(", ".join(states), "the states, which is_train updates")
    lines += described(function)
    if learns(function.kind):
        lines += argument("is_train", "do what is done in training")
    if function.several:
        lines += argument("out", "where the results go, a list if there are several")
    else:
        lines += argument("out", "where the result goes; it may be an input")
    return [*lines, '    """']


def _body(function: Function) -> list[str]:
    if function.any_number:
        given = "".join(f", {name}={name}" for name in shown(function))
        return [f"    return variadic(ops.{function.kind.__name__}, args, num_args, out{given})"]
    inputs = "".join(f", {name}" for name in function.inputs)
    training = ", is_train=is_train" if learns(function.kind) else ""
    call = "several" if function.several else "layer"
    last = f"    return {call}(operator, out{inputs}{training})"
    return [*making(function), last]
