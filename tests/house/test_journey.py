"""The journey of a message names files and functions as they are in the code."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOURNEY = ROOT / "docs/design/journey.md"
PACKAGE = ROOT / "actorflow"

_ROW = re.compile(r"^\| `(?P<file>[\w/]+\.py)` \| `(?P<name>[\w.]+)` \|", re.MULTILINE)
_FILE = re.compile(r"`(?P<file>[\w/]+\.py)`")
_METHOD = re.compile(r"`(?P<name>_?[A-Z]\w*\.\w+)`")
STEPS = 40  # it would be another journey with fewer


def steps() -> list[tuple[str, str]]:
    """The rows of all tables: a file of the package, and a function in it."""
    return _ROW.findall(JOURNEY.read_text(encoding="utf-8"))


def functions(source: str) -> set[str]:
    """Functions at the top of a module, and methods as `Class.method`."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for name in functions(ast.unparse(node.body))}
    return found


def test_functions_are_found():
    source = "def f(): ...\nclass A:\n  x = 1\n  async def g(self): ...\n"
    assert functions(source) == {"f", "A.g"}


def test_every_step_is_where_it_says():
    found = steps()
    assert len(found) > STEPS
    lost = [
        f"{file}: {name}"
        for file, name in found
        if not (PACKAGE / file).exists()
        or name not in functions((PACKAGE / file).read_text(encoding="utf-8"))
    ]
    assert lost == []


def test_every_line_of_a_table_is_a_step():
    lines = JOURNEY.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert [line for line in rows if not _ROW.match(line)] == []


def test_every_name_in_the_text_exists():
    text = JOURNEY.read_text(encoding="utf-8")
    known = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in functions(path.read_text(encoding="utf-8"))
    }
    assert [name for name in _METHOD.findall(text) if name not in known] == []
    assert [file for file in _FILE.findall(text) if not (PACKAGE / file).exists()] == []
