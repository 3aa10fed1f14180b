"""What is made of each provider's deliveries, as they are documented."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen.webhooks.headers import headers_of
from bluegreen.webhooks.judging import Rule, judge
from bluegreen.webhooks.nouns import Decision, Verdict
from tests.webhooks.deliveries import COMMIT, NOW, SECRET, payload, rule, signed


def verdict(rules: list[Rule], provider: str, event: str, body: bytes) -> Verdict:
    headers = headers_of(signed(provider, event, body, now=NOW).items())
    assert headers is not None
    found = judge(rules, headers, body, NOW)
    assert found is not None
    return found


def changed(name: str, **changes: Any) -> bytes:
    """A recorded body with other values; ``a__b`` is the field b of a."""
    document = json.loads(payload(name))
    for path, value in changes.items():
        *parents, last = path.split("__")
        table = document
        for parent in parents:
            table = table[parent]
        table[last] = value
    return json.dumps(document).encode()


G, L, T, S = "github", "gitlab", "gitea", "standard"
RAN = "workflow_run"
RUN = "github-workflow-run"
BY_COMMIT = rule(G, ["push", RAN], "commit", branches="main", workflows="CI")
OF_MAIN = {on: rule(L, on, "commit", branches="main") for on in ("push", RAN)}
PUBLISHED = rule(S, "release.published", "data.version")

MET = [
    (G, "push", "github-push-tag", rule(G, "push"), "v1.4.0"),
    (G, "push", "github-push-tag", rule(G, "push", "commit", tags="v*"), COMMIT),
    (G, "push", "github-push-branch", rule(G, "push", "commit", branches="main"), COMMIT),
    (G, "release", "github-release", rule(G, ["push", "release"]), "v1.4.0"),
    (G, RAN, "github-workflow-run",
     rule(G, RAN, "commit", branches="m*", workflows="CI"), COMMIT),
    (G, "deployment", "github-deployment",
     rule(G, "deployment", "commit", environments="production"), COMMIT),
    (L, "push", "gitlab-push", rule(L, "push", "commit", branches="main"), COMMIT),
    (L, "push", "gitlab-tag-push", rule(L, "push", tags=["v[0-9]*"]), "v1.4.0"),
    (L, "release", "gitlab-release", rule(L, "release"), "v1.4.0"),
    (L, RAN, "gitlab-pipeline",
     rule(L, RAN, "commit", branches="main", workflows="CI"), COMMIT),
    (T, "push", "gitea-push", rule(T, "push", "commit", branches="main"), COMMIT),
    (T, "push", "forgejo-push-tag", rule(T, "push"), "v1.4.0"),
    (T, "release", "gitea-release", rule(T, "release"), "v1.4.0"),
    (T, RAN, "gitea-workflow-run",
     rule(T, RAN, "commit", branches="main", workflows="CI"), COMMIT),
    (S, "", "standard-release", PUBLISHED, "v1.4.0"),
    (S, "", "standard-release",
     rule(S, "release.published", "data.images.0.tag", tags="v*"), "v1.4.0"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "event", "name", "met", "version"), MET)
def test_a_rule_takes_the_version_from_what_its_event_has(
    provider: str, event: str, name: str, met: Rule, version: str
) -> None:
    found = verdict([met], provider, event, payload(name))
    assert (found.decision, found.version, found.why) == (Decision.ACCEPTED, version, None)


UNMET: list[tuple[str, str, bytes, Rule, str]] = [
    (G, "push", payload("github-push-tag"), rule(G, "release"), "on is release"),
    (G, "push", payload("github-push-branch"), rule(G, "push"), "main is no tag"),
    (G, "push", payload("github-push-tag"), rule(G, "push", tags="1*"), "none of tags"),
    (G, "push", changed("github-push-branch", deleted=True), BY_COMMIT, "was deleted"),
    (G, "push", changed("github-push-branch", after="0" * 40), BY_COMMIT, "was deleted"),
    (G, "push", changed("github-push-branch", ref="refs/heads/x"), BY_COMMIT, "x matches none"),
    (
        G,
        "push",
        changed("github-push-tag", ref="refs/tags/-rf"),
        rule(G, "push"),
        "cannot be a version",
    ),
    (
        G,
        "push",
        changed("github-push-tag", ref="refs/tags/a/../b"),
        rule(G, "push"),
        "cannot be a version",
    ),
    (G, "release", changed("github-release", action="edited"), rule(G, "release"), "not edited"),
    (G, "release", changed("github-release", release__draft=True), rule(G, "release"), "draft"),
    (
        G,
        "release",
        changed("github-release", release__prerelease=True),
        rule(G, "release"),
        "pre-release",
    ),
    (G, RAN, changed(RUN, action="requested"), BY_COMMIT, "completed"),
    (G, RAN, changed(RUN, workflow_run__conclusion="failure"), BY_COMMIT, "not failure"),
    (G, RAN, changed(RUN, workflow_run__event="pull_request"), BY_COMMIT, "pull request"),
    (G, RAN, changed(RUN, workflow_run__event="pull_request_target"), BY_COMMIT, "pull request"),
    (
        G,
        RAN,
        changed(RUN, workflow_run__head_repository={"full_name": "evil/shop"}),
        BY_COMMIT,
        "fork",
    ),
    (G, RAN, changed(RUN, workflow_run__head_repository=None), BY_COMMIT, "fork"),
    (G, RAN, changed(RUN, workflow_run__name="Lint"), BY_COMMIT, "Lint is not among workflows"),
    (
        G,
        "deployment",
        payload("github-deployment"),
        rule(G, "deployment", "commit", environments="staging"),
        "production is not among",
    ),
    (G, "ping", payload("github-ping"), BY_COMMIT, "pong"),
    (G, "star", b"{}", BY_COMMIT, "no release"),
    (L, "push", changed("gitlab-push", after="0" * 40), OF_MAIN["push"], "deleted"),
    (L, "release", changed("gitlab-release", action="update"), rule(L, "release"), "not on update"),
    (
        L,
        RAN,
        changed("gitlab-pipeline", object_attributes__status="failed"),
        OF_MAIN[RAN],
        "not failed",
    ),
    (
        L,
        RAN,
        changed("gitlab-pipeline", object_attributes__source="merge_request_event"),
        OF_MAIN[RAN],
        "merge request",
    ),
    (
        L,
        RAN,
        changed("gitlab-pipeline", object_attributes__source="parent_pipeline"),
        OF_MAIN[RAN],
        "another pipeline",
    ),
    (T, "create", b"{}", rule(T, "push"), "no release"),
    (S, "", payload("standard-release"), rule(S, "release.drafted", "data.version"), "on is"),
    (
        S,
        "",
        payload("standard-release"),
        rule(S, "release.published", "data.tag"),
        "no text at data.tag",
    ),
    (
        S,
        "",
        payload("standard-release"),
        rule(S, "release.published", "data.images.7.tag"),
        "no text",
    ),
    (S, "", changed("standard-release", data__version=7), PUBLISHED, "no text"),
    (
        S,
        "",
        changed("standard-release", data__version="$(reboot)"),
        PUBLISHED,
        "cannot be a version",
    ),
]


@pytest.mark.parametrize(("provider", "event", "body", "unmet", "why"), UNMET)
def test_what_is_ignored_says_why(
    provider: str, event: str, body: bytes, unmet: Rule, why: str
) -> None:
    found = verdict([unmet], provider, event, body)
    assert (found.decision, found.version) == (Decision.IGNORED, None)
    assert why in (found.why or "")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"{", "body"),
        (b'{"ref": 7, "after": "x"}', "ref"),
        (b'{"ref": "refs/heads/main", "after": "main"}', "after"),
        (b'{"ref": "' + b"r" * 1000 + b'", "after": "' + b"0" * 40 + b'"}', "ref"),
        (b"[" * 100_000, "body"),
        (b"\xff\xfe", "body"),
    ],
)
def test_what_its_event_does_not_have_is_unreadable(body: bytes, why: str) -> None:
    found = verdict([BY_COMMIT], G, "push", body)
    assert found.decision is Decision.UNREADABLE
    assert why in (found.why or "")


def test_a_form_is_told_to_be_json() -> None:
    body = b"payload=%7B%7D"
    form = {"content-type": "application/x-www-form-urlencoded"}
    headers = headers_of((signed(G, "push", body, now=NOW) | form).items())
    found = judge([BY_COMMIT], headers or {}, body, NOW)
    assert found is not None
    assert "application/json" in (found.why or "")


def test_the_first_rule_that_is_met_counts_among_those_that_its_signature_is_of() -> None:
    body = payload("github-push-tag")
    others = Rule(webhook=rule(G, "push", tags="v*").webhook, secrets=["x" * 20])
    met = rule(G, "push", "commit", tags="v*")
    found = verdict([others, rule(G, "release"), met], G, "push", body)
    assert found.version == COMMIT


def test_two_rules_that_are_not_met_both_say_why() -> None:
    rules = [rule(G, "push", tags="1*"), rule(G, "release")]
    found = verdict(rules, G, "push", payload("github-push-tag"))
    assert found.why == "v1.4.0 matches none of tags; on is release"


def test_either_of_two_secrets_is_right_and_a_third_is_not() -> None:
    body = payload("github-push-tag")
    two = Rule(webhook=rule(G, "push").webhook, secrets=["o" * 16, SECRET])
    for secret, taken in (("o" * 16, True), (SECRET, True), ("p" * 16, False)):
        headers = headers_of(signed(G, "push", body, secret=secret, now=NOW).items()) or {}
        assert (judge([two], headers, body, NOW) is not None) is taken


def test_without_a_usable_secret_nobody_can_sign() -> None:
    body = payload("github-push-tag")
    nobody = Rule(webhook=rule(G, "push").webhook, secrets=[])
    for secret in ("", "short"):
        headers = headers_of(signed(G, "push", body, secret=secret, now=NOW).items()) or {}
        assert judge([nobody], headers, body, NOW) is None
        assert judge([], headers, body, NOW) is None


def test_a_header_that_comes_twice_is_refused() -> None:
    pairs = [*signed(G, "push", b"{}").items()]
    assert headers_of(pairs) is not None
    assert headers_of([*pairs, ("X-Hub-Signature-256", "sha256=00")]) is None
    assert headers_of([*pairs, ("X-Other", "1"), ("X-Other", "2")]) is not None


def test_a_name_that_cannot_be_used_is_replaced_by_the_digest() -> None:
    body = payload("github-push-tag")
    headers = signed(G, "push", body, name="../../x y", now=NOW)
    found = judge([rule(G, "push")], headers, body, NOW)
    assert found is not None
    assert found.delivery.startswith("sha256:")
