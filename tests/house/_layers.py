"""The layer rule as plain code: a package's files in, a list of broken rules out.

A module belongs to the *unit* below the package it lies in: `actorflow/engine/_worker.py` and
`actorflow/engine/__init__.py` to `engine`, `actorflow/errors.py` to `errors`.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split(" | "))
    for line in (
        "research | testing | cli",
        "training",
        "kvstore | io",
        "executor | operator | optimizer",
        "ndarray | symbol",
        "graph | device",
        "ops | engine | comm | recordio",
        "errors | settings",
    )
)
"""Top to bottom. A unit imports from lines below its own, never from its own line."""

NAMESPACES: Mapping[str, str] = {
    "context": "device",
    "nd": "ndarray",
    "random": "ndarray",
    "sym": "symbol",
    "kv": "kvstore",
    "model": "training",
    "mod": "training",
    "metric": "training",
    "callback": "training",
    "init": "training",
    "initializer": "training",
    "lr_scheduler": "optimizer",
    "viz": "symbol",
    "monitor": "training",
    "networks": "training",
    "rtc": "ndarray",
    "__main__": "cli",
}
"""Thin modules that only give a unit's names another address, and that unit."""

TYPE_ONLY = frozenset({("symbol", "executor"), ("symbol", "ndarray")})
"""Units whose types another one names in annotations although they are not below it.

`Symbol.bind` takes arrays and gives an executor: editors and type checkers are to know that.
"""

ANYWHERE = frozenset({"attrs", "numpy", "trio"})
"""Distributions that every unit may import."""

SOMEWHERE: Mapping[str, frozenset[str]] = {
    "cv2": frozenset({"recordio"}),
    "fsspec": frozenset({"recordio"}),
    "graphviz": frozenset({"symbol"}),
    "matplotlib": frozenset({"cli"}),
    "mlxtend": frozenset({"cli"}),
    "msgspec": frozenset({"comm"}),
    "pycuda": frozenset({"device"}),
    "rich": frozenset({"cli", "training"}),
    "sniffio": frozenset({"engine"}),
    "tensorboardX": frozenset({"training"}),
    "threadpoolctl": frozenset({"engine", "device", "ndarray"}),
    "zmq": frozenset({"comm"}),
}
"""Distributions that only the units named here may import."""


@attrs.frozen
class Import:
    """One module named by an import statement of another."""

    source: str  # dotted, with the package's own name first
    target: str  # dotted; for `from a.b import c` it is `a.b.c`
    where: str  # path:line
    at_load: bool  # False inside a function or under TYPE_CHECKING


@attrs.frozen
class Tree:
    """A package's modules and the imports between them."""

    package: str
    modules: frozenset[str]
    imports: tuple[Import, ...]

    @classmethod
    def read(cls, root: Path) -> "Tree":
        """Parse every Python file of the package in the folder `root`."""
        sources = {_module_name(path, root): path for path in sorted(root.rglob("*.py"))}
        modules = frozenset(sources)
        imports = []
        for module, path in sources.items():
            visitor = _Imports(module, path, root)
            visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
            imports += visitor.found
        return cls(package=root.name, modules=modules, imports=tuple(imports))

    def unit(self, module: str) -> str:
        """The unit of a dotted name; an empty string for the package itself."""
        return module.split(".")[1] if "." in module else ""

    def inner(self) -> Iterator[Import]:
        """The imports from one module of the package to another, or to the package."""
        for found in self.imports:
            if found.target.split(".")[0] == self.package:
                yield found


def violations(tree: Tree) -> list[str]:
    """Every broken rule, one line each, in the order of the files."""
    return [
        *_unknown_units(tree),
        *_wrong_directions(tree),
        *_private_imports(tree),
        *_foreign_imports(tree),
        *_cycles(tree),
    ]


def _unknown_units(tree: Tree) -> Iterator[str]:
    for unit in sorted({tree.unit(module) for module in tree.modules} - {""}):
        if _level(unit) is None:
            yield (
                f"{tree.package}/{unit} has no layer: add it to LAYERS, or to NAMESPACES if it "
                "only gives another unit's names a second address (tests/house/_layers.py)"
            )


