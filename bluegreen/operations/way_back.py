"""What a switch back means, now and after a release: in one word, and in one sentence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bluegreen.errors import RefusedError, StoreError, TrafficError
from bluegreen.migrations.nouns import AppliedMigration, MigrationChange
from bluegreen.model import Slot, SlotRecord, SlotState, Traffic
from bluegreen.operations.reversing import backup_of_before
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.unnamed import unnamed_change
from bluegreen.operations.unwritten import unwritten_since


class How(StrEnum):
    """How traffic gets back to the release that served before."""

    INSTANT = "instant"  # it runs, and has passed its gate
    START = "start"  # it is started and gated first
    REVERSE = "reverse"  # it cannot live with the schema: migrations are undone by name first
    RESTORE = "restore"  # the same, and they cannot be undone: a backup comes back, writes are lost
    IMPOSSIBLE = "impossible"  # there is none, or nothing serves


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """``says`` is for people, and does not begin with a capital."""

    how: How
    says: str
    migrations: tuple[str, ...] = ()  # what is undone, newest first; or what is in the way
    backup: int | None = None  # that is restored
    since: float | None = None  # Unix seconds from which on writes would be lost


async def known_migrations(
    app: AppRuntime, latest: Sequence[AppliedMigration] | None = None
) -> Sequence[AppliedMigration]:
    """The latest change of each, and what has no name; none where the store cannot say it.

    With ``latest``, where those that have names were read already.
    """
    try:
        if latest is None:
            latest = await app.parts.store.migrations.latest(app.name)
        unnamed = await unnamed_change(app)
        return latest if unnamed is None else [*latest, unnamed]
    except StoreError:
        return ()


def way_back(
    app: AppRuntime,
    traffic: Traffic,
    run: Run | None,
    silence: TrafficError | None,
    migrations: Sequence[AppliedMigration] = (),
) -> WayBack:
    """What ``switch back`` would do now.

    ``run`` is the operation in progress, ``silence`` why nginx cannot be told to move traffic, and
    ``migrations`` the latest change of each that is known.
    """
    found = _way_back(app, traffic, run, silence, migrations)
    by_hand = traffic.held is not None and traffic.held.operation is None
    holds = found.how is How.REVERSE or (found.how is How.START and not app.settings.app.overlap)
    if not (by_hand and holds):
        return found
    first = f"refused while requests are held by hand, so first: bluegreen release {app.name}"
    return replace(found, says=f"{found.says}; {first}")


def _way_back(
    app: AppRuntime,
    traffic: Traffic,
    run: Run | None,
    silence: TrafficError | None,
    migrations: Sequence[AppliedMigration],
) -> WayBack:
    active = traffic.active
    if active is None:
        return WayBack(how=How.IMPOSSIBLE, says="nothing has been deployed")
    if traffic.closed:
        return _closed(app)
    if silence is not None:
        return WayBack(how=How.IMPOSSIBLE, says=f"{silence.message}; {silence.remedy}")
    if traffic.share is not None:
        served = app.slots[active]
        return WayBack(how=How.INSTANT, says=f"instant, all clients to {served.label} in {active}")
    record = app.slots[active.other]
    if (barred := way_past_schema(app, record, migrations)) is not None:
        return barred
    if app.is_ready(record.slot):
        gone = way_without_schema(app, record, migrations)
        return _instant(record.label, record.slot, () if gone is None else gone.migrations)
    if run is not None and run.previous is not None and run.target is record.slot:
        record = run.previous
    if record.state is SlotState.EMPTY or record.version is None:
        return WayBack(how=How.IMPOSSIBLE, says=f"{active.other} holds no release")
    return way_without_schema(app, record, migrations) or _start(app, record.label, record.slot)


def way_past_schema(
    app: AppRuntime, idle: SlotRecord, migrations: Sequence[AppliedMigration]
) -> WayBack | None:
    """Where the idle release cannot live with what came after it: what has to be done first.

    None: it can, as it does in mode "online", or nothing came after it.
    """
    section = app.settings.migrations
    if section is None or section.mode != "hold" or idle.version is None:
        return None
    later = [
        one
        for one in migrations
        if one.change is not MigrationChange.ROLLED_BACK
        and one.operation > (idle.operation or 0)
        and not one.is_of(idle.version, idle.commit)
    ][::-1]
    if not later:
        return None
    names = tuple(one.name for one in later)
    if section.rollback is not None and all(one.named for one in later):
        return _reverse(idle.label, names)
    return _restore(idle.label, names, later[-1].operation, later[-1].at)


async def with_its_backup(app: AppRuntime, idle: SlotRecord, found: WayBack) -> WayBack:
    """The same; where it restores a backup for ``idle``, one that is there, or else none is named.

    As far as its manifest tells: all of it is read again before it is restored.
    """
    if found.how is not How.RESTORE or found.backup is None or found.since is None:
        return found
    made = await backup_of_before(app, found.backup, found.since)
    if made is not None:
        return _restore(idle.label, found.migrations, made.id, made.created_at)
    return replace(
        found,
        backup=None,
        since=None,
        says=f"restore of an older backup, with its release: backup {found.backup}, of before "
        f"{found.migrations[-1]}, is not there or not whole: bluegreen backup list {app.name}",
    )


def way_without_schema(
    app: AppRuntime, idle: SlotRecord, migrations: Sequence[AppliedMigration]
) -> WayBack | None:
    """Where what the idle release has applied is rolled back by now: it is deployed again."""
    names = tuple(
        one.name
        for one in migrations
        if one.change is MigrationChange.ROLLED_BACK and one.place.tree == idle.tree
    )
    if not names:
        return None
    names = tuple(sorted(names))
    verb = "is" if len(names) == 1 else "are"
    return WayBack(
        how=How.IMPOSSIBLE,
        says=f"{', '.join(names)} {verb} rolled back, with which {idle.label} in {idle.slot} has "
        f"passed its gate: bluegreen deploy {app.name} {idle.version}",
        migrations=names,
    )


def refuse_by_schema(
    app: AppRuntime,
    target: Slot,
    barred: WayBack | None,
    migrations: Sequence[AppliedMigration],
) -> None:
    """Raises RefusedError, with the command that does it, where a switch alone would not do."""
    record = app.slots[target]
    if barred is not None and barred.how is How.RESTORE:
        raise RefusedError(
            f"{app.name}: {record.label} cannot live with {', '.join(barred.migrations)}, and "
            "nothing can undo that by name",
            detail=[barred.says],
            remedy=f"bluegreen rollback {app.name} --restore {barred.backup or 'BACKUP'} (it says "
            "what would be lost)",
        )
    gone = way_without_schema(app, record, migrations)
    if gone is not None:
        raise RefusedError(
            f"{app.name}: {', '.join(gone.migrations)}, with which {record.label} has passed its "
            "gate, is rolled back since",
            remedy=f"deploy it again, migrations included: bluegreen deploy {app.name} "
            f"{record.version}",
        )


async def refuse_start_by_schema(
    app: AppRuntime, active: Slot, migrations: Sequence[AppliedMigration]
) -> None:
    """Raises RefusedError where what is to serve again cannot live with the schema."""
    record = app.slots[active]
    barred = way_past_schema(app, record, migrations)
    if barred is None:
        return
    barred = await with_its_backup(app, record, barred)
    if barred.how is How.REVERSE:
        remedy = (
            f"undo that by name, the newest first: bluegreen migrations rollback {app.name}; or "
            f"bring the data of before back: bluegreen backup list {app.name}"
        )
    else:
        remedy = (
            f"bring the data of before back (bluegreen backup list {app.name}): bluegreen backup "
            f"restore {app.name} {barred.backup or 'BACKUP'} (it says what would be lost)"
        )
    raise RefusedError(
        f"{app.name}: {record.label} cannot live with {', '.join(barred.migrations)}, which came "
        "after it, so it stays out of service",
        remedy=f"{remedy}; then: bluegreen start {app.name}",
    )


def way_back_after(
    app: AppRuntime, traffic: Traffic, pending: Sequence[str] | None = None
) -> WayBack:
    """What it would do once a release that is deployed now serves and has passed its watch.

    ``pending`` is what that would migrate; None: not known.
    """
    active = traffic.active
    if active is None:
        return WayBack(how=How.IMPOSSIBLE, says="no release has served before this one")
    if traffic.closed:
        return _closed(app)
    record, section = app.slots[active], app.settings.migrations
    if section is not None and section.mode == "hold" and pending != ():
        names = tuple(reversed(pending or ()))
        if section.rollback is not None and section.check is not None:
            return _reverse(record.label, names)
        return _restore(record.label, names, None, None)
    hot = app.settings.keep.hot != 0 and app.settings.app.overlap
    if not hot or not app.is_running(active) or app.lacks(active):
        return _start(app, record.label, active)
    return _instant(record.label, active)


def _closed(app: AppRuntime) -> WayBack:
    start = f"bluegreen start {app.name}"
    if (backup := unwritten_since(app.layout)) is not None:
        restore = f"bluegreen backup restore {app.name} {backup}"
        start = f"the data of before are not put back: {restore}, then {start}"
    return WayBack(how=How.IMPOSSIBLE, says=f"out of service; {start}")


def _instant(label: str, slot: Slot, gone: tuple[str, ...] = ()) -> WayBack:
    """``gone`` is rolled back since the release, which runs all the same, has passed its gate."""
    without = f", without {', '.join(gone)}, with which it has passed its gate" if gone else ""
    return WayBack(how=How.INSTANT, says=f"instant, to {label} in {slot}{without}")


def _start(app: AppRuntime, label: str, slot: Slot) -> WayBack:
    held = "" if app.settings.app.overlap else ", once the other one has stopped; requests wait"
    return WayBack(how=How.START, says=f"{label} in {slot} is started and gated first{held}")


def _reverse(label: str, names: tuple[str, ...]) -> WayBack:
    what = f"reverse migration: {', '.join(names)}" if names else "reverse migration, if any is run"
    return WayBack(
        how=How.REVERSE, says=f"{what}; then {label}, while requests wait", migrations=names
    )


def _restore(
    label: str, names: tuple[str, ...], backup: int | None, since: float | None
) -> WayBack:
    which = "the backup that is made then" if backup is None else f"backup {backup}"
    moment = "it" if since is None else _clock(since)
    why = f" ({', '.join(names)} cannot be undone)" if names else ""
    return WayBack(
        how=How.RESTORE,
        says=f"restore of {which}, with {label}; loses writes since {moment}{why}",
        migrations=names,
        backup=backup,
        since=since,
    )


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
