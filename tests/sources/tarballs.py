"""Sources of archives on the server of a test, two of which are there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from bluegreen.config.source_section import Source
from bluegreen.layout import AppLayout, Layout
from bluegreen.sources.tarball import TarballSource
from bluegreen.sources.web import Limits
from tests.sources.archive_server import ArchiveServer
from tests.sources.archives import tar_of

LIMITS = Limits(connect=20.0, stall=20.0, pause=0.01)
IMPATIENT = replace(LIMITS, stall=0.3)  # with what is silent for ever
V1, V2 = tar_of({"shop/app.py": "one"}), tar_of({"shop/app.py": "two"})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def layout_in(tmp_path: Path) -> AppLayout:
    return Layout(tmp_path / "root").app("shop")


def source_of(
    server: ArchiveServer, tmp_path: Path, *, in_use: set[str] | None = None,
    limits: Limits = LIMITS, **options: Any,
) -> TarballSource:  # fmt: skip
    options = {"tarball": f"{server.url}/{{version}}.tar.gz", "allow_private": True, **options}
    return TarballSource(
        "shop", Source(**options), layout_in(tmp_path), in_use=lambda: in_use or set(),
        limits=limits,
    )  # fmt: skip


def cached(tmp_path: Path) -> set[str]:
    names = os.listdir(layout_in(tmp_path).cache / "archives")
    return {name for name in names if len(name) == 64}
