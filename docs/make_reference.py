"""Writes the reference of operators, a page for each family, for `make_symbols`.

What depends on parameters is found by trying: an operator is made with its defaults, and once more
for each value of each parameter that has few.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from actorflow import ops
from actorflow.errors import GradientError, ParameterError
from actorflow.ops import ELEMENTWISE, Operator
from actorflow.ops.file_names import BINARY as BINARY_FILES, CLASSES, SCALAR, UNARY as UNARY_FILES
from actorflow.ops.parameters import parameters
from docs.make_parts import ROOT, is_required, shown, takes
from docs.symbol_tables import BINARY, MODULES, UNARY, UPDATES, Function, Module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import attrs

FOLDER = ROOT / "docs" / "reference" / "operators"
ORIGIN = "<!-- Written by docs/make_symbols.py from what the operators say: run `make symbols`. -->"
INTRODUCTION = """# Operators

What each operator takes, gives and means, and what MXNet's symbol files call it. `af.sym` has a
function of symbols for each, and `af.nd` one of arrays; the rules of optimizers have the latter
only. Shapes and data types that do not fit are errors of the call, or of `infer_shape`.

On arrays an operator is what it is in prediction, unless `is_train=True` says otherwise.

```{toctree}
:maxdepth: 1

"""

TWO = """## Of two inputs

The inputs are `lhs` and `rhs`, which broadcast; one may be a number, which symbol files hold as a
parameter of another operator."""

# Values of parameters that have no default, by what they take. Two is as many as is telling.
SAMPLES = (
    ("integers", (1,)),
    ("an integer", 1),
    ("a number", 1.0),
    ("'bool'", "float32"),
)
NEEDED: dict[type[Operator], dict[str, Any]] = {
    ops.Pooling: {"kernel": (1,)},
    ops.Reshape: {"shape": (1,)},
}
"""What operators need of parameters that have defaults."""


def written() -> dict[Path, str]:
    """Every page, with its text."""
    pages = [*(module for module in MODULES if module.functions), UPDATES]
    names = [*(page.name for page in pages), "elementwise"]
    files = {FOLDER / f"{page.name}.md": _page(page) for page in pages}
    files[FOLDER / "elementwise.md"] = _elementwise()
    files[FOLDER / "index.md"] = f"{ORIGIN}\n\n{INTRODUCTION}" + "\n".join(names) + "\n```\n"
    return files


def _page(module: Module) -> str:
    parts = [ORIGIN, f"# {module.doc.removesuffix('.')}"]
    for function in module.functions:
        parts += _operator(function)
    return "\n\n".join(parts) + "\n"


def _operator(function: Function) -> Iterator[str]:
    yield f"## `{function.name}`"
    yield inspect.getdoc(function.kind) or ""
    yield _table(("", ""), _facts(function))
    rows = [
        (f"`{name}`", takes(field), _default(field), field.metadata["doc"])
        for name, field in shown(function).items()
    ]
    if rows:
        yield _table(("parameter", "takes", "default", "meaning"), rows)


def _default(field: attrs.Attribute[Any]) -> str:
    return "" if is_required(field) else f"`{field.default!r}`"


def _facts(function: Function) -> Iterator[tuple[str, str]]:
    variants = _variants(function.kind)
    places = ["af.nd"] if function in UPDATES.functions else ["af.sym", "af.nd"]
    names = (function.name, *function.aliases)
    yield "functions", ", ".join(f"`{place}.{name}`" for place in places for name in names)
    found = "any number" if function.any_number else _names(variants, lambda each: each.inputs)
    yield "inputs", found
    optional = [
        ("auxiliary states", _names(variants, lambda each: each.auxiliary)),
        ("outputs", _outputs(function, variants)),
        ("hidden outputs", _names(variants, lambda each: each.outputs[len(_visible(each)) :])),
    ]
    yield from ((what, text) for what, text in optional if text)
    if function.any_number:
        has = bool(_with_gradient(variants[""]))
        yield "gradient of", "all inputs" if has else "none"
    else:
        yield "gradient of", _names(variants, _with_gradient) or "none"
    if function.kind.at_inference is not Operator.at_inference:
        yield "in training", "another operator than in prediction"
    draws = [
        ("draws in training", _names(variants, _draws)),
        ("draws in prediction", _names(variants, lambda each: _draws(each.at_inference()))),
    ]
    yield from ((what, text.replace("`yes`", "yes")) for what, text in draws if text)
    if any(each.is_loss for each in variants.values()):
        yield "loss", "its gradient takes nothing from above"
    files = [name for row in CLASSES if row.kind is function.kind for name in row.names]
    yield "in files", ", ".join(f"`{name}`" for name in files)


