"""All of root's files that a configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.api_section import ApiSection
from bluegreen.config.settings import AppSettings
from bluegreen.host.accounts import Account
from bluegreen.host.changes import Content, Link
from bluegreen.host.directories import run_directories, tmpfiles
from bluegreen.host.places import HostFiles, HostLayout
from bluegreen.host.polkit import rule
from bluegreen.host.sites import render_sites
from bluegreen.host.units import nginx_drop_in, target_file, unit_files
from bluegreen.supervisors.unit_names import PREFIX, TARGET
from bluegreen.traffic.build import NginxBuild


@dataclass(frozen=True, kw_only=True)
class Desired:
    """``areas`` are where else files of ours may be: directories, and patterns of names."""

    files: Mapping[Path, Content]
    areas: tuple[tuple[Path, str], ...]
    apps: tuple[str, ...]
    generation: str  # what nginx says once it has loaded its part
    included: frozenset[Path]  # what it does not say: administrators include it where they like


def desired(
    apps: Mapping[str, AppSettings],
    api: ApiSection,
    accounts: dict[str, Account],
    layout: HostLayout,
    build: NginxBuild,
) -> Desired:
    """Raises ConfigError for what a unit or nginx cannot be told."""
    places = HostFiles(layout.root)
    wants = places.units / f"{TARGET}.wants"
    files: dict[Path, Content] = {
        places.polkit_rule: rule(),
        places.tmpfiles: tmpfiles(run_directories(layout, accounts)),
        places.units / TARGET: target_file(),
        places.nginx_drop_in: nginx_drop_in(layout),
        # What `systemctl enable` would make.
        places.units / "multi-user.target.wants" / TARGET: Link(f"../{TARGET}"),
    }
    for name, settings in apps.items():
        for unit, text in unit_files(settings, layout, accounts[name]).items():
            files[places.units / unit] = text
            if not unit.endswith("@.service"):
                files[wants / unit] = Link(f"../{unit}")
    sites = render_sites(apps, layout, places, build, api)
    return Desired(
        files={**files, **sites.files},
        areas=(
            (wants, f"{PREFIX}*"),
            (places.units, f"{PREFIX}*.service"),
            *((layout.nginx / kind, "*.conf") for kind in ("sites", "snippets", "slots")),
        ),
        apps=tuple(apps),
        generation=sites.generation,
        included=sites.included,
    )
