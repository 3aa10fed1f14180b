"""A switch without a daemon: where it cannot be started, and traffic has to move all the same.

The marker is all that nginx reads. What a daemon would know is looked at instead: who listens in
the slot, and what the store says of it, if it can be read. Blocking.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import socket
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.daemon_lock import only_one
from bluegreen.errors import NotFoundError, RefusedError, TrafficError, UsageError
from bluegreen.gate.hold_file import HOLD
from bluegreen.layout import Layout
from bluegreen.model import Address, Hold, Slot, SlotRecord, SlotState, SwitchMode
from bluegreen.operations import acceptance
from bluegreen.operations.unwritten import break_promise
from bluegreen.store.operations import clock_time
from bluegreen.traffic.confirmation import Confirmation
from bluegreen.traffic.markers import Markers

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 2.0  # seconds for each service
CONFIRM_TIMEOUT = 5.0  # seconds for nginx to see the marker
POLL = 0.02  # seconds


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Traffic that has moved; ``warnings`` are for people."""

    app: str
    to: Slot
    warnings: tuple[str, ...]


def _running(app: str, slot: Slot) -> SlotRecord:
    """Any slot may run: files that would take something away are not for this hour."""
    return SlotRecord(app=app, slot=slot, state=SlotState.HOT)


def switch_without_daemon(layout: Layout, name: str | None, to: Slot | None) -> Moved:
    """Move the marker of an app to ``to``, or to the other slot, and have nginx confirm it.

    Raises RefusedError while a daemon runs, and where the slot does not take connections or has
    not passed its gate by what the store says; InvalidConfiguration, UsageError (also of whoever
    has no right to do it), NotFoundError, TrafficError with traffic where it was.
    """
    try:
        return _switch(layout, name, to)
    except PermissionError as error:
        owner = _owner(layout.apps)
        raise UsageError(
            f"{_user(os.geteuid())} may not move traffic by hand: {error.filename}: "
            f"{error.strerror}",
            remedy="be root"
            + ("" if owner == "root" else f", or {owner}, as whom the daemon runs"),
        ) from error


def _switch(layout: Layout, name: str | None, to: Slot | None) -> Moved:
    with only_one(layout):
        apps = acceptance.load(layout, _running).configuration.apps
        settings = _one_of(apps, name)
        markers = Markers(layout.app(settings.name).traffic)
        target = _target(settings, markers, to)
        held = markers.held
        warnings = _expect_fit(layout, settings, target, held)
        _move(layout, settings.name, markers, target)
        if held is not None:
            warnings += _after_hold(markers, held, target)
    return Moved(app=settings.name, to=target, warnings=warnings)


def _owner(directory: Path) -> str:
    """Whose ``directory`` is, or the innermost one on the way there that can be looked at."""
    for place in (directory, *directory.parents):
        with contextlib.suppress(OSError):
            return _user(place.stat().st_uid)
    return "the user"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def _expect_no_promise(layout: Layout, name: str) -> None:
    """From now on visitors may write: no later daemon may put a backup of before in their place.

    Raises RefusedError.
    """
    path = layout.app(name).unwritten
    try:
        break_promise(path)
    except OSError as error:
        raise RefusedError(
            f"{name}: {path} cannot be removed: {error.strerror}",
            detail=["a later daemon could put a backup in the place of what visitors write now"],
            remedy="be root, or the user that runs the daemon; nothing was changed",
        ) from error


def _after_hold(markers: Markers, held: Hold, target: Slot) -> tuple[str, ...]:
    """Warnings. The hold of an operation is over, as that has ended with its daemon.

    One by hand is left to the hand: somebody has a reason for it.
    """
    said, ended = _who_holds(held), held.operation is not None
    if ended:
        try:
            markers.release()
        except OSError as error:
            log.error("%s: %s", markers.directory, error)
            ended = False
    if ended:
        return (f"{said}, which the next daemon ends: they go on to {target} now",)
    return (
        f"{said}, and go on to {target} then; to let them through now: rm {markers.special / HOLD}",
    )


def _who_holds(held: Hold) -> str:
    by = held.by if held.operation is None else f"operation {held.operation}"
    return f"requests are held by {by}, until {clock_time(held.until)} at the latest"


def _one_of(apps: Mapping[str, AppSettings], name: str | None) -> AppSettings:
    known = ", ".join(sorted(apps)) or "none"
    if name is None and len(apps) != 1:
        raise UsageError("which app?", remedy=f"name one of: {known}")
    found = next(iter(apps.values())) if name is None else apps.get(name)
    if found is None:
        raise NotFoundError(f"there is no app named {name}", remedy=f"known apps: {known}")
    return found


