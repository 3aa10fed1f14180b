"""The Debian package: made here, installed, upgraded and removed with apt on a host."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bluegreen import __version__
from tests.install.prepared import MADE, NEWER, SOURCE, Installed, Prepared, copy_checkout
from tests.production.test_guide import steps

# A package is made, and installed three times, while other tests run.
pytestmark = pytest.mark.timeout(900)
PACKAGE, NEWER_PACKAGE = "/srv/bluegreen.deb", "/srv/newer.deb"
# The same package as one of a newer version, which is made on the host already.
REPACK = f"""\
set -e
dpkg-deb --raw-extract {PACKAGE} /srv/repacked
sed -i 's/^Version: .*/Version: {NEWER}/' /srv/repacked/DEBIAN/control
printf '%s\\n' "$1" >/srv/repacked/usr/lib/bluegreen/version
dpkg-deb --root-owner-group -Znone --build /srv/repacked {NEWER_PACKAGE}
"""


# What the guide says: make it, install it; remove it.
MAKE, INSTALL, REMOVE = (step.text for step in steps() if step.section == "As a Debian package")


@pytest.fixture(scope="session")
def package(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this checkout."""
    checkout = tmp_path_factory.mktemp("package") / "checkout"
    copy_checkout(checkout)
    subprocess.run(
        ["sh", "-c", MAKE], check=True, timeout=600, capture_output=True, cwd=checkout,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)},
    )  # fmt: skip
    (made,) = (checkout / "dist").glob(f"bluegreen_{__version__}_*.deb")
    return made


async def apt(installed: Installed, *words: str, check: bool = True) -> str:
    said = await installed.host.run(
        "apt-get", "--yes", "--option=Dpkg::Use-Pty=0", *words, check=check, timeout=400,
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    return said.output


async def test_it_is_installed_upgraded_and_removed_with_apt(
    installed: Installed, prepared: Prepared, package: Path
) -> None:
    host = installed.host
    await asyncio.to_thread(shutil.copyfile, package, installed.path(PACKAGE))

    # Never two of them, one hiding the other.
    refused = await apt(installed, "install", PACKAGE, check=False)
    assert "sudo ./deploy/install --uninstall" in refused
    assert await installed.answering() == __version__
    await installed.run_installer("--uninstall")

    await host.run("sh", "-c", f"mkdir {SOURCE}/dist; ln {PACKAGE} {SOURCE}/dist/bluegreen_1_a.deb")
    said = await host.run("sh", "-c", f"cd {SOURCE}; {INSTALL}", timeout=400)
    assert "bluegreen.service is ready" in said.output
    assert await installed.answering() == __version__
    assert (await host.run("readlink", "/usr/bin/bluegreen")).output.startswith("/opt/bluegreen/")
    owned = (await host.run("dpkg", "--listfiles", "bluegreen")).output
    assert "/usr/lib/systemd/system/bluegreen.service" in owned
    assert await installed.unit("bluegreen.service", "UnitFileState") == "enabled"
    both = await installed.run_installer(check=False)
    assert (both.status, "as a Debian package (installed)" in both.output) == (1, True)

    await installed.serve_the_sample_app()
    await host.run("mv", f"{MADE}/{prepared.newer}", "/opt/bluegreen/versions/")
    await host.run("sh", "-c", REPACK, "repack", prepared.newer)
    async with installed.load() as load:
        await load.ready()
        assert "was restarted, and is ready" in await apt(installed, "install", NEWER_PACKAGE)
        assert await installed.answering() == NEWER
        removed = (await host.run("sh", "-c", REMOVE, timeout=400)).output
        assert await installed.served() == "v1"
        report = await load.stop()
    assert (report.failed, report.websockets_cut, report.downloads_broken) == (0, 0, 0)
    assert "left as they are: bluegreen-monitor-api@blue.service" in removed
    assert not installed.path("/usr/bin/bluegreen").is_symlink()
    assert not installed.path("/opt/bluegreen/versions").exists()


async def test_a_package_whose_daemon_does_not_come_up_goes_back(
    installed: Installed, prepared: Prepared, package: Path
) -> None:
    """dpkg calls it half-configured, and the daemon before it serves."""
    await asyncio.to_thread(shutil.copyfile, package, installed.path(PACKAGE))
    kept = f"/opt/bluegreen/versions/{prepared.newer}"
    await installed.host.run("cp", "-al", "/opt/bluegreen/versions", "/srv/kept")
    await installed.run_installer("--uninstall")
    await installed.host.run(
        "sh", "-c", "mkdir -p /opt/bluegreen && mv /srv/kept /opt/bluegreen/versions"
    )
    await apt(installed, "install", PACKAGE)
    await installed.have_newer_made(prepared)
    await installed.host.run(
        "sh", "-c", f"rm {kept}/lib/python3*/site-packages/bluegreen/daemon.py"
    )
    await installed.host.run("sh", "-c", REPACK, "repack", prepared.newer)
    said = await apt(installed, "install", NEWER_PACKAGE, check=False)

    assert f"version {__version__}, the previous one, serves again" in said
    assert "No module named 'bluegreen.daemon'" in said
    assert await installed.answering() == __version__
    beside = await installed.run_installer(check=False)
    assert (beside.status, "a Debian package (half-configured)" in beside.output) == (1, True)
