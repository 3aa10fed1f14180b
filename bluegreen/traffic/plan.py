"""What nginx should read, worked out from settings and markers: never from the store."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.files import sync_directory
from bluegreen.layout import Layout
from bluegreen.model import Slot, SwitchMode, Traffic
from bluegreen.traffic.build import NginxBuild
from bluegreen.traffic.confirmation import Answer
from bluegreen.traffic.markers import Markers
from bluegreen.traffic.published import Change, put_back, read, remove_others, write, write_all
from bluegreen.traffic.rendering import HEADER, RenderedApp, Templates, error_log

log = logging.getLogger(__name__)

_ACTIVE = re.compile(r"^# active: (blue|green)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``files`` are all but the slot files; ``generation`` is what nginx says once it has them."""

    files: Mapping[Path, str]
    slot_files: frozenset[Path]
    apps: Mapping[str, AppSettings]
    traffic: Mapping[str, Traffic]
    generation: str

    @property
    def listens(self) -> set[str]:
        """The ports and addresses that the apps' own servers listen on."""
        sites = (app.nginx for app in self.apps.values() if app.nginx.mode == "site")
        return {listen for nginx in sites for listen in nginx.listen}


class Planner:
    """Reads the markers, renders and writes, for one root. Everything here blocks."""

    def __init__(self, layout: Layout, build: NginxBuild, *, own_nginx: bool) -> None:
        self.layout = layout
        self._templates = Templates(layout, build)
        self._own_nginx = own_nginx
        self._markers: dict[str, Markers] = {}  # a switch looks several times
        self._rendered: dict[str, tuple[AppSettings, Traffic, RenderedApp]] = {}
        # Between reading a marker and writing the slot file that repeats it, no switch may pass.
        self._slot_files = threading.Lock()

    def markers(self, app: str) -> Markers:
        found = self._markers.get(app)
        if found is None:
            found = self._markers[app] = Markers(self.layout.app(app).traffic)
        return found

    def traffic(self, app: str) -> Traffic:
        """What the markers say.

        Where they were meddled with (two of them, or neither these nor ``closed``), the slot file
        says which slot was switched to last; where that is root's, a file of the daemon's own.
        """
        markers = self.markers(app)
        present, closed, held = markers.present(), markers.closed, markers.held
        if len(present) == 1:
            return Traffic(active=present[0], closed=closed, held=held, share=markers.share)
        last = self._last_switched_to(app) if present or not closed else None
        if present:
            found = last or present[0]
            log.warning("%s has two traffic markers; taking %s", app, found, extra={"app": app})
            return Traffic(active=found, closed=closed, held=held)
        # Closed and without a marker: the first switch of all, if any began, did not come to be.
        if last is not None and not closed:
            log.warning(
                "%s has lost its traffic marker; the last one was %s", app, last,
                extra={"app": app},
            )  # fmt: skip
            return Traffic(active=last, closed=False, held=held)
        return Traffic(active=None, closed=True, held=held)

    def _last_switched_to(self, app: str) -> Slot | None:
        match = _ACTIVE.search(read(self._memory(app)) or "")
        return Slot(match[1]) if match else None

    def _memory(self, app: str) -> Path:
        """The file that tells which slot was last switched to."""
        if self._own_nginx:
            return self._templates.slot_file(app)
        return self.layout.app(app).last_active

    def _remembered(self, settings: AppSettings, active: Slot | None) -> str:
        """What that file is to say."""
        if self._own_nginx:
            return self._templates.slot(settings, active)
        return f"{HEADER}# active: {active or 'none'}\n"

    def plan(
        self, apps: Mapping[str, AppSettings], overrides: Mapping[str, Traffic] | None = None
    ) -> Plan:
        """For ``apps``, as the markers say or, for some, as ``overrides`` says.

        Raises ConfigError for what cannot be written for nginx.
        """
        traffic = {name: self.traffic(name) for name in apps} | dict(overrides or {})
        files: dict[Path, str] = {}
        generations: dict[str, str] = {}
        for name, settings in apps.items():
            rendered = self._render(settings, traffic[name])
            files.update(rendered.files)
            generations[name] = rendered.generation
        if self._own_nginx:
            path, text = self._templates.instance()
            files[path] = text
            generations["own nginx"] = text
            generations["own sites"] = self._digest_of_own_sites()
        path, text, generation = self._templates.common(generations, apps.values())
        files[path] = text
        return Plan(
            files=files,
            slot_files=frozenset(self._templates.slot_file(name) for name in apps),
            apps=dict(apps),
            traffic=traffic,
            generation=generation,
        )

    def is_served(self, settings: AppSettings, traffic: Traffic, answer: Answer) -> bool:
        """Whether nginx, by its ``answer``, and the files say just what ``traffic`` says."""
        rendered = self._render(settings, traffic)
        remembered = read(self._memory(settings.name))
        return (
            (answer.app, answer.generation) == (settings.name, rendered.generation)
            and answer.closed == traffic.closed
            and traffic.active in (None, answer.slot)
            and remembered == self._remembered(settings, traffic.active)
            and all(read(path) == text for path, text in rendered.files.items())
        )

    def _render(self, settings: AppSettings, traffic: Traffic) -> RenderedApp:
        known = self._rendered.get(settings.name)
        if known is not None and known[0] is settings and known[1] == traffic:
            return known[2]
        rendered = self._templates.app(settings, traffic)
        self._rendered[settings.name] = (settings, traffic, rendered)
        return rendered

    def write(self, plan: Plan, changes: list[Change]) -> None:
        """Write what differs and remove what is no longer wanted, adding to ``changes``.

        Where nginx's files are root's, only what remembers the slots. Raises TrafficError for a
        file in the way, OSError for the disk.
        """
        self._make_directories(plan)
        if self._own_nginx:
            write_all(plan.files, changes)
        for name, settings in plan.apps.items():
            with self._slot_files:
                if settings.nginx.switch is SwitchMode.RELOAD:
                    active = plan.traffic[name].active
                else:
                    active = self.traffic(name).active
                text = self._remembered(settings, active)
                changes.extend(write(self._memory(name), text, sync_parent=not self._own_nginx))
        if not self._own_nginx:
            return
        if any(change.path in plan.slot_files for change in changes):
            sync_directory(self.layout.nginx / "slots")
        directories = [self.layout.nginx / kind for kind in ("sites", "snippets", "slots")]
        changes.extend(remove_others(directories, {*plan.files, *plan.slot_files}))

    def put_back(self, changes: list[Change]) -> None:
        with self._slot_files:
            put_back(changes)

    def remember(self, settings: AppSettings) -> None:
        """Have the slot file say what the marker says. Raises OSError, TrafficError."""
        with self._slot_files:
            text = self._remembered(settings, self.traffic(settings.name).active)
            # Not flushed: a marker is not lost in the same power cut, and whatever starts nginx
            # next writes it anew.
            write(self._memory(settings.name), text, durable=False)

    def restore_marker(self, settings: AppSettings, traffic: Traffic) -> None:
        """Back to ``traffic``. Raises OSError when a marker cannot be changed."""
        with self._slot_files:
            self.markers(settings.name).restore(traffic)
            path = self._memory(settings.name)
            try:
                write(path, self._remembered(settings, traffic.active))
            except OSError as error:
                named = {"app": settings.name}
                log.warning("%s could not be rewritten: %s", path, error, extra=named)

    def repair_markers(self, app: str, traffic: Traffic) -> None:
        """Make the markers say ``traffic`` where they say nothing, or two things."""
        markers = self.markers(app)
        named = [] if traffic.active is None else [traffic.active]
        if markers.present() != named or markers.closed != traffic.closed:
            markers.restore(traffic)
        if traffic.share is not None and traffic.share.slot is traffic.active:
            markers.end_share()  # of a daemon that was killed as it had just switched
        markers.leave_special()

    def _make_directories(self, plan: Plan) -> None:
        if not self._own_nginx:
            for name in plan.apps:
                if not self.markers(name).present():
                    self.repair_markers(name, self.traffic(name))
            return
        # Open to all: below it are the apps' sockets, to which nginx's workers connect as a user
        # of their own. Who may use the daemon is a matter of its own socket's mode.
        self.layout.run.mkdir(parents=True, exist_ok=True)
        for name in plan.apps:
            self.layout.app(name).run.mkdir(parents=True, exist_ok=True)
            markers = self.markers(name)
            if not markers.directory.is_dir():
                markers.directory.mkdir(parents=True)
                sync_directory(markers.directory.parent)
            if not markers.present():
                self.repair_markers(name, self.traffic(name))
        for kind in ("sites", "snippets", "slots"):
            (self.layout.nginx / kind).mkdir(parents=True, exist_ok=True)
        (self.layout.nginx / "temporary").mkdir(exist_ok=True)
        self.layout.apps.mkdir(exist_ok=True)
        (self.layout.config / "nginx").mkdir(parents=True, exist_ok=True)
        error_log(self.layout).parent.mkdir(parents=True, exist_ok=True)

    def _digest_of_own_sites(self) -> str:
        digest = hashlib.sha256()
        for path in sorted((self.layout.config / "nginx").glob("*.conf")):
            digest.update(f"{path.name}\0{read(path)}\0".encode(errors="surrogateescape"))
        return digest.hexdigest()