def _outputs(function: Function, variants: dict[str, Operator]) -> str:
    if function.several and shown(function)[function.several].type == "int":
        return f"as many as `{function.several}` says"
    return _names(variants, _visible)


def _visible(operator: Operator) -> tuple[str, ...]:
    return operator.outputs[: len(operator.outputs) - operator.hidden]


def _draws(operator: Operator) -> tuple[str, ...]:
    return ("yes",) if operator.draws else ()


def _with_gradient(operator: Operator) -> tuple[str, ...]:
    """The inputs that have a gradient."""

    def apply(applied: Operator, *_inputs: object) -> tuple[object, ...]:
        return tuple(object() for _ in applied.outputs)

    inputs = tuple(object() for _ in operator.inputs)
    outputs = tuple(object() for _ in operator.outputs)
    above = (object(), *(None for _ in _visible(operator)[1:]))
    try:
        found = operator.gradient(apply, inputs, outputs, above)
    except GradientError:
        return ()
    return tuple(
        name for name, grad in zip(operator.inputs, found, strict=True) if grad is not None
    )


def _variants(kind: type[Operator]) -> dict[str, Operator]:
    """An operator as it is by default, and by what says otherwise."""
    known = parameters(kind)
    base = dict(NEEDED.get(kind, {}))
    for name, field in known.items():
        if is_required(field):
            text = field.metadata["takes"]
            quoted = text.split("'")[1] if text.startswith("'") else None
            default = next((value for begin, value in SAMPLES if text.startswith(begin)), quoted)
            base[name] = default
    found = {"": kind.of(**base)}
    for name, field in known.items():
        values: Iterable[Any] = ()
        if field.type == "bool":
            values = (not field.default,)
        elif field.metadata["takes"].startswith("'"):
            values = [v for v in field.metadata["takes"].split("'")[1::2] if v != base.get(name)]
        for value in values:
            try:
                found[f"`{name}={value!r}`"] = kind.of(**{**base, name: value})
            except ParameterError:
                continue  # it needs other parameters too
    return found


def _names(variants: dict[str, Operator], names: Callable[[Operator], tuple[str, ...]]) -> str:
    """Names of something of an operator, and on which parameters they depend."""
    found = {said: names(operator) for said, operator in variants.items()}
    texts = []
    for name in dict.fromkeys(each for part in found.values() for each in part):
        usual = name in found[""]
        others = [said for said, part in found.items() if (name in part) is not usual]
        text = f"`{name}`"
        if others:
            text += f" ({'not ' if usual else ''}with {' or '.join(others)})"
        texts.append(text)
    return ", ".join(texts)


def _elementwise() -> str:
    one = [
        (_coded((name, *aliases)), doc, _derived(name), _coded(UNARY_FILES.get(name, ())))
        for name, (doc, aliases) in UNARY.items()
    ]
    two = []
    for name, (doc, aliases) in BINARY.items():
        numbers = [each for (of, _), names in SCALAR.items() if of == name for each in names]
        files = _coded(BINARY_FILES.get(name, ()))
        two.append((_coded((name, *aliases)), doc, _derived(name), files, _coded(numbers)))
    return (
        "\n\n".join(
            [
                ORIGIN,
                "# Element by element",
                "## Of one input\n\nThe input is `data`, the output `output`.",
                _table(("names", "gives", "gradient", "in files"), one),
                TWO,
                _table(("names", "gives", "gradient", "in files", "with a number, in files"), two),
            ]
        )
        + "\n"
    )


def _derived(name: str) -> str:
    return "yes" if any(ELEMENTWISE[name].derivatives) else "none"


def _coded(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
