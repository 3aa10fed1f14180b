"""The host's nginx configuration as a tree of directives, with its includes in their places."""

from __future__ import annotations

import fnmatch
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.survey.directory import read_text
from bluegreen.traffic.rendering import HEADER

CONFIGURATION = "etc/nginx"
MAIN = "nginx.conf"
DEEPEST_INCLUDE = 8
_Token = tuple[str, bool, int]
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<mark>[{};])|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<word>(?:\$\{[^}]*\}|\\.|[^\s{};])+)""",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Directive:
    """``line`` is counted from 1; ``block`` is None for one that ends with a semicolon."""

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    block: tuple[Directive, ...] | None = None

    def inside(self, name: str) -> Iterator[Directive]:
        """The directives of that name directly inside."""
        return (directive for directive in self.block or () if directive.name == name)


@dataclass
class _Reader:
    root: Path
    unread: list[str]
    includes: list[str] = field(default_factory=list)

    def file(self, path: Path, depth: int) -> list[Directive]:
        text = read_text(path, str(path), self.unread) or ""
        if text.startswith(HEADER):  # what serves an app of bluegreen's is not to be taken over
            return []
        try:
            return self._directives(deque(_tokens(text)), self._shown(path), depth)
        except ValueError as error:
            self.unread.append(f"{path}: not understood ({error})")
            return []

    def _directives(self, tokens: deque[_Token], file: str, depth: int) -> list[Directive]:
        """``tokens`` are used up to the end of this block."""
        found: list[Directive] = []
        words: list[tuple[str, int]] = []
        while tokens:
            text, is_mark, line = tokens.popleft()
            if not is_mark:
                words.append((text, line))
            elif text == "}":
                return found
            elif words:
                found += self._one(words, tokens if text == "{" else None, file, depth)
                words = []
        return found

    def _one(
        self,
        words: Sequence[tuple[str, int]],
        block: deque[_Token] | None,
        file: str,
        depth: int,
    ) -> list[Directive]:
        (name, line), *rest = words
        args = tuple(text for text, _ in rest)
        if name == "include" and args and block is None:
            self.includes.append(args[0])
            return self._included(args[0], depth)
        inside = None if block is None else tuple(self._directives(block, file, depth))
        return [Directive(name=name, args=args, file=file, line=line, block=inside)]

    def _included(self, pattern: str, depth: int) -> list[Directive]:
        if depth == DEEPEST_INCLUDE:
            return []
        inner = pattern.lstrip("/") if pattern.startswith("/") else f"{CONFIGURATION}/{pattern}"
        try:
            files = sorted(self.root.glob(inner))
        except ValueError as error:
            self.unread.append(f"include {pattern}: {error}")
            return []
        return [one for file in files for one in self.file(file, depth + 1)]

    def _shown(self, path: Path) -> str:
        return f"/{path.relative_to(self.root)}"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What an nginx of the host reads."""

    directives: tuple[Directive, ...]
    includes: tuple[str, ...]

    def has_included(self, path: str) -> bool:
        """Whether a file of that path would be read."""
        full = (i if i.startswith("/") else f"/{CONFIGURATION}/{i}" for i in self.includes)
        return any(fnmatch.fnmatch(path, pattern) for pattern in full)


def read_configuration(root: Path, unread: list[str]) -> Configuration:
    """The configuration under ``root``; an empty one where there is none. Blocking."""
    reader = _Reader(root, unread)
    directives = reader.file(root / CONFIGURATION / MAIN, 0)
    return Configuration(directives=tuple(directives), includes=tuple(reader.includes))


def _tokens(text: str) -> Iterator[_Token]:
    """Each with whether it is one of ``{ } ;``, and its line. Raises ValueError."""
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"line {line}: an open quote")
        for kind in ("mark", "double", "single", "word"):
            if (value := match[kind]) is not None:
                yield value, kind == "mark", line
        line += match[0].count("\n")
        position = match.end()
