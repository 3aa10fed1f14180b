"""What a release needs is looked for as the app's user, who alone may have it."""

from __future__ import annotations

from typing import Any

from tests.production.production import APP, Production

TOOL = "/usr/local/bin/only-for-the-app"
SECRET = "/etc/bluegreen/secrets/jwt"
API = f"bluegreen-{APP}-api@blue.service"
RULES = """
[[upgrade]]
to = ">=1"
env = { AUDIT_DAYS = "90 days", AUDIT_DIR = "{shared_dir}/audit", MONITOR_SLOT = "nowhere" }
"""


def write(production: Production, *required: str, version: str = ">=2") -> None:
    """The app file: the tool, and a secret that nobody but root may read, are required."""
    names = ", ".join(f'"{name}"' for name in required)
    requires = f'[requires]\ncommands = {{ only-for-the-app = "{version}" }}\nenv = [{names}]\n'
    production.write_app(services=("api",), extra=requires + RULES)
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text().replace("[env]\n", f'[env]\nJWT = {{ file = "{SECRET}" }}\n', 1)
    file.write_text(text)


async def environment(production: Production) -> dict[str, Any]:
    said = await production.host.run(
        "cat", f"/proc/{await production.unit(API, 'MainPID')}/environ"
    )
    return dict(entry.split("=", 1) for entry in said.output.split("\0") if "=" in entry)


async def test_commands_are_asked_as_the_apps_user_and_defaults_reach_its_units(
    bare: Production,
) -> None:
    await bare.set_up(services=("api",))
    bare.path(TOOL).write_text('#!/bin/sh\necho "tool 2.1 of $(id -un)"\n')
    await bare.host.run("chown", APP, TOOL)
    await bare.host.run("chmod", "0700", TOOL)
    secret = bare.path(SECRET)
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text("hunter2\n")
    secret.chmod(0o600)

    write(bare, "JWT", "NOBODY_SETS_IT", version=">=3")
    await bare.bluegreen("apply")
    refused = (await bare.deploy("v1", check=False)).output
    assert "2 things keep v1 from being released" in refused
    assert f"only-for-the-app >=3 is required, and {TOOL} is 2.1" in refused
    assert "NOBODY_SETS_IT is required, and no service gets it" in refused
    assert "then: sudo bluegreen apply" in refused
    assert "JWT" not in refused
    planned = await bare.bluegreen("plan", APP, "v1", check=False)
    assert f"1. {APP}: only-for-the-app >=3 is required, and {TOOL} is 2.1" in planned.output
    assert f"2. {APP}: the variable NOBODY_SETS_IT is required" in planned.output
    logs = await bare.bluegreen("logs", APP, "1", "--phase", "preflight")
    assert f"tool 2.1 of {APP}" in logs.output

    write(bare, "JWT")
    await bare.bluegreen("apply")
    planned = await bare.bluegreen("plan", APP, "v1")
    assert f"Next: bluegreen deploy {APP} v1" in planned.output
    released = await bare.deploy("v1")
    assert 'new variable AUDIT_DAYS = "90 days": its default' in released.output
    found = await environment(bare)
    assert found["AUDIT_DAYS"] == "90 days"
    assert found["AUDIT_DIR"] == f"/var/lib/bluegreen/apps/{APP}/shared/audit"
    assert (found["MONITOR_SLOT"], found["JWT"]) == ("blue", "hunter2")
    assert await bare.served() == "v1"
