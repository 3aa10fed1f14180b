"""Deliveries to a real daemon: by the senders' own signers, again, at once, and by anybody."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from standardwebhooks.webhooks import Webhook as StandardWebhook

from tests.waiting import eventually
from tests.webhooks.deliveries import SECRET, STANDARD_SECRET, payload, signed
from tests.webhooks.hooked import GITLAB_SIGNING, OLD_SECRET, SECRETS, Hooked, hooked
from tests.webhooks.octokit_signer import octokit_signatures
from tests.webhooks.strangers import HEADERS, JSON, LINE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Hooked]:
    async with hooked() as built:
        yield built


def pushed(tag: str, rest: Any = None) -> bytes:
    """The body of a push of ``tag``."""
    body = {"ref": f"refs/tags/{tag}", "after": "a" * 40, "rest": rest}
    return json.dumps(body, ensure_ascii=False).encode()


def released(kind: str, version: str) -> bytes:
    """The body of a release. A version that has failed, or is older than one that waits, is not
    taken up: each test has one of its own, newer than those before.
    """
    return payload(kind).replace(b"v1.4.0", version.encode())


async def ended(served: Hooked, number: int) -> Any:
    async def final() -> Any:
        found = [one for one in await served.operations() if one["id"] == number]
        return found[0] if found and found[0]["finished_at"] else None

    return await eventually(final, f"operation {number} has ended")


async def test_what_githubs_own_signer_has_signed_is_deployed(served: Hooked) -> None:
    body = pushed("v1", "ünïcode ✓")
    [signature] = await asyncio.to_thread(octokit_signatures, SECRET, [body])
    headers = signed("github", "push", body, name="of-octokit")
    assert headers["x-hub-signature-256"] == signature
    status, answer = await served.post(body, headers | {"x-hub-signature-256": signature})
    assert (status, answer["version"], answer["decision"]) == (202, "v1", "triggered")
    assert (await ended(served, answer["operation"]["id"]))["state"] == "succeeded"
    [operation] = await served.operations()
    assert operation["requested_by"] == "webhook github delivery of-octokit via unix socket"
    assert (await served.stack.status())["slots"][served.stack.marker()]["version"] == "v1"


async def test_what_the_standards_own_signer_has_signed_is_taken(served: Hooked) -> None:
    body = released("standard-release", "v1.4.1")
    at = datetime.now(tz=UTC)
    signature = StandardWebhook(STANDARD_SECRET).sign("msg_1", at, body.decode())
    headers = {
        "webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1a,other {signature}",
    }  # fmt: skip
    status, answer = await served.post(body, headers)
    assert (status, answer["version"]) == (202, "v1.4.1")


@pytest.mark.parametrize("secret", [SECRET, GITLAB_SIGNING])
async def test_gitlab_may_show_its_token_or_sign(served: Hooked, secret: str) -> None:
    version = f"v1.5.{len(secret)}"
    body = released("gitlab-release", version)
    headers = signed("gitlab", "release", body, name=f"gl-{len(secret)}", secret=secret)
    assert ("webhook-signature" in headers) is (secret is GITLAB_SIGNING)
    status, answer = await served.post(body, headers)
    assert (status, answer["version"]) == (202, version)


async def test_gitea_and_the_older_secret_are_taken_too(served: Hooked) -> None:
    body = released("gitea-release", "v1.6.0")
    status, answer = await served.deliver("gitea", "release", body, "gt-1")
    assert (status, answer["version"]) == (202, "v1.6.0")
    body = pushed("v402", "old")
    headers = signed("github", "push", body, name="by-the-old", secret=OLD_SECRET)
    assert (await served.post(body, headers))[0] == 202


async def test_a_redelivery_is_answered_with_the_first_ones_operation(served: Hooked) -> None:
    body = pushed("v404", "again")
    first = await served.deliver("github", "push", body, "again-1")
    for name in ("again-1", "again-2"):  # GitHub does not sign its name: the body is known, too
        status, answer = await served.deliver("github", "push", body, name)
        assert (status, answer["repeated"]) == (202, True)
        assert answer["operation"]["id"] == first[1]["operation"]["id"]
        assert answer["delivery"] == first[1]["delivery"]
    # Nor does Gitea, whose signature is the same.
    answer = (await served.deliver("gitea", "push", body, "again-3"))[1]
    assert (answer["repeated"], answer["delivery"]) == (True, first[1]["delivery"])


async def test_a_ping_is_answered_and_what_is_ignored_says_why(served: Hooked) -> None:
    status, answer = await served.deliver("github", "ping", payload("github-ping"), "ping-1")
    assert (status, answer["pong"]) == (200, True)
    status, answer = await served.deliver(
        "github", "push", payload("github-push-branch"), "branch-1"
    )
    assert (status, answer["operation"]) == (200, None)
    assert answer["ignored"] == "main is no tag; on is workflow_run"
    status, answer = await served.deliver("github", "push", b"{", "broken-1")
    assert (status, answer["kind"]) == (400, "usage")


async def refusal(served: Hooked, body: bytes, headers: dict[str, str], app: str) -> Any:
    status, answer = await served.post(body, headers, app)
    assert status == 401, answer
    return answer


async def test_a_wrong_signature_and_an_app_that_is_not_are_answered_alike(served: Hooked) -> None:
    body = pushed("v404", "wrong")
    right = signed("github", "push", body, name="wrong-1")
    wrong = right | {"x-hub-signature-256": f"sha256={'0' * 64}"}
    before = len(await served.deliveries())
    answers = [
        await refusal(served, body, wrong, "monitor"),
        await refusal(served, body, right, "nobody"),
        await refusal(served, body, {}, "monitor"),
        await refusal(served, body, {"webhook-signature": "v1,"}, "nobody"),
    ]
    assert all(answer == answers[0] for answer in answers)
    assert len(await served.deliveries()) == before
    assert (await served.get("/webhooks"))["refused"] >= 2


async def test_one_flipped_bit_anywhere_is_refused(served: Hooked) -> None:
    body = released("standard-release", "v404.1")
    right = signed("standard", "", body, name="flipped")
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    cases: list[tuple[bytes, dict[str, str]]] = [(flipped(body, 60), right)]
    cases += [(body, right | {name: flipped(right[name].encode(), 4).decode()}) for name in names]
    old = signed("standard", "", body, name="flipped", now=time.time() - 301)
    early = signed("standard", "", body, name="flipped", now=time.time() + 320)
    for content, headers in [*cases, (body, old), (body, early)]:
        await refusal(served, content, headers, "monitor")
    status, answer = await served.post(body, right)
    assert status == 202, answer


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


async def test_ten_deliveries_at_once_are_each_taken_up_once(served: Hooked) -> None:
    same = pushed("v405", "ten of the same")  # none that waits already is newer
    answers = await asyncio.gather(
        *(served.deliver("github", "push", same, "ten") for _ in range(10))
    )
    assert {status for status, _ in answers} == {202}
    assert len({answer["delivery"] for _, answer in answers}) == 1
    [operation] = {answer["operation"]["id"] for _, answer in answers if answer["operation"]}
    assert (await handed_on(served))[answers[0][1]["delivery"]]["operation"] == operation
    assert [answer["repeated"] for _, answer in answers].count(False) == 1
    answers = await asyncio.gather(
        *(
            served.deliver("github", "push", pushed(f"v500.{n}", "ten others"), f"other-{n}")
            for n in range(10)
        )
    )
    assert len({answer["delivery"] for _, answer in answers}) == 10
    recorded = await handed_on(served)
    for status, answer in answers:  # those far back in the line are answered before their turn
        one = recorded[answer["delivery"]]
        assert one["decision"] in ("triggered", "declined")
        assert status == (200 if answer["decision"] == "declined" else 202), (answer, one)
        assert one["operation"] is not None or one["why"], one
    # Whatever their order, the newest version is not what the others take the place of.
    newest = next(one for _, one in answers if one["version"] == "v500.9")
    assert recorded[newest["delivery"]]["operation"] is not None


async def handed_on(served: Hooked) -> dict[int, Any]:
    """The deliveries by their numbers, once none is to be handed on."""

    async def found() -> dict[int, Any]:
        deliveries = {one["id"]: one for one in await served.deliveries()}
        waits = any(one["decision"] == "accepted" for one in deliveries.values())
        return {} if waits else deliveries

    deliveries: dict[int, Any] = await eventually(found, "all is handed on")
    return deliveries


async def test_what_is_too_large_or_encoded_is_refused_unread(served: Hooked) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"x" * 65536

    async def post(data: Any, headers: dict[str, str]) -> int:
        async with served.session.post("/hooks/monitor", data=data, headers=headers) as response:
            return response.status

    headers = signed("github", "push", b"")
    assert await post(io.BytesIO(b"x" * (2**20 + 1)), headers) == 413
    assert await post(endless(), headers) == 413
    assert await post(b"x", headers | {"Content-Encoding": "gzip"}) == 415
    body = pushed("v600.1", "y" * (2**20 - 200))
    assert await post(io.BytesIO(body), signed("github", "push", body, name="large")) == 202


async def test_by_the_short_way_the_answers_are_those_of_the_long_one(served: Hooked) -> None:
    reader, writer = await asyncio.open_unix_connection(str(served.stack.layout.control_socket))

    async def answer(address: str, body: bytes, headers: dict[str, str]) -> tuple[Any, ...]:
        """Status, headers and document, but for what each has of its own."""
        pairs = headers | {"host": "x", "content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in pairs.items())
        writer.write(f"POST {address} HTTP/1.1\r\n{head}\r\n".encode() + body)
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        found = dict(line.split(": ", 1) for line in lines)
        document = json.loads(await reader.readexactly(int(found.pop("Content-Length"))))
        assert datetime.strptime(found.pop("Date"), "%a, %d %b %Y %H:%M:%S %Z")
        return start, found, {**document, "delivery": None}

    wrong = signed("github", "push", b"another")
    said = {}
    for way in ("", "?long"):  # once one has gone the long way, all do
        branch = json.dumps({"ref": "refs/heads/main", "after": "c" * 40, "way": way}).encode()
        broken = f'{{"way": "{way}"}}'.encode()
        said[way] = [
            await answer(f"/hooks/monitor{way}", b, h) for b, h in (
                (branch, signed("github", "push", branch, name=f"way-{way}-1")),
                (broken, signed("github", "push", broken, name=f"way-{way}-2")),
                (branch, wrong),
            )
        ]  # fmt: skip
        said[way].append(await answer(f"/hooks/nobody{way}", branch, wrong))
    assert said[""] == said["?long"]
    assert [start[9:12] for start, _, _ in said[""]] == ["200", "400", "401", "401"]
    writer.close()


async def test_a_header_that_comes_twice_is_refused(served: Hooked) -> None:
    body = pushed("v404", "twice")
    pairs = [*signed("github", "push", body, name="twice").items()]
    pairs.append(("x-github-delivery", "another"))

    async with served.session.post(
        "/hooks/monitor", data=body, headers=CIMultiDict(pairs)
    ) as response:
        assert response.status == 401


@given(
    body=st.binary(max_size=300) | JSON.map(lambda one: json.dumps(one).encode()), headers=HEADERS
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
async def test_whatever_anybody_sends_is_refused_and_begins_nothing(
    served: Hooked, body: bytes, headers: dict[str, str]
) -> None:
    headers = {name: value.strip() for name, value in headers.items()}
    status, _ = await served.post(body, headers)
    assert status == 401, (body, headers)


@given(
    body=st.binary(max_size=300) | JSON.map(lambda one: json.dumps(one).encode()),
    provider=st.sampled_from(["github", "gitlab", "gitea", "standard"]),
    event=st.sampled_from(["push", "release", "workflow_run", "ping", "x"]),
    name=LINE,
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
async def test_whatever_a_sender_signs_that_asks_for_nothing_begins_nothing(
    served: Hooked, body: bytes, provider: str, event: str, name: str
) -> None:
    headers = signed(provider, event, body, name=name.strip())
    status, answer = await served.post(body, headers)
    assert status in (200, 400, 401 if not headers.get("webhook-id", "x") else 400), answer
    assert answer.get("operation") is None


async def test_the_command_lists_what_there_is_and_what_was_decided(served: Hooked) -> None:
    await served.deliver("github", "push", pushed("v404", "listed"), "listed-1")
    answer = await served.stack.cli("webhook", "list", "--limit", "1")
    assert answer.status == 0, answer.err
    assert "monitor: POST /hooks/monitor" in answer.out
    assert "github   on push, release: version = tag" in answer.out
    assert "github push v404" in answer.out
    found = (await served.stack.cli("webhook", "list", "monitor", "--json")).document
    assert found["deliveries"][0]["delivery"] == "listed-1"
    pages, path = [], "/deliveries?limit=2"
    while path:
        answer = await served.get(path.removeprefix("/v1/apps/monitor"))
        pages += answer["deliveries"]
        path = answer["next"]
    assert [one["id"] for one in pages] == [one["id"] for one in await served.deliveries()]
    assert found["webhooks"][0]["secret"][0].endswith("/hook")


async def test_a_test_says_what_would_be_done_and_does_nothing(served: Hooked) -> None:
    async def numbers() -> list[list[int]]:
        done = (await served.deliveries(), await served.operations())
        return [[one["id"] for one in each] for each in done]

    before = await numbers()
    answer = await served.stack.cli("webhook", "test", "--json")
    assert answer.status == 0, answer.out + answer.err
    assert [test["decision"] for test in answer.document["tests"]] == ["accepted"] * 5
    answer = await served.stack.cli("webhook", "test", "--version=-rf")
    assert "cannot be a version" in answer.out
    missing = served.stack.root / "hook-standard"
    text = await asyncio.to_thread(missing.read_text)
    await asyncio.to_thread(missing.unlink)

    async def refused() -> Any:
        return (await served.stack.cli("webhook", "test")).status == 1

    try:
        await eventually(refused, "the secret is missed")
        listed = await served.stack.cli("webhook", "list")
        assert f"NOT USABLE: the secret file {missing} cannot be read" in listed.out
    finally:
        await asyncio.to_thread(missing.write_text, text)
    assert await numbers() == before


async def test_a_replay_is_a_persons_request_by_the_rules_of_today(served: Hooked) -> None:
    body = pushed("v404", "to be replayed")
    _, first = await served.deliver("github", "push", body, "replayed-1")
    await eventually(served.is_idle, "nothing runs or waits")
    answer = await served.stack.cli("webhook", "replay", "monitor", "replayed-1", "--json")
    assert answer.status == 0, answer.out + answer.err
    delivery, operation = answer.document["delivery"], answer.document["operation"]
    assert delivery["replay_of"] == first["delivery"]
    assert "root" in delivery["replayed_by"] or "uid" in delivery["replayed_by"]
    assert operation["version"] == "v404"
    said = f"replaying webhook github delivery {first['delivery']} via unix socket"
    assert operation["requested_by"].endswith(said)
    body = json.dumps({"ref": "refs/heads/main", "after": "b" * 40}).encode()
    await served.deliver("github", "push", body, "replayed-2")
    answer = await served.stack.cli("webhook", "replay", "replayed-2")
    assert (answer.status, "main is no tag" in answer.out) == (1, True)
    for name, kind in (("replayed-2", None), ("replayed-2", None), ("replayed-1", "duplicate-key")):
        path = f"/v1/apps/monitor/deliveries/{name}/replay"
        async with served.session.post(path, headers={"Idempotency-Key": "one key"}) as response:
            assert (await response.json(content_type=None)).get("kind") == kind, name
    unknown = await served.stack.cli("webhook", "replay", "never-came")
    assert (unknown.status, "no delivery never-came" in unknown.err) == (2, True)


async def test_nothing_that_is_kept_holds_a_secret(served: Hooked) -> None:
    await eventually(served.is_idle, "nothing runs that makes directories and removes them")

    def content(file: Path) -> bytes:
        try:
            return file.read_bytes()
        except FileNotFoundError:  # a release has just ended, and its markers with it
            return b""

    def found() -> list[Path]:
        files = [one for one in served.stack.root.rglob("*") if one.is_file()]
        kept = [(one, content(one)) for one in files if one.name not in SECRETS]
        assert any(each for _, each in kept)
        return [
            one for one, each in kept for secret in SECRETS.values() if secret.encode() in each
        ]  # fmt: skip

    assert await asyncio.to_thread(found) == []


async def test_a_daemon_that_ends_takes_nothing_more(served: Hooked) -> None:
    await served.stack.terminate()
    with pytest.raises(aiohttp.ClientError):
        await served.deliver("github", "push", pushed("v404", "late"), "late")
