"""The programs in `examples/`, as modules and as commands."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"

installed = all(importlib.util.find_spec(name) for name in ("mlxtend", "rich", "sklearn"))
needs_extra = pytest.mark.skipif(not installed, reason="the extra `examples` is not installed")


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A program as a module, which finds the other programs."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name: str, *arguments: str) -> list[str]:
    """The lines that a program prints; it must print no errors."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, FOLDER / f"{name}.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()
