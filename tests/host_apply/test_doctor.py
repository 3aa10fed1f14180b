"""What ``bluegreen doctor`` finds on a booted host, by what ``apply`` would do there."""

from __future__ import annotations

import json
from typing import Any

from tests.host_apply.installed import UNITS, Installed


async def looks(installed: Installed) -> dict[str, Any]:
    answer = await installed.bluegreen("doctor", "--json", check=False)
    return {look["topic"]: look for look in json.loads(answer.output.splitlines()[-1])["looks"]}


def said(look: Any) -> str:
    return json.dumps(look["findings"])


async def test_the_doctor_compares_the_host_with_what_the_app_files_ask_for(
    installed: Installed,
) -> None:
    before = await looks(installed)
    assert "bluegreen apply --dry-run" in said(before["systemd"])
    assert "no daemon answers" in said(before["daemon"])
    await installed.apply()
    await installed.host.run("systemctl", "enable", "nginx.service")
    after = await looks(installed)
    assert "units, directories and rules are as the app files ask for" in after["systemd"]["seen"]
    assert "nginx.service is not started" not in said(after["systemd"])
    assert "serves what bluegreen renders" in after["nginx"]["seen"]
    assert after["ports"]["findings"] == after["secrets"]["findings"] == []

    unit = installed.path(f"/{UNITS}/bluegreen-shop-api@blue.service")
    unit.write_text(unit.read_text().replace("KillMode", "# KillMode"))
    await installed.host.run(
        "systemd-run", "--unit=stranger", "/usr/bin/python3", "-m", "http.server", "9083",
        "--bind", "127.0.0.1",
    )  # fmt: skip
    await installed.host.run(
        "sh", "-c", "until ss -tln | grep -q 127.0.0.1:9083; do sleep 0.1; done"
    )
    changed = await looks(installed)
    assert f"change {unit.name}" in said(changed["systemd"]).replace(f"/{UNITS}/", "")
    assert "shop: port 9083 is held by python3" in said(changed["ports"])
