"""The survey as an app file: what was found as settings, what was only guessed as comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.settings import SlotPorts
from bluegreen.config.values import TO_FILL_IN
from bluegreen.survey.directory import shown
from bluegreen.survey.nouns import FoundBuild, FoundRoute, FoundService, FoundSite, Survey
from bluegreen.survey.ports import HostPorts

MAIN_NAMES = ("web", "frontend", "www", "site", "ui", "app")
_WEBSOCKET = re.compile(r"(?:^|-)(?:ws|websocket|socket|stream)s?(?:-|$)")


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the file has to fit in with."""

    app_files: Path
    shared: Path  # the app's shared directory
    is_whole: bool  # the root is /
    ports: HostPorts


def compose(name: str, directory: Path, survey: Survey, host: Host) -> str:
    """A commented app file for ``name``."""
    services = _main_first(survey.services) or [_placeholder()]
    host.ports.taken(s.port for s in services if s.replaces is not None and s.port is not None)
    ports = {s.name: host.ports.for_slots(s.port) for s in services if s.serves and not s.socket}
    listen = "80" if host.is_whole else str(host.ports.for_nginx(8080))
    addressed = [service for service in services if service.serves or service.socket]
    sections = [
        _head(name, directory, survey, host),
        _app(name, directory, survey, host),
        _source(name, survey),
        _env(name),
        *(_build(build) for build in survey.builds),
        *(_service(name, s, ports.get(s.name), host) for s in services),
        *_routes(addressed, survey.site),
        _nginx(name, listen, survey.site),
        _gate(addressed),
        _times(),
        _webhook(name),
    ]
    return "\n".join("\n".join(section) + "\n" for section in sections if section)


def quoted(value: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for DEL, which it leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _placeholder() -> FoundService:
    return FoundService(
        name="web",
        command=TO_FILL_IN,
        where="",
        remarks=(
            "TO FILL IN: nothing was found that starts this app. Write its command here;",
            "until then bluegreen check refuses this file.",
        ),
    )


def _main_first(services: Sequence[FoundService]) -> list[FoundService]:
    def rank(service: FoundService) -> tuple[bool, int]:
        known = service.name in MAIN_NAMES
        return (
            not (service.serves or service.socket),
            MAIN_NAMES.index(service.name) if known else len(MAIN_NAMES),
        )

    return sorted(services, key=rank)


def _nginx(name: str, listen: str, site: FoundSite | None) -> list[str]:
    """How nginx is told: a site of bluegreen's own, or the one that serves the app now."""
    if site is None:
        return [
            "[nginx]",
            "# TO FILL IN: the site's name. Left out, the app answers to every name on that port.",
            f'# server_name = ["{name}.example.org"]',
            f"listen = {_list([listen])}",
        ]
    lines = [f"The site that serves it now stays ({', '.join(site.files)}), with these changes:"]
    lines += [f"- {edit}" for edit in site.edits]
    lines += ["(after bluegreen apply, and before the first deploy)."]
    size = [f"max_body = {quoted(site.max_body)}"] if site.max_body else []
    return [
        "[nginx]",
        *_comment(lines),
        *_comment([f"{site.mode}: {site.why}."]),
        f"mode = {quoted(site.mode)}",
        *(size if site.mode == "snippet" else []),
    ]


def _comment(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"# {shown(line)}"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(quoted(value) for value in values)}]"


