"""Making a version that is in place the one that counts, and going back where it does not serve."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NoReturn

from bluegreen.errors import BluegreenError, RefusedError, SupervisorError
from bluegreen.files import link_atomically, write_atomically
from bluegreen.installation import resumption, service, store_copy, system_files
from bluegreen.installation.places import GATE_SOCKET, SERVICE, SOCKET, Program, SystemPlaces
from bluegreen.resources import systemd_templates

Say = Callable[[str], None]


class NotTakenUpError(BluegreenError):
    """The new version did not serve, and the previous one does again."""

    kind = "not-taken-up"
    exit_status = 5


class Activation:
    """Each step may be repeated: a run that was killed is finished by the next one."""

    def __init__(self, name: str, places: SystemPlaces, *, packaged: bool, say: Say) -> None:
        """``packaged``: the files of the system are a package's, and in place already."""
        self._name = name
        self._places = places
        self._packaged = packaged
        self._say = say
        self._program = Program()
        self._done = False

    def run(self) -> bool:
        """Whether anything was done.

        Raises RefusedError for what is in the way, StoreError when the store cannot be copied,
        SupervisorError when the daemon does not come up, NotTakenUpError when the previous version
        serves in its place; OSError.
        """
        os.umask(0o022)
        version = self._version(self._name)
        if service.is_booted():
            self._refuse_a_unit_in_front()
        before = self._program.named("current")
        restarts = service.is_booted() and self._is_to_restart()
        if restarts:
            # First: where it finds no room, the previous version is all that counts still.
            store_copy.keep(self._program.tree(self._name))
        self.write_files()
        if not self._program.bin.is_symlink():
            link_atomically(self._program.bin, "current/bin")
        if before != self._name:
            if before is not None:
                self._program.name("previous", before)
            self._program.name("current", self._name)
            self._tell(f"bluegreen is version {version} now ({self._program.tree(self._name)})")
        if service.is_booted():
            self._take_up(version, restarts=restarts)
        else:
            self._enable()
        self._discard_old()
        return self._done

    def write_files(self) -> None:
        """This version's files, its user and its directories."""
        wanted = {} if self._packaged else dict(system_files.system_files(self._places))
        reload_file = self._places.notify_reload
        newer = service.knows_notify_reload(service.run("systemctl", "--version"))
        text = (systemd_templates() / "notify-reload.conf").read_text() if newer else None
        written = system_files.write({**wanted, reload_file: text})
        written += system_files.write_launchers(self._program)
        for path in written:
            self._tell(f"wrote {path}" if path.is_symlink() or path.exists() else f"removed {path}")
        service.run("systemd-sysusers", str(self._places.sysusers))
        service.run("systemd-tmpfiles", "--create", str(self._places.tmpfiles))
        if service.is_booted():
            service.run("systemctl", "daemon-reload")

    def _tell(self, what: str) -> None:
        self._done = True
        self._say(what)

    def _version(self, name: str) -> str:
        try:
            return self._program.complete(name).read_text().strip()
        except FileNotFoundError as error:
            raise RefusedError(
                f"{self._program.tree(name)} is not a whole version of bluegreen",
                remedy="make it: deploy/install --upgrade",
            ) from error

    def _refuse_a_unit_in_front(self) -> None:
        found = service.fragment()
        if found and Path(found).parent == Path("/etc/systemd/system"):
            raise RefusedError(
                f"{found} hides the unit that is to be installed",
                remedy=f"move it away, or keep what it changes with: systemctl edit {SERVICE}",
            )

    def _enable(self) -> bool:
        """Let it start at boot, the first time only. Whether this was the first time."""
        if self._program.enabled.exists():
            return False
        service.run("systemctl", "enable", SERVICE, SOCKET, GATE_SOCKET)
        write_atomically(self._program.enabled, "")
        self._tell(f"{SERVICE} and {SOCKET} start at boot")
        return True

    def _is_to_restart(self) -> bool:
        """Whether a daemon that is not this version runs, or an upgrade is half taken back."""
        if not self._program.enabled.exists():
            return False
        if self._program.going_back.exists():
            return True
        state, tree = service.state(), self._program.tree(self._name)
        # Stopped by an administrator, it stays so.
        if state in ("inactive", "failed"):
            return False
        if state == "active":
            # It serves with the store as it is: a copy that was left is older than that.
            store_copy.discard(tree)
            return not service.runs_from(tree)
        return True

    def _take_up(self, version: str, *, restarts: bool) -> None:
        tree = self._program.tree(self._name)
        if not self._program.enabled.exists():
            service.run("systemctl", "start", SOCKET)
            try:
                service.make_ready("start", version)
            except SupervisorError:
                # Nothing shall wait for one that never comes.
                service.run("systemctl", "stop", SOCKET, SERVICE, timeout=service.RESTART)
                raise
            self._tell(f"{SERVICE} is ready")
            self._enable()
            return
        if not restarts:
            return
        note = self._program.going_back
        unfinished, previous = note.exists(), self._program.named("previous")
        interrupted = resumption.running()
        try:
            if unfinished:
                self._finish_going_back(tree, previous)
            try:
                service.make_ready("start" if unfinished else "restart", version)
            except SupervisorError as error:
                if previous in (None, self._name):
                    raise
                self._go_back(previous, error)
            store_copy.discard(tree)
            note.unlink(missing_ok=True)
        finally:
            for said in resumption.resume(interrupted):
                self._say(said)
        service.renew_gate()
        self._tell(f"{SERVICE} was restarted, and is ready")

    def _finish_going_back(self, tree: Path, previous: str | None) -> None:
        """What a run that was killed as it went back has stopped and not started again."""
        listener = self._program.going_back.read_text()
        try:
            service.stop()
            if previous == self._name:
                store_copy.put_back(tree)
        finally:
            if listener:
                service.run("systemctl", "start", listener)
            service.run("systemctl", "start", "--no-block", SERVICE)

    def _go_back(self, previous: str, error: SupervisorError) -> NoReturn:
        self._say(f"the new version does not come up; going back to {previous}")
        version, broken = self._version(previous), self._program.tree(self._name)
        listener = SOCKET if service.state(SOCKET) == "active" else ""
        self._program.name("current", previous)
        # What fails keeps none of the others from being tried: above all the daemon shall run.
        failures: list[BluegreenError | OSError] = []
        for step in (
            partial(self._write_files_of, previous),
            partial(self._put_back_store, broken, listener),
            partial(self._start, listener, version),
        ):
            try:
                step()
            except (BluegreenError, OSError) as failure:
                failures.append(failure)
        if failures:
            details = [one.detail for one in failures if isinstance(one, BluegreenError)]
            raise SupervisorError(
                f"{error.message}; going back to version {version} failed too: "
                + "; ".join(str(failure) for failure in failures),
                detail=[*error.detail, *chain.from_iterable(details)],
                # A daemon that is tried again would make a new store where there is none.
                remedy=f"the apps serve on; systemctl stop {SOCKET} {SERVICE}, mend what is "
                f"named here (see journalctl -u {SERVICE}), then install again",
            ) from error
        store_copy.discard(broken)
        self._program.going_back.unlink()
        raise NotTakenUpError(
            f"{error.message}; version {version}, the previous one, serves again",
            detail=error.detail,
            remedy="the apps were not touched; see its log: journalctl -u bluegreen.service",
        ) from error

    def _write_files_of(self, previous: str) -> None:
        """What it has brought along itself; of a package, files are the package manager's."""
        words = ["--packaged"] if self._packaged else []
        service.run(
            str(self._program.tree(previous) / "bin/python"), "-I", "-m", "bluegreen.installation",
            "files", "--prefix", str(self._places.prefix), *words,
        )  # fmt: skip

    def _put_back_store(self, tree: Path, listener: str) -> None:
        write_atomically(self._program.going_back, listener)
        service.stop()
        store_copy.put_back(tree)

    def _start(self, listener: str, version: str) -> None:
        # First, as it cannot be started beside a daemon that runs without it.
        if listener:
            service.run("systemctl", "start", listener)
        service.make_ready("start", version)

    def _discard_old(self) -> None:
        kept = {self._program.named("current"), self._program.named("previous")}
        for tree in sorted(self._program.versions.iterdir()):
            if tree.name not in kept:
                # First what says that it is whole.
                (tree / "complete").unlink(missing_ok=True)
                shutil.rmtree(tree)
                self._tell(f"removed {tree}")
