"""``[[webhook]]``: what is taken, and what each contradiction is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import check_files, load_app
from bluegreen.layout import Layout
from tests.config.samples import SHOP, install, problems_of, small_app, write

HOOK = """
[[webhook]]
provider = "github"
secret = { file = "/etc/bluegreen/webhooks/shop" }
on = "release"
version = "tag"
"""


def test_one_text_stands_for_a_list_of_one(tmp_path: Path) -> None:
    (webhook,) = load_app(write(tmp_path, SHOP + HOOK + 'tags = "v*"\n')).webhook
    assert (webhook.on, webhook.tags) == (("release",), ("v*",))
    assert [one.file for one in webhook.secret] == ["/etc/bluegreen/webhooks/shop"]


def test_two_secrets_may_stand_beside_each_other(tmp_path: Path) -> None:
    text = HOOK.replace('{ file = "/etc/bluegreen/webhooks/shop" }', '[{file="/a"}, {file="/b"}]')
    (webhook,) = load_app(write(tmp_path, SHOP + text)).webhook
    assert [one.file for one in webhook.secret] == ["/a", "/b"]


def test_a_standard_webhook_names_its_own_events_and_field(tmp_path: Path) -> None:
    text = (
        HOOK.replace('"github"', '"standard"')
        .replace('"release"', '["release.published", "image:pushed"]')
        .replace('"tag"', '"data.images.0.tag"')
    )
    (webhook,) = load_app(write(tmp_path, SHOP + text)).webhook
    assert webhook.version == "data.images.0.tag"


WRONG = [
    ('provider = "github"', 'provider = "forgejo"', "provider", "cannot be used", "gitea"),
    ('{ file = "/etc/bluegreen/webhooks/shop" }', '"hunter2"', "secret", "not stand", "{ file ="),
    ('{ file = "/etc/bluegreen/webhooks/shop" }', '["hunter2"]', "secret", "not stand", "{ file ="),
    ('{ file = "/etc/bluegreen/webhooks/shop" }', "[]", "secret", "no secret", "Name the file"),
    (
        '{ file = "/etc/bluegreen/webhooks/shop" }',
        '[{file="/a"}, {file="/b"}, {file="/c"}]',
        "secret", "3 secrets", "of both",
    ),
    (
        '{ file = "/etc/bluegreen/webhooks/shop" }',
        '[{file="/a"}, {file="/a"}]',
        "secret", "one file", "of its own",
    ),
    ('{ file = "/etc/bluegreen/webhooks/shop" }', '{ file = "x" }', "secret", "this value", "/"),
    ('on = "release"', "on = []", "on", "empty", "Fill it"),
    ('on = "release"', 'on = "ping"', "on", 'no "ping"', "push, release"),
    ('on = "release"', 'on = ["release", "release"]', "on", "twice", "one of them"),
    ('on = "release"', 'on = "re lease"', "on", "cannot be used", "name of an event"),
    ('"tag"', '"data.version"', "version", "standard webhook", '"tag" or "commit"'),
    ('"tag"', '"commit"', "version", "no commit", '"tag"'),
    ('"tag"', '"a..b"', "version", "cannot be used", "data.version"),
    ('"tag"', f'"{".".join("abcdefghi")}"', "version", "cannot be used", "at most 8"),
    ('"tag"', '"tag"\nbranches = "main"', "branches", "no tag", '"commit"'),
    ('"tag"', '"tag"\nworkflows = "CI"', "workflows", "not on workflow_run", "add"),
    ('"tag"', '"tag"\nenvironments = "x"', "environments", "not on deployment", "add"),
    ('"tag"', '"tag"\ntags = ["v*", "v*"]', "tags", "twice", "one of them"),
    ('"tag"', '"tag"\ntags = "v *"', "tags", "cannot be used", "pattern"),
    ('"release"\nversion = "tag"', '"push"\nversion = "commit"', "on", "any branch", "branches ="),
    ('"release"\nversion = "tag"', '"workflow_run"\nversion = "tag"', "version", "branch", "tags"),
    ('on = "release"', 'on = "push"\nprereleases = true', "prereleases", "not on release", "add"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "wrong", "right"), WRONG)
def test_each_contradiction_says_where_it_is_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, key: str, wrong: str, right: str
) -> None:
    assert HOOK.count(old) == 1
    found = problems_of(tmp_path, SHOP + HOOK.replace(old, new))
    problem = next((p for p in found if p.key.startswith(f"webhook[0].{key}")), None)
    assert problem is not None, [str(p) for p in found]
    assert wrong in problem.wrong, problem
    assert right in problem.right, problem
    assert problem.line is not None
    assert problem.line > SHOP.count("\n")
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("key", ["branches", "workflows", "environments"])
def test_a_standard_webhook_knows_nothing_of_branches(tmp_path: Path, key: str) -> None:
    text = HOOK.replace('"github"', '"standard"').replace('"tag"', f'"data.tag"\n{key} = "x"')
    (problem,) = problems_of(tmp_path, SHOP + text)
    assert problem.key == f"webhook[0].{key}"
    assert "standard webhook" in problem.wrong


@pytest.mark.parametrize("provider", ["gitlab", "gitea"])
def test_a_forge_without_deployments_is_told_what_it_has(tmp_path: Path, provider: str) -> None:
    text = HOOK.replace('"github"', f'"{provider}"').replace('"release"', '"deployment"')
    found = problems_of(tmp_path, SHOP + text)
    assert found[0].key == "webhook[0].on"
    assert f'{provider} has no "deployment"' in found[0].wrong


def test_the_same_twice_is_one_too_many(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, SHOP + HOOK + HOOK)
    assert problem.key == "webhook[1].provider"
    assert "webhook[0]" in problem.wrong


def test_a_secret_is_for_one_provider(tmp_path: Path) -> None:
    gitea = HOOK.replace('provider = "github"', 'provider = "gitea"')
    (problem,) = problems_of(tmp_path, SHOP + HOOK + gitea)
    assert problem.key == "webhook[1].secret"
    assert "the secret of webhook[0] too, which is for github" in problem.wrong


def test_a_single_table_is_told_to_be_a_list_of_them(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, SHOP + HOOK.replace("[[webhook]]", "[webhook]"))
    assert "[[webhook]]" in problem.right


def test_a_secret_that_is_not_there_is_found_by_check(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    missing = tmp_path / "missing"
    text = small_app(
        "shop", 9001, 9101, extra=HOOK.replace("/etc/bluegreen/webhooks/shop", str(missing))
    )
    install(layout, text)
    (problem,) = check_files([], layout)
    assert problem.key == "webhook[0].secret"
    assert f"the secret file {missing} cannot be read" in problem.wrong
