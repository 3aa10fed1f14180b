"""What nginx reads on a systemd host: rendered as for an nginx of our own, but written by root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.api_section import ApiSection
from bluegreen.config.settings import AppSettings
from bluegreen.host.places import HostFiles, HostLayout
from bluegreen.model import Traffic
from bluegreen.traffic.build import NginxBuild
from bluegreen.traffic.quoting import quoted
from bluegreen.traffic.rendering import HEADER, Templates

# Wherever traffic goes: the marker decides at every request; no file says what a switch changes.
NOWHERE = Traffic(active=None, closed=True)


@dataclass(frozen=True, kw_only=True)
class Sites:
    """``generation`` is what nginx says once it has loaded ``files``, but those ``included``."""

    files: Mapping[Path, str]
    generation: str
    included: frozenset[Path]


def render_sites(
    apps: Mapping[str, AppSettings],
    layout: HostLayout,
    files: HostFiles,
    build: NginxBuild,
    api: ApiSection,
) -> Sites:
    """Raises ConfigError for what cannot be written for nginx."""
    templates = Templates(layout, build)
    included = templates.api(api)
    texts = dict(included)
    generations: dict[str, str] = {}
    for name, settings in apps.items():
        rendered = templates.app(settings, NOWHERE)
        texts.update(rendered.files)
        generations[name] = rendered.generation
        texts[templates.slot_file(name)] = templates.slot(settings, None)
    path, text, generation = templates.common(generations, apps.values())
    texts[path] = text
    texts[files.nginx_include] = f"{HEADER}include {quoted(layout.nginx / 'sites/*.conf')};\n"
    return Sites(files=texts, generation=generation, included=frozenset(included))
