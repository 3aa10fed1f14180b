"""What is wrong with a configuration, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.places import Place
from bluegreen.errors import ConfigError
from bluegreen.words import counted


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong at a place of a file. The texts have no full stop."""

    place: Place
    wrong: str
    right: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A finding as an operator reads it. ``line`` counts from 1; None: the file as a whole."""

    file: Path
    line: int | None
    key: str  # "services.api.ports.green"; empty where the text is not TOML at all
    wrong: str
    right: str

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        key = f" {self.key}:" if self.key else ""
        return f"{self.file}{line}:{key} {self.wrong}. {self.right}."


class InvalidConfiguration(ConfigError):  # noqa: N818 - the name says what it is
    """One or more files cannot be used; ``problems`` holds everything that is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        files = sorted({problem.file.name for problem in self.problems})
        count = counted(len(self.problems), "problem")
        named = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        super().__init__(
            f"the configuration cannot be used: {count} in {named}",
            detail=[str(problem) for problem in self.problems],
            remedy="Correct what is listed, then run `bluegreen check`.",
        )
