"""An nginx of our own that ends at the wrong moment."""

from __future__ import annotations

import subprocess

import psutil
import pytest

from bluegreen.errors import TrafficError
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.own_nginx import OwnNginx
from tests.traffic.conftest import World


def an_ended_process() -> psutil.Process:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        return psutil.Process(process.pid)


async def test_a_master_that_ends_as_it_is_told_to_reload_is_said_not_to_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = an_ended_process()
    nginx = OwnNginx(await installed_build(), world.layout)
    monkeypatch.setattr(nginx, "master", lambda: master)
    with pytest.raises(TrafficError, match="nginx does not run"):
        await nginx.reload()
