"""The sample app's versions, good and broken, as trees and as a git repository.

A version is the sample app (``bluegreen.resources.sample_app``) with another VERSION, another list
of FEATURES and, where it is to misbehave, a FAULT: one word, which the app reads. Where it has
migrations, MIGRATIONS names them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import NotFoundError, SourceError
from bluegreen.resources import sample_app

GIT_TIMEOUT = 30.0  # seconds
MAIN = "v2"  # the version on the branch ``main``
FIRST_COMMIT_AT = 1_767_225_600  # Unix seconds: 2026-01-01, so that commits are the same everywhere
AUTHOR = "Server Monitor <monitor@example.org>"
# What belongs to the app, and not to a run of it by hand in the same directory.
FILES = ("VERSION", "FEATURES", "README.md", ".gitignore", "frontend/*", "monitor/*.py")

FAULTS: Mapping[str, str] = {
    "unhealthy": "every health endpoint answers 503",
    "build-fails": "the build step ends with status 1",
    "crashes": "the api, or MONITOR_CRASH_SERVICE, exits after 10 seconds, or MONITOR_CRASH_AFTER",
    "error-page": "/api/health answers 200 with an HTML error page",
    "ignores-sigterm": "the api never ends on SIGTERM",
    "port-held": "the api goes on without listening when a stranger holds its port",
    "own-port": "/login redirects to http://localhost:PORT/ of its own process",
    "ws-closes": "/ws/monitoring closes with 1011 right after the handshake",
    "hard-coded-port": "the api listens on MONITOR_HARD_PORT instead of API_PORT",
    "slow-stop": "the api takes four seconds to end",
    "build-fails-late": "the build step fails after a minute, or MONITOR_BUILD_SECONDS",
    "hungry-build": "the build step needs 1.2 GB of memory",
    "single-threaded": "the api answers one connection at a time",
    "rate-limited": "/api/health answers 429 after 99 calls a minute, or MONITOR_RATE_LIMIT",
    "rewrites-title": "the api changes its process name to one with parentheses",
}


_ADDITIVE = ("0001_audit_logs", "0002_notes")
# By version: what its migrations are like, and their names, which are steps of monitor.migrations.
MIGRATIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "audit": ("a table is added", _ADDITIVE[:1]),
    "notes": ("a table and a column are added", _ADDITIVE),
    "unhealthy": ("the same, and the release does not pass its gate", _ADDITIVE),
    "halfway": ("the second one fails after half of it", ("0001_audit_logs", "0003_halfway")),
    "fatal": ("it prints [FATAL] and ends with status 0", ("0001_audit_logs", "0004_fatal")),
    "slow": ("it takes three seconds, or MONITOR_MIGRATION_SECONDS", ("0005_slow",)),
    "rename": ("a column is renamed, which the old version cannot live with", ("0006_rename",)),
    "delete": ("rows are deleted, with no way back", ("0007_delete",)),
    "syntax": ("it is no SQL", ("0008_syntax",)),
    "required": (
        "every row needs a new column, so that the old version reads and cannot write",
        ("0010_required",),
    ),
    "silent": ("it ends with status 0 and does nothing", ("0009_silent",)),
}


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of the sample app. ``name`` is its git tag and the content of VERSION."""

    name: str
    summary: str
    features: str = ""  # added to FEATURES, a line each
    fault: str | None = None
    migrations: tuple[str, ...] = ()  # a line each in MIGRATIONS

    @property
    def is_on_main(self) -> bool:
        return self.fault is None and not self.migrations


_V2_FEATURES = "Who added a server\n"
VERSIONS: Mapping[str, Version] = {
    version.name: version
    for version in (
        Version(name="v1", summary="good"),
        Version(name="v2", summary="better: says who added a server", features=_V2_FEATURES),
        *(
            Version(name=f"v3-{fault}", summary=what, features=_V2_FEATURES, fault=fault)
            for fault, what in FAULTS.items()
        ),
        *(
            Version(
                name=f"v4-{name}",
                summary=f"migrations: {what}",
                features=_V2_FEATURES,
                fault="unhealthy" if name == "unhealthy" else None,
                migrations=steps,
            )
            for name, (what, steps) in MIGRATIONS.items()
        ),
    )
}


