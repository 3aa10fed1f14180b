"""From an app file to the units of its services and jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bluegreen.config.invariants import measuring_time
from bluegreen.config.layers import Layer, app_layer, build_layer, service_layer
from bluegreen.config.placeholders import build_cache, expand, expand_argv, slot_values
from bluegreen.config.settings import AppSettings, Service
from bluegreen.data.work import SHORT
from bluegreen.gate.hold_file import CLOSED, SPECIAL
from bluegreen.host import places
from bluegreen.host.accounts import Account
from bluegreen.host.quoting import UnitText, argument, assignment, path
from bluegreen.host.rendering import render
from bluegreen.instances import unit_keys
from bluegreen.layout import AppLayout, Layout
from bluegreen.model import Slot, UnitKey
from bluegreen.requirements import asked
from bluegreen.slots import custody
from bluegreen.supervisors.unit_names import TARGET, job_template, service_unit

GRACE = 60.0  # seconds that a job may take longer than its step allows


def unit_files(settings: AppSettings, layout: Layout, account: Account) -> dict[str, str]:
    """The texts of an app's units, by the units' names.

    Raises ConfigError for a value that a unit cannot carry.
    """
    texts = {job_template(settings.name): _job(settings, layout, account)}
    instances = {name: service.instances for name, service in settings.services.items()}
    for slot in Slot:
        for key in unit_keys(settings.name, slot, instances):
            texts[service_unit(key)] = _service(settings, layout, account, key)
    return texts


def target_file() -> str:
    """The text of ``bluegreen.target``, which wants the services of all apps."""
    return render("bluegreen.target.j2")


def nginx_drop_in(layout: Layout) -> str:
    """The text of what lets the host's nginx start after one that was killed."""
    return render("nginx-drop-in.j2", sockets=path(layout.nginx_run))


def _service(settings: AppSettings, layout: Layout, account: Account, key: UnitKey) -> str:
    service, app = settings.services[key.service], layout.app(key.app)
    # The link, not the tree that it leads to: a unit holds for whatever release is in the slot.
    values = slot_values(
        settings, app, key.slot,
        version="", tree=app.slot(key.slot), service=key.service, instance=key.instance,
    )  # fmt: skip
    layers = [app_layer(settings), service_layer(key.service, service)]
    variables = {"BLUEGREEN_APP": key.app, "BLUEGREEN_SLOT": key.slot.value}
    if "port" in values:
        variables["PORT"] = values["port"]
    words = [str(places.EXEC_LAUNCHER), str(app.wanted / key.slot.value)]
    if any(layer.credentials for layer in layers):
        laid = [word for layer in layers for word in layer.words(values)]
        words += [str(places.ENV_LAUNCHER), *laid, "--"]
    else:
        variables |= {name: text for layer in layers for name, text in _texts(layer, values)}
    words += expand_argv(service.command, values)
    ready_within = settings.ready_within(key.service)
    return render(
        "service.j2",
        **_common(settings, layout, account, sandbox=service.sandbox == "strict"),
        service=key.service,
        instance=key.instance if service.instances > 1 else None,
        slot=key.slot.value,
        wanted=path(app.wanted / key.slot.value),
        marker=path(app.traffic / key.slot.value) if service.exclusive else None,
        closed=path(app.traffic / SPECIAL / CLOSED),
        directory=path(app.slot(key.slot)),
        environment=[assignment(name, value) for name, value in variables.items()],
        credentials=_credentials(layers),
        command=UnitText(" ".join([path(words[0]), *map(argument, words[1:])])),
        start_timeout=None if ready_within is None else _seconds(ready_within),
        stop_timeout=_seconds(service.stop_timeout),
        limits=list(_limits(service)),
        target=TARGET,
    )


def _job(settings: AppSettings, layout: Layout, account: Account) -> str:
    app = layout.app(settings.name)
    services = settings.services.items()
    layers = [
        app_layer(settings),
        *(build_layer(step) for step in settings.build),
        *(service_layer(name, service) for name, service in services),
    ]
    return render(
        "job.j2",
        # What one service needs, its builds and checks may need as well.
        **_common(
            settings, layout, account,
            sandbox=all(service.sandbox == "strict" for service in settings.services.values()),
            # Where they are not there yet, jobs that have nothing to do with them run all the same.
            more=[UnitText(f"-{path(app.backups)}")],
        ),
        directory=path(app.trees),
        credentials=_credentials(layers),
        launcher=path(places.JOB_LAUNCHER),
        jobs=path(app.jobs),
        longest=_seconds(max(_times(settings)) + GRACE),
    )  # fmt: skip


def _times(settings: AppSettings) -> Iterator[float]:
    """Seconds that the daemon gives the jobs of an app, of whichever kind."""
    yield from (custody.LIMIT, asked.LIMIT)
    yield from (step.timeout for step in settings.build)
    yield from (probe.timeout for probe in (*settings.gate.probes, *settings.watch_probes))
    yield from (step.timeout for step in settings.gate.smoke)
    yield measuring_time(settings.gate.unchanged)
    yield from (settings.data_timeout, SHORT)
    if settings.migrations is not None:
        yield settings.migrations.timeout
        yield settings.gate.rehearsal_time


def _common(
    settings: AppSettings,
    layout: Layout,
    account: Account,
    *,
    sandbox: bool,
    more: Sequence[UnitText] = (),
) -> Mapping[str, object]:
    return {
        "app": settings.name,
        "user": account.user,
        "group": account.group,
        "sandbox": sandbox,
        "writable": [*_writable(settings, layout.app(settings.name)), *more],
        "config": path(layout.config),
    }


def _writable(settings: AppSettings, app: AppLayout) -> Iterator[UnitText]:
    for directory in (app.trees, app.shared, build_cache(app), app.run):
        yield path(directory)
    sockets = {
        address.socket.parent
        for service in settings.services.values()
        for slot in Slot
        for address in service.addresses(slot, app.run)
        if address.socket is not None
    }
    for directory in sorted(sockets - {app.run}):
        yield UnitText(f"-{path(directory)}")  # of the operator's making, if there at all


def _texts(layer: Layer, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in layer.table.items():
        if isinstance(value, str):
            yield name, expand(value, values)


def _credentials(layers: list[Layer]) -> list[tuple[UnitText, UnitText]]:
    return [
        (UnitText(name), path(file)) for layer in layers for name, file in layer.credentials.items()
    ]


def _limits(service: Service) -> Iterator[tuple[str, object]]:
    limits = service.limits
    if limits.memory is not None:
        yield "MemoryMax", limits.memory
    if limits.cpu is not None:
        yield "CPUQuota", UnitText(f"{limits.cpu}%")
    if limits.tasks is not None:
        yield "TasksMax", limits.tasks
    if limits.open_files is not None:
        yield "LimitNOFILE", limits.open_files


def _seconds(duration: float) -> str:
    """As a time span of systemd, to which 0 would mean for ever."""
    milliseconds = max(1, round(duration * 1000))
    whole = milliseconds % 1000 == 0
    return f"{milliseconds // 1000}s" if whole else f"{milliseconds}ms"
