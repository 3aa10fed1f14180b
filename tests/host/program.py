"""bluegreen as it is installed on a host, made once and laid below the disks of all hosts."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import site
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = Path("/opt/bluegreen")
PYTHON = "/usr/bin/python3"
LAUNCHERS = ("bluegreen-boot", "bluegreen-exec", "bluegreen-env", "bluegreen-job")
UNITS = (
    "bluegreen.service", "bluegreen.socket", "bluegreen-gate.service", "bluegreen-gate.socket",
)  # fmt: skip
_COMPILED = shutil.ignore_patterns("__pycache__")
_LOCKED = re.compile(r"^([\w.-]+)==", re.MULTILINE)
_COMMAND = f"""\
#!{PROGRAM}/bin/python
import sys
from bluegreen.cli import main
sys.exit(main())
"""


def lay_out(root: Path) -> None:
    """Put the program, its launchers and its units under ``root``, as an install does."""
    root.chmod(0o755)
    program = root / PROGRAM.relative_to("/")
    # One inside root's home could not be read by others.
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", program], check=True, timeout=60)
    (packages,) = (program / "lib").glob("python3*/site-packages")
    _copy(Path(_site_packages()), packages)
    _copy(CHECKOUT / "bluegreen", packages / "bluegreen")
    shipped = packages / "bluegreen/_shipped"
    _copy(CHECKOUT / "nginx", shipped / "nginx")
    _copy(CHECKOUT / "systemd", shipped / "systemd")
    _copy(CHECKOUT / "tests/apps/monitor", shipped / "demo/monitor")
    command = program / "bin/bluegreen"
    command.write_text(_COMMAND)
    command.chmod(0o755)
    libexec, units = program / "libexec", root / "etc/systemd/system"
    for directory, names in ((libexec, LAUNCHERS), (units, UNITS)):
        directory.mkdir(parents=True)
        for name in names:
            shutil.copyfile(CHECKOUT / "systemd" / name, directory / name)
            (directory / name).chmod(0o755 if directory == libexec else 0o644)
    # As an install does: neither the daemon nor an app may write there, and each would compile all
    # of it whenever it starts.
    compiled = [str(program / "bin/python"), "-m", "compileall", "-q", "-j", "0", str(packages)]
    subprocess.run(compiled, check=True, timeout=200)


def _site_packages() -> str:
    (found,) = [path for path in site.getsitepackages() if path.startswith(sys.prefix)]
    return found


def _copy(source: Path, target: Path) -> None:
    top, needed = str(source), _needed() if source.name == "site-packages" else None

    def ignore(directory: str, names: list[str]) -> set[str]:
        ignored = _COMPILED(directory, names)
        if needed is not None and directory == top:
            ignored |= set(names) - needed
        return ignored

    shutil.copytree(source, target, ignore=ignore, copy_function=_link, dirs_exist_ok=True)


def _needed() -> set[str]:
    """What an install puts into site-packages; the rest is for tests and checks of the program."""
    needed = set()
    for name in _LOCKED.findall((CHECKOUT / "deploy/requirements.lock").read_text()):
        with contextlib.suppress(PackageNotFoundError):  # it is for another system
            needed |= {file.parts[0] for file in distribution(name).files or ()}
    return needed


def _link(source: str, target: str) -> str:
    """A file is never changed in place on a host: its disk is laid over this one."""
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)
    return target
