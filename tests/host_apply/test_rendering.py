"""Units and sites as texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.api_section import ApiSection
from bluegreen.config.load import load_app
from bluegreen.config.settings import AppSettings
from bluegreen.host.accounts import Account
from bluegreen.host.places import HostFiles, HostLayout
from bluegreen.host.sites import render_sites
from bluegreen.host.units import unit_files
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.supervisors.unit_names import first_instance
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.markers import Markers
from bluegreen.traffic.plan import Planner
from tests.host_apply.installed import SHOP

ROOT = Layout(Path("/"))
API = "bluegreen-shop-api@green.service"


def _app(tmp_path: Path, text: str = SHOP) -> AppSettings:
    file = tmp_path / "shop.toml"
    file.write_text(text)
    return load_app(file)


def _units(tmp_path: Path, text: str = SHOP) -> dict[str, str]:
    account = Account(user="shop", group="sellers", uid=1, gid=1)
    return unit_files(_app(tmp_path, text), ROOT, account)


def test_each_service_has_a_unit_a_slot_and_an_app_one_for_jobs(tmp_path: Path) -> None:
    assert sorted(_units(tmp_path)) == [
        "bluegreen-shop-api@blue.service",
        "bluegreen-shop-api@green.service",
        "bluegreen-shop-job@.service",
        "bluegreen-shop-mailer@blue.service",
        "bluegreen-shop-mailer@green.service",
    ]


def test_a_unit_says_who_runs_what_where(tmp_path: Path) -> None:
    lines = _units(tmp_path)[API].splitlines()
    assert lines[0] == "# Written by bluegreen; changes here are overwritten."
    for line in (
        "User=shop", "Group=sellers", 'Environment="PORT=9183"', "MemoryMax=536870912",
        "ConditionPathExists=/var/lib/bluegreen/apps/shop/wanted/green",
        "WorkingDirectory=/var/lib/bluegreen/apps/shop/slots/green",
        "LoadCredential=app.JWT_SECRET:/etc/bluegreen/secrets/jwt",
    ):  # fmt: skip
        assert line in lines


def test_each_further_instance_has_a_unit_and_the_first_keeps_its_name(tmp_path: Path) -> None:
    text = SHOP.replace("[services.api]\n", "[services.api]\ninstances = 3\n")
    units = _units(tmp_path, text.replace("--port {port}", "--port {port} --number {instance}"))
    assert [name for name in units if "api@green" in name] == [
        API, "bluegreen-shop-api@green-2.service", "bluegreen-shop-api@green-3.service",
    ]  # fmt: skip
    lines = units["bluegreen-shop-api@green-3.service"].splitlines()
    assert 'Environment="PORT=9185"' in lines
    assert "Description=shop api 3 (green)" in lines
    assert "SyslogIdentifier=api-3" in lines
    (command,) = (line for line in lines if line.startswith("ExecStart="))
    assert '"--port" "9185" "--number" "3"' in command
    alone = _units(tmp_path)[API].splitlines()
    assert "Description=shop api (green)" in alone
    assert "SyslogIdentifier=api" in alone
    assert {first_instance(unit) for unit in units if "api@green" in unit} == {API}
    assert first_instance("bluegreen-shop-job@12-build-2.service") != API


def test_an_exclusive_service_asks_for_the_marker_too(tmp_path: Path) -> None:
    text = SHOP.replace("[services.mailer]\n", "[services.mailer]\nexclusive = true\n")
    conditions = [
        line
        for line in _units(tmp_path, text)["bluegreen-shop-mailer@blue.service"].splitlines()
        if line.startswith(("ConditionPathExists=/", "ConditionPathExists=!"))
    ]
    base = "/var/lib/bluegreen/apps/shop"
    assert conditions == [
        f"ConditionPathExists={base}/wanted/blue",
        f"ConditionPathExists={base}/traffic/blue",
        f"ConditionPathExists=!{base}/traffic/special/closed",
    ]


def test_without_files_of_secrets_texts_are_the_units_and_the_later_wins(tmp_path: Path) -> None:
    text = SHOP.replace('JWT_SECRET = { file = "/etc/bluegreen/secrets/jwt" }', 'PORT = "{slot}"')
    text = text.replace(
        'env_file = "/etc/bluegreen/secrets/api.env"', 'env = { GREETING = "own {port}" }'
    )
    unit = _units(tmp_path, text)[API]
    assert "LoadCredential" not in unit
    assert "bluegreen-env" not in unit
    assert 'Environment="PORT=green"' in unit
    assert unit.count("PORT=") == 1
    assert 'Environment="GREETING=own 9183"' in unit


@pytest.mark.parametrize(
    ("duration", "shown"), [("0s", "1ms"), ("1.5s", "1500ms"), ("30s", "30s"), ("2m", "120s")]
)
def test_no_timeout_becomes_for_ever(tmp_path: Path, duration: str, shown: str) -> None:
    text = SHOP.replace("[services.api]\n", f'[services.api]\nstop_timeout = "{duration}"\n')
    assert f"TimeoutStopSec={shown}\n" in _units(tmp_path, text)[API]


def test_one_that_says_when_it_is_ready_is_waited_for_as_long_as_its_gate(tmp_path: Path) -> None:
    text = SHOP.replace("[services.api]\n", '[services.api]\nready = "notify"\n')
    units = _units(tmp_path, text + '\n[gate]\ndeadline = "45s"\n')
    lines = units[API].splitlines()
    for line in ("Type=notify", "NotifyAccess=all", "TimeoutStartSec=45s"):
        assert line in lines
    other = units["bluegreen-shop-mailer@blue.service"]
    assert "Type=exec\n" in other
    assert "TimeoutStartSec" not in other


def test_without_its_sandbox_a_service_and_the_jobs_see_the_host(tmp_path: Path) -> None:
    text = SHOP.replace("[services.api]\n", '[services.api]\nsandbox = "off"\n')
    units = _units(tmp_path, text)
    for name in (API, "bluegreen-shop-job@.service"):
        assert "ProtectSystem" not in units[name]
        assert "NoNewPrivileges=yes" in units[name]
    assert "ProtectSystem=strict" in units["bluegreen-shop-mailer@blue.service"]


def test_a_socket_elsewhere_can_be_made_there(tmp_path: Path) -> None:
    text = SHOP.replace(
        "ports = { blue = 9083, green = 9183 }",
        'sockets = { blue = "blue.sock", green = "/run/shop/green.sock" }',
    ).replace("{port}", "{socket}")
    unit = _units(tmp_path, text)[API]
    assert "ReadWritePaths=-/run/shop\n" in unit
    assert '"/run/shop/green.sock"' in unit


@pytest.mark.parametrize("mode", ["site", "snippet", "upstream"])
@pytest.mark.parametrize("active", [None, Slot.BLUE, Slot.GREEN])
async def test_sites_are_those_that_the_daemon_expects(
    tmp_path: Path, mode: str, active: Slot | None
) -> None:
    text = SHOP if mode == "site" else SHOP.replace('listen = ["8080"]', f'mode = "{mode}"')
    settings = _app(tmp_path, text)
    layout, build = HostLayout(tmp_path), await installed_build()
    if active is not None:
        Markers(layout.app("shop").traffic).switch(active)
    apps = {"shop": settings}
    sites = render_sites(apps, layout, HostFiles(tmp_path), build, ApiSection())
    plan = Planner(layout, build, own_nginx=False).plan(apps)
    assert sites.generation == plan.generation
    assert {path: sites.files[path] for path in plan.files} == plan.files
    slot_file = sites.files[tmp_path / "etc/nginx/bluegreen/slots/shop.conf"]
    # The text is the same wherever traffic goes.
    assert "# active: none" in slot_file


@pytest.mark.parametrize(
    ("more", "longest"),
    [
        ("", "3660s"),  # data, of which backups outlive their table
        ('[[build]]\nname = "all"\nrun = "make"\ntimeout = "80m"\n', "4860s"),
        (
            '[[gate.smoke]]\nservice = "api"\ntimeout = "80m"\ncommand = { run = "./walk" }\n',
            "4860s",
        ),
        ('[[gate.unchanged]]\ntimeout = "40m"\ncommand = "true"\n' * 2, "4890s"),
        ('[backup]\nfiles = ["uploads"]\ntimeout = "2h"\n', "7260s"),
        ('[backup]\nfiles = ["data"]\n[migrations]\nrun = "m"\ntimeout = "3h"\n', "10860s"),
        (
            '[backup]\nfiles = ["data"]\n[migrations]\n[gate]\ndeadline = "4h"\n'
            '[[gate.smoke]]\nservice = "api"\ntimeout = "1h"\ncommand = { run = "ask" }\n',
            "18120s",
        ),
    ],
    ids=["own", "build", "smoke", "unchanged", "backup", "migrations", "rehearsal"],
)
def test_systemd_gives_a_job_longer_than_the_daemon_does(
    tmp_path: Path, more: str, longest: str
) -> None:
    assert (
        f"RuntimeMaxSec={longest}\n" in _units(tmp_path, SHOP + more)["bluegreen-shop-job@.service"]
    )
