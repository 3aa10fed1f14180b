"""The app file and the daemon's file as validated, frozen settings: the core sees only these.

Durations are seconds, sizes are bytes; the kinds of value are in ``values``. How a file becomes
settings, with errors that name the line, is in ``load``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bluegreen.config.api_section import ApiSection
from bluegreen.config.hold_section import HoldSection
from bluegreen.config.invariants import Invariant
from bluegreen.config.keep_section import Keep
from bluegreen.config.migrations_section import Migrations
from bluegreen.config.notify_section import ForgeStatus, Notify, refuse_doubles
from bluegreen.config.preview_section import PreviewSection
from bluegreen.config.promote_section import Promote
from bluegreen.config.questions import Probe, SmokeStep
from bluegreen.config.queue_section import QueueSection
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.release_rules import Requirements, UpgradeRule
from bluegreen.config.secret_file import SecretFile as SecretFile
from bluegreen.config.section import Section
from bluegreen.config.source_section import Source
from bluegreen.config.values import (
    INSTANCE,
    AbsolutePath,
    Command,
    Duration,
    Endpoint,
    EnvText,
    InsidePath,
    Listen,
    Location,
    Name,
    Percent,
    Port,
    PositiveDuration,
    PostgresUrl,
    Script,
    ServerName,
    SharedPath,
    Size,
    SocketPath,
    Switch,
    UserName,
    VariableName,
    within,
)
from bluegreen.config.watch_section import Watch
from bluegreen.config.webhook_section import Webhook
from bluegreen.model import Address, Slot, SwitchMode

DATA_TIMEOUT = 3600.0  # seconds


def _env_kind(value: Any) -> str:
    return "<secret>" if isinstance(value, dict | SecretFile) else "<text>"


# The tags keep an error in one of the two kinds from being reported for the other as well.
Environment = dict[
    VariableName,
    Annotated[
        Annotated[EnvText, Tag("<text>")] | Annotated[SecretFile, Tag("<secret>")],
        Discriminator(_env_kind),
    ],
]


class App(Section):
    """``[app]``."""

    name: Name
    user: UserName | None = None
    shared: tuple[InsidePath, ...] = ()
    overlap: Switch = True  # False: two of its versions never run at once


class BuildStep(Section):
    """``[[build]]``: run by ``/bin/sh -c`` in the release's tree."""

    name: Name
    run: Script
    timeout: PositiveDuration = 600.0
    env: Environment = Field(default={})
    env_file: AbsolutePath | None = None


class SlotPorts(Section):
    """A loopback TCP port for each slot: of the first instance, and those after it of the next."""

    blue: Port
    green: Port

    @model_validator(mode="after")
    def _differ(self) -> SlotPorts:
        if self.blue == self.green:
            raise ValueRefusedError(
                f"both slots have port {self.blue}", "Give each slot a port of its own"
            )
        return self


class SlotSockets(Section):
    """A unix socket for each slot: absolute, or inside the app's run directory.

    ``{instance}`` in it is the number of the instance.
    """

    blue: SocketPath
    green: SocketPath

    @model_validator(mode="after")
    def _differ(self) -> SlotSockets:
        if self.blue == self.green:
            raise ValueRefusedError(
                "both slots have one socket", "Give each slot a socket of its own"
            )
        return self


MOST_INSTANCES = 64  # of a service in a slot


class ServiceLimits(Section):
    """``limits`` of a service: the most that its processes may use together; None: no limit."""

    memory: Size | None = None  # bytes
    cpu: Percent | None = None  # of one CPU
    tasks: Annotated[int, Field(ge=1, strict=True)] | None = None
    open_files: Annotated[int, Field(ge=16, strict=True)] | None = None  # of each process


