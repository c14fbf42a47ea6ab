"""Links lead somewhere, and changelog fragments can be gathered."""

import tomllib
from pathlib import Path

from tests.house._markdown import links

ROOT = Path(__file__).parents[2]
FRAGMENTS = ROOT / "docs/changelog.d"


def pages():
    top = sorted(ROOT.glob("*.md"))
    return [*top, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "kernels").rglob("*.md"))]


def test_every_link_leads_to_a_file():
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in pages()
        if "_build" not in path.parts
        for target in links(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_every_changelog_fragment_has_a_type_and_a_text():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    types = {kind["directory"] for kind in settings["towncrier"]["type"]}
    wrong = []
    for path in sorted(FRAGMENTS.iterdir()):
        if path.name.startswith("."):
            continue
        name, _, rest = path.name.partition(".")
        is_named = name.removeprefix("+") != "" and (name.isdecimal() or name.startswith("+"))
        kind, _, suffix = rest.partition(".")
        if not (is_named and kind in types and suffix == "md" and path.read_text().strip()):
            wrong.append(path.name)
    assert wrong == []
