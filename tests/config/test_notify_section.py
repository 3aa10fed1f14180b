"""``[[notify]]`` and ``[[status]]``: what is taken, and what each contradiction is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import check_files, load_all, load_app
from bluegreen.config.notify_section import USUAL
from bluegreen.config.problems import Problem
from bluegreen.layout import Layout
from tests.config.samples import SHOP, problems_of, write

SECRET = 'secret = { file = "/etc/bluegreen/notify/s" }\n'
STATUS = """
[[status]]
provider = "github"
repository = "o/shop"
token = { file = "/etc/bluegreen/notify/github" }
"""


def _daemon(root: Path, text: str) -> Layout:
    layout = Layout(root)
    layout.daemon_file.parent.mkdir(parents=True, exist_ok=True)
    layout.daemon_file.write_text(text)
    return layout


def _problems(root: Path, text: str) -> list[Problem]:
    layout = _daemon(root, text)
    return check_files([layout.daemon_file], layout)


def test_a_receiver_by_its_url_alone_is_told_what_is_usual(tmp_path: Path) -> None:
    layout = _daemon(tmp_path, '[[notify]]\nurl = "ntfy://topic"\n')
    [receiver] = load_all(layout).daemon.notify
    assert receiver.on == USUAL
    assert (receiver.apps, receiver.kinds, receiver.is_webhook) == ((), (), False)


def test_secrets_and_texts_may_be_lists_of_one(tmp_path: Path) -> None:
    text = f'[[notify]]\nurl = "https://h/x"\n{SECRET}on = "failed"\napps = "shop"\n'
    [receiver] = load_all(_daemon(tmp_path, text)).daemon.notify
    assert [one.file for one in receiver.secret] == ["/etc/bluegreen/notify/s"]
    assert (receiver.on, receiver.apps, receiver.is_webhook) == (("failed",), ("shop",), True)


@pytest.mark.parametrize(
    ("text", "line", "key", "wrong", "right"),
    [
        ('url = "https://h/T0P"', 2, "notify[0].url", "there is no secret", "slack://"),
        ('url = "http://h/T0P"\n' + SECRET, 2, "notify[0].url", "not https", "allow_private"),
        ('url = "https:///T0P"\n' + SECRET, 2, "notify[0].url", "no host", "https://HOST"),
        ('url = "ntfy://T0P"\n' + SECRET, 2, "notify[0].url", "no signature", "Remove"),
        ('url = "T0P"', 2, "notify[0].url", "this value", "Apprise URL"),
        ('url = { file = "T0P" }', 2, "notify[0].url.file", "this value", "absolute"),
        ('url = "ntfy://a"\nsecret = "T0P"', 3, "notify[0].secret", "not stand here", "{ file"),
        ('url = "ntfy://a"\nsecret = ["T0P"]', 3, "notify[0].secret", "not stand", "{ file"),
        (
            'url = "ntfy://a"\nsecret = [{file="/a"},{file="/b"},{file="/c"}]',
            3, "notify[0].secret", "3 secrets", "of both",
        ),
        ('url = "ntfy://a"\non = []', 3, "notify[0].on", "empty", "Fill it"),
        ('url = "ntfy://a"\non = "broken"', 3, "notify[0].on", '"broken"', '"rolled_back"'),
        ('url = "ntfy://a"\nkinds = ["move"]', 3, "notify[0].kinds[0]", '"move"', '"deploy"'),
        ('url = "ntfy://a"\nname = "A B"', 3, "notify[0].name", '"A B"', "lower-case"),
        ('url = "ntfy://a"\nnme = "a"', 3, "notify[0].nme", "no key", '"name"'),
        ('name = "a"', 1, "notify[0].url", "missing", "Add url"),
        (
            'name = "a"\nurl = "ntfy://a"\n[[notify]]\nname = "a"\nurl = "ntfy://b"',
            1, "notify", 'called "a"', "of its own",
        ),
        (
            'url = "ntfy://T0P"\n[[notify]]\nurl = "ntfy://T0P"', 1, "notify", "one url", "a name",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said_with_its_line(
    tmp_path: Path, text: str, line: int, key: str, wrong: str, right: str
) -> None:
    [problem] = _problems(tmp_path, f"[[notify]]\n{text}\n")
    assert (problem.line, problem.key) == (line, key)
    assert wrong in problem.wrong
    assert right in problem.right
    assert "T0P" not in str(problem)


def test_a_forge_is_known_by_its_provider(tmp_path: Path) -> None:
    (status,) = load_app(write(tmp_path, SHOP + STATUS)).status
    assert (status.base, status.deployments) == ("https://api.github.com", True)
    own = STATUS + 'api = "https://git.example.org/api/v3/"\n'
    (status,) = load_app(write(tmp_path, SHOP + own)).status
    assert status.base == "https://git.example.org/api/v3"


@pytest.mark.parametrize(
    ("old", "new", "key", "wrong", "right"),
    [
        ('"github"', '"gitea"', "status[0]", "no address", "Add api"),
        ('"github"', '"svn"', "status[0].provider", '"svn"', "gitlab"),
        ('"o/shop"', '"../shop"', "status[0].repository", '"../shop"', "owner/name"),
        ('"o/shop"', '"shop?x"', "status[0].repository", '"shop?x"', "owner/name"),
        ('{ file = "/etc/bluegreen/notify/github" }', '"T0P"', "status[0].token", "not stand", "{"),
        ('"/etc/bluegreen/notify/github"', '"T0P"', "status[0].token", "not the path", "{ file"),
        ("\n[[status]]", '\n[[status]]\napi = "http://h/"', "status[0].api", "not https", "https"),
        ("\n[[status]]", '\n[[status]]\napi = "h"', "status[0].api", "cannot be used", "https"),
        ("\n[[status]]", STATUS + "[[status]]", "status", "named twice", "Keep one"),
    ],
)
def test_what_a_forge_cannot_be_is_said(
    tmp_path: Path, old: str, new: str, key: str, wrong: str, right: str
) -> None:
    [problem] = problems_of(tmp_path, SHOP + STATUS.replace(old, new, 1))
    assert problem.key == key
    assert wrong in problem.wrong
    assert right in problem.right
    assert "T0P" not in str(problem)


def test_releases_without_commits_mark_none(tmp_path: Path) -> None:
    text = SHOP.replace('git = "https://example.org/shop.git"', 'directory = "/srv/{version}"')
    text = text.replace("submodules = false\n", "").replace('timeout = "2m"\n', "", 1)
    problems = problems_of(tmp_path, text + STATUS)
    assert [problem.key for problem in problems] == ["status"]
