"""The app file of the sample app."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class _Service:
    route: str
    health: str
    socket_probe: tuple[str, str] | None = None  # what is sent, what is expected


_SERVICES: Mapping[str, _Service] = {
    "web": _Service(route="/", health="/health"),
    "api": _Service(route="/api/", health="/api/health"),
    "stream": _Service(
        route="/ws/monitoring", health="/health", socket_probe=("ping gate", "pong")
    ),
    "terminal": _Service(route="/ws/terminal", health="/health", socket_probe=("gate", "gate")),
}
SERVICES = tuple(_SERVICES)


# What a person was to look at after an upgrade: login, dashboard, console, API, WebSocket,
# terminal, and that the database is intact. That each service runs, its probes have seen by then.
_SCENARIO = """
[[gate.smoke]]
name = "page"
service = "web"
http = { path = "/login", status = [200, 302] }

[[gate.smoke]]
name = "login"
service = "api"
http = { path = "/api/login", method = "POST", send_json = { user = "admin", password = "monitor" }, capture = { token = "token" } }

[[gate.smoke]]
name = "dashboard"
service = "web"
http = { path = "/", body = "<table id=\\"servers\\">" }

[[gate.smoke]]
name = "console"
service = "web"
command = { run = PYTHON_CONSOLE }

[[gate.smoke]]
name = "servers"
service = "api"
http = { path = "/api/servers", request_headers = { Authorization = "Bearer {captured.token}" }, json = { version = "{version}" } }

[[gate.smoke]]
name = "metrics"
service = "stream"
websocket = { path = "/ws/monitoring", expect = "metrics" }

[[gate.smoke]]
name = "terminal"
service = "terminal"
websocket = { path = "/ws/terminal", send = "df -h", expect = "Filesystem" }

[[gate.unchanged]]
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM users"

[[gate.unchanged]]
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM servers"
allow = "more"
"""  # noqa: E501 - as one writes it


def _text(value: str) -> str:
    """A TOML basic string."""
    return json.dumps(value, ensure_ascii=False)


def _literal(value: str) -> str:
    """``value`` for a shell, with the braces that would be placeholders made literal."""
    return shlex.quote(value).replace("{", "{{").replace("}", "}}")


def _pairs(values: Mapping[str, str]) -> list[str]:
    """``KEY = "VALUE"`` of each; the keys are names, as of variables."""
    return [f"{key} = {_text(value)}" for key, value in values.items()]


def _table(values: Mapping[str, str]) -> str:
    return f"{{ {', '.join(_pairs(values))} }}"


def _service(name: str, python: str, blue: int, green: int, stop_timeout: str) -> str:
    environment = {f"{name.upper()}_PORT": "{port}", "MONITOR_SLOT": "{slot}"}
    return f"""
[services.{name}]
command = {_text(f"{_literal(python)} -m monitor.{name}")}
ports = {{ blue = {blue}, green = {green} }}
env = {_table(environment)}
stop_timeout = {_text(stop_timeout)}
"""


def _route(name: str) -> str:
    service = _SERVICES[name]
    websocket = "websocket = true\n" if service.socket_probe is not None else ""
    return f"""
[[routes]]
path = {_text(service.route)}
service = "{name}"
{websocket}"""


def _probes(name: str, interval: str, expect_version: bool) -> str:
    service = _SERVICES[name]
    fields = {"status": "healthy", "slot": "{slot}"}
    if expect_version:
        fields["version"] = "{version}"
    probe = f"""
[[gate.probes]]
service = "{name}"
http = {{ path = {_text(service.health)}, json = {_table(fields)} }}
interval = {_text(interval)}
timeout = "2s"
"""
    if service.socket_probe is None:
        return probe
    send, expect = service.socket_probe
    return f"""{probe}
[[gate.probes]]
service = "{name}"
websocket = {{ path = {_text(service.route)}, send = {_text(send)}, expect = {_text(expect)} }}
interval = {_text(interval)}
timeout = "2s"
"""


def _scenario(python: str) -> str:
    return _SCENARIO.replace("PYTHON_CONSOLE", _text(f"{_literal(python)} -m monitor.console"))


def monitor_app_file(
    *,
    name: str,
    source: str,
    ports: Sequence[int],
    listen: int,
    python: str = sys.executable,
    healthy_for: str = "0.3s",
    deadline: str = "15s",
    watch: str = "1s",
    services: Sequence[str] = SERVICES,
    extra: str = "",
    env: Mapping[str, str] | None = None,
    interval: str = "0.2s",
    stop_timeout: str = "10s",
    switch: str = "marker",
    expect_version: bool = True,
    smoke: bool = False,
) -> str:
    """The app's file as TOML.

    ``source`` is a git URL or path, or a directory when it contains ``{version}``. ``ports`` are
    two a service, blue and green, for ``services`` in their order; more are left unused. nginx
    listens on port ``listen`` of 127.0.0.1. Durations are as in the file (``"0.3s"``).
    ``expect_version`` makes the probes demand the version that is deployed, which works where that
    is a tag of ``make_repository``, no branch and no commit. With ``smoke`` a release has to pass
    the sample app's scenario, which needs all of its services. ``extra`` is TOML of other sections,
    put at the end. Raises ValueError on an unknown service or too few ports.
    """
    unknown = sorted(set(services) - set(SERVICES))
    if unknown or len(ports) < 2 * len(services):
        raise ValueError(f"two ports for each of {services}, which are of {SERVICES}: {ports}")
    build_environment = {"MONITOR_CACHE": "{cache_dir}"}
    if "api" in services:
        build_environment["API_PORT"] = "{ports.api}"
    variables = "".join(f"{pair}\n" for pair in _pairs(env or {}))
    head = f"""[app]
name = {_text(name)}
shared = ["data"]

[source]
{"directory" if "{version}" in source else "git"} = {_text(source)}

[env]
{variables}
[[build]]
name = "assets"
run = {_text(f"{_literal(python)} -m monitor.assets")}
timeout = "1m"
env = {_table(build_environment)}
"""
    pairs = zip(services, ports[::2], ports[1::2], strict=False)
    tail = f"""
[nginx]
listen = ["127.0.0.1:{listen}"]
switch = {_text(switch)}

[watch]
for = {_text(watch)}
interval = {_text(interval)}
failures = 2

[gate]
deadline = {_text(deadline)}
healthy_for = {_text(healthy_for)}
"""
    return "".join(
        [
            head,
            *(
                _service(service, python, blue, green, stop_timeout)
                for service, blue, green in pairs
            ),
            *(_route(service) for service in services),
            tail,
            *(_probes(service, interval, expect_version) for service in services),
            _scenario(python) if smoke else "",
            f"\n{extra}" if extra else "",
        ]
    )
