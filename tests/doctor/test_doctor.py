"""What the doctor finds at a root of its own: nothing where all is well, and all that is broken."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from bluegreen.doctor.apps import look_at_apps
from bluegreen.doctor.daemon import look_at_daemon
from bluegreen.doctor.host import look_at_clock, look_at_disks
from bluegreen.doctor.nginx import look_at_nginx
from bluegreen.doctor.nouns import Look
from bluegreen.layout import Layout
from bluegreen.traffic import build as nginx_build
from tests.ports import kernel_ports
from tests.stack import Stack, stack

_WEBHOOK = """
[[webhook]]
provider = "github"
secret = {{ file = "{secret}" }}
on = "push"
version = "tag"
"""


def said(look: Look) -> str:
    return "\n".join(f"{one.what} {one.remedy}" for one in look.findings)


def of_apps(layout: Layout) -> dict[str, Look]:
    return {look.topic: look for look in look_at_apps(layout)}


async def test_nothing_is_found_where_all_is_well_and_all_that_is_broken_is() -> None:
    async with stack() as built:
        secret = built.root / "hook"
        secret.write_text("kept")
        secret.chmod(0o600)
        built.write_app(services=("api",), extra=_WEBHOOK.format(secret=secret))
        await built.serve()
        await built.deploy("v1")
        answer = await built.cli("doctor", "--json")
        looks = {look["topic"]: look for look in json.loads(answer.out)["looks"]}
        looks.pop("clock")  # of this machine
        assert list(looks) == ["nginx", "disk", "daemon", "configuration", "secrets", "ports"]
        assert [look["findings"] for look in looks.values()] == [[]] * len(looks), answer.out
        assert "serves what bluegreen renders" in looks["nginx"]["seen"]
        await _break(built, secret)


async def _break(built: Stack, secret: Path) -> None:
    layout = built.layout
    os.chmod(secret, 0o644)
    os.chmod(built.root, 0o755)
    assert f"every user of this host can read {secret} chmod o= " in said(
        of_apps(layout)["secrets"]
    )
    os.chmod(built.root, 0o700)
    os.chmod(secret, 0o666)
    assert not of_apps(layout)["secrets"].findings, "nobody else comes there"

    os.chmod(layout.database, 0o644)
    assert "others may use it" in said(look_at_daemon(layout))
    [port] = kernel_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        built.ports["other"], built.listen["other"] = [port, *kernel_ports(1)], kernel_ports(1)[0]
        built.write_app("other", services=("api",))
        assert f"other: 127.0.0.1:{port} is held by" in said(of_apps(layout)["ports"])

    built.write_app("other", services=("api",), extra="[keep]\nhott = 1")
    broken = of_apps(layout)
    assert list(broken) == ["configuration"], "what cannot be understood is not looked at further"
    assert "there is no key of that name" in said(broken["configuration"])
    await built.ask("POST", "/v1/reload")
    assert "not taken up: " in said(look_at_daemon(layout))

    tomorrow = time.time() + 86400
    os.utime(layout.database, (tomorrow, tomorrow))
    assert "the clock was set back: " in said(look_at_clock(layout))
    await built.kill()
    assert "start it: bluegreen serve --root" in said(look_at_daemon(layout))
    await built.end()
    assert "nginx does not run" in said(await look_at_nginx(layout))


async def test_an_nginx_that_lacks_what_is_needed_is_named_with_what_it_lacks(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = "nginx version: nginx/1.18.0\nconfigure arguments: --without-http_map_module"

    async def build() -> nginx_build.NginxBuild:
        return nginx_build.parse_build("/usr/sbin/nginx", output)

    monkeypatch.setattr("bluegreen.doctor.nginx.installed_build", build)
    found = said(await look_at_nginx(Layout(root)))
    assert "without its module map, which is needed for every site" in found
    assert "without auth_request: no requests can be held" in found


def test_a_disk_that_is_nearly_full_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluegreen.doctor.host.LEAST_ROOM", 2**62)
    assert "a release may not fit" in said(look_at_disks(Layout(root)))
