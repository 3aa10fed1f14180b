"""Taking bluegreen off a host. What it has set up for the apps serves on."""

from __future__ import annotations

import shutil
from pathlib import Path

from bluegreen.host.places import HostFiles
from bluegreen.installation import service, system_files
from bluegreen.installation.activation import Say
from bluegreen.installation.places import GATE_SOCKET, SERVICE, SOCKET, Program, SystemPlaces
from bluegreen.supervisors.unit_names import PREFIX

LEFT = (
    "left as they are: the app files in /etc/bluegreen, releases, data and the history in "
    "/var/lib/bluegreen, logs in /var/log/bluegreen, and the user bluegreen"
)


def remove(places: SystemPlaces, *, packaged: bool, say: Say) -> None:
    """Stop the daemon and remove its program and files; those that apps run with stay.

    May be repeated. Raises SupervisorError, OSError.
    """
    program = Program()
    if (places.units / SERVICE).exists():
        if service.is_booted():
            service.stop()
            service.stop_gate()
        service.run("systemctl", "disable", GATE_SOCKET, SOCKET, SERVICE)
    mine = [] if packaged else list(system_files.system_files(places))
    for path in system_files.write(dict.fromkeys([*mine, places.notify_reload])):
        say(f"removed {path}")
    if places.notify_reload.parent.is_dir() and not any(places.notify_reload.parent.iterdir()):
        places.notify_reload.parent.rmdir()
    if service.is_booted():
        service.run("systemctl", "daemon-reload")
    units = sorted(path.name for path in HostFiles(Path("/")).units.glob(f"{PREFIX}*@*.service"))
    if units:
        say(f"left as they are: {', '.join(units)}; {program.libexec}, which they are run with")
    remove_program(program, libexec=not units)
    say(f"removed {program.versions}")
    say(LEFT)


def remove_program(program: Program, *, libexec: bool) -> None:
    """What is left of it, if anything; of ``libexec`` all or nothing. Raises OSError."""
    if libexec and program.libexec.exists():
        shutil.rmtree(program.libexec)
    # The program that does this is in there; it is the last that goes but for its name. What says
    # that a version is whole goes first: killed from then on, the shell part does the rest.
    if program.versions.exists():
        for complete in program.versions.glob("*/complete"):
            complete.unlink()
        shutil.rmtree(program.versions)
    # A run that was killed while it replaced one of them has left a file under a name of its own.
    unfinished = program.base.glob(".*.tmp")
    links = ("bin", "current", "previous", "enabled", program.going_back.name)
    for path in (*unfinished, *(program.base / link for link in links)):
        path.unlink(missing_ok=True)
    if libexec:
        program.base.rmdir()
