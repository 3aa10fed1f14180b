"""Which service units a host has, and where: from systemd itself on the host that it runs, else
from the directories that it reads."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bluegreen.health.listener import Listener
from bluegreen.health.sockets import tcp_listeners
from bluegreen.supervisors import cgroups
from bluegreen.survey.unit_file import UnitFiles

# The later ones are shadowed by the earlier ones (systemd.unit(5)).
DIRECTORIES = ("etc", "run", "usr/local/lib", "usr/lib")
SYSTEMD_LIMIT = 10.0  # seconds
_ASKED = ("Id", "FragmentPath", "DropInPaths", "ActiveState", "ControlGroup", "TriggeredBy")


@dataclass(frozen=True, kw_only=True)
class FoundUnit:
    """A unit, and what systemd says of it now; None of what it was not asked."""

    files: UnitFiles
    active: bool | None = None
    control_group: str = ""
    triggered_by: tuple[str, ...] = ()


def find_units(root: Path, unread: list[str]) -> list[FoundUnit]:
    """Every service unit under ``root``, by name. Blocking; needs no rights."""
    found = {unit.files.name: unit for unit in _in_directories(root)}
    if root == Path("/") and os.path.isdir("/run/systemd/system"):
        found |= {unit.files.name: unit for unit in _loaded(unread)}
    return [found[name] for name in sorted(found)]


def listening(unit: FoundUnit) -> list[Listener]:
    """The TCP sockets that the unit's processes listen on, as far as the kernel tells."""
    if not unit.active or not unit.control_group:
        return []
    groups = cgroups.identities(unit.control_group)
    return sorted(
        (found for found in tcp_listeners() if found.control_group in groups),
        key=lambda found: found.port or 0,
    )


def _loaded(unread: list[str]) -> Iterator[FoundUnit]:
    command = ["systemctl", "show", f"--property={','.join(_ASKED)}", "--", "*.service"]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SYSTEMD_LIMIT,
            check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        unread.append(f"systemd could not be asked for its units ({type(error).__name__})")
        return
    for block in asked.stdout.split("\n\n"):
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if not said.get("FragmentPath"):
            continue
        parts = (said["FragmentPath"], *said.get("DropInPaths", "").split())
        yield FoundUnit(
            files=UnitFiles(name=said["Id"], parts=tuple(Path(part) for part in parts)),
            active=said.get("ActiveState") in ("active", "reloading", "activating"),
            control_group=said.get("ControlGroup", ""),
            triggered_by=tuple(said.get("TriggeredBy", "").split()),
        )


def _in_directories(root: Path) -> Iterator[FoundUnit]:
    places = [root / directory / "systemd/system" for directory in DIRECTORIES]
    fragments: dict[str, Path] = {}
    for place in places:
        for file in sorted(place.glob("*.service")):
            # A link of another name is a second name of that unit.
            if os.path.isfile(file) and os.path.realpath(file).endswith(f"/{file.name}"):
                fragments.setdefault(file.name, file)
    names = {name for name in fragments if not name.endswith("@.service")}
    for place in places:
        names |= {link.name for link in place.glob("*.wants/*@?*.service")}
    for name in sorted(names):
        template = f"{name.partition('@')[0]}@.service" if "@" in name else name
        fragment = fragments.get(name) or fragments.get(template)
        if fragment is not None:
            yield FoundUnit(files=UnitFiles(name=name, parts=(fragment, *_drop_ins(name, places))))


def _drop_ins(name: str, places: list[Path]) -> list[Path]:
    """By their file names, whichever directory they are in; of one name the first is read."""
    template = f"{name.partition('@')[0]}@.service" if "@" in name else name
    found: dict[str, Path] = {}
    for directory in dict.fromkeys((f"{name}.d", f"{template}.d")):
        for place in places:
            for file in place.glob(f"{directory}/*.conf"):
                found.setdefault(file.name, file)
    return [found[file] for file in sorted(found)]
