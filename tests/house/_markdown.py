"""What the documentation tests need to know of Markdown: fenced blocks and links."""

import re
import textwrap
from collections.abc import Iterator

import attrs

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^()\s]+)\)")


@attrs.frozen
class Block:
    """One fenced block."""

    info: str  # what stands behind the opening fence, such as `python`
    text: str
    line: int  # of the opening fence, from 1


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block of a Markdown text, in order."""
    opening: re.Match[str] | None = None
    start, inside = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FENCE.match(line)
        if opening is None:
            if match:
                opening, start, inside = match, number, []
        elif match and not match["info"].strip() and match["fence"].startswith(opening["fence"]):
            body = textwrap.dedent("\n".join(inside))
            yield Block(opening["info"].strip(), body + "\n" if body else "", start)
            opening = None
        else:
            inside.append(line)


def program(text: str) -> str:
    """The `python` blocks of a Markdown text as one program, each on the lines it has there."""
    lines: list[str] = []
    for block in blocks(text):
        if block.info == "python":
            lines += [""] * (block.line - len(lines))
            lines += block.text.splitlines()
    return "\n".join(lines) + "\n"


def links(text: str) -> Iterator[str]:
    """The local targets of the links outside fenced blocks, without their anchors."""
    fenced = {
        line
        for block in blocks(text)
        for line in range(block.line, block.line + block.text.count("\n") + 2)
    }
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _LINK.finditer("" if number in fenced else line):
            target = match["target"].partition("#")[0]
            if target and "://" not in target and not target.startswith("mailto:"):
                yield target
