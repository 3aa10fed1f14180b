"""The files by which the system finds bluegreen: command, units, user, completion, manual."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from bluegreen import __version__
from bluegreen.cli.parser import parser
from bluegreen.cli.reference import completion
from bluegreen.cli.reference.grammar import grammar
from bluegreen.cli.reference.manual import manual
from bluegreen.errors import RefusedError
from bluegreen.files import write_atomically
from bluegreen.host.changes import Change, Content, Link, read
from bluegreen.host.changes import write as write_changes
from bluegreen.installation.places import LAUNCHERS, UNITS, Program, SystemPlaces
from bluegreen.resources import systemd_templates

LAUNCHER_MODE = 0o755


def system_files(places: SystemPlaces) -> dict[Path, Content]:
    """Those that are the same on every host: what a package contains."""
    commands = parser()
    program = grammar(commands)
    shipped = systemd_templates()
    return {
        places.command: Link(str(Program().bin / "bluegreen")),
        **{places.units / unit: (shipped / unit).read_text() for unit in UNITS},
        places.sysusers: (shipped / "bluegreen.sysusers").read_text(),
        places.tmpfiles: (shipped / "bluegreen.tmpfiles").read_text(),
        places.manual: manual(program, version=__version__, epilog=commands.epilog or ""),
        places.completions["bash"]: completion.bash(program),
        places.completions["zsh"]: completion.zsh(program),
        places.completions["fish"]: completion.fish(program),
    }


def write(wanted: Mapping[Path, Content | None]) -> list[Path]:
    """Write those that differ, each as a whole; None removes one. Returns which.

    Raises RefusedError for a command of that name that is not ours, OSError.
    """
    changes = [
        Change(path=path, before=before, after=after)
        for path, after in wanted.items()
        if (before := read(path)) != after
    ]
    for change in changes:
        if isinstance(change.after, Link) and not isinstance(change.before, Link | None):
            raise RefusedError(
                f"{change.path} is in the way: bluegreen did not write it",
                remedy="move it elsewhere, then install again; nothing was changed",
            )
    write_changes(changes, [])
    return [change.path for change in changes]


def write_launchers(program: Program) -> list[Path]:
    """Write the launchers that differ, root's and for everybody to run. Returns which."""
    program.libexec.mkdir(mode=0o755, exist_ok=True)
    written = []
    for name in LAUNCHERS:
        path, content = program.libexec / name, (systemd_templates() / name).read_bytes()
        if not _is(path, content):
            write_atomically(path, content, mode=LAUNCHER_MODE)
            written.append(path)
    return written


def _is(path: Path, content: bytes) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    right = (stat.S_IFREG | LAUNCHER_MODE, 0, 0)
    is_right = (found.st_mode, found.st_uid, found.st_gid) == right
    return is_right and path.read_bytes() == content


def stage(directory: Path, places: SystemPlaces) -> None:
    """Write the files of a package below ``directory``."""
    os.umask(0o022)
    wanted = system_files(places)
    write({directory / path.relative_to("/"): content for path, content in wanted.items()})
