"""The parts of the production guide that install, upgrade and remove, from their page."""

from __future__ import annotations

from bluegreen import __version__
from tests.install.prepared import (
    INSTALL_SECONDS,
    NEWER,
    NEWER_SOURCE,
    OFFLINE,
    SOURCE,
    Installed,
    Prepared,
)
from tests.production.test_guide import steps


async def follow(installed: Installed, section: str, source: str = SOURCE) -> str:
    """Do what ``section`` says, as root in a checkout; what it said."""
    commands = [step.text for step in steps() if step.section == section]
    assert commands, f"the guide has no section {section}"
    said = [
        await installed.host.run(
            "sh", "-c", f"cd {source} && {command}", env=OFFLINE, timeout=INSTALL_SECONDS
        )
        for command in commands
    ]
    return "".join(one.output for one in said)


async def test_it_installs_upgrades_and_takes_off(installed: Installed, prepared: Prepared) -> None:
    said = await follow(installed, "Install")
    assert "everything is in place" in said
    assert "active (running)" in said
    assert await installed.answering() == __version__

    await installed.have_newer_made(prepared)
    await follow(installed, "A newer bluegreen", NEWER_SOURCE)
    assert await installed.answering() == NEWER

    await follow(installed, "Taking bluegreen off", NEWER_SOURCE)
    assert not installed.path("/opt/bluegreen").exists()