class Service(Section):
    """``[services.NAME]``. Without ports and sockets it is a worker without traffic."""

    command: Command
    ports: SlotPorts | None = None
    sockets: SlotSockets | None = None
    instances: Annotated[int, Field(strict=True), within(1, MOST_INSTANCES)] = 1  # in each slot
    env: Environment = Field(default={})
    env_file: AbsolutePath | None = None
    # Where what ran before bluegreen serves this until the first release is active.
    replaces: Endpoint | None = None
    keepalive: Annotated[int, Field(strict=True), within(0, 1024)] = 16
    stop_timeout: Duration = 10.0
    ready: Literal["notify"] | None = None  # None: it is up when it is started
    exclusive: Switch = False  # runs in the slot alone that has the traffic
    limits: ServiceLimits = ServiceLimits()  # kept by the systemd supervisor, as sandbox is
    sandbox: Literal["strict", "off"] = "strict"

    @model_validator(mode="after")
    def _one_address(self) -> Service:
        if self.ports is not None and self.sockets is not None:
            raise ValueRefusedError(
                "a service listens on ports or on sockets, not on both", "Remove one of them"
            )
        return self

    def address(self, slot: Slot, run: Path, instance: int = 1) -> Address | None:
        """Where an instance listens in ``slot``; None: a worker.

        Relative sockets are inside ``run``. Also of an instance beyond those that the file asks
        for, as one that was started when it asked for more runs on.
        """
        if self.ports is not None:
            first = self.ports.blue if slot is Slot.BLUE else self.ports.green
            return Address(port=first + instance - 1)
        if self.sockets is not None:
            path = self.sockets.blue if slot is Slot.BLUE else self.sockets.green
            return Address(socket=run / path.replace(INSTANCE, str(instance)))
        return None

    def addresses(self, slot: Slot, run: Path) -> tuple[Address, ...]:
        """Where its instances listen in ``slot``, the first one first; none: a worker."""
        each = (self.address(slot, run, number) for number in range(1, self.instances + 1))
        return tuple(address for address in each if address is not None)


class Route(Section):
    """``[[routes]]``: what nginx sends to which service."""

    path: Location
    service: Name
    websocket: Switch = False
    timeout: PositiveDuration = 60.0
    # Inside the release's tree: what it has there is what is served under ``path``.
    assets: InsidePath | None = None


class Nginx(Section):
    """``[nginx]``: what nginx answers to, and how it is told of a switch."""

    server_name: tuple[ServerName, ...] = ("_",)
    listen: Annotated[tuple[Listen, ...], Field(min_length=1)] = ("80",)
    mode: Literal["site", "snippet", "upstream"] = "site"
    switch: SwitchMode = SwitchMode.MARKER
    max_body: Size = 16 * 2**20


REHEARSAL_SLACK = 60.0  # seconds beyond what a release on a copy of the data is asked in


class Gate(Section):
    """``[gate]``: what a release must pass before it gets traffic."""

    deadline: PositiveDuration = 120.0
    healthy_for: Duration = 10.0
    probes: tuple[Probe, ...] = ()
    smoke: tuple[SmokeStep, ...] = ()  # in this order, once the probes have passed
    unchanged: tuple[Invariant, ...] = ()
    through_nginx: Switch = True  # probes and scenario once more, as a visitor's requests come

    @property
    def rehearsal_time(self) -> float:
        """Seconds that a release may run on a copy of the data: to be healthy, and its scenario."""
        return self.deadline + sum(step.timeout for step in self.smoke) + REHEARSAL_SLACK


class Backup(Section):
    """``[backup]``: which data are backed up. Paths are inside the app's shared directory.

    ``command`` and ``restore_command`` are run by ``/bin/sh -c``, as build steps are: the one
    prints a backup, the other reads it from its standard input. So does ``copy_command``, on what
    is ``{copy}`` of a rehearsal, and ``drop_command`` removes that.
    """

    sqlite: tuple[SharedPath, ...] = ()
    files: tuple[SharedPath, ...] = ()
    postgres: tuple[PostgresUrl, ...] = ()
    command: Script | None = None
    restore_command: Script | None = None
    copy_command: Script | None = None
    drop_command: Script | None = None
    keep: Annotated[int, Field(ge=1, strict=True)] = 10
    timeout: PositiveDuration = DATA_TIMEOUT

    @model_validator(mode="after")
    def _something(self) -> Backup:
        if not (self.sqlite or self.files or self.postgres or self.command):
            raise ValueRefusedError(
                "it names nothing that is to be backed up",
                'Name something, such as sqlite = ["data/app.db"] or files = ["uploads"]',
            )
        if self.restore_command is not None and self.command is None:
            raise ValueRefusedError(
                "it has a restore_command, and no command that makes what this would read",
                "Add the command, or remove restore_command",
            )
        if self.copy_command is not None and self.command is None:
            raise ValueRefusedError(
                "it has a copy_command, and no command that makes what this would read",
                "Add the command, or remove copy_command",
            )
        if self.drop_command is not None and self.copy_command is None:
            raise ValueRefusedError(
                "it has a drop_command, and no copy_command that makes what this would drop",
                "Add copy_command, or remove drop_command",
            )
        return self


