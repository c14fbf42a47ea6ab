"""Writes the public functions on symbols from what the operators say about themselves.

`make symbols` runs it. What it writes is part of the repository, so that editors and searches find
every function; a test says when it is not up to date.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from actorflow.ops.parameters import parameters
from docs.symbol_tables import MODULES, Function, Module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
WIDTH = 100
UNUSED = "not used"  # what a parameter says that is there for old programs

# How a parameter's type in an operator looks from outside, where it is converted first.
TYPES = {
    "Axis": "Sizes | None",
    "tuple[int, ...]": "Sizes",
    "tuple[int, ...] | None": "Sizes | None",
    "tuple[int | None, ...]": "int | Sequence[int | None] | None",
    "np.dtype[Any]": "DTypeLike",
    "np.dtype[Any] | None": "DTypeLike | None",
}
LAST = [("name", "str | None = None"), ("attr", "dict[str, str] | None = None")]


def by_kind(names: Iterable[str]) -> list[str]:
    """Sort names as the linter wants imports and `__all__`: constants, classes, everything else."""

    def key(name: str) -> tuple[int, list[tuple[int, Any]]]:
        kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
        parts = re.findall(r"\d+|\D+", name)
        return kind, [(0, int(part)) if part.isdigit() else (1, part) for part in parts]

    return sorted(names, key=key)


def written() -> dict[Path, str]:
    """Every file that is generated, with its text."""
    files = {}
    public: dict[str, list[str]] = {}
    for module in MODULES:
        functions = [*_functions(module)]
        text = "\n\n\n".join(["\n".join(lines) for _, lines in functions]) + "\n"
        names = by_kind(name for found, _ in functions for name in found)
        public[module.name] = names
        head = _head(module, text, names)
        files[ROOT / "actorflow" / "symbol" / f"{module.name}.py"] = head + text
    files[ROOT / "actorflow" / "sym.py"] = _namespace(public)
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
            "# Written by docs/make_symbols.py from what the operators say of their parameters:",
            "# change it there, and run `make symbols`.\n",
            "from __future__ import annotations\n",
            "from typing import TYPE_CHECKING\n",
            *imports,
            "\nif TYPE_CHECKING:",
            *types,
            "",
            _all(names) + "\n\n",
        ]
    )


def _all(names: list[str]) -> str:
    return "__all__ = [\n" + "".join(f'    "{name}",\n' for name in names) + "]\n"


def _namespace(public: dict[str, list[str]]) -> str:
    """The module `actorflow.sym`."""
    own = {
        "chain": ["chain"],
        "constants": ["full", "ones", "zeros"],
        "custom": ["Custom"],
        "files": ["load", "load_json"],
        "naming": ["AttrScope", "NameManager", "Prefix"],
        "symbol": ["Group", "Symbol", "Variable", "var"],
    }
    imports = []
    for module, names in sorted({**public, **own}.items()):
        listed = "".join(f"    {name},\n" for name in names)
        imports.append(f"from actorflow.symbol.{module} import (\n{listed})\n")
    names = by_kind(name for part in (public, own) for found in part.values() for name in found)
    return (
        '"""Expressions that are computed once they are bound to arrays: MXNet\'s `mx.sym`."""\n'
        "\n# Written by docs/make_symbols.py.\n"
        "# ruff: noqa: A004 -- max, sum, ...: MXNet's names\n\n"
        + "".join(imports)
        + "\n"
        + _all(names)
    )


# -- Functions ---------------------------------------------------------------------------------


def _functions(module: Module) -> Iterator[tuple[list[str], list[str]]]:
    """The names and the lines of each function of a module."""
    for function in module.functions:
        lines = [*_signature(function), *_docstring(function), *_body(function)]
        yield [function.name, *function.aliases], [*lines, *_aliases(function)]
    for name, doc in module.unary.items():
        yield [name], _unary(name, doc)
    for name, (doc, aliases) in module.binary.items():
        yield [name, *aliases], _binary(name, doc, aliases)


def _aliases(function: Function) -> list[str]:
    if not function.aliases:
        return []
    return ["", "", *(f"{alias} = {function.name}" for alias in function.aliases)]


