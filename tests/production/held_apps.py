"""Many apps on one host, each of which is held in another phase that is about its data.

So the daemon ends, or the host goes down, once for all of them. Their jobs wait while a file of
``/run/held``, which a reboot removes, names them.
"""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.host.program import PROGRAM
from tests.production.asking import begin_deploy, is_in, latest_operation, run_file
from tests.production.caught import UNLINKS, Catcher
from tests.production.production import APP, DAEMON, Production
from tests.waiting import eventually

APPS = "/var/lib/bluegreen/apps"
_GATE = "*-gate-*"  # the job of the probe that is a command
# Each brings one migration more; no version lives with what is left by one that came later.
_LADDER = ("v4-rename", "v4-audit", "v4-notes", "v4-slow", "v4-delete")
_JOBS = """\
[Service]
TimeoutStartSec=infinity
ExecStartPre=/bin/sh -c 'while read -r jobs </run/held/{app} && case "%i" in $$jobs) ;; \
*) false;; esac; do sleep 0.2; done 2>/dev/null'
"""
_STOPS = """\
[Service]
ExecStop=/bin/sh -c 'while [ -e /run/held/{app}.stop ]; do sleep 0.2; done'
"""
_COMMAND = f"{PROGRAM}/bin/python -m monitor.migrations"
_FILE = f"""
[backup]
sqlite = ["data/servers.db"]
keep = 2

[hold]
limit = "10m"

[[gate.probes]]
service = "api"
command = {{ run = "/bin/true" }}

[migrations]
check = "{_COMMAND} check"
run = "{_COMMAND} run"
rollback = "{_COMMAND} rollback {{name}}"
"""
_MEASURED = """
[[gate.unchanged]]
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM users"
timeout = "2m"
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the deploy of one app is held: in a job, in a stop, or in a call of the daemon."""

    mode: str  # of its migrations
    phase: str
    job: str = ""  # the name of its unit, without the app's
    before: str = ""  # calls that it is held before
    on: str = ""  # the path that they are on, in the app's directory
    keeps: bool = True  # what is written to its data meanwhile
    ends: str = "interrupted"

    @property
    def app(self) -> str:
        return f"{self.mode}-{self.phase}"

    @property
    def moves(self) -> bool:
        return self.ends == "succeeded"

    @property
    def stops(self) -> bool:
        """Whether its service is held as it is stopped: what is measured is asked before, too."""
        return self.phase in ("drain", "measure")

    @property
    def waits_first(self) -> tuple[str, str]:
        """Which units wait before all else, and in which phase."""
        if self.stops:
            return f"bluegreen-{self.app}-api@*", "drain"
        return self.jobs(_GATE if self.moves else self.job), "gate" if self.moves else self.phase

    def jobs(self, job: str) -> str:
        return f"bluegreen-{self.app}-job@{self.app}-{job}"


