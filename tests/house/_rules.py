"""The house rules that a linter does not know, as plain code: source in, complaints out."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef

_MACHINE_PATH = re.compile(r"(?<![\w.<{}$~/-])/(?:root|work|home/\w+|Users/\w+)/")
_LEFTOVER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
_SLEEPERS = frozenset({"time", "trio", "asyncio", "anyio"})


def long_file(source: str) -> Iterator[tuple[str, str]]:
    """Yield `("", complaint)` if the file is too long."""
    lines = source.count("\n")
    if lines > MAX_FILE_LINES:
        yield "", f"{lines} lines, more than {MAX_FILE_LINES}"


def long_functions(source: str) -> Iterator[tuple[str, str]]:
    """Yield `(qualified name, complaint)` for each function that is too long."""
    for name, function in _functions(ast.parse(source)):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield name, f"{name} has {lines} lines, more than {MAX_FUNCTION_LINES}"


def sleeps(source: str) -> Iterator[str]:
    """Calls that wait for a while instead of for a condition; `trio.sleep(0)` is only a turn."""
    tree = ast.parse(source)
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in _SLEEPERS
        for alias in node.names
        if alias.name == "sleep"
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        module, _, name = called.rpartition(".")
        is_sleep = name == "sleep" and module in _SLEEPERS
        if (is_sleep or called in bare) and ast.unparse(node)[len(called) :] != "(0)":
            yield f"line {node.lineno}: {ast.unparse(node)} (wait for a condition instead)"


def swallowed_errors(source: str) -> Iterator[str]:
    """Handlers that do nothing at all with what they caught."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and all(_is_nothing(child) for child in node.body):
            header = ast.unparse(node).splitlines()[0]
            yield f"line {node.lineno}: {header} swallows what it catches"


def missing_docstrings(source: str) -> Iterator[str]:
    """A module, or a public class, function or method at its top, that does not say what it is.

    The methods of a class with bases are left out: they may override what the base documents.
    """
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield "the module has no docstring"
    for name, node in _public(tree.body):
        if not ast.get_docstring(node):
            yield f"line {node.lineno}: {name} has no docstring"


def leftovers(source: str) -> Iterator[str]:
    """Comments that put work off."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and _LEFTOVER.search(token.string):
            yield f"line {token.start[0]}: {token.string}"


def machine_paths(text: str) -> Iterator[str]:
    """Absolute paths that exist on somebody's machine only."""
    for number, line in enumerate(text.splitlines(), start=1):
        if _MACHINE_PATH.search(line):
            yield f"line {number}: {line.strip()}"


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, Function | ast.ClassDef)
        name = f"{prefix}{node.name}" if named else prefix
        if isinstance(node, Function):
            yield name, node
        yield from _functions(node, f"{name}." if named else prefix)


def _public(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if any(_says_the_rest(decorator) for decorator in node.decorator_list):
            continue
        yield f"{owner}{node.name}", node
        if isinstance(node, ast.ClassDef) and not node.bases:
            yield from _public(node.body, f"{node.name}.")


def _says_the_rest(decorator: ast.expr) -> bool:
    """Overloads, overrides and setters are documented where the name is first defined."""
    name = ast.unparse(decorator)
    return name.split(".")[-1] in {"overload", "override", "setter", "deleter"}


def _is_nothing(node: ast.stmt) -> bool:
    is_dots = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass) or is_dots
