"""docs/app-file.md against the settings: every key, its default, and what is not supported yet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from bluegreen.config.load import check_files, load_app
from bluegreen.config.section import Section
from bluegreen.config.settings import AppSettings, DaemonSettings
from bluegreen.layout import Layout
from tests.docs.pages import Block, blocks, read, rows, sections

# Where the page has a section's keys under another heading than the one of its table.
_HEADINGS = {
    "app": "[app]",
    "source": "[source]",
    "source.assets": "assets",
    "requires": "[requires]",
    "build": "[[build]]",
    "services": "[services.NAME]",
    "services.limits": "Limits of a service",
    "routes": "[[routes]]",
    "nginx": "[nginx]",
    "preview": "[preview]",
    "gate": "[gate]",
    "gate.probes": "[[gate.probes]]",
    "gate.probes.http": "http",
    "gate.probes.tcp": "tcp",
    "gate.probes.websocket": "websocket",
    "gate.probes.command": "command",
    "gate.smoke": "[[gate.smoke]]",
    "gate.smoke.http": "http of a smoke step",
    "gate.smoke.websocket": "websocket",
    "gate.smoke.command": "command",
    "gate.unchanged": "[[gate.unchanged]]",
    "watch": "[watch]",
    "watch.metrics": "[[watch.metrics]]",
    "watch.metrics.http": "http of a metric",
    "keep": "[keep]",
    "hold": "[hold]",
    "queue": "[queue]",
    "promote": "[promote]",
    "upgrade": "[[upgrade]]",
    "backup": "[backup]",
    "migrations": "[migrations]",
    "webhook": "[[webhook]]",
    "status": "[[status]]",
    "notify": "[[notify]]",
    "limits": "[limits]",
    "api": "[api]",
}
# Small tables that are described in the row of the key that holds them.
_IN_A_ROW = {
    "watch.metrics.command",
    "api.tls",
    "services.ports",
    "services.sockets",
    "source.verify",
    "source.ssh_key",
    "source.token",
}


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)


def _walk(model: type[Section], place: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Each table of a file, with its dotted name; a kind of table that comes twice, once."""
    for name, field in model.model_fields.items():
        key = f"{place}.{field.alias or name}".lstrip(".")
        for inner in _sections_in(field.annotation):
            if inner.__name__ == "SecretFile" or key == "watch.probes":
                continue
            yield key, inner
            yield from _walk(inner, key)


TABLES = dict([*_walk(AppSettings), *_walk(DaemonSettings)])


def _row(place: str, key: str) -> list[str]:
    found = [
        cells for cells in rows(sections(read("app-file.md"))[place]) if cells[0] == f"`{key}`"
    ]
    assert len(found) == 1, f"docs/app-file.md, {place}: one row for {key}"
    return found[0]


def _keys() -> Iterator[tuple[str, str, FieldInfo]]:
    for place, model in TABLES.items():
        for name, field in model.model_fields.items():
            if place not in _IN_A_ROW:
                yield place, field.alias or name, field


def test_every_table_has_its_heading() -> None:
    assert set(_HEADINGS) == set(TABLES) - _IN_A_ROW
    assert set(_HEADINGS.values()) <= set(sections(read("app-file.md")))


@pytest.mark.parametrize(
    ("place", "key", "field"), list(_keys()), ids=[f"{place}.{key}" for place, key, _ in _keys()]
)
def test_every_key_is_described_with_its_default(place: str, key: str, field: FieldInfo) -> None:
    shown = _row(_HEADINGS[place], key)[2]
    if field.is_required():
        assert shown == "required"
    elif field.default is None:
        assert shown == "none"
    else:
        assert re.fullmatch("`.+`", shown), shown
        value = tomllib.loads(f"default = {shown.strip('`')}")["default"]
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        assert adapter.validate_python(value) == field.default


def test_no_row_describes_a_key_that_does_not_exist() -> None:
    page = sections(read("app-file.md"))
    known = {(_HEADINGS[place], key) for place, key, _ in _keys()}
    for heading in _HEADINGS.values():
        for cells in rows(page[heading])[1:]:
            assert (heading, cells[0].strip("`")) in known, f"{heading}: {cells[0]}"


def test_the_keys_of_the_env_table_are_described() -> None:
    assert _row("[env]", "env_file")
    assert _row("[env]", "NAME")


@pytest.mark.parametrize(
    "model",
    [AppSettings, DaemonSettings, *TABLES.values()],
    ids=lambda model: model.__name__,
)
def test_what_is_not_supported_yet_is_listed(model: type[Section]) -> None:
    listed = re.findall(r"`([a-z0-9_]+)`", sections(read("app-file.md"))["Not supported yet"])
    assert set(model.later) <= set(listed)


# What a fragment on a page is completed with, table by table.
_REST = {
    "app": '[app]\nname = "monitor"',
    "source": '[source]\ngit = "/srv/git/monitor.git"',
    "services": "\n".join(
        f'[services.{name}]\ncommand = "run {name}"\nports = {{ blue = {n}, green = {n + 100} }}'
        for n, name in enumerate(("web", "api", "stream"), start=9000)
    ),
}


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_every_toml_example_is_accepted(block: Block, tmp_path: Path) -> None:
    document = tomllib.loads(block.text)
    if document.keys() <= set(DaemonSettings.model_fields):
        file = tmp_path / "bluegreen.toml"
        file.write_text(block.text)
        assert check_files([file], Layout(tmp_path)) == []
        return
    rest = [text for table, text in _REST.items() if table not in document]
    name = document.get("app", {}).get("name", "monitor")
    file = tmp_path / f"{name}.toml"
    file.write_text("\n".join([block.text, *rest]))
    assert load_app(file).name == name