def _wrong_directions(tree: Tree) -> Iterator[str]:
    for found in tree.inner():
        source, target = tree.unit(found.source), tree.unit(found.target)
        if found.source == tree.package or source == target:
            continue  # the package itself sees all, a unit sees itself
        if target == "" or not _is_unit(tree, target):
            yield f"{found.where}: {source} imports from {tree.package} itself, which imports all"
            continue
        if not found.at_load and (source, target) in TYPE_ONLY:
            continue
        ours, theirs = _level(source), _level(target)
        if ours is None or theirs is None or NAMESPACES.get(source) == target:
            continue
        if ours == theirs:
            yield f"{found.where}: {source} imports {target}, which is on the same line"
        elif ours < theirs:
            yield f"{found.where}: {source} imports {target}, which is above it"


def _private_imports(tree: Tree) -> Iterator[str]:
    for found in tree.inner():
        if found.source == tree.package or tree.unit(found.source) == tree.unit(found.target):
            continue
        private = [part for part in found.target.split(".")[1:] if _is_private(part)]
        if private:
            yield f"{found.where}: {found.target} is private to {tree.unit(found.target)}"


def _foreign_imports(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        name = found.target.split(".")[0]
        if name == tree.package or name in sys.stdlib_module_names or name in ANYWHERE:
            continue
        unit = tree.unit(found.source)
        if unit not in SOMEWHERE.get(name, ()):
            yield f"{found.where}: {unit or tree.package} may not import {name}"


def _cycles(tree: Tree) -> Iterator[str]:
    """Modules that need each other to load; within a unit, since the layers forbid the rest."""
    needs: dict[str, set[str]] = {module: set() for module in tree.modules}
    for found in tree.inner():
        target = _module_of(tree, found.target)
        same_unit = tree.unit(found.source) == tree.unit(target)
        if found.at_load and same_unit and target != found.source:
            needs[found.source].add(target)
    done: set[str] = set()
    for start in sorted(needs):
        yield from _cycles_from(start, needs, done, path=[])


def _cycles_from(
    module: str, needs: Mapping[str, set[str]], done: set[str], path: list[str]
) -> Iterator[str]:
    if module in path:
        yield "import cycle: " + " -> ".join([*path[path.index(module) :], module])
    elif module not in done:
        for target in sorted(needs[module]):
            yield from _cycles_from(target, needs, done, [*path, module])
        done.add(module)


def _level(unit: str) -> int | None:
    """How high a unit stands, from 0 for the lowest line; None if it has no layer."""
    home = NAMESPACES.get(unit, unit)
    return next((level for level, line in enumerate(reversed(LAYERS)) if home in line), None)


def _is_unit(tree: Tree, name: str) -> bool:
    return any(tree.unit(module) == name for module in tree.modules)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _module_of(tree: Tree, target: str) -> str:
    """The longest part of a dotted name that is a module: `a.b.c` may be a name in `a.b`."""
    while target not in tree.modules and "." in target:
        target = target.rpartition(".")[0]
    return target


def _module_name(path: Path, root: Path) -> str:
    parts = [root.name, *path.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class _Imports(ast.NodeVisitor):
    """Collects the imports of one module, those by `import_module` with a literal name included."""

    def __init__(self, module: str, path: Path, root: Path) -> None:
        self.module = module
        self.path = path.relative_to(root.parent).as_posix()
        self.parent = module if path.name == "__init__.py" else module.rpartition(".")[0]
        self.found: list[Import] = []
        self._at_load = True

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self.parent.split(".")
            above = parents[: len(parents) - node.level + 1]
            base = ".".join([*above, base]) if base else ".".join(above)
        for alias in node.names:
            self._add(base if alias.name == "*" else f"{base}.{alias.name}", node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        first = node.args[0] if node.args else None
        if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
            name = str(first.value)
            self._add(self.parent + name if name.startswith(".") else name, node.lineno)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_later(node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_later(node.body)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            self._visit_later(node.body)
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def _visit_later(self, body: list[ast.stmt]) -> None:
        outer, self._at_load = self._at_load, False
        for child in body:
            self.visit(child)
        self._at_load = outer

    def _add(self, target: str, line: int) -> None:
        where = f"{self.path}:{line}"
        self.found.append(Import(self.module, target, where, at_load=self._at_load))
