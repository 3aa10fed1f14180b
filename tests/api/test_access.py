"""Who may ask for what, over TCP and over the unix socket of a real daemon."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.api.door import SCOPES, Door, open_door
from tests.waiting import PATIENCE, end_tasks, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = "/v1/apps/monitor"
# A route of each kind that needs a scope, with a body that would have an effect.
NEEDS: list[tuple[str, str, Any, str]] = [
    ("GET", "/v1/apps", None, "read"),
    ("GET", APP, None, "read"),
    ("GET", f"{APP}/operations", None, "read"),
    ("GET", "/v1/operations/1", None, "read"),
    ("POST", f"{APP}/deployments", {"version": "v9-no-such-version"}, "deploy"),
    ("POST", f"{APP}/cancel", {}, "deploy"),
    ("POST", f"{APP}/switch", {"to": "back"}, "switch"),
    ("POST", f"{APP}/stop", {}, "admin"),
    ("POST", f"{APP}/lock", {"reason": "a test"}, "admin"),
    ("POST", f"{APP}/hold", {"timeout": 5.0}, "admin"),
    ("POST", f"{APP}/backups", {}, "admin"),
    ("POST", "/v1/reload", {}, "admin"),
    ("GET", "/v1/tokens", None, "admin"),
    ("POST", "/v1/tokens", {"scopes": ["admin"]}, "admin"),
    ("DELETE", "/v1/tokens/1", None, "admin"),
]
ALLOWS = {
    "read": {"read"}, "deploy": {"read", "deploy"}, "switch": {"read", "switch"},
    "admin": set(SCOPES),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door() -> AsyncIterator[Door]:
    async with open_door() as built:
        yield built


async def what_is(door: Door) -> Any:
    """All that a request could have changed."""
    status = await door.stack.status()
    numbers = [operation["id"] for operation in await door.stack.operations()]
    async with door.unix.get("/v1/tokens") as response:
        tokens = [(t["id"], t["revoked_at"]) for t in (await response.json())["tokens"]]
    return status["active"], status["lock"], status["held"], numbers, tokens


async def test_without_the_scope_nothing_is_done_and_the_answer_names_it(door: Door) -> None:
    tokens = {scope: await door.token(scope) for scope in SCOPES}
    before = await what_is(door)
    for method, path, body, needed in NEEDS:
        status, document = await door.ask(method, path, None, body)
        assert (status, document["kind"]) == (401, "unauthenticated"), path
        for scope, token in tokens.items():
            if needed in ALLOWS[scope]:
                continue
            status, document = await door.ask(method, path, token, body)
            assert (status, document["kind"]) == (403, "forbidden"), (path, scope)
            assert f"the scope {needed}" in document["detail"]
    assert await what_is(door) == before


async def test_with_the_scope_it_is_done_and_recorded_with_the_token_and_the_address(
    door: Door,
) -> None:
    made = await door.make(scopes=["switch", "deploy"], name="ci")
    for scope in SCOPES:
        for method, path, body, needed in NEEDS:
            if method == "GET" and needed in ALLOWS[scope]:
                assert (await door.ask(method, path, await door.token(scope), body))[0] == 200
    active = door.stack.marker()
    here = {"X-Forwarded-For": "203.0.113.7"}
    status, document = await door.ask(
        "POST", f"{APP}/switch", made["token"], {"to": "back"}, **here
    )
    assert status == 200, document
    assert door.stack.marker() != active
    asked = f"token {made['id']} (ci) via tcp from 203.0.113.7"
    assert document["operation"]["requested_by"] == asked
    status, document = await door.ask("POST", f"{APP}/switch", made["token"], {"to": active})
    assert status == 200, document


def flipped(token: str, place: int) -> str:
    other = "A" if token[place] != "A" else "B"
    return token[:place] + other + token[place + 1 :]


async def test_only_what_was_shown_is_a_token(door: Door) -> None:
    token = await door.token("read")
    assert (await door.ask("GET", APP, token))[0] == 200
    wrong = [flipped(token, place) for place in (0, 3, 5, 20, -2, -1)]
    wrong += [token[:-1], token + "A", "bg_1_", "bg_999_" + token[5:], "x", token.upper()]
    for text in wrong:
        status, document = await door.ask("GET", APP, text)
        assert (status, document["kind"]) == (401, "unauthenticated"), text
        assert text not in json.dumps(document) or text == "x"
    for header in (f"Basic {token}", token, "Bearer", "Bearer "):
        assert (await door.ask("GET", APP, None, Authorization=header))[0] == 401
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    async with door.tcp.get(APP, headers=headers) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    log = door.stack.daemon_log.read_text()
    assert "failed authentication from 198.18." in log
    for text in (token, *wrong[:6]):
        assert text.split("_", 2)[-1] not in log
    _, document = await door.ask("GET", "/v1/apps", await door.token("admin"))
    assert document["failed_authentications"] >= len(wrong)


async def test_an_expired_and_a_revoked_token_open_nothing(door: Door) -> None:
    brief = await door.make(scopes=["read"], seconds=0.2)

    async def refused() -> bool:
        return (await door.ask("GET", APP, brief["token"]))[0] == 401

    await eventually(refused, "the token has expired")
    made = await door.make(scopes=["read"])
    assert (await door.ask("GET", APP, made["token"]))[0] == 200  # and remembered
    followed = {"Authorization": f"Bearer {made['token']}"}
    async with door.tcp.get(f"{APP}/logs?follow=1", headers=followed) as stream:
        answer = await door.stack.cli("token", "revoke", str(made["id"]), "--json")
        assert answer.document["valid"] is False
        with pytest.raises(aiohttp.ClientError):  # it does not outlast its token
            await asyncio.wait_for(stream.read(), PATIENCE)
    assert (await door.ask("GET", APP, made["token"]))[0] == 401
    listed = {
        t["id"]: t for t in (await door.stack.cli("token", "list", "--json")).document["tokens"]
    }
    assert listed[made["id"]]["revoked_by"].endswith("via unix socket")
    assert listed[made["id"]]["last_used_from"].startswith("198.18.")
    assert not listed[brief["id"]]["valid"]
    assert not any("token" in token for token in listed.values())


async def test_a_command_that_names_none_of_several_apps_is_shown_where_one_belongs(
    door: Door,
) -> None:
    for typed, right in (
        ("deploy v1 --manual", "deploy APP v1 --manual"),
        ("switch back", "switch back APP"),
        ("switch to blue", "switch to blue APP"),
        ("backup restore 7 --yes", "backup restore APP 7 --yes"),
        ("hold", "hold APP"),
    ):
        answer = await door.stack.cli(*typed.split())
        assert answer.status == 2, answer.err
        assert "which app?" in answer.err
        assert f"Next: name one, as in: bluegreen {right} --root " in answer.err


async def test_a_token_of_one_app_knows_of_no_other(door: Door) -> None:
    token = await door.token("admin", "shop")
    _, document = await door.ask("GET", "/v1/apps", token)
    assert [app["app"] for app in document["apps"]] == ["shop"]
    assert "failed_authentications" not in document
    assert (await door.ask("GET", "/v1/operations", token))[1]["operations"] == []
    assert (await door.ask("GET", "/v1/apps/-", token))[1]["app"] == "shop"
    nobody = await door.ask("GET", "/v1/apps/nobody", token)
    assert nobody[0] == 404
    hidden: list[tuple[str, str, Any]] = [
        ("GET", APP, None), ("GET", f"{APP}/operations", None), ("GET", f"{APP}/logs", None),
        ("POST", f"{APP}/lock", {"reason": "not mine"}), ("POST", f"{APP}/switch", {"to": "back"}),
    ]  # fmt: skip
    for method, path, body in hidden:
        status, document = await door.ask(method, path, token, body)
        assert (status, document["kind"]) == (404, "not-found"), path
        assert document["detail"] == nobody[1]["detail"].replace("nobody", "monitor")
        assert document["remedy"] == nobody[1]["remedy"]
    for path in ("/v1/operations/1", "/v1/operations/1/events"):
        status, document = await door.ask("GET", path, token)
        assert (status, document["detail"]) == (404, "there is no operation 1")
    changes: list[tuple[str, str, Any]] = [
        ("POST", "/v1/reload", {}), ("GET", "/v1/tokens", None), ("DELETE", "/v1/tokens/1", None),
        ("POST", "/v1/tokens", {"scopes": ["admin"]}),
    ]  # fmt: skip
    for method, path, body in changes:
        status, document = await door.ask(method, path, token, body)
        assert (status, document["kind"]) == (403, "forbidden"), path
    assert (await door.stack.status())["lock"] is None
    assert (await door.ask("POST", "/v1/apps/shop/lock", token, {"reason": "mine"}))[0] == 200
    assert (await door.ask("POST", "/v1/apps/-/unlock", token, {}))[0] == 200


async def test_what_is_open_needs_no_token_and_what_is_unknown_does(door: Door) -> None:
    assert await door.ask("GET", "/healthz", None) == (200, {"status": "ok", "version": "0.1.0"})
    for path in ("/v1", "/v1/apps/monitor/nothing"):
        assert (await door.ask("GET", path, None))[0] == 401, path
        assert (await door.ask("GET", path, await door.token("read")))[0] == 404, path
    async with door.tcp.get("/healthz") as response:
        assert response.headers["Server"] == "bluegreen"


async def test_failed_attempts_of_an_address_are_slowed_and_right_ones_are_not(door: Door) -> None:
    token = await door.token("read")
    assert (await door.ask("GET", APP, token))[0] == 200
    wrong = flipped(token, -3)
    here = {"X-Forwarded-For": "203.0.113.99"}
    attempts = [asyncio.create_task(door.ask("GET", APP, wrong, **here)) for _ in range(20)]
    assert (await door.ask("GET", APP, token, **here))[0] == 200
    assert not all(attempt.done() for attempt in attempts)
    statuses = set()
    for attempt in asyncio.as_completed(attempts):
        statuses.add((await attempt)[0])
        if statuses == {401, 429}:
            break
    assert statuses == {401, 429}
    await end_tasks(attempts)


async def test_every_change_without_an_operation_is_recorded_with_who_asked(door: Door) -> None:
    token = await door.token("admin")
    before = len(door.events("audit"))
    for path, body in [
        (f"{APP}/lock", {"reason": "a test"}), (f"{APP}/unlock", {}),
        (f"{APP}/hold", {"timeout": 20.0}), (f"{APP}/release", {}), (f"{APP}/preview", {}),
        ("/v1/reload", {}), ("/v1/reload", {"check": True}),
    ]:  # fmt: skip
        status, document = await door.ask("POST", path, token, body, **{
            "X-Forwarded-For": "203.0.113.9"
        })  # fmt: skip
        assert status == 200, document
    made = await door.make(scopes=["read"], apps=["shop"])
    answer = await door.stack.cli("token", "revoke", str(made["id"]))
    assert answer.status == 0, answer.err
    recorded = door.events("audit")[before:]
    app = "POST /v1/apps/{app}"
    assert [(event["app"], event["asked"]) for event in recorded] == [
        ("monitor", f"{app}/lock"), ("monitor", f"{app}/unlock"), ("monitor", f"{app}/hold"),
        ("monitor", f"{app}/release"), ("monitor", f"{app}/preview"), ("", "POST /v1/reload"),
        ("", "POST /v1/tokens"), ("", "DELETE /v1/tokens/{id}"),
    ]  # fmt: skip
    number = token.split("_")[1]
    assert {(e["by"], e["via"]) for e in recorded[:6]} == {
        (f"token {number}", "tcp from 203.0.113.9")
    }
    assert recorded[0]["reason"] == "a test"
    assert (recorded[6]["token"], recorded[6]["apps"]) == (made["id"], ["shop"])
    assert recorded[7]["id"] == str(made["id"])
    assert {e["via"] for e in recorded[6:]} == {"unix socket"}
    assert "POST /v1/apps/{app}/lock of monitor, reason a test by token" in (
        door.stack.daemon_log.read_text()
    )


async def test_a_token_is_made_once_for_a_key_and_its_text_is_not_kept(door: Door) -> None:
    body = {"scopes": ["read"]}
    headers = {"Idempotency-Key": "make-a-token"}
    answers = []
    for _ in range(2):
        async with door.unix.post("/v1/tokens", json=body, headers=headers) as response:
            answers.append(await response.json())
    assert answers[0]["id"] == answers[1]["id"]
    secret = answers[0]["token"].split("_", 2)[2]
    assert answers[1]["token"] is None
    for file in door.stack.layout.database.parent.glob("bluegreen.db*"):
        assert secret.encode() not in file.read_bytes()
    assert secret not in door.stack.daemon_log.read_text()


async def test_the_command_prints_the_token_alone_and_refuses_what_makes_no_sense(
    door: Door,
) -> None:
    answer = await door.stack.cli(
        "token", "create", "--scope", "read", "--app", "shop", "--expires", "30d", "--name", "ci"
    )
    assert answer.status == 0
    [line] = answer.out.splitlines()
    assert (await door.ask("GET", "/v1/apps/shop", line))[0] == 200
    assert line not in answer.err
    assert "(ci): read, shop, valid until" in answer.err
    for wrong in (
        ["create"], ["create", "--scope", "root"], ["create", "--scope", "read", "--app", "nobody"],
        ["create", "--scope", "read", "--expires", "soon"], ["revoke", "0"], ["revoke", "99999"],
    ):  # fmt: skip
        answer = await door.stack.cli("token", *wrong)
        assert answer.status == 2, wrong
        assert "Next:" in answer.err


_ASK = """
import os, socket, sys
os.setgroups([int(group) for group in sys.argv[6:]])
os.setgid(int(sys.argv[5]))
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
body = sys.argv[4].encode()
head = f"{sys.argv[2]} {sys.argv[3]} HTTP/1.0\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
connection.sendall(head.encode() + body)
answer = b"".join(iter(lambda: connection.recv(65536), b""))
print(answer.split()[1].decode(), answer.decode().replace("\\n", " "))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
async def test_on_the_socket_the_groups_of_whoever_asks_decide(door: Door) -> None:
    names = ["games", "users", "nogroup"]
    numbers = {name: grp.getgrnam(name).gr_gid for name in names}
    roles = '[api.roles]\ngames = "deploy"\nusers = "switch"\nno-such-group = "admin"'
    door.configure(f'{door.usual()}\ngroup = "nogroup"\n{roles}')
    assert (await door.reload())[1]["changed"] == ["bluegreen.toml"]
    for directory in (door.stack.root, door.stack.layout.control_socket.parent):
        directory.chmod(0o755)

    def ask(method: str, path: str, body: str, *groups: str) -> tuple[int, str]:
        socket_path = str(door.stack.layout.control_socket)
        done = subprocess.run(
            [
                sys.executable, "-c", _ASK, socket_path, method, path, body,
                *(str(numbers[group]) for group in ("nogroup", *groups)),
            ],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        status, _, answer = done.stdout.partition(" ")
        return int(status), answer

    async def told(*asked: str) -> tuple[int, str]:
        return await asyncio.to_thread(ask, *asked)

    try:
        assert (await told("GET", APP, ""))[0] == 403
        assert (await told("GET", "/healthz", ""))[0] == 200
        assert (await told("GET", APP, "", "games"))[0] == 200
        status, answer = await told("POST", f"{APP}/switch", '{"to": "back"}', "games")
        assert status == 403
        assert "the scope switch, and what was granted is deploy" in answer
        assert "a group that has the role" in answer
        assert "token" not in answer
        status, answer = await told("POST", f"{APP}/lock", '{"reason": "x"}', "games", "users")
        assert status == 403
        status, answer = await told("POST", f"{APP}/switch", '{"to": "back"}', "games", "users")
        assert status == 200
        assert "uid 65534 (nobody) via unix socket" in answer
        assert (await door.stack.cli("lock", "--reason", "root may", "monitor")).status == 0
        assert (await door.stack.cli("unlock", "monitor")).status == 0
        warnings = (await door.stack.cli("status", "--json")).document["warnings"]
        assert any("there is no group no-such-group" in warning for warning in warnings)
    finally:
        door.configure(door.usual())
        await door.reload()
