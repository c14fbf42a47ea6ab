"""What the programs that write functions and pages have in common."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from actorflow.ops.parameters import parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docs.symbol_tables import Function

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
ORIGIN = (
    "# Written by docs/make_symbols.py from what the operators say of their parameters:\n"
    "# change it there, and run `make symbols`.\n"
)


def by_kind(names: Iterable[str]) -> list[str]:
    """Sort names as the linter wants imports and `__all__`: constants, classes, everything else."""

    def key(name: str) -> tuple[int, list[tuple[int, Any]]]:
        kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
        parts = re.findall(r"\d+|\D+", name)
        return kind, [(0, int(part)) if part.isdigit() else (1, part) for part in parts]

    return sorted(names, key=key)


def listed(names: Iterable[str]) -> str:
    """The `__all__` of a module."""
    return "__all__ = [\n" + "".join(f'    "{name}",\n' for name in names) + "]\n"


def namespace(doc: str, public: dict[str, list[str]]) -> str:
    """A module that only gives the names of others, by the modules' dotted names."""
    imports = []
    for module, names in sorted(public.items()):
        lines = "".join(f"    {name},\n" for name in by_kind(names))
        imports.append(f"from {module} import (\n{lines})\n")
    every = by_kind(name for found in public.values() for name in found)
    return (
        f'"""{doc}"""\n'
        "\n# Written by docs/make_symbols.py.\n"
        "# ruff: noqa: A004 -- max, sum, ...: MXNet's names\n\n"
        + "".join(imports)
        + "\n"
        + listed(every)
    )


def shown(function: Function) -> dict[str, attrs.Attribute[Any]]:
    """The parameters that a caller gives."""
    known = parameters(function.kind)
    return {name: field for name, field in known.items() if name not in function.left_out}


def is_required(field: attrs.Attribute[Any]) -> bool:
    """Whether a parameter has no default."""
    return field.default is attrs.NOTHING


def parameter(name: str, field: attrs.Attribute[Any]) -> str:
    """A parameter as a line of a signature."""
    kind = str(field.type)
    default = "" if is_required(field) else f" = {field.default!r}".replace("'", '"')
    return f"    {name}: {TYPES.get(kind, kind)}{default},"


def takes(field: attrs.Attribute[Any]) -> str:
    """What a parameter may be, in words."""
    text: str = field.metadata["takes"].removesuffix(", or None")  # as the signature says
    *others, last = text.removesuffix(" of at least 0").split(" or ")
    return f"{', '.join(others)} or {last}" if others else last


def description(function: Function) -> list[str]:
    """The docstring of an operator, as the beginning of that of a function."""
    text = inspect.getdoc(function.kind) or ""
    first, *rest = text.split("\n")
    return [f'    """{first}', *(f"    {line}".rstrip() for line in rest), "", "    Args:"]


def described(function: Function) -> list[str]:
    """The lines of a docstring about the parameters."""
    alike: dict[str, list[str]] = {}
    for name, field in shown(function).items():
        text = field.metadata["doc"]
        if field.type != "bool" and UNUSED not in text:
            text += f"; {takes(field)}"
        alike.setdefault(text, []).append(name)
    return [line for text, names in alike.items() for line in argument(", ".join(names), text)]


def argument(name: str, text: str) -> list[str]:
    """The lines of a docstring about an argument."""
    indent = " " * 6
    return textwrap.wrap(
        f"{name}: {text}.", WIDTH, initial_indent=indent, subsequent_indent=indent + "  "
    )


def making(function: Function) -> list[str]:
    """The lines that make a function's operator."""
    fields = shown(function)
    kind = f"ops.{function.kind.__name__}"
    given = ", ".join(f"{name}={name}" for name in fields)
    line = f"    operator = {kind}.of({given})"
    if len(line) > WIDTH:
        several = "".join(f"        {name}={name},\n" for name in fields)
        line = f"    operator = {kind}.of(\n{several}    )"
    return [line]


def aliases(name: str, others: Iterable[str]) -> list[str]:
    """The lines that give a function its other names."""
    found = [f"{other} = {name}" for other in others]
    return ["", "", *found] if found else []
