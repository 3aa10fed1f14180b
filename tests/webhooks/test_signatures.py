"""Whose signature is believed: the senders' own signers', and nobody's with one bit flipped."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as StandardWebhook

from bluegreen.webhooks.headers import Headers
from bluegreen.webhooks.judging import judge
from bluegreen.webhooks.provider import PROVIDERS
from tests.webhooks.deliveries import NOW, SECRET, STANDARD_SECRET, rule, signed
from tests.webhooks.hooked import GITLAB_SIGNING
from tests.webhooks.octokit_signer import octokit_signatures

BODIES = [
    b"{}",
    json.dumps({"ref": "refs/tags/v1", "said": "ünïcode ✓ \u2028"}, ensure_ascii=False).encode(),
    b'{"ref":\r\n "refs/heads/main"}\n',
    b"x" * 100_000,
]
# What is signed, or is the signature; GitHub and Gitea sign neither a name nor a time.
SIGNED = {
    "github": ["x-hub-signature-256"],
    "gitea": ["x-gitea-signature", "x-hub-signature-256"],
    "gitlab": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "standard": ["webhook-id", "webhook-timestamp", "webhook-signature"],
}
SECRETS = {
    "github": SECRET, "gitea": SECRET, "gitlab": GITLAB_SIGNING, "standard": STANDARD_SECRET,
}  # fmt: skip


def is_believed(provider: str, headers: Headers, body: bytes, *, now: float = NOW) -> bool:
    return PROVIDERS[provider].verify(headers, body, ["o" * 20, SECRETS[provider]], now)


def test_githubs_own_signer_signs_as_is_expected() -> None:
    for body, signature in zip(BODIES, octokit_signatures(SECRET, BODIES), strict=True):
        headers = {"x-github-event": "push", "x-hub-signature-256": signature}
        assert is_believed("github", headers, body)
        assert not is_believed("github", headers, body + b" ")


@pytest.mark.parametrize("provider", ["standard", "gitlab"])
def test_the_standards_own_signer_signs_as_is_expected(provider: str) -> None:
    for body in BODIES:
        at = datetime.fromtimestamp(NOW, tz=UTC)
        signature = StandardWebhook(SECRETS[provider]).sign("msg_1", at, body.decode())
        headers = {
            "webhook-id": "msg_1", "webhook-timestamp": str(int(NOW)),
            "webhook-signature": f"v1,AAAA {signature}",
        }  # fmt: skip
        assert is_believed(provider, headers, body)
        signed_by_us = PROVIDERS[provider].sign(body, SECRETS[provider], "x", "msg_1", NOW)
        assert signed_by_us["webhook-signature"] == signature


@pytest.mark.parametrize("provider", SIGNED)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_one_flipped_bit_anywhere_is_not_believed(provider: str, data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=1, max_size=60), "body")
    headers = signed(provider, "push", body, now=NOW, secret=SECRETS[provider])
    assert is_believed(provider, headers, body)
    part = data.draw(st.sampled_from(["body", *SIGNED[provider]]), "part")
    content = body if part == "body" else headers[part].encode()
    bit = data.draw(st.integers(0, 8 * len(content) - 1), "bit")
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    if part == "body":
        assert not is_believed(provider, headers, bytes(changed))
    else:
        text = changed.decode("utf-8", "surrogateescape")
        assert not is_believed(provider, headers | {part: text}, body)


@pytest.mark.parametrize(
    ("off", "taken"), [(0, True), (299, True), (-299, True), (302, False), (-302, False)]
)
def test_a_delivery_of_another_time_is_not_believed(off: float, taken: bool) -> None:
    headers = signed("standard", "", b"{}", now=NOW)
    assert is_believed("standard", headers, b"{}", now=NOW + off) is taken


@pytest.mark.parametrize("timestamp", ["", "-1", "1e9", "٣", "9" * 13, " 1795000000", "0x1"])
def test_a_time_that_is_none_is_not_believed(timestamp: str) -> None:
    headers = signed("standard", "", b"{}", now=NOW) | {"webhook-timestamp": timestamp}
    assert not is_believed("standard", headers, b"{}")


@pytest.mark.parametrize("provider", SIGNED)
def test_a_secret_that_can_be_guessed_signs_nothing(provider: str) -> None:
    one = PROVIDERS[provider]
    for secret in ("", "short", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!"):
        assert not one.is_usable(secret)
        headers = one.sign(b"{}", secret, "push", "d", NOW)
        assert not one.verify(headers, b"{}", [secret], NOW)


def test_a_token_that_is_shown_is_compared_as_a_whole() -> None:
    for token, taken in ((SECRET, True), (SECRET[:-1], False), (f"{SECRET} ", False), ("", False)):
        headers = {"x-gitlab-event": "Push Hook", "x-gitlab-token": token}
        assert PROVIDERS["gitlab"].verify(headers, b"{}", [SECRET], NOW) is taken


def test_a_delivery_that_was_captured_from_another_forge_is_none_of_giteas() -> None:
    headers = signed("gitea", "push", b"{}", now=NOW)
    del headers["x-gitea-signature"]
    assert not is_believed("gitea", headers, b"{}")


def test_a_name_counts_as_signed_only_where_the_signature_is_right() -> None:
    one = PROVIDERS["gitlab"]
    secrets = [SECRET, GITLAB_SIGNING]
    headers = signed("gitlab", "push", b"{}", name="n", now=NOW, secret=GITLAB_SIGNING)
    assert one.delivery(headers, b"{}", secrets, NOW) == ("n", True)
    shown = headers | {"x-gitlab-token": SECRET, "webhook-signature": "v1,x"}
    assert one.verify(shown, b"{}", secrets, NOW)
    assert one.delivery(shown, b"{}", secrets, NOW) == ("n", False)


def test_what_one_provider_signs_is_not_believed_as_anothers() -> None:
    rules = [rule("github", "push"), rule("gitlab", "push"), rule("standard", "x", "v")]
    body = b'{"ref": "refs/tags/v1"}'
    for headers in (
        signed("github", "push", body, now=NOW) | {"x-gitea-event": "push"},
        signed("gitlab", "push", body, now=NOW) | {"x-github-event": "push"},
        signed("standard", "push", body, now=NOW) | {"x-gitlab-event": "Push Hook"},
    ):
        assert judge(rules, headers, body, NOW) is None
