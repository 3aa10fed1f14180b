"""What an upgrade brings is acknowledged, shown, and given its defaults."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.operations.test_requirements import write
from tests.stack import Stack
from tests.visits import served_version
from tests.waiting import eventually

BREAKING = "the table audit_logs is new"
RULES = f"""
[[upgrade]]
to = ">=2"
from = "<2"
breaking = "{BREAKING}"
env = {{ AUDIT_DAYS = "90", AUDIT_TOKEN = "sesame-sesame", MONITOR_SLOT = "nowhere" }}

[[upgrade]]
to = ">=4"
from = "<3"
via = "v3"
"""


def environment(stack: Stack, version: str) -> dict[str, str]:
    """What the service of that version runs with."""
    for member in stack.live_processes():
        try:
            text = Path(f"/proc/{member.pid}/environ").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):  # one that ends as we look
            continue
        found = dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
        if found.get("BLUEGREEN_VERSION") == version and "API_PORT" in found:
            return found
    raise AssertionError(f"no process of {version}")


async def test_what_breaks_waits_for_an_acknowledgement_which_is_kept(empty: Stack) -> None:
    write(empty, RULES)
    await empty.serve()
    await empty.deploy("v1")
    assert "AUDIT_DAYS" not in environment(empty, "v1")

    refused = await empty.cli("deploy", "monitor", "v2")
    assert refused.status == 1
    assert BREAKING in refused.err
    assert refused.err.splitlines()[-1].endswith(f"bluegreen deploy monitor v2 --ack '{BREAKING}'")
    assert "fetch" not in refused.out
    assert await served_version(empty) == "v1"

    given = await empty.cli("deploy", "monitor", "v2", "--ack", BREAKING, "--ack", "else")
    assert given.status == 0, given.err
    assert f"upgrade rule from <2 to >=2: {BREAKING} (acknowledged by uid " in given.out
    assert 'new variable AUDIT_DAYS = "90": its default' in given.out
    assert "new variable AUDIT_TOKEN = ***" in given.out
    assert "new variable MONITOR_SLOT: set by the app file" in given.out
    assert '--ack "else": nothing in this deploy asks for that' in given.out
    found = environment(empty, "v2")
    assert (found["AUDIT_DAYS"], found["MONITOR_SLOT"]) == ("90", empty.marker())
    assert found["AUDIT_TOKEN"] == "sesame-sesame"
    history = await empty.cli("history", "monitor", "--limit", "1")
    assert f"acknowledged: {BREAKING}" in history.out

    # From here on nobody is asked again: back, forth, and the same once more.
    for words in (["restart"], ["rollback", "--to", "v1"], ["rollback", "--to", "v2"]):
        command, *options = words
        answer = await empty.cli(command, "monitor", *options)
        assert answer.status == 0, answer.err
    assert environment(empty, "v2")["AUDIT_DAYS"] == "90"
    back = await empty.cli("switch", "back", "monitor")
    assert back.status == 0, back.err
    assert await served_version(empty) == "v1"
    newest = [one for one in await empty.operations() if one["acknowledged"]]
    assert [one["acknowledged"] for one in newest] == [[BREAKING, "else"]]


async def test_an_operators_own_value_wins_over_a_default(empty: Stack) -> None:
    variables = empty.root / "monitor.env"
    variables.write_text("AUDIT_DAYS=7\n")
    path = write(empty, RULES, env={"AUDIT_TOKEN": ""})
    path.write_text(path.read_text().replace("[env]\n", f'[env]\nenv_file = "{variables}"\n'))
    await empty.serve()
    answer = await empty.deploy("v2")
    assert "new variable AUDIT_DAYS: set by the app file" in answer.out
    found = environment(empty, "v2")
    assert (found["AUDIT_DAYS"], found["AUDIT_TOKEN"]) == ("7", "")


async def test_a_version_that_may_not_be_skipped_is_named_and_skipped_by_force(
    empty: Stack,
) -> None:
    skipped = '[[upgrade]]\nto = ">=2"\nfrom = "<1.5"\nvia = "v1.5"\n'
    write(empty, f"{RULES}\n{skipped}")
    await empty.serve()
    await empty.deploy("v1")
    refused = await empty.cli("deploy", "monitor", "v4", "--ack", BREAKING)
    assert refused.status == 1
    assert "the way from v1 to v4 is by v1.5, then v3" in refused.err
    assert refused.err.splitlines()[-1] == (
        "Next: deploy one after the other: bluegreen deploy monitor v1.5, "
        "then bluegreen deploy monitor v3, then bluegreen deploy monitor v4; --force goes past it"
    )
    assert "fetch" not in refused.out

    unseen = await empty.cli("deploy", "monitor", "v2", "--force")
    assert unseen.status == 1
    assert BREAKING in unseen.err
    forced = await empty.cli("deploy", "monitor", "v2", "--ack", BREAKING, "--force")
    assert forced.status == 0, forced.err
    newest, *_ = await empty.operations()
    assert newest["forced"] is True
    who = newest["requested_by"]
    assert f"forced by {who.partition(' via ')[0]}: monitor: the way from v1 to v2 " in forced.out
    assert f"forced by {who}" in (await empty.cli("history", "monitor", "--limit", "1")).out


async def test_a_branch_is_deployed_over_a_rule_only_by_who_says_so(empty: Stack) -> None:
    write(empty, RULES, expect_version=False)
    await empty.serve()
    await empty.deploy("v1")
    refused = await empty.cli("deploy", "monitor", "main")
    assert refused.status == 1
    assert "main has no version" in refused.err
    assert BREAKING in refused.err
    given = await empty.cli("deploy", "monitor", "main", "--ack", "unversioned")
    assert given.status == 0, given.err
    assert "[[upgrade]] rules are not applied" in given.out
    assert "AUDIT_DAYS" not in environment(empty, "main")


async def test_the_api_takes_one_text_or_several_and_a_key_stands_for_its_texts(
    empty: Stack,
) -> None:
    write(empty, RULES)
    await empty.serve()
    await empty.deploy("v1")
    socket = aiohttp.UnixConnector(str(empty.layout.control_socket))
    async with aiohttp.ClientSession("http://bluegreen", connector=socket) as session:

        async def deploy(ack: object, key: str, force: object = False) -> tuple[int, str]:
            async with session.post(
                "/v1/apps/monitor/deployments",
                json={"version": "v2", "ack": ack, "force": force},
                headers={"Idempotency-Key": key},
            ) as response:  # fmt: skip
                return response.status, await response.text()

        assert (await deploy(5, "a"))[0] == 400
        assert "ack: write a text, or a list of texts" in (await deploy(5, "a"))[1]
        assert (await deploy(["two\nlines"], "a"))[0] == 400
        status, text = await deploy(BREAKING, "b")
        assert (status, BREAKING in text) == (202, True)
        assert (await deploy([BREAKING], "b"))[0] == 202
        assert (await deploy([], "b"))[0] == 409
        assert (await deploy(BREAKING, "b", True))[0] == 409
        assert (await deploy(BREAKING, "c", "yes"))[0] == 400

    async def succeeded() -> bool:
        newest, *_ = await empty.operations()
        return (newest["id"], newest["state"]) == (2, "succeeded")

    await eventually(succeeded, "the deploy has succeeded")
