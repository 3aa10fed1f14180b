"""Which configuration is in force, and when a changed one may take its place.

What was last accepted is kept beside the state, so that a broken file, found when the daemon is
started again, does not take an app that serves out of service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bluegreen.config.load import Configuration, InvalidConfiguration, Problem, load_all
from bluegreen.config.places import Place, dotted, line_at, lines_of_keys
from bluegreen.config.settings import AppSettings
from bluegreen.files import sync_directory, write_atomically
from bluegreen.layout import Layout
from bluegreen.model import Slot, SlotRecord, SlotState

_DAEMON_FILE = "bluegreen.toml"


class AcceptedLayout(Layout):
    """The same root, with the accepted copies as its configuration."""

    @property
    def config(self) -> Path:
        return self.state / "accepted"


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The configuration that is used, and what is wrong with the files if it is not theirs."""

    configuration: Configuration
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()  # what else an operator should know, of nginx for example


Holds = Callable[[str, Slot], SlotRecord]  # what the store says of a slot of an app
RUNNING = (SlotState.HOT, SlotState.STARTING)  # or they are to run


def refusals(
    current: Mapping[str, AppSettings], new: Configuration, layout: Layout, holds: Holds
) -> list[Problem]:
    """What in the new files would take something that runs out of service."""
    problems = []
    for name, settings in current.items():
        file = layout.app_files / f"{name}.toml"
        held = [holds(name, slot) for slot in Slot]
        running = [record.slot for record in held if record.state in RUNNING]
        if name not in new.apps:
            if running:
                problems.append(
                    Problem(
                        file=file,
                        line=None,
                        key="app.name",
                        wrong=f"{name} runs, and is gone",
                        right=f"Put the file back, or first: bluegreen stop {name}",
                    )
                )
            continue
        started = [record for record in held if record.slot in running]
        problems += _gone_services(settings, new.apps[name], file, layout, started)
        moved = [
            problem
            for slot in running
            for problem in _moved_addresses(settings, new.apps[name], file, layout, slot)
        ]
        if moved:
            lines = lines_of_keys(new.texts[name])
            problems += [replace(problem, line=line_at(lines, place)) for place, problem in moved]
    return problems


def _gone_services(
    old: AppSettings,
    new: AppSettings,
    file: Path,
    layout: Layout,
    started: Sequence[SlotRecord],
) -> Iterator[Problem]:
    """What requests go to, or went to, and under which the file would take its ports away.

    A worker of a root of its own runs on until its slot is replaced. Under systemd each service
    has units, which are stopped and removed once nothing names them.
    """
    app = layout.app(old.name)
    for service, settings in old.services.items():
        if service in new.services:
            continue
        runs = any(service in (record.services or old.services) for record in started)
        works = settings.address(Slot.BLUE, app.run) is None
        if not runs or (works and not app.has_own_user):
            continue
        yield Problem(
            file=file,
            line=None,
            key=f"services.{service}",
            wrong=f"{service} of {old.name} runs, and is gone",
            right="Put it back; or, to rename or remove it, first take the app out of service: "
            f"bluegreen stop {old.name}, then change the file, {layout.remedies.take_up}, and "
            f"bluegreen start {old.name}",
        )


def _moved_addresses(
    old: AppSettings, new: AppSettings, file: Path, layout: Layout, slot: Slot
) -> Iterator[tuple[Place, Problem]]:
    run = layout.app(old.name).run
    for service, was in old.services.items():
        if service not in new.services:
            continue
        before, after = (now.address(slot, run) for now in (was, new.services[service]))
        if before == after:
            continue
        kind = "sockets" if new.services[service].sockets else "ports"
        place = ("services", service, kind, slot.value)
        yield (
            place,
            Problem(
                file=file,
                line=None,
                key=dotted(place),
                wrong=f"{slot} runs and listens on {before}, not on {after}",
                right=f"Leave {slot} at {before} until its release has been replaced: change "
                f"the slot that is not running, deploy, then change {slot}",
            ),
        )


def changed(old: Configuration, new: Configuration) -> list[str]:
    """The apps whose files say something else, or are gone."""
    return [name for name, settings in old.apps.items() if new.apps.get(name) != settings]


def difference(old: Configuration, new: Configuration) -> dict[str, Any]:
    """What a reload says: names of apps, and of the daemon's file, of which ``[limits]`` counts
    from the next start."""
    later = new.daemon.limits != old.daemon.limits
    now = new.daemon.model_copy(update={"limits": old.daemon.limits}) != old.daemon
    return {
        "added": sorted(new.apps.keys() - old.apps.keys()),
        "removed": sorted(old.apps.keys() - new.apps.keys()),
        "changed": sorted(
            {name for name in new.apps.keys() & old.apps.keys() if new.apps[name] != old.apps[name]}
            | ({_DAEMON_FILE} if now else set())
        ),
        "at_next_start": [_DAEMON_FILE] if later else [],
    }


def load(layout: Layout, holds: Holds) -> InForce:
    """At a start: the files, or what was last accepted where they cannot be used.

    Raises InvalidConfiguration when nothing was ever accepted.
    """
    accepted = _accepted(layout)
    try:
        new = load_all(layout)
        problems = refusals(accepted.apps if accepted else {}, new, layout, holds)
        if not problems:
            return InForce(configuration=new)
        if accepted is None:
            raise InvalidConfiguration(problems)
    except InvalidConfiguration as error:
        if accepted is None:
            raise
        problems = list(error.problems)
    return InForce(configuration=accepted, problems=tuple(problems))


def _accepted(layout: Layout) -> Configuration | None:
    kept = AcceptedLayout(layout.root)
    if not kept.app_files.is_dir():
        return None
    try:
        return load_all(kept)
    except InvalidConfiguration:
        return None  # written by another version of bluegreen: of no use to this one


def keep(layout: Layout, configuration: Configuration) -> None:
    """Remember the files as accepted, as they were when they were checked. Raises OSError."""
    kept = AcceptedLayout(layout.root)
    kept.app_files.mkdir(parents=True, exist_ok=True)
    kept.config.chmod(0o700)  # not for the group, whatever the umask: a start may go by it
    files = {f"{name}.toml": text for name, text in configuration.texts.items()}
    for name, text in files.items():
        _write(kept.app_files / name, text)
    if configuration.daemon_text is not None:
        _write(kept.daemon_file, configuration.daemon_text)
    else:
        kept.daemon_file.unlink(missing_ok=True)
    for old in kept.app_files.glob("*.toml"):
        if old.name not in files:
            old.unlink()
    sync_directory(kept.app_files)


def _write(target: Path, text: str) -> None:
    content = text.encode()
    if not target.exists() or target.read_bytes() != content:
        write_atomically(target, content, mode=0o600)
