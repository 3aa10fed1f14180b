"""Every text of an app file in which placeholders are expanded, and whether they are known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

from bluegreen.config.draft import Draft
from bluegreen.config.explain import nearest
from bluegreen.config.placeholders import EVERYWHERE, listing, unknown_placeholders
from bluegreen.config.places import Place
from bluegreen.config.problems import Finding
from bluegreen.config.questions import CommandProbe, HttpQuestion, SmokeRequest, WebSocketProbe

_Texts = Iterator[tuple[Place, str]]

# The keys of [source] that hold the version, and how the advice to put it there ends.
_OF_VERSIONS = {
    "directory": 'stands, such as "/srv/releases/{version}"',
    "tarball": 'stands, such as "https://example.org/{version}.tar.gz"',
    "checksums": "",
}
_WHAT = {"directory": "directory", "tarball": "archive"}


def placeholder_findings(draft: Draft) -> Iterator[Finding]:
    """What ``placeholders.expand`` would refuse once the app is deployed."""
    everywhere = _everywhere(draft)
    texts = chain(
        *(_of_builds(draft), _of_defaults(draft), _of_backup(draft)),
        *(_of_invariants(draft), _of_all_migrations(draft)),
    )
    for where, text in texts:
        yield from _check(where, text, everywhere, draft)
    for name, service in draft.services.items():
        known = _of_service(draft, name)
        if service.settings is not None:
            command: Place = ("services", name, "command")
            yield from _check(command, service.settings.command, known, draft)
            for where, text in _of_environment(("services", name, "env"), service.settings.env):
                yield from _check(where, text, known, draft)
    for place, probe in draft.probes:
        if probe.service in draft.services:
            for where, text in _of_question(place, probe.http, probe.websocket, probe.command):
                yield from _check(where, text, _of_service(draft, probe.service), draft)
    for where, text in _of_migrations(draft):
        yield from _check(where, text, everywhere | {"name"}, draft)
    yield from _of_smoke(draft)
    yield from _of_metrics(draft)
    yield from _source(draft)


def _of_metrics(draft: Draft) -> Iterator[Finding]:
    """A command has the placeholders of its service; what is asked by HTTP those of none."""
    for place, metric in draft.metrics:
        if metric.http is not None:
            texts = {("url",): metric.http.url} | {
                ("params", name): text for name, text in metric.http.params.items()
            }
            for inner, text in texts.items():
                yield from _check((*place, "http", *inner), text, _everywhere(draft), draft)
        service = metric.service
        if metric.command is not None and service is not None and service in draft.services:
            known = _of_service(draft, service)
            yield from _check((*place, "command", "run"), metric.command.run, known, draft)


def _of_smoke(draft: Draft) -> Iterator[Finding]:
    """A step knows what the steps before it have captured."""
    captured: set[str] = set()
    for place, step in draft.smoke:
        if step.service in draft.services:
            known = _of_service(draft, step.service) | captured
            for where, text in _of_question(place, step.http, step.websocket, step.command):
                yield from _check(where, text, known, draft)
            for where, text in _of_body((*place, "http"), step.http):
                yield from _check(where, text, known, draft)
        if step.http is not None:
            captured |= {f"captured.{name}" for name in step.http.capture}


def _of_body(place: Place, request: SmokeRequest | None) -> _Texts:
    if request is None:
        return
    if request.send is not None:
        yield (*place, "send"), request.send
    yield from _of_value((*place, "send_json"), request.send_json)


def _of_value(place: Place, value: object) -> _Texts:
    """The texts within a JSON value."""
    if isinstance(value, str):
        yield place, value
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, part in inner:
        yield from _of_value((*place, key), part)


def _everywhere(draft: Draft) -> frozenset[str]:
    ports = (f"ports.{name}" for name, service in draft.services.items() if service.has_ports)
    sockets = (f"sockets.{name}" for name, service in draft.services.items() if service.has_sockets)
    return EVERYWHERE.union(ports, sockets)


def _of_service(draft: Draft, name: str) -> frozenset[str]:
    service = draft.services[name]
    own = {"port": service.has_ports, "socket": service.has_sockets, "instance": True}
    return _everywhere(draft).union(key for key, there in own.items() if there)


def _of_environment(place: Place, environment: Mapping[str, object]) -> _Texts:
    for name, value in environment.items():
        if isinstance(value, str):
            yield (*place, name), value


def _of_builds(draft: Draft) -> _Texts:
    yield from _of_environment(("env",), {k: v for k, v in draft.env.items() if k != "env_file"})
    for index, step in draft.steps:
        yield ("build", index, "run"), step.run
        yield from _of_environment(("build", index, "env"), step.env)


def _of_defaults(draft: Draft) -> _Texts:
    for index, table in draft.defaults:
        yield from _of_environment(("upgrade", index, "env"), table)


def _of_backup(draft: Draft) -> _Texts:
    if draft.backup is not None:
        for key in ("command", "restore_command", "copy_command", "drop_command"):
            if (script := getattr(draft.backup, key)) is not None:
                yield ("backup", key), script


def _of_invariants(draft: Draft) -> _Texts:
    for place, invariant in draft.unchanged:
        if invariant.command is not None:
            yield (*place, "command"), invariant.command


def _of_all_migrations(draft: Draft) -> _Texts:
    """The commands that are about no migration in particular."""
    return _of_migrations(draft, "check", "run")


def _of_migrations(draft: Draft, *keys: str) -> _Texts:
    if draft.migrations is not None:
        for key in keys or ("rollback", "mark_applied"):
            if (script := getattr(draft.migrations, key)) is not None:
                yield ("migrations", key), script


def _of_question(
    place: Place,
    http: HttpQuestion | None,
    websocket: WebSocketProbe | None,
    command: CommandProbe | None,
) -> _Texts:
    if http is not None:
        within = (*place, "http")
        yield (*within, "path"), http.path
        yield from _of_environment((*within, "headers"), http.headers)
        yield from _of_environment((*within, "request_headers"), http.request_headers)
        yield from _of_environment((*within, "json"), http.json_fields)
        if http.body is not None:
            yield (*within, "body"), http.body
    if websocket is not None:
        within = (*place, "websocket")
        yield (*within, "path"), websocket.path
        yield (*within, "expect"), websocket.expect
        yield from _of_environment((*within, "headers"), websocket.headers)
        if websocket.send is not None:
            yield (*within, "send"), websocket.send
    if command is not None:
        yield (*place, "command", "run"), command.run


def _source(draft: Draft) -> Iterator[Finding]:
    for key, right in _OF_VERSIONS.items():
        text = draft.source.get(key)
        if not isinstance(text, str):
            continue
        place: Place = ("source", key)
        for unknown in unknown_placeholders(text, {"version"}):
            yield _unknown(place, unknown, {"version"}, draft)
        # One archive for all versions is fine if it is a certain one; so is one list of checksums.
        if "{version}" in text or key == "checksums":
            continue
        if key == "directory" or "sha256" not in draft.source:
            wrong = f"every version would be the same {_WHAT[key]}"
            yield Finding(place=place, wrong=wrong, right=f"Say where in it the version {right}")
    assets = draft.source.get("assets")
    if isinstance(assets, Mapping):
        for key in ("name", "checksums"):
            text = assets.get(key)
            for unknown in unknown_placeholders(text if isinstance(text, str) else "", {"version"}):
                yield _unknown(("source", "assets", key), unknown, {"version"}, draft)


def _check(place: Place, text: str, known: Collection[str], draft: Draft) -> Iterator[Finding]:
    for unknown in unknown_placeholders(text, known):
        yield _unknown(place, unknown, known, draft)


def _unknown(place: Place, shown: str, known: Collection[str], draft: Draft) -> Finding:
    if shown in ("{", "}"):
        return Finding(
            place=place,
            wrong=f"a {shown} that belongs to no placeholder",
            right=f"Write {shown * 2} for a literal brace; placeholders are {listing(known)}",
        )
    return Finding(
        place=place,
        wrong=f"there is no placeholder {shown} here",
        right=f"{_advice(shown[1:-1], known, draft)}; write {{{{ and }}}} for literal braces",
    )


def _advice(name: str, known: Collection[str], draft: Draft) -> str:
    kind, _, service = name.partition(".")
    if kind in ("port", "socket") and not service:
        others = [other for other in known if other.startswith(f"{kind}s.")]
        return (
            f"Only a service with {kind}s has one; name the service: {listing(others)}"
            if others
            else f"Only a service with {kind}s has one"
        )
    if kind in ("ports", "sockets") and service in draft.services:
        return f'The service "{service}" has no {kind}'
    return nearest(f"{{{name}}}", [f"{{{other}}}" for other in known])
