"""As much of an app file as can be understood, so that one mistake does not hide the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from bluegreen.config.hold_section import HoldSection
from bluegreen.config.invariants import Invariant
from bluegreen.config.migrations_section import Migrations
from bluegreen.config.places import Place
from bluegreen.config.preview_section import PreviewSection
from bluegreen.config.promote_section import Promote
from bluegreen.config.questions import Probe, SmokeStep
from bluegreen.config.section import Section
from bluegreen.config.settings import App, Backup, BuildStep, Gate, Nginx, Service
from bluegreen.config.watch_section import WATCH_LIMITS, Metric
from bluegreen.config.webhook_section import Webhook

S = TypeVar("S", bound=Section)

_KINDS = ("http", "tcp", "websocket", "command")


@dataclass(frozen=True, kw_only=True)
class ServiceDraft:
    """A service that the file names. ``settings`` is None where nothing of it can be used."""

    settings: Service | None
    has_ports: bool
    has_sockets: bool

    @property
    def has_address(self) -> bool:
        return self.has_ports or self.has_sockets


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The parts of one app file, each with its place where that is not plain from the part."""

    name: str  # the app's; empty where the file does not say, or cannot mean it
    shared: tuple[tuple[int, str], ...]
    source: Mapping[str, Any]  # the table as it stands in the file
    env: Mapping[str, str]  # the texts of [env]
    steps: tuple[tuple[int, BuildStep], ...]
    services: Mapping[str, ServiceDraft]
    route_paths: tuple[tuple[int, str], ...]
    route_services: tuple[tuple[int, str], ...]
    route_assets: tuple[tuple[int, str], ...]
    probes: tuple[tuple[Place, Probe], ...]
    smoke: tuple[tuple[Place, SmokeStep], ...]
    unchanged: tuple[tuple[Place, Invariant], ...]
    gate: Gate | None  # its times only
    defaults: tuple[tuple[int, Mapping[str, str]], ...]  # the texts of env, by upgrade rule
    nginx: Nginx | None  # what it answers to, and how it is told of a switch
    backup: Backup | None
    backed_up: frozenset[str]  # the keys of [backup] as the file has them, right or wrong
    migrations: Migrations | None
    overlap: bool  # whether two versions may run at once
    hold: HoldSection | None
    promote: Promote | None
    preview: PreviewSection | None
    webhooks: tuple[tuple[int, Webhook], ...]
    metrics: tuple[tuple[Place, Metric], ...]
    watch_limits: frozenset[str]  # the keys of [watch] that need nginx to tell of requests
    fails_over: bool


def draft(data: Mapping[str, Any]) -> Draft:
    """Understand what can be understood of a parsed app file; never raises."""
    app, source = _table(data.get("app")), _table(data.get("source"))
    gate, watch = _table(data.get("gate")), _table(data.get("watch"))
    named = _exactly(App, app, "name")
    return Draft(
        name=named.name if named else "",
        shared=_texts(_list(app.get("shared"))),
        source=source,
        env=_texts_in(data.get("env")),
        steps=_steps(data.get("build")),
        services={
            name: ServiceDraft(
                settings=_salvage(Service, service, command="true"),
                has_ports="ports" in _table(service),
                has_sockets="sockets" in _table(service),
            )
            for name, service in _table(data.get("services")).items()
        },
        route_paths=_texts_of("path", data.get("routes")),
        route_services=_texts_of("service", data.get("routes")),
        route_assets=_texts_of("assets", data.get("routes")),
        probes=(*_probes("gate", gate), *_probes("watch", watch)),
        smoke=tuple(_smoke(gate)),
        unchanged=tuple(_unchanged(gate)),
        gate=_exactly(Gate, gate, "deadline", "healthy_for"),
        defaults=tuple(
            (index, _texts_in(_table(rule).get("env")))
            for index, rule in enumerate(_list(data.get("upgrade")))
        ),
        nginx=_exactly(Nginx, _table(data.get("nginx")), "mode", "switch", "listen", "server_name"),
        backup=_salvage(Backup, data.get("backup"), command="true"),
        backed_up=frozenset(_table(data.get("backup"))),
        migrations=_salvage(Migrations, data.get("migrations")),
        overlap=app.get("overlap") is not False,
        hold=_exactly(HoldSection, _table(data.get("hold")), "limit"),
        promote=_salvage(Promote, data.get("promote")),
        preview=_exactly(PreviewSection, _table(data.get("preview")), "server_name"),
        webhooks=tuple(_webhooks(data.get("webhook"))),
        metrics=tuple(_metrics(watch)),
        watch_limits=WATCH_LIMITS & watch.keys(),
        fails_over=watch.get("failover") is True,
    )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts_in(table: Any) -> Mapping[str, str]:
    return {key: value for key, value in _table(table).items() if isinstance(value, str)}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(values: Iterable[Any]) -> tuple[tuple[int, str], ...]:
    return tuple((index, value) for index, value in enumerate(values) if isinstance(value, str))


