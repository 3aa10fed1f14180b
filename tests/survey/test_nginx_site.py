"""The administrator's own site: what leads to the app in it, and how it can be kept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.survey.nginx_file import read_configuration
from bluegreen.survey.nginx_site import find_site
from bluegreen.survey.nouns import FoundRoute, FoundService, FoundSite

WEB = FoundService(name="web", command="x", where="", replaces="127.0.0.1:9000")
API = FoundService(name="api", command="x", where="", replaces="/run/api.sock")
MAIN = """
events { }
http {
    include /etc/nginx/conf.d/*.conf;
    include sites-enabled/*;
}
"""
HEADERS = """
    proxy_set_header Host $host; # "a { comment"
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
"""


def site(
    root: Path, text: str, *, main: str = MAIN, unread: list[str] | None = None
) -> FoundSite | None:
    for name, content in {
        "nginx.conf": main,
        "sites-enabled/shop": text,
        "headers": HEADERS,
    }.items():
        file = root / "etc/nginx" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return find_site(root, "shop", [WEB, API], [] if unread is None else unread)


def found(root: Path, text: str, main: str = MAIN) -> FoundSite:
    unread: list[str] = []
    seen = site(root, text, main=main, unread=unread)
    assert unread == []
    assert seen is not None
    return seen


PLAIN = """\
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
upstream api { server unix:/run/api.sock; keepalive 8; }
server {
    listen 80;
    server_name shop.example.org;
    return 301 https://$host$request_uri;
}
server {
    listen 443 ssl;
    server_name shop.example.org;
    client_max_body_size 50m;
    location / { proxy_pass http://localhost:9000; include headers; }
    location ^~ /api/ {
        proxy_pass http://api;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_read_timeout 5m;
    }
    location /static/ { alias /srv/shop/static/; }
}
"""


def test_a_plain_site_takes_the_snippet(tmp_path: Path) -> None:
    seen = found(tmp_path, PLAIN)
    assert (seen.mode, seen.files, seen.max_body) == (
        "snippet", ("/etc/nginx/sites-enabled/shop",), "50MiB",
    )  # fmt: skip
    assert seen.routes == (
        FoundRoute(path="/", service="web", websocket=False, timeout=None),
        FoundRoute(path="/api/", service="api", websocket=True, timeout="5m"),
    )
    assert seen.edits == (
        "/etc/nginx/sites-enabled/shop, in the place of location / (line 12), "
        "location ^~ /api/ (line 13): include /etc/nginx/bluegreen/snippets/shop.server.conf;",
    )


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("/api/ {", "/api/ { proxy_cache c;", "proxy_cache"),
        ("location ^~ /api/", "location ~ ^/api/", "plain prefix"),
        ("location ^~ /api/", "location = /api/", "plain prefix"),
        ("http://api;", "http://api/v1/;", "changes the path"),
        ("proxy_read_timeout 5m;", "proxy_set_header X-Tenant a;", "X-Tenant"),
        ("proxy_set_header Connection", "proxy_set_header Host fixed; proxy_set_header Connection",
         "header Host"),
        ("/api/ {", "/api/ { if ($arg_a) { return 403; }", "if in"),
        ("return 301 https://$host$request_uri;",
         "location / { proxy_pass http://127.0.0.1:9000; }", "differ"),
    ],
)  # fmt: skip
def test_what_a_snippet_would_not_do_is_kept_by_names(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    seen = found(tmp_path, PLAIN.replace(old, new))
    assert seen.mode == "upstream"
    assert why in seen.why
    assert seen.routes == ()
    assert any(edit.endswith("localhost:9000: http://shop_web;") for edit in seen.edits)
    uri = "/v1/" if "v1" in new else ""
    assert any(edit.endswith(f"http://shop_api{uri};") for edit in seen.edits)


def test_a_location_in_another_is_kept_by_names(tmp_path: Path) -> None:
    text = "server { location / { location /x/ { proxy_pass http://127.0.0.1:9000; } } }"
    assert found(tmp_path, text).mode == "upstream"


def test_without_conf_d_the_other_line_is_asked_for(tmp_path: Path) -> None:
    main = MAIN.replace("include /etc/nginx/conf.d/*.conf;", "")
    assert found(tmp_path, PLAIN, main).edits[0] == (
        "/etc/nginx/nginx.conf, inside of http { }: include /etc/nginx/conf.d/bluegreen.conf;"
    )


def test_a_site_of_something_else_is_none(tmp_path: Path) -> None:
    assert site(tmp_path, "server { location / { proxy_pass http://127.0.0.1:9001; } }") is None
    assert site(tmp_path, "server { location / { proxy_pass http://$up; } }") is None


def test_what_bluegreen_wrote_is_not_taken_over(tmp_path: Path) -> None:
    text = "# Written by bluegreen; changes here are overwritten.\n" + PLAIN
    assert site(tmp_path, text) is None


def test_an_include_of_itself_ends(tmp_path: Path) -> None:
    assert site(tmp_path, "include sites-enabled/*;\n" + PLAIN) is not None


@given(st.text(st.sampled_from(" \n;{}\"'#\\$ab"), max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    site(tmp_path_factory.mktemp("root"), text)


def test_the_host_s_own_configuration_is_understood() -> None:
    if shutil.which("nginx") is None or not Path("/etc/nginx/nginx.conf").is_file():
        pytest.skip("there is no nginx configuration here")
    unread: list[str] = []
    read = read_configuration(Path("/"), unread)
    assert unread == []
    names = [one.name for one in read.directives]
    assert "http" in names
    said = subprocess.run(["nginx", "-T"], capture_output=True, text=True, check=False, timeout=30)
    if said.returncode == 0:
        assert said.stdout.count("\nserver {") == sum(
            1 for http in read.directives if http.name == "http" for _ in http.inside("server")
        )