def version_files(name: str) -> dict[str, bytes]:
    """The files of a version by their path in the tree. Raises NotFoundError."""
    version = VERSIONS.get(name)
    if version is None:
        raise NotFoundError(
            f"The sample app has no version {name!r}", remedy=f"Use one of {', '.join(VERSIONS)}."
        )
    tree = sample_app()
    found = sorted(path for pattern in FILES for path in tree.glob(pattern))
    files = {path.relative_to(tree).as_posix(): path.read_bytes() for path in found}
    files["VERSION"] = f"{version.name}\n".encode()
    files["FEATURES"] += version.features.encode()
    if version.fault is not None:
        files["FAULT"] = f"{version.fault}\n".encode()
    if version.migrations:
        files["MIGRATIONS"] = "".join(f"{step}\n" for step in version.migrations).encode()
    return files


def write_version(name: str, directory: Path) -> None:
    """Fill ``directory``, created if missing, with the tree of a version. Raises NotFoundError."""
    for path, content in version_files(name).items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _commit(version: Version, *, ref: str, mark: int, parent: int | None) -> bytes:
    lines = [
        f"commit {ref}\nmark :{mark}\ncommitter {AUTHOR} {FIRST_COMMIT_AT + mark * 3600} +0000\n",
        _data(f"{version.name}: {version.summary}\n".encode()).decode(),
        f"from :{parent}\n" if parent is not None else "",
        "deleteall\n",
    ]
    files = (
        b"M 100644 inline %s\n%s" % (path.encode(), _data(content))
        for path, content in version_files(version.name).items()
    )
    return "".join(lines).encode() + b"".join(files)


def _annotated_tag(version: Version, mark: int) -> bytes:
    at = FIRST_COMMIT_AT + mark * 3600
    text = f"tag {version.name}\nfrom :{mark}\ntagger {AUTHOR} {at} +0000\n"
    return text.encode() + _data(f"Release {version.name}\n".encode())


def _fast_import_stream() -> bytes:
    """The repository in the format of ``git fast-import``, which answers with every commit."""
    parts: list[bytes] = []
    marks: dict[str, int] = {}
    for mark, version in enumerate(VERSIONS.values(), start=1):
        apart = not version.is_on_main
        ref = f"refs/tags/{version.name}" if apart else "refs/heads/main"
        parent = marks[MAIN] if apart else mark - 1 or None
        parts.append(_commit(version, ref=ref, mark=mark, parent=parent))
        if not apart:
            parts.append(_annotated_tag(version, mark))
        marks[version.name] = mark
    parts += [b"get-mark :%d\n" % mark for mark in marks.values()]
    return b"".join(parts)


def _git(arguments: Sequence[str], stream: bytes = b"") -> str:
    # Neither the caller's configuration nor, in a git hook, the caller's repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    remedy = "Install git, and give a directory that can be written and does not exist yet."
    try:
        done = subprocess.run(
            ["git", *arguments],
            input=stream, capture_output=True, env=environment, timeout=GIT_TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"git {arguments[0]} could not run: {error}", remedy=remedy) from error
    if done.returncode != 0:
        detail = done.stderr.decode(errors="replace").splitlines()[-5:]
        raise SourceError(f"git {arguments[0]} failed", remedy=remedy, detail=detail)
    return done.stdout.decode()


def make_repository(directory: Path) -> dict[str, str]:
    """Make a bare git repository of all versions; returns the commit of each, by its name.

    Every version is a tag (``v1`` and ``v2`` annotated, all others lightweight), and the
    branch ``main`` is at ``v2``. The commits are the same wherever and whenever it is made.
    Blocks while git runs. Raises SourceError when ``directory`` is not empty or git fails.
    """
    directory = directory.absolute()
    if directory.is_dir() and any(directory.iterdir()):
        raise SourceError(
            f"{directory} is not empty", remedy="Give a directory that does not exist yet."
        )
    _git(
        ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", f"{directory}"]
    )
    answer = _git([f"--git-dir={directory}", "fast-import", "--quiet"], _fast_import_stream())
    return dict(zip(VERSIONS, answer.split(), strict=True))


def main(arguments: Sequence[str]) -> int:
    """``python -m bluegreen.demo.versions DIR``: make the repository and list what is in it."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m bluegreen.demo.versions DIR", file=sys.stderr)
        return 2
    try:
        commits = make_repository(Path(arguments[0]))
    except SourceError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return error.exit_status
    for name, commit in commits.items():
        print(f"{commit[:10]}  {name:20}  {VERSIONS[name].summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
