from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.git_url import check_git_url
from bluegreen.config.refusal import ValueRefusedError


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a/b.git",
        "https://example.org:8443/a",
        "http://127.0.0.1:3000/a",
        "ssh://git@example.org:2222/a.git",
        "ssh://git@[::1]/a.git",
        "git://127.0.0.1/a",
        "file:///srv/git/a.git",
        "git@example.org:a/b.git",
        "host-alias:a.git",
        "/srv/git/my app.git",
    ],
)
def test_addresses_of_repositories_are_taken(url: str) -> None:
    assert check_git_url(url) == url


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("", "not the address"),
        ("relative/path", "not the address"),
        ("../up", "not the address"),
        ("--upload-pack=touch /tmp/x", "begins with a dash"),
        ("ext::sh -c 'touch /tmp/x'", "transport helpers"),
        ("fd::17", "transport helpers"),
        ("testgit::/srv/x", "transport helpers"),
        ("::x", "transport helpers"),
        ("ftp://example.org/a", "scheme ftp://"),
        ("EXT://x", "scheme ext://"),
        ("https://user:pw@example.org/a", "credentials"),
        ("https://token@example.org/a", "credentials"),
        ("https://:@example.org/a", "credentials"),
        ("ssh://git:pw@example.org/a", "credentials"),
        ("ssh://-oProxyCommand=touch/a", "no usable host"),
        ("ssh://-x@example.org/a", "no usable host"),
        ("https:///a", "no usable host"),
        ("https://[bad/a", "cannot be read"),
        ("https://example.org:port/a", "cannot be read"),
        ("https://example.org/a b", "spaces"),
        ("https://example.org/a\nb", "control characters"),
        ("file://host/a", "no host"),
        ("-oProxyCommand=x@host:a", "dash"),
        ("git@-host:a", "not the address"),
        ("git@host:-a", "not the address"),
        ("git@host:", "not the address"),
    ],
)
def test_what_git_could_take_for_a_command_or_is_no_address_is_refused(
    url: str, wrong: str
) -> None:
    with pytest.raises(ValueRefusedError) as caught:
        check_git_url(url)
    assert wrong in caught.value.wrong
    assert caught.value.right


@given(st.one_of(st.text(), st.from_regex(r"\A[a-z]*:?:?/?/?[-a-z@:\[\]]*/?")))
def test_any_text_is_taken_or_refused(url: str) -> None:
    try:
        check_git_url(url)
    except ValueRefusedError:
        return
    assert not url.startswith("-")
    # A helper is what stands before a first colon that is double (git-remote-helpers(7)).
    assert url.startswith("/") or not url.partition(":")[2].startswith(":")
