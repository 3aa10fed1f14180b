"""What a release needs of its host is looked at before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.stack import Stack
from tests.visits import served_version

UNMET = """
[requires]
commands = { python3 = ">=99", no-such-command = ">=1" }
sqlite = ">=99"
free_disk = "900000GiB"
memory = "900000GiB"
env = ["NOBODY_SETS_IT"]
upgrade_from = ">=5"
"""
MET = """
[requires]
commands = { python3 = ">=3.8", git = ">=2" }
sqlite = ">=3.7"
free_disk = "1MiB"
memory = "1MiB"
env = ["MONITOR_SLOT", "JWT_SECRET"]
upgrade_from = ">=1"
"""


def write(stack: Stack, extra: str, **options: Any) -> Path:
    return stack.write_app(services=("api",), extra=extra, **options)


async def slots(stack: Stack) -> Any:
    """Both slots without what changes by itself, and who runs in them."""
    status = await stack.status()
    kept = ("state", "version", "commit", "operation")
    held = {name: {key: slot.get(key) for key in kept} for name, slot in status["slots"].items()}
    return held, stack.marker(), sorted(member.pid for member in stack.live_processes())


async def test_all_that_is_missing_is_told_at_once_and_no_slot_is_touched(empty: Stack) -> None:
    write(empty, "")
    await empty.serve()
    await empty.deploy("v1")
    await empty.deploy("v2")
    write(empty, UNMET)
    await empty.reload()
    before = await slots(empty)
    answer = await empty.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert "7 things keep v1 from being released" in answer.err
    for said in (
        "python3 >=99 is required, and /",
        "no-such-command >=1 is required, and is not on the PATH",
        "SQLite >=99 is required, and that of python3 (",
        "921600000 MiB are to stay free",
        "921600000.0 MiB of memory are required",
        "the variable NOBODY_SETS_IT is required, and no service gets it",
        "an upgrade is from >=5, and v2 serves, which is not",
    ):
        assert said in answer.err, answer.err
    assert answer.err.count("   remedy: ") == 7
    assert "preflight failed" in answer.out
    assert "fetch" not in answer.out
    assert await slots(empty) == before
    assert await served_version(empty) == "v2"
    newest, *_ = await empty.operations()
    logs = await empty.cli("logs", "monitor", str(newest["id"]))
    assert all(line.strip() in logs.out for line in answer.err.splitlines()[1:-1]), logs.out


async def test_a_host_that_has_it_all_gets_the_release(empty: Stack) -> None:
    secret = empty.root / "jwt"
    secret.write_text("hunter2-hunter2\n")
    path = write(empty, MET)
    text = path.read_text()
    path.write_text(text.replace("[env]\n", f'[env]\nJWT_SECRET = {{ file = "{secret}" }}\n'))
    await empty.serve()
    await empty.deploy("v1")
    await empty.deploy("v2")
    newest, *_ = await empty.operations()
    asked = await empty.cli("logs", "monitor", str(newest["id"]), "--phase", "preflight")
    assert "git version" in asked.out
    restarted = await empty.cli("restart", "monitor")
    assert restarted.status == 0, restarted.err


async def test_a_secret_that_is_empty_is_told_by_its_name(empty: Stack) -> None:
    secret = empty.root / "jwt"
    secret.write_text("\n")
    path = write(empty, '[requires]\nenv = ["JWT_SECRET"]\n')
    text = path.read_text()
    path.write_text(text.replace("[env]\n", f'[env]\nJWT_SECRET = {{ file = "{secret}" }}\n'))
    await empty.serve()
    answer = await empty.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert "the variable JWT_SECRET is required, and is empty" in answer.err
    assert answer.err.splitlines()[-1].endswith(f"then: bluegreen --root {empty.root} reload")
    secret.write_text("hunter2\n")
    await empty.deploy("v1")


async def test_commands_are_looked_for_on_the_path_that_builds_get(empty: Stack) -> None:
    tool = empty.root / "bin/frobnicate"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "frobnicate 4.2 (${SECRET:-no secret})"\n')
    tool.chmod(0o755)
    (empty.root / "secret").write_text("hunter2-hunter2\n")
    path = write(empty, '[requires]\ncommands = { frobnicate = ">=4.3" }\n')
    text = path.read_text()
    variables = f'PATH = "{tool.parent}:/usr/bin:/bin"\nSECRET = {{ file = "{empty.root}/secret" }}'
    path.write_text(text.replace("[env]\n", f"[env]\n{variables}\n"))
    await empty.serve()
    answer = await empty.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert f"frobnicate >=4.3 is required, and {tool} is 4.2" in answer.err
    tool.write_text("#!/bin/sh\necho no idea; exit 3\n")
    answer = await empty.cli("deploy", "monitor", "v1")
    assert "--version ended with 3" in answer.err
    assert "no idea" in answer.err
    logs = list(empty.layout.app("monitor").logs.rglob("preflight-commands.log"))
    assert "no secret" in logs[0].read_text() + logs[1].read_text()
