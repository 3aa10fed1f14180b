"""Secrets of an app on a host in production: who may look at them, and when one is not there."""

from __future__ import annotations

import re

import pytest_asyncio

from tests.host.program import PROGRAM
from tests.production.production import APP, Production

FILE = f"/etc/bluegreen/apps/{APP}.toml"
SECRET = "/etc/bluegreen/secrets/key"
MISSING = f"env.KEY ({SECRET} is not there)"


@pytest_asyncio.fixture
async def secret(bare: Production) -> Production:
    """The app has a secret, which is there."""
    await bare.set_up(services=("api",), watch="0.3s")
    file, secret = bare.path(FILE), bare.path(SECRET)
    secret.parent.mkdir(mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text("hunter2\n")
    file.write_text(file.read_text().replace("[env]\n", f'[env]\nKEY = {{ file = "{SECRET}" }}\n'))
    return bare


async def test_a_deploy_without_its_secret_names_it_and_what_to_do(secret: Production) -> None:
    await secret.bluegreen("apply")
    await secret.deploy("v1")
    secret.path(SECRET).unlink()
    # What an app is built with is given to its builds as well.
    for service in ("a build", "a service"):
        refused = await secret.deploy("v2", check=False)
        assert refused.status == 1
        assert f"a secret cannot be given to it (243/CREDENTIALS): {MISSING}" in refused.output
        assert f"Next: put the secret into {SECRET}, for root alone to read" in refused.output
        assert await secret.served() == "v1"
        if service == "a build":
            await _leave_out_the_build(secret)
    secret.path(SECRET).write_text("hunter2\n")
    assert (await secret.deploy("v2")).status == 0
    log = await secret.host.run("journalctl", "-u", "bluegreen.service", "-o", "cat", "--no-pager")
    assert "Traceback" not in log.output


async def _leave_out_the_build(production: Production) -> None:
    file = production.path(FILE)
    text = re.sub(r"\[\[build\]\].*?(?=\[services)", "", file.read_text(), flags=re.DOTALL)
    file.write_text(text)
    await production.bluegreen("apply")


async def test_who_is_not_root_is_told_what_was_not_looked_at(secret: Production) -> None:
    check = (f"{PROGRAM}/bin/bluegreen", "check")
    assert (await secret.bluegreen("check")).output == "1 file checked: all is well\n"
    said = await secret.host.run(*check, user="nobody")
    assert said.output.splitlines() == [
        f"not looked at, as only root may: {SECRET}, what is in the way of apply on this host; "
        "sudo bluegreen check",
        "1 file checked: well written",
    ]
    file = secret.path(FILE)
    file.write_text(file.read_text().replace(f'user = "{APP}"', 'user = "nobody-there"'))
    said = await secret.host.run(*check, user="nobody", check=False)
    assert said.status == 2
    assert 'this host has no user "nobody-there"' in said.output
