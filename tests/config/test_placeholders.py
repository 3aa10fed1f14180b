from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.copies import LONGEST_SUFFIX
from bluegreen.config.load import load_app
from bluegreen.config.placeholders import (
    expand,
    expand_argv,
    expand_script,
    slot_values,
    unknown_placeholders,
)
from bluegreen.errors import UsageError
from bluegreen.layout import Layout
from bluegreen.model import Slot
from tests.config.samples import SHOP, write


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("--port {port}", "--port 9083"),
        ("{ports.api}{ports.web-2}", "90839084"),
        ("{{port}}", "{port}"),
        ("{{{port}}}", "{9083}"),
        ('{{"a": {{"b": {port}}}}}', '{"a": {"b": 9083}}'),
        ("$HOME ${{HOME}} {odd}", "$HOME ${HOME} {port} {{"),
        ("", ""),
    ],
)
def test_placeholders_are_replaced_once(text: str, expanded: str) -> None:
    values = {"port": "9083", "ports.api": "9083", "ports.web-2": "9084", "odd": "{port} {{"}
    assert expand(text, values) == expanded


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{prot}", "{prot}"),
        ("{}", "{"),
        ("{port", "{"),
        ("port}", "}"),
        ("{ port }", "{"),
        ("{port!r}", "{"),
        ("{port.__class__}", "{port.__class__}"),
        ('{"secret": 1}', "{"),
        ("{SECRET}", "{"),
    ],
)
def test_every_other_brace_is_refused(text: str, shown: str) -> None:
    assert unknown_placeholders(text, {"port"}) == [shown]
    with pytest.raises(UsageError) as caught:
        expand(text, {"port": "1"})
    assert caught.value.message == f"unknown placeholder {shown}"
    assert "{port}" in caught.value.remedy


def test_a_value_in_a_command_never_becomes_two_words() -> None:
    values = {"slot_dir": "/srv/my app", "port": "1"}
    found = expand_argv("run '{slot_dir}/x y' --at={slot_dir} {{}} {port}", values)
    assert found == ["run", "/srv/my app/x y", "--at=/srv/my app", "{}", "1"]


@given(st.text())
def test_doubled_braces_give_any_text_back(text: str) -> None:
    assert expand(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(alphabet="{}ab."), st.dictionaries(st.text(alphabet="ab."), st.text()))
def test_what_is_not_found_unknown_expands(text: str, values: dict[str, str]) -> None:
    if not unknown_placeholders(text, values):
        assert isinstance(expand(text, values), str)


def test_a_services_values_name_its_slots_addresses(tmp_path: Path) -> None:
    shop = load_app(write(tmp_path, SHOP))
    layout = Layout(Path("/")).app("shop")
    tree = layout.trees / "7-green"
    api = slot_values(shop, layout, Slot.GREEN, version="v2", tree=tree, service="api")
    web_socket = "/run/bluegreen/apps/shop/web-green.sock"
    everywhere = {
        "slot": "green",
        "version": "v2",
        "slot_dir": "/var/lib/bluegreen/apps/shop/trees/7-green",
        "shared_dir": "/var/lib/bluegreen/apps/shop/shared",
        "cache_dir": "/var/lib/bluegreen/apps/shop/cache/build",
        "ports.api": "9183",
        "copy": "",
        "sockets.web": web_socket,
    }
    assert api == everywhere | {"port": "9183", "instance": "1"}
    web = slot_values(shop, layout, Slot.GREEN, version="v2", tree=tree, service="web")
    assert web == everywhere | {"socket": web_socket, "instance": "1"}
    for service, more in (("worker", {"instance": "1"}), (None, {})):
        values = slot_values(shop, layout, Slot.GREEN, version="v2", tree=tree, service=service)
        assert values == everywhere | more


def test_whatever_loads_also_expands(tmp_path: Path) -> None:
    shop = load_app(write(tmp_path, SHOP))
    layout = Layout(tmp_path).app("shop")
    for name, service in shop.services.items():
        for slot in Slot:
            values = slot_values(shop, layout, slot, version="v1", tree=tmp_path, service=name)
            for text in (service.command, *filter(_is_text, service.env.values())):
                assert "{port" not in expand(str(text), values)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def test_in_a_script_a_value_is_one_word_and_what_ends_a_name_is_a_part_of_it() -> None:
    values = {"shared_dir": "/srv/a b", "copy": ""}
    assert expand_script('ls {shared_dir}; psql "shop{copy}"', values) == (
        "ls '/srv/a b'; psql \"shop\""
    )
    values["copy"] = "_copy_0a1b2c3d4e"
    assert expand_script("psql shop{copy}", values) == "psql shop_copy_0a1b2c3d4e"


def test_the_names_of_copies_end_with_what_is_of_one_copy_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path).app("shop")
    places = [layout.trees / "1-green/data", layout.trees / "2-green/data"]
    ends = [replace(layout, data=place).copy_suffix for place in places]
    assert ends == [replace(layout, data=place).copy_suffix for place in places]
    assert len({*ends}) == 2
    for end in ends:
        assert re.fullmatch("_copy_[0-9a-f]{10}", end)
        assert len(end) <= LONGEST_SUFFIX
    assert layout.copy_suffix == ""