class AppSettings(Section):
    """One app file."""

    later: ClassVar[frozenset[str]] = frozenset({"release"})

    app: App
    source: Source
    requires: Requirements = Requirements()
    env: Environment = Field(default={})
    env_file: AbsolutePath | None = None  # ``env_file`` of the ``[env]`` table
    build: tuple[BuildStep, ...] = ()
    services: Annotated[dict[Name, Service], Field(min_length=1)]
    routes: tuple[Route, ...] = ()
    nginx: Nginx = Nginx()
    gate: Gate = Gate()
    watch: Watch = Watch()
    keep: Keep = Keep()
    upgrade: tuple[UpgradeRule, ...] = ()
    backup: Backup | None = None
    migrations: Migrations | None = None
    hold: HoldSection = HoldSection()
    queue: QueueSection = QueueSection()
    promote: Promote = Promote()
    preview: PreviewSection = PreviewSection()
    webhook: tuple[Webhook, ...] = ()
    status: tuple[ForgeStatus, ...] = ()

    @field_validator("status")
    @classmethod
    def _has_commits(
        cls, status: tuple[ForgeStatus, ...], info: ValidationInfo
    ) -> tuple[ForgeStatus, ...]:
        source = info.data.get("source")
        if status and source is not None and source.git is None:
            raise ValueRefusedError(
                "a forge marks commits, and releases that do not come from git have none",
                "Remove [[status]]; [[notify]] of bluegreen.toml tells of every release",
            )
        if len({(one.provider, one.base, one.repository) for one in status}) < len(status):
            raise ValueRefusedError("one repository is named twice", "Keep one of them")
        return status

    @property
    def name(self) -> str:
        return self.app.name

    @property
    def assets(self) -> dict[str, str]:
        """The directories of a tree that hold assets, by the paths of their routes."""
        return {route.path: route.assets for route in self.routes if route.assets is not None}

    @property
    def exclusive(self) -> frozenset[str]:
        """The services that run in one slot alone, and so are no part of its gate."""
        return frozenset(name for name, service in self.services.items() if service.exclusive)

    def ready_within(self, service: str) -> float | None:
        """Seconds that a service is given to say that it is ready; None for one that never does."""
        return None if self.services[service].ready is None else self.gate.deadline

    @property
    def data_timeout(self) -> float:
        """Seconds for a piece of work on its data; backups outlive their table in the file."""
        return DATA_TIMEOUT if self.backup is None else self.backup.timeout

    @property
    def copying_time(self) -> float:
        """Seconds that the copies of a rehearsal may take.

        That of what is shared, and each of what programs give: made, asked about, and dropped.
        """
        backup = self.backup
        programs = 0 if backup is None else len(backup.postgres) + (backup.command is not None)
        return (1 + 3 * programs) * self.data_timeout

    @property
    def watch_probes(self) -> tuple[Probe, ...]:
        return self.gate.probes if self.watch.probes is None else self.watch.probes


class Limits(Section):
    """``[limits]`` of the daemon's file."""

    builds: Annotated[int, Field(ge=1, strict=True)] = 2


class DaemonSettings(Section):
    """``bluegreen.toml``."""

    limits: Limits = Limits()
    api: ApiSection = ApiSection()
    notify: tuple[Notify, ...] = ()

    @field_validator("notify")
    @classmethod
    def _told_apart(cls, notify: tuple[Notify, ...]) -> tuple[Notify, ...]:
        refuse_doubles(notify)
        return notify