PLACES = (
    Place(mode="online", phase="rehearse", job="*-rehearse-run.*"),
    Place(mode="online", phase="backup", job="gather-*"),
    # What was migrated is not recorded yet.
    Place(mode="online", phase="migrate", job="*-migrate-check.*"),
    # The file is there, and not flushed yet. (Of a rename, strace sees the first path alone.)
    Place(mode="hold", phase="hold", before="fsync", on="traffic/special"),
    Place(mode="hold", phase="drain"),
    Place(mode="hold", phase="measure", job="*-unchanged-*"),
    Place(mode="hold", phase="backup", job="gather-*"),
    Place(mode="hold", phase="migrate", job="*-migrate-check.*", keeps=False),
    Place(mode="hold", phase="gate", job=_GATE, keeps=False),
    Place(
        mode="hold", phase="release", before=UNLINKS, on="traffic/special/hold", ends="succeeded"
    ),
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is in an app's database."""

    columns: frozenset[str]
    applied: frozenset[str]  # names of migrations
    orders: frozenset[str]


class HeldApps:
    """The apps of all places. What :class:`~tests.production.ends.Held` asks is here."""

    def __init__(self, host: Production) -> None:
        self.host = host
        self.apps: Mapping[Place, Production] = {
            place: replace(host, app_name=place.app) for place in PLACES
        }
        self._held = Path()
        self._catcher = Catcher(host)

    async def set_up(self) -> None:
        """v2 serves in blue in each of them, with an order in its data."""
        await self.host.prepare()
        for number, (place, app) in enumerate(self.apps.items()):
            _hold_units(app, f"{place.app}-job@", _JOBS)
            if place.stops:
                _hold_units(app, f"{place.app}-api@", _STOPS)
            rehearse = str(place.phase == "rehearse").lower()
            extra = f'{_FILE}mode = "{place.mode}"\nrehearse = {rehearse}\n'
            app.write_app(
                ports=(9001 + 2 * number, 9002 + 2 * number), services=("api",), watch="0s",
                healthy_for="0.1s", interval="0.1s", deadline="5m", stop_timeout="5m",
                env={"MONITOR_MIGRATION_SECONDS": "0"},
                extra=extra + (_MEASURED if place.phase == "measure" else ""),
            )  # fmt: skip
        await self.host.bluegreen("apply")
        await self.host.host.run("systemctl", "enable", DAEMON)
        await self.deploy(dict.fromkeys(PLACES, "v2"))
        await self._sql(
            "CREATE TABLE orders (name TEXT PRIMARY KEY);"
            "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, at REAL NOT NULL)"
        )

    async def deploy(self, versions: Mapping[Place, str]) -> None:
        """All of them, to their ends."""
        for place, version in versions.items():
            await begin_deploy(self.apps[place], version)
        for place in versions:
            succeeded = functools.partial(_succeeded, self.apps[place])
            await eventually(succeeded, f"{place.app} is deployed", within=120)

    # -- holding ----------------------------------------------------------------------------

    async def come_to_their_places(self, versions: Mapping[Place, str]) -> None:
        """Begin a deploy of each, and have it held."""
        self._held = run_file(self.host, "held")
        self._held.mkdir()
        for place, version in versions.items():
            if place.on and not place.moves:
                continue
            if place.stops:
                (self._held / f"{place.app}.stop").touch()
            else:
                self._hold(place, _GATE if place.moves else place.job)
            await begin_deploy(self.apps[place], version)
        await self._all_wait(
            {place: place.waits_first for place in versions if not place.on or place.moves}
        )
        stopping = [place for place in versions if place.stops and place.job]
        for place in stopping:
            self._hold(place, place.job)
            (self._held / f"{place.app}.stop").unlink()
        await self._all_wait({place: (place.jobs(place.job), place.phase) for place in stopping})
        if calls := {place: version for place, version in versions.items() if place.on}:
            await self._come_to_their_calls(calls)

    def _hold(self, place: Place, job: str) -> None:
        (self._held / place.app).write_text(f"{place.app}-{job}\n")

    async def _all_wait(self, left: dict[Place, tuple[str, str]]) -> None:
        """Such units in such phases, though not at once: a probe's job has its time."""

        async def none_left() -> bool:
            listed = await self.host.host.run(
                "systemctl", "list-units", "--plain", "--no-legend", "--no-pager",
                "--state=activating,deactivating", "bluegreen-*",
            )  # fmt: skip
            units = [line.split()[0] for line in listed.output.splitlines()]
            for place, (unit, phase) in [*left.items()]:
                waits = any(fnmatch(name, unit) for name in units)
                if waits and await is_in(self.apps[place], phase):
                    del left[place]
            return not left

        try:
            await eventually(none_left, "all wait", within=120)
        except AssertionError as error:
            last = [await latest_operation(self.apps[place]) for place in left]
            raise AssertionError(f"not held: {last}") from error

    async def _come_to_their_calls(self, versions: Mapping[Place, str]) -> None:
        paths = {place: f"{APPS}/{place.app}/{place.on}" for place in versions}
        await self._catcher.attach(
            list(paths.values()), before=sorted({place.before for place in versions})
        )
        for place, version in versions.items():
            if place.moves:
                (self._held / place.app).unlink()
            else:
                await begin_deploy(self.apps[place], version)
        for place, path in paths.items():
            await eventually(functools.partial(self._is_caught, place, path), f"{place} is held")

    async def _is_caught(self, place: Place, path: str) -> bool:
        return await is_in(self.apps[place], place.phase) and self._catcher.has(path)

    async def until_told(self, ending: asyncio.Task[Any]) -> None:
        async def is_told() -> bool:
            return ending.done() or await self.host.unit(DAEMON, "ActiveState") != "active"

        await eventually(is_told, "the daemon is told to end")
        await self.let_all_go()
        await ending

    async def let_go_of_daemon(self) -> None:
        await self._catcher.let_go()

    async def let_all_go(self) -> None:
        shutil.rmtree(self._held, ignore_errors=True)
        await self._catcher.let_go()

    # -- data -------------------------------------------------------------------------------

    async def order(self, name: str) -> None:
        """Put an order into the data of each."""
        await self._sql(f"INSERT INTO orders VALUES ('{name}')")

    async def data(self) -> dict[Place, Data]:
        """What is in the data of each."""
        said = await self._sql(
            "SELECT 'column', t.name || '.' || c.name"
            " FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table';"
            "SELECT 'applied', name FROM schema_migrations; SELECT 'order', name FROM orders;"
            "PRAGMA integrity_check"
        )
        return {place: _data(lines) for place, lines in said.items()}

    async def _sql(self, statements: str) -> dict[Place, list[str]]:
        """What it says in each of them, as the app's user."""
        script = (
            'sql=$1; shift; for app; do echo "app $app";'
            f' sqlite3 -cmd ".timeout 9000" "{APPS}/$app/shared/data/servers.db" "$sql" || exit 1;'
            " done"
        )
        names = [place.app for place in PLACES]
        said = await self.host.host.run(
            "sh", "-c", script, "sh", statements, *names, user=APP, timeout=120
        )
        found: dict[Place, list[str]] = {}
        places = {f"app {place.app}": place for place in PLACES}
        for line in said.output.splitlines():
            if line in places:
                lines = found[places[line]] = []
            else:
                lines.append(line)
        return found


def next_version(place: Place, data: Data) -> str:
    """With migrations that are not applied yet."""
    return "v4-notes" if place.mode == "online" else _LADDER[len(data.applied)]


def _data(lines: Sequence[str]) -> Data:
    assert lines[-1] == "ok"
    pairs = [line.partition("|")[::2] for line in lines[:-1]]

    def of(kind: str) -> frozenset[str]:
        return frozenset(name for what, name in pairs if what == kind)

    return Data(columns=of("column"), applied=of("applied"), orders=of("order"))


def _hold_units(production: Production, unit: str, text: str) -> None:
    drop_in = production.path(f"/etc/systemd/system/bluegreen-{unit}.service.d/hold.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(text.format(app=production.app_name))


async def _succeeded(production: Production) -> bool:
    operation = await latest_operation(production)
    assert operation["state"] in ("running", "succeeded"), operation
    return bool(operation["state"] == "succeeded")
