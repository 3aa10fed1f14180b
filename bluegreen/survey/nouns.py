"""What a survey of a directory finds. Paths are relative to that directory, with ``/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Found:
    """Something that was seen, and what was made of it."""

    where: str
    what: str


@dataclass(frozen=True, kw_only=True)
class FoundBuild:
    """Commands for ``/bin/sh`` at the top of the tree, each only if the one before succeeded."""

    name: str
    commands: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FoundService:
    """A process kind, in the terms of the app file: its texts may hold placeholders."""

    name: str
    command: str
    where: str  # the file it was read from
    serves: bool = True  # has traffic; False: a worker
    socket: bool = False  # listens on a unix socket instead of a port
    port: int | None = None  # the one it has today
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()  # variables whose values were left where they are
    env_file: str | None = None  # absolute, or relative when it lies in the directory
    stop_timeout: str | None = None
    replaces: str | None = None  # where it answers today, as the app file writes it
    runs: bool = False  # systemd says that it runs now
    limits: Mapping[str, str] = field(default_factory=dict)  # values as TOML
    outside: tuple[str, ...] = ()  # what it names, or may write, outside the directory
    answered: str | None = None  # a path that it has answered with 200
    part: str = ""  # the part of the directory it belongs to
    script: str | None = None  # its own source, where that is plain
    health: tuple[str, str] | None = None  # a path that looks like a health check, and its file
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Part:
    """A Python or Node project: the directory itself (``""``) or one directly inside it."""

    path: str
    kind: str  # "python" or "node"
    build: FoundBuild
    service: FoundService | None  # what would probably start it
    found: tuple[Found, ...]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where releases could come from. ``git`` is None where there is no usable repository."""

    git: str | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FoundRoute:
    """What nginx sends to a service today."""

    path: str
    service: str
    websocket: bool
    timeout: str | None  # as the app file writes it


@dataclass(frozen=True, kw_only=True)
class FoundSite:
    """What an administrator's nginx does for the app today.

    ``edits`` are lines: where it is, and what is to stand there instead.
    """

    files: tuple[str, ...]
    mode: str  # "snippet" or "upstream": which way it can be kept
    why: str  # that mode
    routes: tuple[FoundRoute, ...]
    edits: tuple[str, ...]
    max_body: str | None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All that is known of the directory."""

    origin: Origin
    user: str | None
    shared: tuple[str, ...]
    uploads: tuple[str, ...]  # directories that may have to be shared too
    builds: tuple[FoundBuild, ...]
    services: tuple[FoundService, ...]
    units: tuple[str, ...]  # the systemd units that run it today
    site: FoundSite | None
    found: tuple[Found, ...]
    remarks: tuple[str, ...]
