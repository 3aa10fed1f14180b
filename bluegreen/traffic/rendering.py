"""From settings and markers to the text that nginx reads."""

from __future__ import annotations

import functools
import grp
import hashlib
import os
import pwd
import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from jinja2 import Environment, Template

from bluegreen.asset_types import ASSET_TYPES
from bluegreen.config.api_section import ApiSection
from bluegreen.config.promote_section import LONGEST_STEPS
from bluegreen.config.settings import AppSettings
from bluegreen.errors import ConfigError
from bluegreen.gate.hold_file import LONGEST_HOLD
from bluegreen.layout import Layout
from bluegreen.model import Slot, SwitchMode, Traffic
from bluegreen.resources import nginx_templates
from bluegreen.templates import WRITTEN_BY, environment
from bluegreen.traffic.app_view import slot_variable, socket_path, template_id, view
from bluegreen.traffic.build import NginxBuild
from bluegreen.traffic.holdable import why_not_held
from bluegreen.traffic.previews import LONGEST_PREVIEW
from bluegreen.traffic.quoting import (
    Directive,
    UnsafeValueError,
    checked,
    quoted,
    quoted_before,
    text_argument,
)

HEADER = f"# {WRITTEN_BY}\n"
# Ten thousand requests that are held take two connections each, and one worker may have most.
MOST_CONNECTIONS, ALL_CONNECTIONS, LEAST_CONNECTIONS = 24576, 49152, 4096
OPEN_FILES = 65536
OTHER_FILES = 1024  # that a worker has open besides
GATE_PATIENCE = 60.0  # seconds that nginx waits for the gate after the longest hold
# What tells clients apart in steps. Who has no cookie is given one: nginx knows it at once.
_CLIENTS = {"cookie": Directive("$uid_got$uid_set"), "address": Directive("$remote_addr")}
_GENERATION = "@generation@"  # stands in for the hash of the text that it is part of


def _page(title: str, text: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{text}</p></html>"
    )


_PAGE = _page("Not available", "This page cannot be shown at the moment. Please try again soon.")
_NOTHING_PAGE = _page(
    "No release to preview", "Nothing runs beside the release that serves at the moment."
)
_KEY_PAGE = _page(
    "A preview", "It is shown by a link with a key, which whoever runs this site can make."
)


@dataclass(frozen=True, kw_only=True)
class RenderedApp:
    """The files of one app. ``generation`` changes when nginx must load them anew.

    It covers all of the text but the slot in ``slot_file`` that a marker overrides.
    """

    files: Mapping[Path, str]
    generation: str


@functools.cache
def _environment() -> Environment:
    made = environment(nginx_templates(), checked)
    made.filters["quoted"] = quoted
    made.filters["quoted_before"] = quoted_before
    made.filters["text"] = text_argument
    made.globals["written_by"] = Directive(WRITTEN_BY)
    made.globals["page"] = _PAGE
    made.globals["nothing_page"] = _NOTHING_PAGE
    made.globals["key_page"] = _KEY_PAGE
    made.globals["asset_types"] = ASSET_TYPES
    return made


def _digest(texts: Mapping[Path, str] | Mapping[str, str]) -> str:
    parts = "\0".join(f"{key}\0{text}" for key, text in sorted(texts.items(), key=str))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


