"""Git addresses: which are allowed, and where credentials may not show up."""

from __future__ import annotations

import base64
import http.server
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bluegreen.config.source_section import Source
from bluegreen.errors import ConfigError, SourceError
from bluegreen.sources.git import GitSource
from bluegreen.sources.remote import join_remote, parse_remote, redact
from tests.sources.repositories import Repository, git, layout_in, source_of

SECRET = "s3cr%t-Tok@n"
QUOTED = "s3cr%25t-Tok%40n"


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("https://example.org/a.git", False),
        ("ssh://git@example.org:22/a.git", False),
        ("git@example.org:team/a.git", False),
        ("git://[::1]:9418/a.git", False),
        ("/srv/a.git", True),
        ("file:///srv/a.git", True),
    ],
)
def test_addresses_that_git_may_be_given(text: str, local: bool) -> None:
    remote = parse_remote(text)
    assert (remote.url, remote.is_local) == (text, local)


@pytest.mark.parametrize(
    "text",
    ["--upload-pack=touch x", "-oProxyCommand=x", "ext::sh -c x", "ext::sh", "fd::17/foo",
     "ssh://-oProxyCommand=x/a", "ssh://-x@example.org/a", "-x@example.org:a", "relative/path.git",
     "./a", "", "file://example.org/a", "https://", "ftp://example.org/a",
     "https://exam ple.org/a", "https://example.org/a\nb", "transport::address", "https:///a",
     f"https://me:{QUOTED}@example.org/a", f"https://{QUOTED}@example.org/a"],
)  # fmt: skip
def test_addresses_that_git_never_sees(text: str, tmp_path: Path) -> None:
    settings = Source.model_construct(git=text, directory=None, submodules=True, timeout=5.0)
    with pytest.raises(ConfigError) as refused:
        GitSource("shop", settings, layout_in(tmp_path))
    assert QUOTED not in "\n".join(refused.value.lines())


@example(text="a:?::")
@given(text=st.text(alphabet="ab-:/@.%~\\ \n[]ext?#", max_size=30))
def test_no_accepted_address_is_an_option_or_a_remote_helper(text: str) -> None:
    try:
        remote = parse_remote(text)
    except ValueError:
        return
    assert not remote.url.startswith("-")
    # As git's transport_get() looks for one: characters of a URL scheme, then "::".
    assert not re.match(r"[A-Za-z0-9+.-]*::", remote.url)


@pytest.mark.parametrize(
    ("base", "address", "joined"),
    [
        ("https://example.org/team/a.git", "../b.git", "https://example.org/team/b.git"),
        ("https://example.org/team/a.git/", "../../x/b", "https://example.org/x/b"),
        ("https://example.org/a.git", "./b", "https://example.org/a.git/b"),
        ("git@example.org:team/a.git", "../b.git", "git@example.org:team/b.git"),
        ("git@example.org:a.git", "../b.git", "git@example.org:b.git"),
        ("/srv/git/a", "../b", "/srv/git/b"),
        ("https://example.org/a", "https://other.org/b", "https://other.org/b"),
    ],
)
def test_a_relative_address_is_joined_as_git_does(base: str, address: str, joined: str) -> None:
    assert join_remote(parse_remote(base), address) == joined


@pytest.mark.parametrize("base", ["https://example.org/a", "git@example.org:a", "/a"])
def test_a_relative_address_cannot_climb_above_the_host(base: str) -> None:
    with pytest.raises(ValueError, match="climbs"):
        join_remote(parse_remote(base), "../../../b")


def test_credentials_in_what_git_says_are_not_repeated() -> None:
    message = redact(
        f"fatal: https://me:{QUOTED}@example.org/a, https://token@other.org/x, ssh://a:b@c/d"
    )
    assert message == "fatal: https://***@example.org/a, https://***@other.org/x, ssh://***@c/d"


class _Guarded(http.server.SimpleHTTPRequestHandler):
    """Serves files (git's dumb protocol) to whoever knows the password."""

    expected = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
    arguments: list[bytes]

    def do_GET(self) -> None:
        for entry in os.listdir("/proc"):
            try:
                self.arguments.append(Path(f"/proc/{entry}/cmdline").read_bytes())
            except OSError:
                continue
        if self.headers.get("Authorization") == self.expected:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has
        return


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    repository = Repository(tmp_path / "origin")
    repository.commit({"app.py": "one"}, tag="v1")
    git(tmp_path, "clone", "--quiet", "--bare", "origin", "served/shop.git")
    git(tmp_path / "served/shop.git", "update-server-info")
    _Guarded.arguments = []
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Guarded, directory=str(tmp_path / "served"))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}/shop.git"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_credentials_of_gits_own_configuration_are_used_and_not_spread(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "credentials"
    store.write_text(f"http://me:{QUOTED}@{guarded.partition('/')[0]}\n")
    (tmp_path / "gitconfig").write_text(f"[credential]\n\thelper = store --file={store}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    source = source_of(tmp_path, f"http://{guarded}")
    release = await source.resolve("v1")
    assert release.origin == f"http://{guarded}"
    assert any(b"remote-http" in line for line in _Guarded.arguments)
    secrets = (SECRET.encode(), QUOTED.encode())
    assert not [line for line in _Guarded.arguments if any(secret in line for secret in secrets)]
    for path in layout_in(tmp_path).cache.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path


async def test_a_remote_that_wants_a_password_is_an_error_and_asks_nobody(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_text(
        f'[url "http://me:wrong-{QUOTED}@{guarded}"]\n\tinsteadOf = http://{guarded}\n'
    )
    for config, words in (("/dev/null", "could not read Username"),
                          (str(tmp_path / "gitconfig"), "Authentication failed")):  # fmt: skip
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", config)
        with pytest.raises(SourceError) as refused:
            await source_of(tmp_path, f"http://{guarded}").resolve("v1")
        text = "\n".join(refused.value.lines())
        assert words in text
        assert "key or token" in refused.value.remedy
        assert QUOTED not in text
