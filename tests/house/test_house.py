"""The house rules: sizes, tests that wait for conditions, no swallowed errors, docstrings."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.house import _rules

ROOT = Path(__file__).parents[2]
CODE = ("actorflow", "benchmarks", "docs", "examples", "tests")
TEXT = {".c", ".cfg", ".cu", ".h", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}
TOP = (".ci/find-python", ".ci/run", "Makefile")

EXCEPTIONS: dict[str, str] = {
    "actorflow/engine/threaded.py::ThreadedEngine.push": "the hot path: each call would cost",
    "actorflow/engine/ledger.py::Ledger.end": "the hot path: each call would cost",
}
"""`path` or `path::Class.function` that may be too long, and why.

Each is also in the catalogue at the end of docs/contributing.md.
"""


def files(*folders: str, suffixes: Iterable[str] = (".py",)) -> list[Path]:
    """This project's own files; folders with a leading dot hold what tools made."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            inner = path.relative_to(ROOT).parts
            hidden = any(part.startswith((".", "_build")) for part in inner)
            if path.suffix in suffixes and path.is_file() and not hidden:
                found.append(path)
    return found


def complaints(paths: Iterable[Path], rule: Callable[[str], Iterable[str]]) -> list[str]:
    return [
        f"{path.relative_to(ROOT).as_posix()}: {complaint}"
        for path in paths
        for complaint in rule(path.read_text(encoding="utf-8"))
    ]


def none(found: Iterable[str]) -> None:
    """Fail with every complaint, not just the first."""
    lines = list(found)
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def too_long() -> dict[str, str]:
    """Every file and function over the limits, by the name that EXCEPTIONS would give it."""
    found = {}
    for path in files(*CODE):
        source = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        for inner, complaint in [*_rules.long_file(source), *_rules.long_functions(source)]:
            found[f"{name}::{inner}" if inner else name] = f"{name}: {complaint}"
    return found


def test_files_and_functions_stay_short():
    none(text for name, text in too_long().items() if name not in EXCEPTIONS)


def test_exceptions_are_still_needed_and_in_the_catalogue():
    assert sorted(EXCEPTIONS) == sorted(EXCEPTIONS.keys() & too_long().keys())
    catalogue = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    assert [name for name in EXCEPTIONS if f"`{name}`" not in catalogue] == []


def test_tests_wait_for_conditions():
    none(complaints(files("tests"), _rules.sleeps))


def test_no_error_is_swallowed():
    none(complaints(files("actorflow"), _rules.swallowed_errors))


def test_what_is_public_says_what_it_is():
    none(complaints(files("actorflow"), _rules.missing_docstrings))


def test_no_comment_puts_work_off():
    none(complaints(files(*CODE), _rules.leftovers))


def test_no_file_names_a_machine():
    top = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT]
    texts = [*files(*CODE, "kernels", suffixes=TEXT), *top, *(ROOT / name for name in TOP)]
    none(complaints([path for path in texts if path.exists()], _rules.machine_paths))


# The rules themselves: each sees what it is there to see, and nothing else.

LONG_FUNCTION = "class A:\n  def f(self):\n" + "    x = 1\n" * 60
ANY_LINE = "x = 1\n"


@pytest.mark.parametrize(
    ("rule", "source", "expected"),
    [
        pytest.param(_rules.long_file, ANY_LINE * 600, [], id="file-fits"),
        pytest.param(
            _rules.long_file, ANY_LINE * 601, [("", "601 lines, more than 600")], id="file-long"
        ),
        pytest.param(_rules.long_functions, LONG_FUNCTION[:-10], [], id="function-fits"),
        pytest.param(
            _rules.long_functions,
            LONG_FUNCTION,
            [("A.f", "A.f has 61 lines, more than 60")],
            id="function-long",
        ),
        pytest.param(_rules.sleeps, "trio.sleep(0)\nclock.sleep(3)\nsleep(2)\n", [], id="no-sleep"),
        pytest.param(
            _rules.sleeps,
            "from time import sleep as nap\nnap(1)\ntime.sleep(0.1)\nasyncio.sleep(delay=1)\n",
            [
                "line 2: nap(1) (wait for a condition instead)",
                "line 3: time.sleep(0.1) (wait for a condition instead)",
                "line 4: asyncio.sleep(delay=1) (wait for a condition instead)",
            ],
            id="sleeps",
        ),
        pytest.param(
            _rules.swallowed_errors,
            "try:\n  f()\nexcept KeyError:\n  x = 0\n",
            [],
            id="error-handled",
        ),
        pytest.param(
            _rules.swallowed_errors,
            "try:\n  f()\nexcept (KeyError, ValueError) as e:\n  pass\n",
            ["line 3: except (KeyError, ValueError) as e: swallows what it catches"],
            id="error-swallowed",
        ),
        pytest.param(
            _rules.missing_docstrings,
            '"""M."""\nclass A:\n  "A."\n  def _p(self): ...\n  @A.x.setter\n  def x(self): ...\n',
            [],
            id="documented",
        ),
        pytest.param(
            _rules.missing_docstrings,
            "class A:\n  def f(self): ...\n"
            "class C(A):\n  'C.'\n  def f(self): ...\n"
            "async def g(): ...\n"
            "class _B:\n  def h(self): ...\n",
            [
                "the module has no docstring",
                "line 1: A has no docstring",
                "line 2: A.f has no docstring",
                "line 6: g has no docstring",
            ],
            id="undocumented",
        ),
        pytest.param(_rules.missing_docstrings, "", [], id="empty-module"),
        pytest.param(_rules.leftovers, "s = '# TODO'\n# todos are a noun\n", [], id="no-leftover"),
        pytest.param(
            _rules.leftovers, "x = 1  # FIXME later\n", ["line 1: # FIXME later"], id="leftover"
        ),
        pytest.param(
            _rules.machine_paths,
            "https://example.org/work/a ./work/a $HOME/work/b /usr/bin/env\n",
            [],
            id="no-machine",
        ),
        pytest.param(
            _rules.machine_paths,
            "open('/home/" + "ann/x')\n",
            ["line 1: open('/home/" + "ann/x')"],
            id="machine",
        ),
    ],
)
def test_each_rule_sees_what_it_should(rule, source, expected):
    assert list(rule(source)) == expected
