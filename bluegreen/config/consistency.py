"""What the parts of one app file say about each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from bluegreen.config.assets_use import asset_findings
from bluegreen.config.copies import aimless_copies
from bluegreen.config.draft import Draft
from bluegreen.config.explain import nearest
from bluegreen.config.hold_use import hold_findings
from bluegreen.config.migrations_use import migration_findings
from bluegreen.config.placeholder_use import placeholder_findings
from bluegreen.config.places import Place, dotted
from bluegreen.config.preview_use import preview_findings
from bluegreen.config.problems import Finding
from bluegreen.config.promote_use import promote_findings
from bluegreen.config.questions import Probe, SmokeStep
from bluegreen.config.source_use import source_findings
from bluegreen.config.values import INSTANCE
from bluegreen.config.watch_use import watch_findings
from bluegreen.config.webhook_use import webhook_findings
from bluegreen.model import Slot, SwitchMode

HIGHEST_PORT = 65535


def inconsistencies(draft: Draft) -> Iterator[Finding]:
    """Everything in an app file that is well-formed but cannot be meant."""
    return chain(
        _shared(draft),
        _repeated_names(draft),
        _routes(draft),
        _replaced(draft),
        _instances(draft),
        _probes(draft),
        _exclusive(draft),
        _gate(draft),
        _backup(draft),
        migration_findings(draft),
        hold_findings(draft),
        promote_findings(draft),
        preview_findings(draft),
        asset_findings(draft),
        source_findings(draft),
        placeholder_findings(draft),
        webhook_findings(draft),
        watch_findings(draft),
    )


def _shared(draft: Draft) -> Iterator[Finding]:
    paths = (((("app", "shared", index)), path) for index, path in draft.shared)
    return _nested(paths, "Keep the outer one only")


def _backup(draft: Draft) -> Iterator[Finding]:
    if draft.backup is None:
        return
    kinds = {"sqlite": draft.backup.sqlite, "files": draft.backup.files}
    paths: list[tuple[Place, str]] = [
        (("backup", kind, index), path)
        for kind, named in kinds.items()
        for index, path in enumerate(named)
    ]
    yield from _nested(
        paths, "Name each once: a database under sqlite, and under files what is beside it"
    )
    yield from _repeated(
        ((("backup", "postgres", index), url) for index, url in enumerate(draft.backup.postgres)),
        "Keep one of them",
    )
    yield from aimless_copies(draft.backup)


def _nested(paths: Iterable[tuple[Place, str]], right: str) -> Iterator[Finding]:
    earlier: list[str] = []
    for place, path in paths:
        for other in earlier:
            if path == other:
                wrong = f'"{path}" is listed twice'
            elif path.startswith(f"{other}/") or other.startswith(f"{path}/"):
                wrong = f'"{path}" and "{other}" lie in each other'
            else:
                continue
            yield Finding(place=place, wrong=wrong, right=right)
            break
        earlier.append(path)


def _repeated_names(draft: Draft) -> Iterator[Finding]:
    nginx, preview = draft.nginx, draft.preview
    return chain(
        _repeated(
            ((("build", index, "name"), step.name) for index, step in draft.steps),
            "Give each build step a name of its own: its log is found by it",
        ),
        _repeated(
            ((("routes", index, "path"), path) for index, path in draft.route_paths),
            "Keep one route for the path",
        ),
        _repeated(
            (
                ((*place, "name"), f"{place[0]} {probe.name}")
                for place, probe in draft.probes
                if probe.name is not None
            ),
            "Give each probe a name of its own, or none",
        ),
        _repeated(
            (((*place, "name"), step.name) for place, step in draft.smoke if step.name is not None),
            "Give each step a name of its own, or none",
        ),
        _repeated(
            (((*place, "name"), one.name) for place, one in draft.unchanged if one.name),
            "Give each a name of its own, or none",
        ),
        _repeated_items(("nginx", "listen"), nginx.listen if nginx else ()),
        _repeated_items(("nginx", "server_name"), nginx.server_name if nginx else ()),
        _repeated_items(("preview", "server_name"), preview.server_name if preview else ()),
    )


def _repeated_items(place: Place, values: Sequence[str]) -> Iterator[Finding]:
    named = (((*place, index), value.lower()) for index, value in enumerate(values))
    return _repeated(named, "Keep one of them")


def _repeated(named: Iterable[tuple[Place, str]], right: str) -> Iterator[Finding]:
    first: dict[str, Place] = {}
    for place, name in named:
        if first.setdefault(name, place) != place:
            yield Finding(place=place, wrong=f"the same as {dotted(first[name])}", right=right)


def _routes(draft: Draft) -> Iterator[Finding]:
    for index, name in draft.route_services:
        place: Place = ("routes", index, "service")
        service = draft.services.get(name)
        if service is None:
            yield _no_such_service(place, name, draft.services)
        elif not service.has_address:
            yield Finding(
                place=place,
                wrong=f'"{name}" has no ports or sockets that traffic could go to',
                right=f"Give services.{name} ports = {{ blue = …, green = … }}",
            )


def _replaced(draft: Draft) -> Iterator[Finding]:
    for name, service in draft.services.items():
        place: Place = ("services", name, "replaces")
        if service.settings is None or service.settings.replaces is None:
            continue
        if not service.has_address:
            yield Finding(
                place=place,
                wrong=f'"{name}" has no ports or sockets, so nginx sends no traffic to it',
                right="Remove it, or give the service ports = { blue = …, green = … }",
            )
        elif draft.nginx is not None and draft.nginx.switch is SwitchMode.RELOAD:
            yield Finding(
                place=place,
                wrong='with nginx.switch = "reload" the way over would lose requests',
                right='Write switch = "marker", at least until the first release is active',
            )


def _instances(draft: Draft) -> Iterator[Finding]:
    """Each of several has to have an address of its own."""
    for name, service in draft.services.items():
        settings = service.settings
        if settings is None or settings.instances == 1:
            continue
        for slot in Slot:
            if settings.sockets is not None:
                path = settings.sockets.blue if slot is Slot.BLUE else settings.sockets.green
                if INSTANCE not in path:
                    yield Finding(
                        place=("services", name, "sockets", slot.value),
                        wrong=f"{settings.instances} instances cannot all listen on one socket",
                        right=f'Write {INSTANCE} into it, such as "{name}-{slot}-{INSTANCE}.sock"',
                    )
            last = settings.addresses(slot, Path())[-1:]
            if last and last[0].port is not None and last[0].port > HIGHEST_PORT:
                yield Finding(
                    place=("services", name, "ports", slot.value),
                    wrong=f"the last of {settings.instances} instances would listen on port "
                    f"{last[0].port}, and the highest is {HIGHEST_PORT}",
                    right=f"Write {HIGHEST_PORT + 1 - settings.instances} at the most",
                )


def _probes(draft: Draft) -> Iterator[Finding]:
    asked: tuple[tuple[Place, Probe | SmokeStep], ...] = (*draft.probes, *draft.smoke)
    for place, probe in asked:
        service = draft.services.get(probe.service)
        if service is None:
            yield _no_such_service((*place, "service"), probe.service, draft.services)
        elif not service.has_address and probe.command is None:
            yield Finding(
                place=(*place, "service"),
                wrong=f'"{probe.service}" has no ports or sockets that this probe could ask',
                right=f"Give services.{probe.service} ports, or probe it with a command",
            )


def _exclusive(draft: Draft) -> Iterator[Finding]:
    """What is asked of a service that runs in one slot alone, and so not at a gate."""
    exclusive = {
        name
        for name, service in draft.services.items()
        if service.settings is not None and service.settings.exclusive
    }
    right = "Ask another service; or remove exclusive, and it runs in both slots"
    for index, name in draft.route_services:
        if name in exclusive:
            wrong = f'"{name}" is exclusive: while it moves with the traffic, nobody would answer'
            yield Finding(place=("routes", index, "service"), wrong=wrong, right=right)
    asked: tuple[tuple[Place, Probe | SmokeStep], ...] = (*draft.probes, *draft.smoke)
    for place, probe in asked:
        if place[0] == "gate" and probe.service in exclusive:
            wrong = f'"{probe.service}" is exclusive, and starts once the gate is passed'
            yield Finding(place=(*place, "service"), wrong=wrong, right=f"{right}; or in [watch]")
    if exclusive and exclusive == set(draft.services):
        yield Finding(
            place=("services",),
            wrong="all of them are exclusive, and so there is nothing that a gate could ask",
            right="With [app] overlap = false no two versions run at once: remove exclusive",
        )


def _no_such_service(place: Place, name: str, services: Mapping[str, object]) -> Finding:
    return Finding(
        place=place, wrong=f'there is no service "{name}"', right=nearest(name, services.keys())
    )


def _gate(draft: Draft) -> Iterator[Finding]:
    if draft.gate is None:
        return
    deadline = draft.gate.deadline
    if draft.gate.healthy_for >= deadline:
        yield Finding(
            place=("gate", "healthy_for"),
            wrong=f"no release can be healthy for {draft.gate.healthy_for:g} s "
            f"within a deadline of {deadline:g} s",
            right="Make deadline longer than healthy_for, by the time that a start takes at least",
        )
    for place, probe in draft.probes:
        if place[0] == "gate" and _outlasts(probe, deadline):
            yield Finding(
                place=(*place, "timeout"),
                wrong=f"one attempt may take {probe.timeout:g} s, "
                f"longer than the gate's deadline of {deadline:g} s",
                right="Make it shorter than gate.deadline",
            )


def _outlasts(probe: Probe, deadline: float) -> bool:
    # Only where the file says so: the default must not make a short deadline an error.
    return "timeout" in probe.model_fields_set and probe.timeout > deadline