def _shown(function: Function) -> dict[str, attrs.Attribute[Any]]:
    """The parameters that a caller gives."""
    known = parameters(function.kind)
    return {name: field for name, field in known.items() if name not in function.left_out}


def _signature(function: Function) -> list[str]:
    fields = _shown(function)
    required = any(field.default is attrs.NOTHING for field in fields.values())
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
        lines.append(f"    {name}: {_type(field)}{_default(field)},")
    if not starred:
        lines.append("    *,")
    lines += [f"    {name}: {kind}," for name, kind in LAST]
    return [*lines, ") -> Symbol:"]


def _type(field: attrs.Attribute[Any]) -> str:
    kind = str(field.type)
    return TYPES.get(kind, kind)


def _default(field: attrs.Attribute[Any]) -> str:
    if field.default is attrs.NOTHING:
        return ""
    return f" = {field.default!r}".replace("'", '"')


def _docstring(function: Function) -> list[str]:
    text = inspect.getdoc(function.kind) or ""
    first, *rest = text.split("\n")
    lines = [f'    """{first}', *(f"    {line}".rstrip() for line in rest), "", "    Args:"]
    if function.any_number:
        lines += _argument("args", "symbols of one output each")
        lines += _argument(
            "num_args", "how many there are, for those who say so; without args, variables are made"
        )
    if function.inputs:
        several = "symbols of one output; variables are made for those that are missing"
        one = "a symbol of one output; a variable is made if it is missing"
        lines += _argument(", ".join(function.inputs), several if function.inputs[1:] else one)
    alike: dict[str, list[str]] = {}
    for name, field in _shown(function).items():
        text = field.metadata["doc"]
        if field.type != "bool" and UNUSED not in text:
            takes = field.metadata["takes"].removesuffix(", or None")  # as the signature says
            text += f"; {_listed(takes.removesuffix(' of at least 0'))}"
        alike.setdefault(text, []).append(name)
    for text, names in alike.items():
        lines += _argument(", ".join(names), text)
    lines += _argument(
        "name, attr", "its name, None to make one up; attributes, also of variables made"
    )
    return [*lines, '    """']


def _listed(takes: str) -> str:
    """`a, b or c` for `a or b or c`."""
    *others, last = takes.split(" or ")
    return f"{', '.join(others)} or {last}" if others else last


def _argument(name: str, text: str) -> list[str]:
    indent = " " * 6
    return textwrap.wrap(
        f"{name}: {text}.", WIDTH, initial_indent=indent, subsequent_indent=indent + "  "
    )


def _body(function: Function) -> list[str]:
    fields = _shown(function)
    kind = f"ops.{function.kind.__name__}"
    if function.any_number:
        given = "".join(f", {name}={name}" for name in fields)
        return [
            f'    return variadic("{function.hint}", {kind}, args, num_args, name, attr{given})'
        ]
    given = ", ".join(f"{name}={name}" for name in fields)
    making = f"    operator = {kind}.of({given})"
    if len(making) > WIDTH:
        listed = "".join(f"        {name}={name},\n" for name in fields)
        making = f"    operator = {kind}.of(\n{listed}    )"
    inputs = "".join(f", {name}" for name in function.inputs)
    last = f'    return layer("{function.hint}", operator, name, attr{inputs})'
    return [making, last]


def _unary(name: str, doc: str) -> list[str]:
    return [
        f"def {name}(",
        "    data: Symbol | None = None,",
        "    *,",
        *(f"    {each}: {kind}," for each, kind in LAST),
        ") -> Symbol:",
        f'    """{doc}"""',
        f'    return unary("{name}", data, name, attr)',
    ]


def _binary(name: str, doc: str, aliases: tuple[str, ...]) -> list[str]:
    lines = [
        f"def {name}(",
        "    lhs: Operand,",
        "    rhs: Operand,",
        "    *,",
        *(f"    {each}: {kind}," for each, kind in LAST),
        ") -> Symbol:",
        f'    """{doc}"""',
        f'    return binary("{name}", lhs, rhs, name, attr)',
    ]
    if aliases:
        lines += ["", "", *(f"{alias} = {name}" for alias in aliases)]
    return lines


def main() -> None:
    """Write all files."""
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
