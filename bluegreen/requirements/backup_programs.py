"""What ``[backup]`` needs of this host: PostgreSQL's programs, its servers, and commands.

A backup is made, and put back, while requests wait: what is known to fail then is found before.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bluegreen.config.environment import backup_environment
from bluegreen.data.backups import Backups
from bluegreen.data.postgres_load import PSQL
from bluegreen.data.programs import Programs
from bluegreen.errors import BluegreenError, PreflightError
from bluegreen.log_tail import printable
from bluegreen.requirements.asked import Asker
from bluegreen.requirements.asking import Answer
from bluegreen.requirements.commands import stated_version

PROGRAMS = ("pg_dump", "pg_restore", "psql")

_CONNECT = "5"  # seconds for a server to accept a connection, unless the app says otherwise
_VERSION = ("--tuples-only", "--no-align", "--command=SHOW server_version_num")
_INSTALL = "install it (on Debian and Ubuntu: postgresql-client)"
# A first word that is neither a variable's nor a function's; where it may fail, nothing is said.
_FIRST = re.compile(r"\s*([\w.+/-]+)(?=[\s;|&<>]|$)")
_UNSURE = re.compile(r"\|\||PATH=")


def missing_programs(path: str) -> list[str]:
    """Those of `PROGRAMS` that are not on ``path``. Blocking, short."""
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


async def unmet_backup(backups: Backups, purpose: str, log: Path) -> list[PreflightError]:
    """What is wrong with the programs of ``[backup]``, asked as a backup would run them."""
    programs, backup = backups.programs, backups.settings.backup
    if backup is None or not (backup.postgres or backup.command):
        return []
    keys = ("command", "restore_command", "copy_command", "drop_command")
    scripts = {
        key: programs.expanded(text) for key in keys if (text := getattr(backup, key)) is not None
    }
    asked = _Questions(programs.settings.name, backup.postgres, scripts)
    try:
        asker = await asker_of(programs, purpose, log)
        answers = await asker.ask(asked.commands)
    except BluegreenError as error:
        return [PreflightError(error.message, detail=error.detail, remedy=error.remedy)]
    return [*asked.problems(answers, asker.environment.variables.get("PATH", ""))]


async def asker_of(programs: Programs, purpose: str, log: Path) -> Asker:
    """Who asks as a backup would. Raises ConfigError for what its environment comes from."""
    settings, layout = programs.settings, programs.layout
    environment = await asyncio.to_thread(
        backup_environment, settings, layout, programs.slot,
        version=programs.version, tree=programs.tree,
    )  # fmt: skip
    environment.variables.setdefault("PGCONNECT_TIMEOUT", _CONNECT)
    return Asker(
        app=settings.name, purpose=purpose, jobs=programs.jobs, environment=environment,
        cwd=await asyncio.to_thread(_directory, programs.tree, layout.trees), log=log,
    )  # fmt: skip


def _directory(tree: Path, otherwise: Path) -> Path:
    if tree.is_dir():
        return tree
    otherwise.mkdir(parents=True, exist_ok=True)
    return otherwise


class _Questions:
    """The commands that are asked, in their order, and what their answers mean."""

    def __init__(self, app: str, urls: Sequence[str], scripts: dict[str, str]) -> None:
        self._app, self._urls, self._scripts = app, urls, scripts
        self._programs = PROGRAMS if urls else ()
        first = {key: _FIRST.match(text) for key, text in scripts.items()}
        self._first = {
            key: found[1]
            for key, found in first.items()
            if found is not None and not _UNSURE.search(scripts[key])
        }

    @property
    def commands(self) -> list[tuple[str, ...]]:
        return [
            *((name, "--version") for name in self._programs),
            *((*PSQL, *_VERSION, f"--dbname={url}") for url in self._urls),
            *(("/bin/sh", "-n", "-c", text) for text in self._scripts.values()),
            *(("/bin/sh", "-c", 'command -v "$1"', "sh", word) for word in self._first.values()),
        ]

    def problems(self, answers: Sequence[Answer], path: str) -> Iterator[PreflightError]:
        rest = iter(answers)
        programs = {name: next(rest) for name in self._programs}
        servers = {url: next(rest) for url in self._urls}
        if missing := [name for name, answer in programs.items() if answer.path is None]:
            yield PreflightError(
                f"{self._app}: postgres of [backup] needs {', '.join(missing)}, not on the PATH",
                detail=[f"PATH={path}"],
                remedy=_INSTALL,
            )
        majors = {}
        for name, answer in programs.items():
            version = stated_version(answer.said) if answer.status == 0 else None
            if version is not None:
                majors[name] = version.major
            elif answer.path is not None:
                yield PreflightError(
                    f"{self._app}: postgres of [backup] needs {name}, and {answer.path} does not "
                    "say its version",
                    detail=_said(answer),
                    remedy=_INSTALL,
                )
        yield from self._apart(majors)
        if "psql" in majors:
            for url, answer in servers.items():
                yield from self._server(url, answer, majors.get("pg_dump"))
        yield from self._unfit_scripts(rest)

    def _apart(self, majors: dict[str, int]) -> Iterator[PreflightError]:
        made = majors.get("pg_dump", 0)
        for name, major in majors.items():
            if major < made:
                yield PreflightError(
                    f"{self._app}: {name} is of PostgreSQL {major}, and reads no dump of a pg_dump "
                    f"of {made}",
                    remedy=f"install that of {made} (on Debian and Ubuntu: "
                    f"postgresql-client-{made}), first on the PATH",
                )

    def _server(self, url: str, answer: Answer, dumps: int | None) -> Iterator[PreflightError]:
        if answer.status != 0 or not answer.said.isdigit():
            yield PreflightError(
                f"{self._app}: it cannot be backed up: the server of {url} does not answer",
                detail=_said(answer) or ["psql had no answer in time"],
                remedy=f'see that it runs, and lets the app in: psql "{url}"; or correct postgres '
                "of [backup], or PGPASSWORD in [env], of the app file",
            )
        elif dumps is not None and (major := int(answer.said) // 10_000) > dumps:
            yield PreflightError(
                f"{self._app}: it cannot be backed up: the server of {url} is of PostgreSQL "
                f"{major}, and pg_dump is of {dumps}, which refuses one that is newer",
                remedy=f"install that of {major} (on Debian and Ubuntu: postgresql-client-{major}),"
                " first on the PATH",
            )

    def _unfit_scripts(self, answers: Iterator[Answer]) -> Iterator[PreflightError]:
        well_formed = {key: next(answers) for key in self._scripts}
        found = {key: next(answers) for key in self._first}
        for key, answer in well_formed.items():
            if answer.status != 0:
                yield PreflightError(
                    f"{self._app}: {key} of [backup] is no command of a shell",
                    detail=_said(answer),
                    remedy=f"correct {key} in [backup] of the app file",
                )
            elif key in found and found[key].status != 0:
                word = self._first[key]
                yield PreflightError(
                    f"{self._app}: {key} of [backup] needs {word}, and there is no such command",
                    remedy=f"install {word}, or correct {key} in [backup] of the app file",
                )


def _said(answer: Answer) -> list[str]:
    return [printable(line) for line in answer.said.splitlines()[:3]]