def _target(settings: AppSettings, markers: Markers, to: Slot | None) -> Slot:
    name, named = settings.name, markers.present()
    if settings.nginx.switch is SwitchMode.RELOAD:
        raise RefusedError(
            f"{name}: its traffic moves by nginx's configuration, not by a marker",
            remedy='see to the daemon first; switch = "marker" needs none',
        )
    if markers.closed or len(named) != 1:
        raise RefusedError(
            f"{name} is out of service, or has never been deployed",
            remedy=f"see to the daemon, then: bluegreen status {name}",
        )
    in_steps = markers.share is not None
    back = named[0] if in_steps else named[0].other
    target = back if to is None else to
    if target is named[0] and not in_steps:
        raise RefusedError(
            f"{name}: traffic is on {target} already",
            remedy=f"the other slot: bluegreen switch to {target.other} {name} --emergency",
        )
    return target


def _expect_fit(
    layout: Layout, settings: AppSettings, target: Slot, held: Hold | None
) -> tuple[str, ...]:
    """Warnings. Raises RefusedError unless all of the slot's services take connections."""
    run = layout.app(settings.name).run
    places = {
        name: one.addresses(target, run)
        for name, one in settings.services.items()
        if not one.exclusive  # it comes with the traffic, and has no route
    }
    # Of several instances one is enough, as nginx asks it in the place of the others.
    silent = [
        f"{name}: {' and '.join(map(str, each))} {'do' if each[1:] else 'does'} not take "
        "connections"
        for name, each in places.items()
        if each and not any(map(_accepts, each))
    ]
    waiting = [] if held is None else [_who_holds(held)]
    if silent:
        raise RefusedError(
            f"{settings.name}: what is in {target} does not serve",
            detail=[*silent, *waiting],
            remedy="start its services, or see to the daemon, which starts and gates them",
        )
    state = _recorded_state(layout.database, settings.name, target)
    if state is not None and state is not SlotState.HOT:
        raise RefusedError(
            f"{settings.name}: {target} is {state}: it has not passed its gate",
            detail=waiting,
            remedy="see to the daemon, which gates it; nothing was changed",
        )
    warnings = ["the history will not say who made this switch"]
    if state is None:
        warnings.append(f"the store cannot be read: nobody knows whether {target} passed its gate")
    return tuple(warnings)


def _accepts(address: Address) -> bool:
    try:
        if address.socket is not None:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(CONNECT_TIMEOUT)
                connection.connect(str(address.socket))
            return True
        where = ("127.0.0.1", address.port or 0)
        socket.create_connection(where, CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def _recorded_state(database: Path, app: str, slot: Slot) -> SlotState | None:
    """What the store says of a slot; None where it cannot be read, or says nothing."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(
                "SELECT state FROM slots WHERE app = ? AND slot = ?", (app, slot.value)
            ).fetchone()
        return None if found is None else SlotState(found[0])
    except (sqlite3.Error, ValueError):
        return None


def _move(layout: Layout, name: str, markers: Markers, target: Slot) -> None:
    """Raises TrafficError with the marker where it was."""
    confirmation = Confirmation(layout.nginx_socket, layout.remedies)
    answer = confirmation.ask_now(name)
    if answer.app != name:
        raise TrafficError(
            f"nginx has not loaded {name}",
            detail=[f"nginx says: {answer}"],
            remedy=f"{layout.remedies.see_nginx}; nothing was changed",
        )
    _expect_no_promise(layout, name)
    before = markers.present()
    try:
        markers.switch(target)
        markers.end_share()
    except OSError as error:
        share = markers.share
        if markers.present() != [target] or (share is not None and share.slot is not target):
            raise TrafficError(
                f"the traffic of {name} was not moved: {error.strerror}",
                detail=[f"{markers.directory}"],
                remedy="be root, or the user that runs the daemon, and see that it can be written",
            ) from error
    deadline = time.monotonic() + CONFIRM_TIMEOUT
    while not confirmation.ask_now(name).serves(name, target):
        if time.monotonic() > deadline:
            markers.switch(before[0])
            raise TrafficError(
                f"nginx did not confirm within {CONFIRM_TIMEOUT:g} s that {target} serves {name}",
                remedy=f"{layout.remedies.see_nginx}; traffic is where it was",
            )
        time.sleep(POLL)
