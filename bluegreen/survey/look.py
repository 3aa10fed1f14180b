"""The whole survey: units before a Procfile before guesses, and ports from wherever they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bluegreen.survey.answers import asked
from bluegreen.survey.command_line import PORT_VARIABLES
from bluegreen.survey.directory import AppDirectory, joined
from bluegreen.survey.dockerfile import Dockerfile, read_dockerfile
from bluegreen.survey.naming import another, name_from
from bluegreen.survey.nginx_site import find_site
from bluegreen.survey.node_project import has_workspaces, node_part
from bluegreen.survey.nouns import Found, FoundBuild, FoundService, Part, Survey
from bluegreen.survey.procfile import procfile_services
from bluegreen.survey.python_project import python_part
from bluegreen.survey.repository import find_origin
from bluegreen.survey.shared_files import shared_paths, upload_directories
from bluegreen.survey.source_code import (
    PortInSource,
    Source,
    choose_port,
    in_part,
    ports_in_env,
    read_sources,
)
from bluegreen.survey.units import UnitSurvey, survey_units

MOST_UNREAD = 10  # lines
_WORKER = re.compile(r"worker|scheduler|cron|queue|celery|beat")


def look(path: Path, *, root: Path, app: str, units: Sequence[str] = ()) -> Survey:
    """Survey the directory ``path`` for ``app``, and the ``units`` that are named besides.

    Units and sites are looked for under ``root``. Nothing of the directory is run; a service that
    runs is asked how it is. Blocking; raises OSError if the directory is not there, UsageError if
    a unit is not.
    """
    directory = AppDirectory(path)
    parts = _parts(directory)
    remarks: list[str] = []
    shared = shared_paths(directory, [part.path for part in parts])
    from_units = survey_units(directory, root, app, parts, shared, units)
    services, found = _services(directory, parts, from_units, remarks)
    docker = read_dockerfile(directory)
    if docker is not None:
        found.append(Found(where="Dockerfile", what=f"a hint: {docker.start or 'no command'}"))
    sources = read_sources(directory)
    remarks += [
        f"{service.where}: the command of {service.name} holds control characters"
        for service in services
        if not service.command.isprintable()
    ]
    services = [service for service in services if service.command.isprintable()]
    services = [_completed(s, services, directory, sources, docker) for s in services]
    services = [asked(service) for service in services]
    site = find_site(root, app, services, directory.unread)
    found += [Found(where=file, what="serves it now") for file in (site.files if site else ())]
    found += [Found(where=name, what="kept in the shared directory") for name in shared]
    origin = find_origin(directory)
    if origin.git is None:
        remarks += origin.remarks
    else:
        found.append(Found(where=".git", what=f"releases from {origin.git}"))
    users = from_units.users
    if len(users) > 1:
        remarks.append(f"the units run as different users: {', '.join(users)}")
    return Survey(
        origin=origin,
        user=users[0] if len(users) == 1 else None,
        shared=shared,
        uploads=upload_directories(directory, shared),
        builds=_named_builds(parts),
        services=tuple(services),
        units=tuple(from_units.units),
        site=site,
        found=tuple(found),
        remarks=(*remarks, *from_units.remarks, *_unread(directory)),
    )


def _unread(directory: AppDirectory) -> list[str]:
    more = len(directory.unread) - MOST_UNREAD
    rest = [f"and {more} more files were not read"] if more > 0 else []
    return [f"not read: {why}" for why in directory.unread[:MOST_UNREAD]] + rest


def _parts(directory: AppDirectory) -> list[Part]:
    """The directory's own projects, then those directly inside it."""
    workspaces = has_workspaces(directory)
    parts = []
    for path in ("", *directory.children):
        python = python_part(directory, path)
        node = None if path and workspaces else node_part(directory, path)
        parts += [part for part in (python, node) if part is not None]
    return parts


def _named_builds(parts: Sequence[Part]) -> tuple[FoundBuild, ...]:
    """With names of their own: that of the part, or of the language where that is taken."""
    builds: dict[str, FoundBuild] = {}
    for part in parts:
        wanted = name_from(part.path, "part") if part.path else part.kind
        name = another(wanted, builds)
        builds[name] = replace(part.build, name=name)
    return tuple(builds.values())


