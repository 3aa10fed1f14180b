"""The unit files, as systemd itself judges them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import jinja2
import pytest

from bluegreen.installation.places import UNITS
from bluegreen.installation.service import knows_notify_reload
from bluegreen.resources import systemd_templates

EXPOSURE = 20  # tenths, of what `systemd-analyze security` allows to call a service safe

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["bluegreen.service", "bluegreen-gate.service"])
def test_the_hosts_units_are_exposed_by_two_points_at_most(name: str) -> None:
    unit = systemd_templates() / name
    said = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", str(unit))

    assert said.returncode == 0, said.stdout
    assert f"Overall exposure level for {name}" in said.stdout


def test_the_hosts_units_are_without_an_error(root: Path) -> None:
    for name in UNITS:
        text = (systemd_templates() / name).read_text()
        for program in ("bluegreen", "python"):
            text = text.replace(f"/opt/bluegreen/bin/{program}", "/bin/true")
        (root / name).write_text(text)
    said = analyze("verify", "--man=no", *(str(path) for path in sorted(root.iterdir())))

    assert (said.returncode, said.stdout) == (0, "")


@pytest.mark.parametrize(
    ("said", "knows"),
    [("systemd 252 (252.39-1~deb12u2)\n+PAM", False), ("systemd 253 (253.5-1)\n", True),
     ("systemd 257 (257.8-1~deb13u2)\n+PAM", True)],
)  # fmt: skip
def test_a_reload_is_waited_for_where_systemd_can(said: str, knows: bool) -> None:
    assert knows_notify_reload(said) is knows


def test_the_unit_of_a_root_of_its_own_is_without_an_error(root: Path) -> None:
    template = (systemd_templates() / "bluegreen.service.j2").read_text()
    unit = root / "bluegreen.service"
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    unit.write_text(
        environment.from_string(template).render(program="/bin/true", root="/srv/bg", user="root")
    )
    said = analyze("verify", "--man=no", str(unit))

    assert (said.returncode, said.stdout) == (0, "")
