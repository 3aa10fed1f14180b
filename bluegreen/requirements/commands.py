"""Versions of the commands that builds and services will find, and of SQLite."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from packaging.version import Version

from bluegreen.config.environment import ProcessEnvironment, tool_environment
from bluegreen.config.version_numbers import fits, version_number
from bluegreen.errors import BluegreenError, PreflightError
from bluegreen.log_tail import printable
from bluegreen.requirements.asked import Asker
from bluegreen.requirements.asking import Answer
from bluegreen.requirements.candidate import Candidate

_LIBRARY = ("python3", "-c", "import sqlite3; print(sqlite3.sqlite_version)")
_SHELL = ("sqlite3", "--version")
# In "Python 3.14.0rc2", "v18.19.0", "gcc (Debian 12.2.0-14) 12.2.0", "go1.21.5", "less 590".
_NUMBERS = (
    re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+(?:[-.]?(?:alpha|beta|dev|pre|rc|a|b)[-.]?\d+)?)"),
    re.compile(r"(?<![\d.])(\d+(?:\.\d+)+)"),
    re.compile(r"\b(\d+)\b"),
)


def stated_version(said: str) -> Version | None:
    """The version in what a command says of itself; None where there is none."""
    for pattern in _NUMBERS:
        if match := pattern.search(said):
            return version_number(match[1])
    return None


async def unmet_commands(candidate: Candidate) -> list[PreflightError]:
    """What is wrong with ``commands`` and ``sqlite`` of ``[requires]``, on this host.

    They are asked as the app's user, where apps have users of their own, and without any secret.
    """
    wanted = candidate.settings.requires
    commands: list[Sequence[str]] = [(name, "--version") for name in wanted.commands]
    if wanted.sqlite is not None:
        commands += [_LIBRARY, _SHELL]
    if not commands:
        return []
    environment = await asyncio.to_thread(
        tool_environment, candidate.settings, candidate.layout, candidate.slot,
        version=candidate.version, tree=candidate.tree,
    )  # fmt: skip
    try:
        answers = await _ask(candidate, commands, environment)
    except BluegreenError as error:
        return [PreflightError(error.message, detail=error.detail, remedy=error.remedy)]
    path = environment["PATH"]
    unmet = [
        _command(candidate, name, specifiers, answer, path)
        for (name, specifiers), answer in zip(wanted.commands.items(), answers, strict=False)
    ]
    if wanted.sqlite is not None:
        unmet.append(_sqlite(candidate, wanted.sqlite, answers[-2], answers[-1]))
    return [error for error in unmet if error is not None]


async def _ask(
    candidate: Candidate, commands: Sequence[Sequence[str]], environment: dict[str, str]
) -> list[Answer]:
    await asyncio.to_thread(candidate.layout.trees.mkdir, parents=True, exist_ok=True)
    asker = Asker(
        app=candidate.app, purpose=f"{candidate.operation}-commands", jobs=candidate.jobs,
        environment=ProcessEnvironment(variables=environment),
        cwd=candidate.layout.trees, log=candidate.logs / "preflight-commands.log",
    )  # fmt: skip
    return await asker.ask(commands)


def _command(
    candidate: Candidate, name: str, specifiers: str, answer: Answer, path: str
) -> PreflightError | None:
    remedy = f"install {name} {specifiers}, or correct requires.commands.{name} in the app file"
    if answer.path is None:
        return PreflightError(
            f"{candidate.app}: {name} {specifiers} is required, and is not on the PATH",
            detail=[f"PATH={path}"],
            remedy=remedy,
        )
    version = stated_version(answer.said) if answer.status == 0 else None
    if version is None:
        return PreflightError(
            f"{candidate.app}: {name} {specifiers} is required, and what {answer.path} is cannot "
            f"be told: {_ending(answer)}",
            detail=[printable(line) for line in answer.said.splitlines()[:1]],
            remedy=f"see what it says: {answer.path} --version; it has to print its version",
        )
    if fits(specifiers, version):
        return None
    return PreflightError(
        f"{candidate.app}: {name} {specifiers} is required, and {answer.path} is {version}",
        remedy=remedy,
    )


def _ending(answer: Answer) -> str:
    if answer.status is None:
        return "--version did not end in time"
    return f"--version ended with {answer.status}" if answer.status else "it names no version"


def _sqlite(
    candidate: Candidate, specifiers: str, library: Answer, shell: Answer
) -> PreflightError | None:
    """Of python3's library; where there is none, of the command sqlite3."""
    whose, answer = ("python3", library) if library.status == 0 else ("sqlite3", shell)
    version = stated_version(answer.said) if answer.status == 0 else None
    if version is not None and fits(specifiers, version):
        return None
    found = (
        "neither python3 with its module sqlite3 nor the command sqlite3 says what is here"
        if version is None
        else f"that of {whose} ({answer.path}) is {version}"
    )
    return PreflightError(
        f"{candidate.app}: SQLite {specifiers} is required, and {found}",
        remedy=f"install a newer one for {whose}, or correct requires.sqlite in the app file",
    )
