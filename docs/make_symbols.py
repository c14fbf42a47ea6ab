"""Writes the public functions on symbols and arrays, and the reference of operators.

They are made from what the operators say about themselves. `make symbols` runs it. What it writes
is part of the repository, so that editors and searches find every function; a test says when it is
not up to date.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docs import make_arrays, make_reference
from docs.make_parts import (
    ORIGIN,
    ROOT,
    aliases,
    argument,
    by_kind,
    described,
    description,
    is_required,
    listed,
    making,
    namespace,
    parameter,
    shown,
)
from docs.symbol_tables import MODULES, Function, Module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST = ["    name: str | None = None,", "    attr: dict[str, str] | None = None,"]
OWN = {
    "chain": ["chain"],
    "constants": ["full", "ones", "zeros"],
    "custom": ["Custom"],
    "files": ["load", "load_json"],
    "naming": ["AttrScope", "NameManager", "Prefix"],
    "symbol": ["Group", "Symbol", "Variable", "var"],
}
"""What the namespace has beside the functions that are written here, by module."""


def written() -> dict[Path, str]:
    """Every file that is generated, with its text."""
    return {**_of_symbols(), **make_arrays.written(), **make_reference.written()}


def _of_symbols() -> dict[Path, str]:
    files = {}
    public = {f"actorflow.symbol.{name}": found for name, found in OWN.items()}
    for module in MODULES:
        functions = [*_functions(module)]
        text = "\n\n\n".join(["\n".join(lines) for _, lines in functions]) + "\n"
        names = by_kind(name for found, _ in functions for name in found)
        public[f"actorflow.symbol.{module.name}"] = names
        head = _head(module, text, names)
        files[ROOT / "actorflow" / "symbol" / f"{module.name}.py"] = head + text
    doc = "Expressions that are computed once they are bound to arrays: MXNet's `mx.sym`."
    files[ROOT / "actorflow" / "sym.py"] = namespace(doc, public)
    return files


def _head(module: Module, text: str, names: list[str]) -> str:
    kit = [name for name in ("binary", "layer", "unary", "variadic") if f" {name}(" in text]
    types = []
    if "Sequence[" in text:
        types.append("    from collections.abc import Sequence\n")
    if "DTypeLike" in text:
        types.append("    from actorflow.ops import DTypeLike")
    own = [name for name in ("Operand", "Sizes") if re.search(rf": {name}\b", text)]
    if own:
        types.append(f"    from actorflow.symbol.kit import {', '.join(own)}")
    types.append("    from actorflow.symbol.symbol import Symbol")
    imports = [f"from actorflow.symbol.kit import {', '.join(kit)}"]
    if module.functions:
        imports.insert(0, "from actorflow import ops")
    return "\n".join(
        [
            f'"""{module.doc}"""\n',
            ORIGIN,
            "from __future__ import annotations\n",
            "from typing import TYPE_CHECKING\n",
            *imports,
            "\nif TYPE_CHECKING:",
            *types,
            "",
            listed(names) + "\n\n",
        ]
    )


# -- Functions ---------------------------------------------------------------------------------


def _functions(module: Module) -> Iterator[tuple[list[str], list[str]]]:
    """The names and the lines of each function of a module."""
    for function in module.functions:
        lines = [*_signature(function), *_docstring(function), *_body(function)]
        lines += aliases(function.name, function.aliases)
        yield [function.name, *function.aliases], lines
    for name, (doc, others) in module.unary.items():
        yield [name, *others], [*_unary(name, doc), *aliases(name, others)]
    for name, (doc, others) in module.binary.items():
        yield [name, *others], [*_binary(name, doc), *aliases(name, others)]


def _signature(function: Function) -> list[str]:
    fields = shown(function)
    required = any(is_required(field) for field in fields.values())
    lines = [f"def {function.name}("]
    if function.any_number:
        lines.append("    *args: Symbol,")
        lines.append("    num_args: int | None = None,")
    missing = "" if required and not function.is_layer else " = None"
    lines += [f"    {name}: Symbol | None{missing}," for name in function.inputs]
    starred = function.any_number
    for name, field in fields.items():
        if not starred and (function.is_layer or field.type == "bool"):
            lines.append("    *,")
            starred = True
        lines.append(parameter(name, field))
    if not starred:
        lines.append("    *,")
    return [*lines, *LAST, ") -> Symbol:"]


def _docstring(function: Function) -> list[str]:
    lines = description(function)
    if function.any_number:
        lines += argument("args", "symbols of one output each")
        lines += argument(
            "num_args", "how many there are, for those who say so; without args, variables are made"
        )
    if function.inputs:
        several = "symbols of one output; variables are made for those that are missing"
        one = "a symbol of one output; a variable is made if it is missing"
        lines += argument(", ".join(function.inputs), several if function.inputs[1:] else one)
    lines += described(function)
    lines += argument(
        "name, attr", "its name, None to make one up; attributes, also of variables made"
    )
    return [*lines, '    """']


def _body(function: Function) -> list[str]:
    if function.any_number:
        kind = f"ops.{function.kind.__name__}"
        given = "".join(f", {name}={name}" for name in shown(function))
        return [
            f'    return variadic("{function.hint}", {kind}, args, num_args, name, attr{given})'
        ]
    inputs = "".join(f", {name}" for name in function.inputs)
    last = f'    return layer("{function.hint}", operator, name, attr{inputs})'
    return [*making(function), last]


def _unary(name: str, doc: str) -> list[str]:
    return [
        f"def {name}(",
        "    data: Symbol | None = None,",
        "    *,",
        *LAST,
        ") -> Symbol:",
        f'    """{doc}"""',
        f'    return unary("{name}", data, name, attr)',
    ]


def _binary(name: str, doc: str) -> list[str]:
    return [
        f"def {name}(",
        "    lhs: Operand,",
        "    rhs: Operand,",
        "    *,",
        *LAST,
        ") -> Symbol:",
        f'    """{doc}"""',
        f'    return binary("{name}", lhs, rhs, name, attr)',
    ]


def main() -> None:
    """Write all files."""
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
