"""Every Python example in the README, the tutorial and the guides runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house._markdown import Block, blocks, links, program

ROOT = Path(__file__).parents[2]
RUN = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").glob("tutorial*.md"),
        *(ROOT / "docs").glob("tutorial/**/*.md"),
        *(ROOT / "docs").glob("guides/**/*.md"),
    ]
)
LANGUAGES = {"python", "console", "text", "toml"}  # `python` runs; `text` and `console` do not
SECONDS = 120

SAMPLE = """\
# A title with a [link](other.md#part), a [far one](https://example.org) and `code`

```python
x = 1
```

1. In a list:

   ```python
   def f():
       return x
   ```

````text
```python
nor this [link](nowhere.md)
```
````
"""


@pytest.mark.slow
@pytest.mark.parametrize("path", RUN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_run(path, tmp_path):
    script = tmp_path / f"{path.stem}.py"
    script.write_text(program(path.read_text(encoding="utf-8")), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"line numbers are those of {path.name}\n{ended.stdout}"


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_example_hides_behind_another_name(path):
    found = blocks(path.read_text(encoding="utf-8"))
    strange = [
        f"line {block.line}: {block.info}"
        for block in found
        if block.info not in LANGUAGES and not block.info.startswith("{")
    ]
    assert strange == []


def test_blocks_are_found():
    assert list(blocks(SAMPLE)) == [
        Block("python", "x = 1\n", 3),
        Block("python", "def f():\n    return x\n", 9),
        Block("text", "```python\nnor this [link](nowhere.md)\n```\n", 14),
    ]


def test_a_program_keeps_the_line_numbers():
    lines = program(SAMPLE).splitlines()
    assert lines[3] == "x = 1"
    assert lines[9:] == ["def f():", "    return x"]


def test_links_are_found():
    assert list(links(SAMPLE)) == ["other.md"]