def _texts_of(key: str, tables: Any) -> tuple[tuple[int, str], ...]:
    return _texts(_table(table).get(key) for table in _list(tables))


def _steps(tables: Any) -> tuple[tuple[int, BuildStep], ...]:
    salvaged = (
        (index, _salvage(BuildStep, table, name=f"unnamed-{index}", run="true"))
        for index, table in enumerate(_list(tables))
    )
    return tuple((index, step) for index, step in salvaged if step is not None)


def _probes(section: str, table: Mapping[str, Any]) -> Iterator[tuple[Place, Probe]]:
    """The probes of ``section``; one that is of several kinds counts as one of each."""
    for index, probe in enumerate(_list(table.get("probes"))):
        common = {key: value for key, value in _table(probe).items() if key not in _KINDS}
        kinds = [{kind: probe[kind]} for kind in _KINDS if kind in _table(probe)]
        for kind in kinds or [{"command": {"run": "true"}}]:
            if salvaged := _salvage(Probe, common | kind, command={"run": "true"}):
                yield (section, "probes", index), salvaged


def _smoke(gate: Mapping[str, Any]) -> Iterator[tuple[Place, SmokeStep]]:
    for index, step in enumerate(_list(gate.get("smoke"))):
        if salvaged := _salvage(SmokeStep, step, command={"run": "true"}):
            yield ("gate", "smoke", index), salvaged


def _unchanged(gate: Mapping[str, Any]) -> Iterator[tuple[Place, Invariant]]:
    for index, invariant in enumerate(_list(gate.get("unchanged"))):
        if salvaged := _salvage(Invariant, invariant, command="true"):
            yield ("gate", "unchanged", index), salvaged


def _webhooks(tables: Any) -> Iterator[tuple[int, Webhook]]:
    for index, table in enumerate(_list(tables)):
        if salvaged := _salvage(Webhook, table, secret={"file": "/"}):
            yield index, salvaged


def _metrics(watch: Mapping[str, Any]) -> Iterator[tuple[Place, Metric]]:
    for index, table in enumerate(_list(watch.get("metrics"))):
        if salvaged := _salvage(Metric, table):
            yield ("watch", "metrics", index), salvaged


def _exactly(model: type[S], table: Mapping[str, Any], *keys: str) -> S | None:
    """Those ``keys`` of ``table``; None where one is wrong, as its default was not meant."""
    try:
        return model.model_validate({key: table[key] for key in keys if key in table})
    except ValidationError:
        return None


def _salvage(model: type[S], table: Any, **instead: Any) -> S | None:
    """``table`` without the keys that cannot be used, if that makes a ``model``.

    ``instead`` stands in for what it cannot do without.
    """
    while isinstance(table, dict):
        try:
            return model.model_validate(table)
        except ValidationError as error:
            remaining = table
            for details in error.errors(include_url=False):
                remaining = _without(remaining, details["loc"])
        if remaining == table:
            remaining, instead = instead | table, {}
        if remaining == table:
            return None
        table = remaining
    return None


def _without(table: dict[str, Any], place: Place) -> dict[str, Any]:
    """A copy that lacks the innermost key on the way to ``place``."""
    key = place[0] if place else None
    if not isinstance(key, str) or key not in table:
        return table
    inner = table[key]
    if isinstance(inner, dict) and len(place) > 1 and place[1] in inner:
        return table | {key: _without(inner, place[1:])}
    return {other: value for other, value in table.items() if other != key}