def _table(values: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{key} = {quoted(value)}' for key, value in values.items())} }}"


def _head(name: str, directory: Path, survey: Survey, host: Host) -> list[str]:
    remarks = [f"- {remark}" for remark in survey.remarks]
    return list(
        _comment(
            [
                f"{name}, as bluegreen init found it in {directory}.",
                "Read it through: what was guessed says so. Then: bluegreen check,",
                f"bluegreen {'apply' if host.is_whole else 'reload'}, "
                f"bluegreen deploy {name} VERSION.",
                *(["Seen and left to you:", *remarks] if remarks else []),
            ]
        )
    )


def _app(name: str, directory: Path, survey: Survey, host: Host) -> list[str]:
    user = f"user = {quoted(survey.user)}" if survey.user else '# user = "www-data"'
    lines = [
        "[app]",
        f"name = {quoted(name)}",
        f"{user}  # under systemd; the embedded supervisor runs all as the current user",
    ]
    if survey.shared:
        lines += _comment(
            ["These outlive every release, in the app's shared directory, linked in:"]
        )
        lines.append(f"shared = {_list(survey.shared)}")
        if survey.units:
            lines += _comment(
                [
                    "TO FILL IN: before the first deploy, have both use the same: mount those of",
                    f"{directory} under their names in {host.shared}.",
                    "Otherwise the first release starts with nothing in them.",
                ]
            )
    else:
        lines.append(
            '# shared = ["data", ".env"]  # what outlives a release: data, settings, uploads'
        )
    if survey.uploads:
        lines += _comment([f"Add them if visitors' files are there: {', '.join(survey.uploads)}"])
    return lines


def _source(name: str, survey: Survey) -> list[str]:
    origin = survey.origin
    if origin.git is not None:
        return [
            "[source]",
            *_comment(origin.remarks),
            f"git = {quoted(origin.git)}  # VERSION is a tag, a branch or a commit",
        ]
    return [
        "[source]",
        *_comment(
            ["TO FILL IN: where releases come from; VERSION is the name of a directory, or:"]
        ),
        '# git = "https://example.org/app.git"',
        '# tarball = "https://example.org/app-{version}.tar.gz"  # with checksums or minisign',
        f"directory = {quoted(f'/srv/releases/{name}/{{version}}')}",
    ]


def _env(name: str) -> list[str]:
    return [
        "[env]",
        *_comment(
            [
                "For builds and services alike. A secret stays in a file of its own:",
                f'SECRET_KEY = {{ file = "/etc/bluegreen/secrets/{name}-secret-key" }}',
            ]
        ),
    ]


def _build(build: FoundBuild) -> list[str]:
    script = " &&\n".join(build.commands)
    multi_line = f"'''\n{script}\n'''" if "'''" not in script else quoted(script)
    return [
        "[[build]]",
        f"name = {quoted(build.name)}",
        *_comment(build.remarks),
        f"run = {multi_line if len(build.commands) > 1 else quoted(script)}",
        'timeout = "10m"',
    ]


def _service(app: str, service: FoundService, ports: SlotPorts | None, host: Host) -> list[str]:
    name = service.name
    lines = [f"[services.{name}]"]
    lines += _comment([f"From {service.where}."] if service.where else [])
    lines += _comment(service.remarks)
    lines.append(f"command = {quoted(service.command)}")
    if service.socket:
        lines.append(
            f"sockets = {_table({'blue': f'{name}-blue.sock', 'green': f'{name}-green.sock'})}"
        )
    elif ports is not None:
        lines.append(f"ports = {{ blue = {ports.blue}, green = {ports.green} }}  # also as PORT")
    else:
        lines.append(
            "# ports = { blue = 9000, green = 9100 }  # without them: no traffic, a worker"
        )
    if service.env:
        lines.append(f"env = {_table(service.env)}")
    for variable in service.secrets:
        file = f"/etc/bluegreen/secrets/{app}-{variable.lower().replace('_', '-')}"
        lines += _comment(
            [
                f"{variable} was not copied. Put it into a file, and under [env]:",
                f"{variable} = {{ file = {quoted(file)} }}",
            ]
        )
    if service.env_file is not None:
        absolute = service.env_file.startswith("/")
        path = service.env_file if absolute else str(host.shared / service.env_file)
        lines.append(f"env_file = {quoted(path)}")
    stop = service.stop_timeout
    lines.append(f"stop_timeout = {quoted(stop)}" if stop else '# stop_timeout = "10s"')
    return lines + list(_taken_over(service))


def _taken_over(service: FoundService) -> Iterator[str]:
    """What is only known of a service that runs on this host already."""
    if service.replaces is not None:
        yield f"replaces = {quoted(service.replaces)}  # serves until the first release is active"
    if service.limits:
        limits = ", ".join(f"{key} = {value}" for key, value in service.limits.items())
        yield f"limits = {{ {limits} }}"
    if service.outside:
        yield from _comment(
            [f"It may write outside of its own directories ({', '.join(service.outside)}):"]
        )
        yield 'sandbox = "off"'


def _routes(services: Sequence[FoundService], site: FoundSite | None) -> Iterator[list[str]]:
    if site is not None:
        yield from map(_found_route, site.routes)
        return
    taken: set[str] = set()
    for index, service in enumerate(services):
        websocket = _WEBSOCKET.search(service.name) is not None
        path = f"/{service.name}/"
        if index == 0:
            path = "/"
        elif re.search(r"(?:^|-)(?:api|backend)(?:-|$)", service.name) and "/api/" not in taken:
            path = "/api/"
        taken.add(path)
        guess = ["# A guess, by the service's name."] if len(services) > 1 else []
        yield [
            "[[routes]]",
            *guess,
            f"path = {quoted(path)}",
            f"service = {quoted(service.name)}",
            "websocket = true" if websocket else "# websocket = true",
        ]


def _found_route(route: FoundRoute) -> list[str]:
    return [
        "[[routes]]",
        f"path = {quoted(route.path)}",
        f"service = {quoted(route.service)}",
        *(["websocket = true"] if route.websocket else []),
        *([f"timeout = {quoted(route.timeout)}"] if route.timeout else []),
    ]


def _gate(services: Sequence[FoundService]) -> list[str]:
    lines = ["[gate]", 'deadline = "2m"      # from start to healthy', 'healthy_for = "10s"']
    for service in services:
        path, file = service.health or ("/health", "")
        seen = f"seen in {file}" if file else "if it has one"
        lines += [
            "",
            "[[gate.probes]]",
            f"service = {quoted(service.name)}",
        ]
        if service.answered is not None:
            lines += _comment(["It answered this when it was asked just now."])
            lines.append(f"http = {{ path = {quoted(service.answered)}, status = 200 }}")
            continue
        lines += [
            "tcp = {}",
            *_comment([f"In the place of tcp, a page that says how it is, {seen}:"]),
            f"# http = {{ path = {quoted(path)}, status = 200 }}",
        ]
    return lines


def _times() -> list[str]:
    return [
        "[watch]",
        'for = "60s"          # after the switch; then it is switched back by itself if it fails',
        "",
        "[keep]",
        'hot = "24h"          # how long the old version stays ready; or "forever"',
        'drain_timeout = "30s" # what is under way there, a download, may take so long then',
    ]


def _webhook(name: str) -> list[str]:
    return list(
        _comment(
            [
                "A release that is published may ask for its deploy itself (gitlab and gitea too):",
                "[[webhook]]",
                'provider = "github"',
                f'secret = {{ file = "/etc/bluegreen/webhooks/{name}" }}',
                'on = "release"',
                'version = "tag"',
            ]
        )
    )
