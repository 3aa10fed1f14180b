"""Which services run on a copy of the data, and where they listen."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bluegreen.config.load import load_app
from bluegreen.config.settings import AppSettings
from bluegreen.errors import MigrationError
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.operations import free_addresses
from bluegreen.operations.free_addresses import with_free_addresses
from bluegreen.operations.on_copy import asked_services, baked_addresses

APP = """\
[app]
name = "shop"
[source]
git = "/srv/git/shop.git"
[[build]]
name = "front"
run = "make API=http://127.0.0.1:{ports.api}"
env = { CACHE = "{sockets.cache}" }
[services.web]
command = "web"
ports = { blue = 9081, green = 9181 }
env = { API = "http://127.0.0.1:{ports.api}" }
[services.api]
command = "api --cache {sockets.cache}"
ports = { blue = 9083, green = 9183 }
[services.cache]
command = "cache"
sockets = { blue = "cache-blue.sock", green = "cache-green.sock" }
[services.admin]
command = "admin"
ports = { blue = 9085, green = 9185 }
[services.mailer]
command = "mailer"
"""
PROBE = '[[gate.probes]]\nservice = "web"\ntcp = {}\n'
STEP = '[[gate.smoke]]\nservice = "mailer"\ncommand = { run = "ask {ports.admin}" }\n'


def app(tmp_path: Path, more: str = "") -> AppSettings:
    file = tmp_path / "shop.toml"
    file.write_text(APP + more)
    return load_app(file)


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        # A worker that nobody asks may send mail: it is not started.
        ("", ("web", "api", "cache", "admin")),
        (PROBE, ("web", "api", "cache")),
        (STEP, ("admin", "mailer")),
        (PROBE + STEP, ("web", "api", "cache", "admin", "mailer")),
    ],
)
def test_what_is_asked_is_started_with_what_it_reaches(
    tmp_path: Path, more: str, asked: tuple[str, ...]
) -> None:
    settings = app(tmp_path, more)
    assert asked_services(settings, tuple(settings.services)) == asked


def test_what_a_release_was_not_started_with_is_not_started(tmp_path: Path) -> None:
    assert asked_services(app(tmp_path, PROBE), ("web", "cache")) == ("web",)


def test_addresses_that_builds_are_given_are_known(tmp_path: Path) -> None:
    assert baked_addresses(app(tmp_path)) == ["{ports.api}", "{sockets.cache}"]


def test_each_gets_an_address_that_no_slot_has(tmp_path: Path) -> None:
    settings, layout = app(tmp_path), Layout(tmp_path).app("shop")
    moved = with_free_addresses(settings, layout, {9081, 9181})
    addresses = [one.address(Slot.BLUE, layout.run) for one in moved.services.values()]
    assert addresses == [one.address(Slot.GREEN, layout.run) for one in moved.services.values()]
    assert addresses.pop() is None
    assert len(set(addresses)) == 4
    slots = [s.address(slot, layout.run) for s in settings.services.values() for slot in Slot]
    assert not set(addresses) & set(slots)


def test_ports_that_are_taken_or_in_use_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        used = listener.getsockname()[1]
        monkeypatch.setattr(free_addresses, "LOWEST", used)
        monkeypatch.setattr(free_addresses, "_first_ephemeral", lambda: used + 2)
        with pytest.raises(MigrationError, match="no free port for a rehearsal"):
            with_free_addresses(app(tmp_path), Layout(tmp_path).app("shop"), {used + 1})


def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path / ("deep" * 25)).app("shop")
    with pytest.raises(MigrationError, match="too long for a socket"):
        with_free_addresses(app(tmp_path), layout, ())
