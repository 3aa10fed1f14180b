"""What an operator is told to do next is right for the kind of root that it is said on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.cli.client import Client
from bluegreen.cli.status_lines import status_lines
from bluegreen.config.environment_files import file_findings
from bluegreen.config.load import load_app
from bluegreen.errors import NotFoundError, TrafficError
from bluegreen.layout import Layout
from bluegreen.operations.named import find
from bluegreen.remedies import Remedies, remedies_of
from bluegreen.traffic.confirmation import Confirmation
from tests.config.samples import small_app, write

HOST, OWN = Path("/"), Path("/srv/bluegreen")
KINDS = [(HOST, "sudo bluegreen apply"), (OWN, "bluegreen --root /srv/bluegreen reload")]


@pytest.mark.parametrize(("root", "command"), KINDS)
def test_app_files_are_taken_up_by_root_on_a_host_and_by_a_reload_elsewhere(
    root: Path, command: str, tmp_path: Path
) -> None:
    remedies = remedies_of(root)
    assert Client(root).remedies.take_up == Layout(root).remedies.take_up == command
    with pytest.raises(NotFoundError) as unknown:
        find({}, "shop", Layout(root))
    assert unknown.value.remedy.endswith(f"etc/bluegreen/apps, then: {command}")
    with pytest.raises(TrafficError) as silent:
        Confirmation(tmp_path / "nginx.sock", remedies).ask_now(None)
    assert silent.value.remedy.endswith(f"then: {command}")
    found = {"problems": ["shop.toml:1: x"], "warnings": [], "apps": []}
    assert any(line.endswith(f"then: {command}") for line in status_lines(found, remedies))


@pytest.mark.parametrize(
    ("root", "apps", "daemons"),
    [
        (HOST, "only root may read: mode 0600", "only the user bluegreen may read: mode 0400"),
        (OWN, "the user that runs the daemon", "the user that runs the daemon"),
    ],
)
def test_a_secret_is_for_whoever_reads_it(
    root: Path, apps: str, daemons: str, tmp_path: Path
) -> None:
    text = (
        small_app("shop", 9001, 9101)
        + f'''
[env]
KEY = {{ file = "{tmp_path}/key" }}
[[webhook]]
provider = "github"
secret = {{ file = "{tmp_path}/hook" }}
on = "release"
version = "tag"
'''
    )
    settings = load_app(write(tmp_path, text, "shop"))
    key, hook = file_findings(settings, remedies_of(root))
    assert (key.place, hook.place) == (("env", "KEY"), ("webhook", 0, "secret"))
    assert apps in key.right
    assert daemons in hook.right


def test_a_shell_takes_what_is_said_whatever_the_root_is_called() -> None:
    remedies = remedies_of("/srv/my root; ls")
    assert remedies.take_up == "bluegreen --root '/srv/my root; ls' reload"
    assert remedies.start == "bluegreen serve --root '/srv/my root; ls'"
    assert remedies.restart.endswith(remedies.start)


def test_a_daemon_that_is_away_is_looked_for_where_it_runs() -> None:
    assert "journalctl -u bluegreen" in remedies_of("/").see_why
    assert "journalctl" not in Remedies(OWN).see_why
