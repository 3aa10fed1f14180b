"""What systemd's own exit statuses are called, against systemd's own list of them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bluegreen.config.layers import key_of
from bluegreen.supervisors.exec_failures import STATUSES, explain, in_words


def test_every_status_of_systemd_has_its_name_and_words() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    said = subprocess.run(
        ["systemd-analyze", "exit-status"], capture_output=True, text=True, timeout=30, check=True
    )
    rows = [line.split() for line in said.stdout.splitlines()]
    known = {int(row[1]): row[0] for row in rows if row[2:] == ["systemd"]}
    del known[255]  # EXCEPTION: a program's own, as likely
    assert known == STATUSES


def test_a_programs_own_status_has_no_words() -> None:
    assert in_words(3) is None
    assert explain({}, 3) is None
    assert explain({}, None) is None
    assert in_words(217) == "its user does not exist (217/USER)"


@pytest.mark.parametrize(
    ("credential", "key"),
    [
        ("app.KEY", "env.KEY"),
        ("app.env-file", "env.env_file"),
        ("services.api.KEY", "services.api.env.KEY"),
        ("services.api.env-file", "services.api.env_file"),
        ("build.front-end.KEY", "build.front-end.env.KEY"),
    ],
)
def test_a_credential_is_called_by_the_app_files_key(credential: str, key: str) -> None:
    assert key_of(credential) == key
