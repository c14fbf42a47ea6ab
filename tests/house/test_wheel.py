"""What is built can be installed and used where nothing else of this project is."""

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PROGRAM = "import actorflow as af; print((af.nd.ones((2, 3)) + 1).asnumpy().sum())"
"""Six elements, each two: it prints 12.0."""


def run(*command, cwd):
    """The output of a command that must succeed, in an environment without this checkout."""
    outside = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=outside,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory):
    """The interpreter of an environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return python


def sources(folder):
    """The files of a source folder that belong to the project, relative to it."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_the_kernels_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {f"actorflow/{name}" for name in sources(ROOT / "actorflow")}
    kernels = {f"actorflow/kernels/{name}" for name in sources(ROOT / "kernels")}
    assert names == package | kernels
    assert "actorflow/py.typed" in names


def test_the_sdist_holds_what_it_takes_to_test_and_document(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"LICENSE", "Makefile", "README.md", "pyproject.toml", "tests/house/test_wheel.py"}
    assert needed <= names
    assert not {name for name in names if name.startswith((".venv", ".git/", "benchmarks/.peers"))}


def test_the_wheel_works_in_a_clean_environment(clean_python, tmp_path):
    assert run(clean_python, "-W", "error", "-c", PROGRAM, cwd=tmp_path) == "12.0"


def test_the_version_is_written_once(clean_python, tmp_path):
    ask = "import actorflow; print(actorflow.__version__)"
    assert run(clean_python, "-c", ask, cwd=tmp_path) == VERSION
