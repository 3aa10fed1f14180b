"""What may and may not be written for nginx, and what counts as a change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.settings import AppSettings
from bluegreen.errors import ConfigError, TrafficError
from bluegreen.host.places import HostLayout
from bluegreen.layout import Layout
from bluegreen.model import Slot, Traffic
from bluegreen.traffic.app_view import template_id
from bluegreen.traffic.build import NginxBuild, parse_build
from bluegreen.traffic.confirmation import Answer, parse_answer
from bluegreen.traffic.quoting import UnsafeValueError, checked, quoted, text_argument
from bluegreen.traffic.rendering import Templates

BUILD = NginxBuild(binary="nginx", version=(1, 22, 1), arguments="")
OPEN = Traffic(active=Slot.BLUE, closed=False)


def settings(name: str = "shop", **changes: Any) -> AppSettings:
    document: dict[str, Any] = {
        "app": {"name": name},
        "source": {"directory": "/srv/{version}"},
        "services": {"web": {"command": "true", "ports": {"blue": 9001, "green": 9002}}},
        "routes": [{"path": "/", "service": "web"}],
    }
    return AppSettings.model_validate(document | changes)


def templates(root: Path = Path("/r"), build: NginxBuild = BUILD) -> Templates:
    return Templates(Layout(root), build)


@given(st.text(min_size=1))
def test_a_quoted_value_is_one_argument_or_refused(value: str) -> None:
    try:
        text = quoted(value)
    except UnsafeValueError:
        return
    assert text.strip('"') == value.strip('"')
    assert not set(text[1:-1]) & set("\"';{}$\\\n\r\0")
    assert " " not in text or (text[0], text[-1]) == ('"', '"')


@given(st.text(min_size=1))
def test_an_unquoted_value_is_a_plain_word_or_refused(value: str) -> None:
    try:
        text = str(checked(value))
    except UnsafeValueError:
        return
    assert text == value
    assert not set(text) & set(" \t\n\r\0\"';{}$\\#`")


@given(st.text())
def test_a_page_stays_inside_its_quotes_or_is_refused(value: str) -> None:
    try:
        text = text_argument(value)
    except UnsafeValueError:
        return
    assert text == f"'{value}'"
    assert not set(value) & set("'$\\\n\r\0")


@pytest.mark.parametrize(
    "path", ["/a;b", "/a{b}", "/a$b", '/a"b', "/a'b", "/a\nb", "/a\\b", "/a*b"]
)
def test_a_root_that_nginx_would_misread_is_refused(path: str) -> None:
    with pytest.raises(ConfigError):
        templates(Path(path)).app(settings(), OPEN)


def test_a_root_with_a_space_is_quoted() -> None:
    _, text = templates(Path("/my root")).instance()
    assert 'working_directory "/my root/var/lib/bluegreen/apps";' in text


def test_markers_are_named_from_where_our_own_nginx_works_and_in_full_for_a_hosts() -> None:
    assert "-f shop/traffic/green)" in templates().slot(settings(), Slot.BLUE)
    hosts = Templates(HostLayout(Path("/r")), BUILD).slot(settings(), Slot.BLUE)
    assert "-f /r/var/lib/bluegreen/apps/shop/traffic/green)" in hosts


def test_only_a_route_with_assets_has_nginx_look_for_files() -> None:
    plain = {"path": "/", "service": "web"}
    with_assets = {"path": "/static/", "service": "web", "assets": "dist"}
    made = [
        templates().app(settings(routes=routes), OPEN) for routes in ([plain], [plain, with_assets])
    ]
    (without,), (text,) = (rendered.files.values() for rendered in made)
    assert "beside" not in without
    assert "assets" not in without
    root, static = (part.partition("\n    }")[0] for part in text.split("\n    location /")[1:3])
    assert "beside" not in root
    assert 'if (-f "shop/assets/beside-$bg_shop$uri") {' in static
    assert 'root "/r/var/lib/bluegreen/apps/shop/assets/beside-$bg_shop";' in text
    assert "text/javascript mjs;" in text


def test_assets_are_found_by_the_slot_of_the_configuration_and_in_full_for_a_hosts_nginx() -> None:
    app = settings(
        "shop-2",
        routes=[{"path": "/", "service": "web", "assets": "dist"}],
        nginx={"switch": "reload", "mode": "snippet"},
    )
    rendered = Templates(HostLayout(Path("/")), BUILD).app(app, OPEN)
    (text,) = (text for path, text in rendered.files.items() if path.name.endswith("server.conf"))
    assert 'if (-f "/var/lib/bluegreen/apps/shop-2/assets/beside-blue$uri") {' in text
    assert 'if (-f "/var/lib/bluegreen/apps/shop-2/assets/blue$uri") {' in text
    assert "root /var/lib/bluegreen/apps/shop-2/assets/beside-blue;" in text


def test_a_path_too_long_for_a_socket_is_refused_with_its_length() -> None:
    root = Path("/" + "x" * 90)
    with pytest.raises(ConfigError, match=r"is 116 bytes long; a unix socket may have 107"):
        templates(root)


def test_a_route_to_a_service_that_listens_nowhere_is_refused() -> None:
    worker = settings(services={"web": {"command": "true"}})
    with pytest.raises(ConfigError, match="listens nowhere"):
        templates().app(worker, OPEN)


@given(st.sets(st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True), min_size=2, max_size=20))
def test_no_two_apps_share_a_variable(names: set[str]) -> None:
    assert len({template_id(name) for name in names}) == len(names)


def test_the_slot_is_not_part_of_what_a_marker_switch_loads() -> None:
    blue = templates().app(settings(), Traffic(active=Slot.BLUE, closed=False))
    green = templates().app(settings(), Traffic(active=Slot.GREEN, closed=True))
    assert blue == green


def test_a_name_for_previews_adds_a_server_and_nothing_to_that_of_the_site() -> None:
    site = Path("/r/var/lib/bluegreen/nginx/sites/shop.conf")
    preview = {"server_name": ["next.test", "*.next.test"], "allow": ["10.0.0.0/8", "::1"]}
    plain = templates().app(settings(), OPEN)
    named = templates().app(settings(preview=preview), OPEN)
    servers, _, confirming = plain.files[site].partition("\n# Answers which slot nginx serves.")
    text = named.files[site]
    assert text.startswith(servers)
    assert confirming.replace(plain.generation, named.generation) in text
    assert "server_name next.test *.next.test;" in text.removeprefix(servers).replace('"', "")
    assert "    10.0.0.0/8 blue;\n    ::1/128 blue;\n" in text
    assert named.generation != plain.generation
    snippet = settings(preview=preview, nginx={"mode": "snippet"})
    assert {path.name for path in templates().app(snippet, OPEN).files} == {
        "shop.http.conf", "shop.server.conf", "shop.watch.conf", "shop.preview.conf",
    }  # fmt: skip


def test_the_slot_is_part_of_what_a_switch_by_reload_loads() -> None:
    by_reload = settings(nginx={"switch": "reload"})
    blue = templates().app(by_reload, Traffic(active=Slot.BLUE, closed=False))
    green = templates().app(by_reload, Traffic(active=Slot.GREEN, closed=False))
    assert blue.generation != green.generation
    assert "$bg_shop;" not in blue.files[Path("/r/var/lib/bluegreen/nginx/sites/shop.conf")]


def test_a_change_to_one_app_changes_the_generation_of_the_whole() -> None:
    one = templates().common({"a": "1", "b": "2"})
    other = templates().common({"a": "1", "b": "3"})
    assert one[2] != other[2]
    assert one[2] in one[1]


@pytest.mark.parametrize(
    ("version", "expected"), [((1, 27, 3), False), ((1, 27, 4), True), ((1, 28), True)]
)
def test_nginx_s_own_cure_for_reloads_is_used_where_it_has_one(
    version: tuple[int, ...], expected: bool
) -> None:
    build = NginxBuild(binary="nginx", version=version, arguments="")
    text = "".join(templates(build=build).app(settings(), OPEN).files.values())
    assert ("keepalive_min_timeout" in text) == expected


@pytest.mark.parametrize("mode", ["site", "snippet", "upstream"])
@pytest.mark.parametrize("switch", ["marker", "reload"])
def test_an_upstream_has_all_instances_of_a_slot(mode: str, switch: str) -> None:
    ports = {"ports": {"blue": 9001, "green": 9101}}
    web = {"command": "true", "instances": 3, **ports}
    shop = settings(services={"web": web}, nginx={"mode": mode, "switch": switch})
    text = "\n".join(templates().app(shop, OPEN).files.values())
    name = "shop_web" if (mode, switch) == ("upstream", "reload") else "shop_web_blue"
    inside = text.partition(f"upstream {name} {{")[2].partition("}")[0]
    servers = [line.strip() for line in inside.splitlines() if "server " in line]
    assert servers == [f"server 127.0.0.1:{port} max_fails=0;" for port in (9001, 9002, 9003)]
    assert "9102" in text or switch == "reload"  # also among those that redirects may name


def test_keepalive_zero_keeps_no_connections() -> None:
    web = {"command": "true", "ports": {"blue": 1, "green": 2}, "keepalive": 0}
    text = "".join(templates().app(settings(services={"web": web}), OPEN).files.values())
    assert "keepalive" not in text
    assert "proxy_set_header Connection close;" in text


def test_a_build_is_read_from_what_nginx_says() -> None:
    build = parse_build(
        "/usr/sbin/nginx",
        "nginx version: nginx/1.22.1\nconfigure arguments: --pid-path=/run/n.pid "
        "--without-http_scgi_module\n",
    )
    assert (build.version, build.pid_file) == ((1, 22, 1), "/run/n.pid")
    assert build.temporary_modules == ["fastcgi", "uwsgi"]
    assert build.early_error_log
    assert not build.keepalive_min_timeout


def test_a_program_that_is_not_nginx_is_refused() -> None:
    with pytest.raises(TrafficError, match="says no version"):
        parse_build("nginx", "hello\n")


def test_an_answer_is_read() -> None:
    text = json.dumps({"app": "shop", "slot": "green", "closed": False, "generation": "1a"})
    assert parse_answer(text) == Answer(app="shop", slot=Slot.GREEN, closed=False, generation="1a")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '"x"', '{"app": "a"}', '{"app": "a", "slot": 1}', "<html>"]
)
def test_anything_else_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an answer|Expecting value|is not a valid Slot"):
        parse_answer(text)
