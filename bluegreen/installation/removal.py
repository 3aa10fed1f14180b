"""Taking bluegreen off a host. What it has set up for the apps serves on."""

from __future__ import annotations

import shutil
from pathlib import Path

from bluegreen.host.places import HostFiles
from bluegreen.installation import service, system_files
from bluegreen.installation.activation import Say
from bluegreen.installation.places import SERVICE, SOCKET, Program, SystemPlaces
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
        # Both at once, lest a command start the daemon again in between.
        if service.is_booted():
            service.run("systemctl", "stop", SOCKET, SERVICE, timeout=service.RESTART)
        service.run("systemctl", "disable", SOCKET, SERVICE)
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
    else:
        shutil.rmtree(program.libexec)
    # The program that does this is in there; it is the last that goes but for its name.
    shutil.rmtree(program.versions)
    for link in ("bin", "current", "previous", "enabled"):
        (program.base / link).unlink(missing_ok=True)
    if not units:
        program.base.rmdir()
    say(f"removed {program.versions}")
    say(LEFT)
