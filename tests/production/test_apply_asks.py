"""What would take something that runs out of service, ``apply`` does not begin."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bluegreen.model import Slot, UnitKey
from bluegreen.supervisors.unit_names import service_unit
from tests.host import lab
from tests.production.production import APP, Production

pytestmark = pytest.mark.asyncio(loop_scope="module")
MAILER = UnitKey(app=APP, slot=Slot.GREEN, service="mailer")
FILE = f"/etc/bluegreen/apps/{APP}.toml"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def production(program: Path) -> AsyncIterator[Production]:
    """v2 serves, and v1 is hot."""
    async with lab.host(over=program) as built:
        made = Production(built)
        await made.set_up(services=("api",), watch="0.3s")
        await made.deploy("v1")
        await made.deploy("v2")
        yield made


def _renamed(text: str) -> str:
    return re.sub(r'(?<=services\.)api|(?<=ports\.)api|(?<=")api(?=")', "main", text)


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda _: "", f"{APP} runs, and is gone"),
        (lambda text: text.replace("9002", "9300"), "listens on 127.0.0.1:9002, not on"),
        (lambda text: text.replace("9001", "9300"), "listens on 127.0.0.1:9001, not on"),
        (_renamed, f"api of {APP} runs, and is gone"),
    ],
)
async def test_what_runs_is_left_alone(
    production: Production, change: Callable[[str], str], wrong: str, dry: bool
) -> None:
    file = production.path(FILE)
    text, before = file.read_text(), await _everything(production)
    try:
        if changed := change(text):
            file.write_text(changed)
        else:
            file.unlink()
        said = await production.bluegreen("apply", *["--dry-run"] * dry, check=False)
        assert said.status == 2, said.output
        assert wrong in said.output
        assert await _everything(production) == before
        assert await production.served() == "v2"
    finally:
        file.write_text(text)
    assert (await production.bluegreen("apply")).output.splitlines()[0] == "nothing to do"


async def test_an_app_that_was_stopped_runs_nothing_and_may_go(production: Production) -> None:
    with production.path(FILE).open("a") as file:
        file.write('[services.mailer]\ncommand = "/bin/sleep 900"\nexclusive = true\n')
    await production.bluegreen("apply")
    base, mailer = f"/var/lib/bluegreen/apps/{APP}", service_unit(MAILER)
    closed = production.path(f"{base}/traffic/special/closed")
    wanted = production.path(f"{base}/wanted/green")
    runs_with = wanted.read_text()
    await production.bluegreen("stop", APP)
    # Also where a boot would start it: what else its unit asks for is there. Without the daemon,
    # which would bring up an app that it sees open.
    await production.host.run("systemctl", "stop", "bluegreen.service")
    wanted.write_text(runs_with)
    assert production.path(f"{base}/traffic/green").exists()
    await production.host.run("systemctl", "start", mailer)
    assert await production.unit(mailer, "ConditionResult") == "no"
    closed.unlink()
    await production.host.run("systemctl", "start", mailer)
    assert await production.unit(mailer, "ConditionResult") == "yes"
    await production.host.run("systemctl", "stop", mailer)
    closed.touch()
    wanted.unlink()
    await production.host.run("systemctl", "start", "bluegreen.service")

    production.path(FILE).unlink()
    said = await production.bluegreen("apply")
    assert f"removed {APP}" in said.output
    found = await production.host.run("sh", "-c", "ls /etc/systemd/system/bluegreen-*", check=False)
    assert "bluegreen-monitor" not in found.output


async def _everything(production: Production) -> str:
    """Root's files, and which units run."""
    said = await production.host.run(
        "sh", "-c",
        "cat /etc/systemd/system/bluegreen-* /etc/nginx/bluegreen/*/*.conf;"
        "systemctl list-units --plain --no-legend 'bluegreen-*'",
    )  # fmt: skip
    return said.output