def _services(
    directory: AppDirectory, parts: Sequence[Part], units: UnitSurvey, remarks: list[str]
) -> tuple[list[FoundService], list[Found]]:
    found = [seen for part in parts for seen in part.found] + units.found
    listed = procfile_services(directory, parts, remarks)
    if listed:
        used = "its processes" if not units.services else "left alone: the units say what runs"
        found.append(Found(where="Procfile", what=used))
    if units.services:
        return units.services, found
    if listed:
        return listed, found
    guesses: dict[str, FoundService] = {}
    for part in parts:
        if part.service is not None:
            name = another(name_from(part.path, "part") if part.path else "web", guesses)
            guesses[name] = replace(part.service, name=name)
            what = "a guess at what starts it"
            found.append(Found(where=part.service.where, what=f"{what}: {part.service.command}"))
    return list(guesses.values()), found


def _completed(
    service: FoundService,
    services: Sequence[FoundService],
    directory: AppDirectory,
    sources: Mapping[str, Source],
    docker: Dockerfile | None,
) -> FoundService:
    """The service with its port, the variable that sets it, and a path for a health check."""
    own = [source for file, source in sources.items() if file == service.script]
    near = own + [source for source in in_part(sources, service.part) if source not in own]
    alone = len(services) == 1
    health = next(
        ((s.health[0], s.file) for s in (near if alone or service.part else own) if s.health), None
    )
    if not _serves(service, own, alone=alone):
        return replace(service, health=health)
    port = _port_in_code(service, own, near if alone or service.part else [])
    env_files = _env_file_ports(service, directory)
    number = service.port or _number(env_files, service, port) or (port.number if port else None)
    if number is None and docker is not None and (alone or service.name == "web"):
        number = docker.port
    env, remarks = dict(service.env), list(service.remarks)
    if port is not None and port.variable not in (None, "PORT", *env):
        env[str(port.variable)] = "{port}"
    env |= _variable_of_server(service) if port is None or port.variable is None else {}
    settable = "{port}" in service.command or "{port}" in env.values() or "$PORT" in service.command
    if not settable and (port is None or port.variable is None) and not _takes_port(service):
        fixed = f"{port.where} has port {port.number} fixed" if port else "no setting was found"
        remarks.append(f"its port must be settable ({fixed}): bluegreen gives it as PORT")
    return replace(
        service, serves=True, port=number, env=env, health=health, remarks=tuple(remarks)
    )


def _ports_of(sources: Sequence[Source]) -> list[PortInSource]:
    return [port for source in sources for port in source.ports]


def _port_in_code(
    service: FoundService, own: Sequence[Source], near: Sequence[Source]
) -> PortInSource | None:
    """From the service's own script before its neighbours, settable before fixed."""
    for sources in (own, near):
        ports = _ports_of(sources)
        for some in (
            [port for port in ports if port.variable is not None],
            [port for port in ports if port.variable is None],
        ):
            if chosen := choose_port(some, service.name):
                return chosen
    return None


def _env_file_ports(service: FoundService, directory: AppDirectory) -> list[PortInSource]:
    names = dict.fromkeys(joined(part, ".env") for part in (service.part, ""))
    return [port for name in names for port in ports_in_env(name, directory.read(name) or "")]


def _number(
    ports: Sequence[PortInSource], service: FoundService, named: PortInSource | None
) -> int | None:
    """What an env file says: of the variable that the code reads, where that is known."""
    if named is not None and named.variable is not None:
        ports = [port for port in ports if port.variable == named.variable]
    chosen = choose_port(ports, service.name)
    return chosen.number if chosen else None


def _serves(service: FoundService, own: Sequence[Source], *, alone: bool) -> bool:
    """Whether it gets ports: it was seen to listen, or it is all there is."""
    if service.socket:
        return False
    settable = any(port.variable is not None for port in _ports_of(own))
    return service.serves or settable or (alone and not _WORKER.search(service.name))


def _programs(service: FoundService) -> set[str]:
    words = service.command.replace("'", " ").replace('"', " ").split()
    return {word.rpartition("/")[2] for word in words}


def _takes_port(service: FoundService) -> bool:
    return any(PORT_VARIABLES.get(program) == "PORT" for program in _programs(service))


def _variable_of_server(service: FoundService) -> dict[str, str]:
    if "{port}" in service.command:
        return {}
    names = {PORT_VARIABLES[program] for program in _programs(service) & PORT_VARIABLES.keys()}
    return dict.fromkeys(sorted(names - {"PORT"}), "{port}")
