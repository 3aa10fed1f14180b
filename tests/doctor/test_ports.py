"""Who holds which port, as the doctor of a systemd host tells it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from bluegreen.config.load import load_app
from bluegreen.doctor.apps import _ports
from bluegreen.layout import Layout
from tests.config.samples import small_app, write


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who holds a port")
def test_each_port_of_each_instance_is_looked_for_in_one_look_at_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look = psutil.net_connections

    def counted(kind: str) -> Any:
        looks.append(kind)
        return look(kind)

    monkeypatch.setattr(psutil, "net_connections", counted)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        first, other = port - 2, 40001 if port < 30000 else 20001
        text = small_app("blog", first, other)
        text = text.replace("[services.web]", "[services.web]\ninstances = 8")
        settings = load_app(write(tmp_path, text, "blog"))
        found = _ports(Layout(Path("/")), [settings])
    said = [finding.what for finding in found.findings]
    (mine,) = [line for line in said if f"(pid {os.getpid()})" in line]
    assert mine.startswith(f"blog: port {port} is held by")
    assert len(looks) == 1