class Templates:
    """Renders for one root and one build of nginx.

    Every method raises ConfigError when a path or a name cannot be written for nginx.
    """

    def __init__(self, layout: Layout, build: NginxBuild) -> None:
        if set(str(layout.root)) & set("*?[],"):
            raise ConfigError(
                f"the path {layout.root} holds a character that nginx reads as more than a name",
                remedy="choose a --root without any of * ? [ ] ,",
            )
        self._layout = layout
        self._build = build
        socket_path(layout.nginx_socket)
        socket_path(layout.watch_socket)

    def slot_file(self, app: str) -> Path:
        return self._layout.nginx / "slots" / f"{app}.conf"

    def slot(self, settings: AppSettings, active: Slot | None) -> str:
        """The lines that find the slot: rewritten at every switch."""
        slot = active or Slot.BLUE
        return self._render(
            "slot.conf.j2",
            active=active,
            slot=slot.value,
            other=slot.other.value,
            other_marker=self._layout.nginx_markers(settings.name) / slot.other.value,
            id=template_id(settings.name),
            variable=slot_variable(settings.name),
            constant=settings.nginx.switch is SwitchMode.RELOAD,
        )

    def app(self, settings: AppSettings, traffic: Traffic) -> RenderedApp:
        """Everything of an app but its slot file."""
        name, mode = settings.name, settings.nginx.mode
        sites = self._layout.nginx / "sites"
        snippets = self._layout.nginx / "snippets"
        templates = {
            "site": {sites / f"{name}.conf": "site.conf.j2"},
            "upstream": {sites / f"{name}.conf": "upstream.conf.j2"},
            "snippet": {
                sites / f"{name}.http.conf": "snippet.http.conf.j2",
                snippets / f"{name}.server.conf": "snippet.server.conf.j2",
                snippets / f"{name}.watch.conf": "snippet.watch.conf.j2",
            },
        }[mode]
        if mode == "snippet" and settings.preview.server_name:
            templates[snippets / f"{name}.preview.conf"] = "snippet.preview.conf.j2"
        app = view(
            settings, self._layout, traffic, self.slot_file(name),
            may_be_held=self._build.can_hold and why_not_held(settings) is None,
        )  # fmt: skip
        texts = {
            path: self._render(
                template,
                app=app,
                generation=_GENERATION,
                longest_hold=round(LONGEST_HOLD + GATE_PATIENCE),
                longest_preview=round(LONGEST_PREVIEW),
                longest_share=round(LONGEST_STEPS),
                preview_only=False,
            )
            for path, template in templates.items()
        }
        constant = settings.nginx.switch is SwitchMode.RELOAD
        slot_text = self.slot(settings, traffic.active if constant else Slot.BLUE)
        generation = _digest({**texts, self.slot_file(name): slot_text})
        return RenderedApp(
            files={path: text.replace(_GENERATION, generation) for path, text in texts.items()},
            generation=generation,
        )

    def common(
        self, generations: Mapping[str, str], apps: Iterable[AppSettings] = ()
    ) -> tuple[Path, str, str]:
        """What all apps share: its path, its text, and the generation of the whole.

        ``generations`` are those of the apps, by name.
        """
        path = self._layout.nginx / "sites" / "00-bluegreen.conf"
        sticky = {app.promote.sticky for app in apps if app.promote.steps}
        text = self._render(
            "common.conf.j2", generation=_GENERATION,
            clients={kind: _CLIENTS[kind] for kind in sorted(sticky)},
            gate_sockets=[socket_path(path) for path in self._layout.gate_sockets],
        )  # fmt: skip
        whole = _digest({**generations, "": text})
        return path, text.replace(_GENERATION, whole), whole

    def api(self, settings: ApiSection) -> dict[Path, str]:
        """What administrators include, beside and in a server of theirs; nothing without TCP."""
        if settings.address is None:
            return {}
        host, port = settings.address
        if host.is_unspecified:
            host = ip_address("127.0.0.1" if host.version == 4 else "::1")
        address = f"{host}:{port}" if host.version == 4 else f"[{host}]:{port}"
        scheme = "http" if settings.tls is None else "https"
        return {
            # No app has such a name.
            self._layout.nginx / "snippets" / f"00-api.{part}.conf": self._render(
                f"api.{part}.conf.j2", address=address, scheme=scheme
            )
            for part in ("http", "server")
        }

    def instance(self) -> tuple[Path, str]:
        """The main file of an nginx of our own: its path and its text."""
        account = pwd.getpwuid(os.geteuid()) if os.geteuid() == 0 else None
        hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limited = hard_limit != resource.RLIM_INFINITY
        open_files = min(hard_limit, OPEN_FILES) if limited else OPEN_FILES
        return self._layout.nginx / "nginx.conf", self._render(
            "nginx.conf.j2",
            user=account.pw_name if account else None,
            group=grp.getgrgid(account.pw_gid).gr_name if account else None,
            open_files=open_files,
            connections=_connections(open_files),
            apps=self._layout.apps,
            pid_file=pid_file(self._layout),
            error_log=error_log(self._layout),
            temporary=self._layout.nginx / "temporary",
            temporary_modules=self._build.temporary_modules,
            sites=self._layout.nginx / "sites",
            own_sites=self._layout.config / "nginx",
        )

    def _render(self, template: str, **values: object) -> str:
        try:
            return _template(template).render(
                nginx_socket=self._layout.nginx_socket,
                watch_socket=self._layout.watch_socket,
                keepalive_min_timeout=self._build.keepalive_min_timeout,
                **values,
            )
        except UnsafeValueError as error:
            raise ConfigError(
                f"{error}",
                remedy="use a name or a path without quotes, spaces, backslashes and ; { } $",
            ) from error


def _connections(open_files: int) -> int:
    """Of one worker. Each takes memory, used or not, and there is a worker a processor."""
    share = min(MOST_CONNECTIONS, ALL_CONNECTIONS // (os.cpu_count() or 1))
    return min(max(share, LEAST_CONNECTIONS), max(open_files - OTHER_FILES, open_files // 2))


@functools.cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


def pid_file(layout: Layout) -> Path:
    """Where an nginx of our own writes its PID."""
    return layout.nginx / "nginx.pid"


def error_log(layout: Layout) -> Path:
    """Where an nginx of our own writes its errors."""
    return layout.logs / "nginx" / "error.log"
