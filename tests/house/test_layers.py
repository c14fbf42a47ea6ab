"""Imports in actorflow point down through its layers, and the test that says so can see."""

import ast
from pathlib import Path

import pytest

from tests.house._layers import Tree, violations

ROOT = Path(__file__).parents[2]

SOUND = {
    "__init__.py": "from actorflow.engine import Engine\nfrom actorflow.ndarray import NDArray\n",
    "errors.py": "class EngineError(Exception): ...\n",
    "random.py": "from actorflow.ndarray import uniform\n",
    "engine/__init__.py": "from actorflow.engine._engine import Engine\n",
    "engine/_access.py": "import attrs\n",
    "engine/_engine.py": (
        "from typing import TYPE_CHECKING\n"
        "import threading, trio\n"
        "from actorflow.engine import _access\n"
        "from actorflow import errors\n"
        "from ..errors import EngineError\n"
        "if TYPE_CHECKING:\n    from actorflow.engine._policy import Policy\n"
        "class Engine: ...\n"
    ),
    "engine/_policy.py": "from actorflow.engine._engine import Engine\nclass Policy: ...\n",
    "ndarray/__init__.py": (
        "import numpy.linalg\nfrom actorflow import ops\nfrom actorflow.engine import Engine\n"
        "class NDArray: ...\ndef uniform(): ...\n"
    ),
    "ops/__init__.py": "",
    "ops/dense.py": "import numpy as np\n",
}


def tree_of(folder: Path, changes: dict[str, str]) -> Tree:
    root = folder / "actorflow"
    for name, source in (SOUND | changes).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return Tree.read(root)


def test_actorflow_keeps_its_layers():
    found = violations(Tree.read(ROOT / "actorflow"))
    assert not found, "\n" + "\n".join(found)


def test_a_sound_tree_passes(tmp_path):
    assert violations(tree_of(tmp_path, {})) == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        pytest.param(
            "engine/_extra.py",
            "import attrs\nfrom actorflow.ndarray import NDArray\n",
            "actorflow/engine/_extra.py:2: engine imports ndarray, which is above it",
            id="up",
        ),
        pytest.param(
            "engine/_extra.py",
            "def later():\n    import actorflow.ndarray\n",
            "actorflow/engine/_extra.py:2: engine imports ndarray, which is above it",
            id="up-inside-a-function",
        ),
        pytest.param(
            "engine/_extra.py",
            "import typing\nif typing.TYPE_CHECKING:\n    from ..ndarray import NDArray\n",
            "actorflow/engine/_extra.py:3: engine imports ndarray, which is above it",
            id="up-for-types-and-relative",
        ),
        pytest.param(
            "engine/_extra.py",
            "import importlib\nimportlib.import_module('actorflow.ndarray')\n",
            "actorflow/engine/_extra.py:2: engine imports ndarray, which is above it",
            id="up-by-name",
        ),
        pytest.param(
            "engine/_extra.py",
            "from actorflow import ops\n",
            "actorflow/engine/_extra.py:1: engine imports ops, which is on the same line",
            id="sideways",
        ),
        pytest.param(
            "engine/_extra.py",
            "import actorflow as af\n",
            "actorflow/engine/_extra.py:1: engine imports from actorflow itself, which imports all",
            id="the-top",
        ),
        pytest.param(
            "engine/_extra.py",
            "from actorflow import Engine\n",
            "actorflow/engine/_extra.py:1: engine imports from actorflow itself, which imports all",
            id="a-name-of-the-top",
        ),
        pytest.param(
            "ndarray/_extra.py",
            "from actorflow.engine._access import Queue\n",
            "actorflow/ndarray/_extra.py:1: actorflow.engine._access.Queue is private to engine",
            id="private-module",
        ),
        pytest.param(
            "ndarray/_extra.py",
            "from actorflow.engine import _access\n",
            "actorflow/ndarray/_extra.py:1: actorflow.engine._access is private to engine",
            id="private-name",
        ),
        pytest.param(
            "random.py",
            "from actorflow.ndarray._random import uniform\n",
            "actorflow/random.py:1: actorflow.ndarray._random.uniform is private to ndarray",
            id="private-module-from-a-namespace",
        ),
        pytest.param(
            "ndarray/_extra.py",
            "import actorflow.random\n",
            "actorflow/ndarray/_extra.py:1: ndarray imports random, which is on the same line",
            id="its-own-namespace",
        ),
        pytest.param(
            "helpers.py",
            "",
            "actorflow/helpers has no layer: add it to LAYERS, or to NAMESPACES if it only gives "
            "another unit's names a second address (tests/house/_layers.py)",
            id="unknown-module",
        ),
        pytest.param(
            "ndarray/_extra.py",
            "import zmq.green\n",
            "actorflow/ndarray/_extra.py:1: ndarray may not import zmq",
            id="a-distribution-of-another-unit",
        ),
        pytest.param(
            "ndarray/_extra.py",
            "from pandas import DataFrame\n",
            "actorflow/ndarray/_extra.py:1: ndarray may not import pandas",
            id="an-unknown-distribution",
        ),
        pytest.param(
            "engine/_access.py",
            "from actorflow.engine import Engine\n",
            "import cycle: actorflow.engine -> actorflow.engine._engine -> actorflow.engine._access"
            " -> actorflow.engine",
            id="cycle",
        ),
    ],
)
def test_each_broken_rule_is_caught(tmp_path, path, source, complaint):
    assert violations(tree_of(tmp_path, {path: source})) == [complaint]


def test_examples_use_public_names_only():
    complaints = []
    for path in sorted((ROOT / "examples").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            complaints += [
                f"{path.name}:{node.lineno}: {name}"
                for name in names
                if name.split(".")[0] == "actorflow" and "._" in name
            ]
    assert complaints == []
