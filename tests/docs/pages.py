"""The pages of the documentation, taken apart: sections, tables, blocks, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
PAGES = (CHECKOUT / "README.md", *sorted(DOCS.glob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; ``line`` is where its text begins, from 1."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(CHECKOUT)}:{self.line}"


def read(name: str) -> str:
    return (DOCS / name).read_text()


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all pages in one of ``languages``."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in _BLOCK.finditer(text):
            if match[1] in languages:
                line = text.count("\n", 0, match.start(2)) + 1
                found.append(Block(page=page, line=line, language=match[1], text=match[2]))
    return found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", text)


def sections(text: str) -> dict[str, str]:
    """What is below each heading, until the next one of any level, by the heading's text."""
    plain = prose(text)
    headings = list(_HEADING.finditer(plain))
    ends = [heading.start() for heading in headings[1:]] + [len(plain)]
    return {
        heading[2]: plain[heading.end() : end] for heading, end in zip(headings, ends, strict=True)
    }


def rows(section: str) -> list[list[str]]:
    """The cells of every row of its tables, without the line under the header."""
    split = ([cell.strip() for cell in match[1].split(" | ")] for match in _ROW.finditer(section))
    return [cells for cells in split if not set(cells[0]) <= set("- ")]


def links(page: Path) -> Iterator[str]:
    """The targets of its links, but those that lead out of the repository."""
    for match in _LINK.finditer(prose(page.read_text())):
        if not match[1].startswith(("https://", "http://")):
            yield match[1]


def anchors(page: Path) -> set[str]:
    """The names under which its headings can be linked to, as GitHub makes them."""
    headings = (match[2].lower() for match in _HEADING.finditer(prose(page.read_text())))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def command_lines() -> Iterator[tuple[Block, str]]:
    """Every ``bluegreen …`` of the blocks that show a shell."""
    for block in blocks("console", "sh"):
        prompt = "$ " if block.language == "console" else ""
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.startswith(f"{prompt}bluegreen "):
                yield block, line.removeprefix(prompt)
