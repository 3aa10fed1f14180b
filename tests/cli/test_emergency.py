"""``bluegreen switch … --emergency`` by somebody who has no right to it."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest

import bluegreen.cli.emergency  # noqa: F401 - imported now: not all may read where it is
from bluegreen.cli import main
from bluegreen.layout import Layout

NOBODY = 65534


def test_whoever_may_not_move_traffic_is_told_who_may(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apps = Layout(tmp_path).apps
    apps.mkdir(parents=True)
    apps.chmod(0)
    user = os.geteuid()
    try:
        os.seteuid(user or NOBODY)  # root may do everything
        status = main(["switch", "back", "notes", "--emergency", "--root", str(tmp_path), "--json"])
    finally:
        os.seteuid(user)
        apps.chmod(0o700)
    assert status == 2
    told = json.loads(capsys.readouterr().out)
    assert f"may not move traffic by hand: {apps}: Permission denied" in told["message"]
    owner = pwd.getpwuid(user).pw_name
    others = "" if owner == "root" else f", or {owner}, as whom the daemon runs"
    assert told["remedy"] == f"be root{others}"
