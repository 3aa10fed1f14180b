"""What the tests install from: wheels, checkouts, and the disk of a host on which it was done."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bluegreen.demo.versions import make_repository
from tests.host.lab import Host, Said
from tests.host.program import PROGRAM
from tests.production.production import APP, REPOSITORY, Production

CHECKOUT = Path(__file__).resolve().parents[2]
NEWER = "0.99.0"  # the version of the other checkout
# Where both checkouts and the wheels are on a host.
SOURCE, NEWER_SOURCE, WHEELS = "/srv/bluegreen", "/srv/newer", "/srv/wheels"
# A host has no network but its own: pip takes all from there.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
INSTALL_SECONDS = 600.0
_NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "dist"
)

# Makes a whole version that does not count yet, as deploy/install does before it activates one.
MAKE_VERSION = """\
set -euo pipefail
checkout=$1
. "$checkout/deploy/lib/host.sh"
. "$checkout/deploy/lib/program.sh"
python=$(find_system_python)
name=$(name_of_version "$python")
begin_version "$python" "$name"
collect_wheels "$versions/$name"
finish_version "$name" "$versions/$name/wheels"
mkdir "$2"
mv -- "$versions/$name" "$2/"
printf '%s' "$name"
"""
# Where the newer version waits for a test that does not want to wait until it is made.
MADE = "/srv/made"
# The sample app's own Python: bluegreen's goes when bluegreen goes.
APP_PYTHON = "/srv/python"
_APP_PYTHON = f"""\
#!/bin/sh
PYTHONPATH={APP_PYTHON}-packages exec /usr/bin/python3 "$@"
"""
_ASK_VERSION = (
    "from bluegreen.cli.client import Client; print(Client('/').get('/healthz')['version'])"
)


def download(directory: Path, environment: Path) -> None:
    """Everything that the lock files name for the system's Python, as pip would fetch it."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", environment], check=True, timeout=120)
    pip = [str(environment / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    locks = CHECKOUT / "deploy"
    tools = environment / "tools"
    for words, lock in (
        (["download", "--only-binary=:all:", "--dest", str(directory)], "requirements-build.lock"),
        (["install", "--no-index", "--find-links", str(directory), "--target", str(tools)],
         "requirements-build.lock"),
        (["download", "--no-build-isolation", "--dest", str(directory)], "requirements.lock"),
    ):  # fmt: skip
        subprocess.run(
            [*pip, *words, "--require-hashes", "-r", str(locks / lock)],
            env={**os.environ, "PYTHONPATH": str(tools)}, check=True, timeout=300,
        )  # fmt: skip


def copy_checkout(target: Path, version: str | None = None) -> None:
    """The files of this checkout, as a checkout of ``version``."""
    shutil.copytree(CHECKOUT, target, ignore=_NOT_SOURCE)
    if version is not None:
        file = target / "bluegreen/__init__.py"
        file.write_text(re.sub(r'(__version__ = )".*"', rf'\1"{version}"', file.read_text()))


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A disk on which bluegreen is installed, and what a newer one needs is made."""

    disk: Path
    said: str  # by the installation
    newer: str  # the name of the newer version


class Installed(Production):
    """A host on which ``deploy/install`` has run, and what an administrator does there."""

    async def run_installer(self, *options: str, source: str = SOURCE, check: bool = True) -> Said:
        return await self.host.run(
            f"{source}/deploy/install", *options, env=OFFLINE, timeout=INSTALL_SECONDS, check=check
        )

    async def have_newer_made(self, prepared: Prepared) -> None:
        """The newer version is whole already, and does not count yet."""
        await self.host.run("mv", f"{MADE}/{prepared.newer}", f"{PROGRAM}/versions/")

    async def command(self, *words: str, check: bool = True) -> Said:
        """``bluegreen`` as it is found on the PATH."""
        return await self.host.run("bluegreen", *words, check=check)

    def write_app(self, **options: Any) -> None:
        super().write_app(**options)
        file = self.path(f"/etc/bluegreen/apps/{APP}.toml")
        file.write_text(file.read_text().replace(f"{PROGRAM}/bin/python", APP_PYTHON))

    async def serve_the_sample_app(self, **options: Any) -> None:
        """The app ``monitor``, with its version v1 in service."""
        await self.host.run("useradd", "--system", "--user-group", APP)
        repository = self.path(REPOSITORY)
        repository.parent.mkdir(parents=True)
        make_repository(repository)
        await self.host.run("chown", "-R", "bluegreen:", REPOSITORY)
        self.path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
        await self.host.run("systemctl", "enable", "--now", "nginx.service")
        self.write_app(**options)
        await self.command("apply")
        await self.command("reload")
        await self.command("deploy", APP, "v1")

    async def seen(self) -> Any:
        """What the daemon says of the app."""
        (found,) = (await self.status())["apps"]
        return found

    async def answering(self) -> str:
        """The version of the daemon that answers."""
        said = await self.host.run(f"{PROGRAM}/current/bin/python", "-I", "-c", _ASK_VERSION)
        return said.output.strip()

    async def main_pid(self) -> str:
        return await self.unit("bluegreen.service", "MainPID")


async def prepare(host: Host, wheels: Path) -> tuple[str, str]:
    """Install this checkout on ``host``, and make a version of a newer one beside it.

    Returns what the installation said, and the name of the newer version.
    """
    shutil.copytree(wheels, host.root / WHEELS.lstrip("/"))
    copy_checkout(host.root / SOURCE.lstrip("/"))
    copy_checkout(host.root / NEWER_SOURCE.lstrip("/"), NEWER)
    await host.boot()
    said = await Installed(host).run_installer()
    made = await host.run(
        "bash", "-c", MAKE_VERSION, "make", NEWER_SOURCE, MADE, env=OFFLINE, timeout=INSTALL_SECONDS
    )
    await host.run(
        "sh", "-c", f"cp -r {PROGRAM}/current/lib/python3*/site-packages {APP_PYTHON}-packages"
    )
    (host.root / APP_PYTHON.lstrip("/")).write_text(_APP_PYTHON)
    await host.run("chmod", "755", APP_PYTHON)
    await host.shut_down()
    return said.output, made.output.splitlines()[-1]
