"""A host of its own for a test: a real systemd as PID 1, over an overlay of this machine's files.

What is installed here is there too, and nothing done there touches this machine. It has processes,
a network (loopback only) and a journal of its own. Needs root and ``systemd-nspawn``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.supervisors import cgroups
from tests.waiting import eventually

BOOT_SECONDS = 180.0
STOP_SECONDS = 120.0
COMMAND_SECONDS = 180.0
_IN_GROUP = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
CHECKOUT = Path(__file__).resolve().parents[2]
UP = ("running", "degraded")  # what ``systemctl is-system-running`` says of a host that is up
# Services of this machine that a test's host has no use for.
UNWANTED = ("postgresql.service", "nginx.service", "caddy.service", "haproxy.service")


def obstacle() -> str | None:
    """Why this machine cannot boot such a host; None when it can."""
    if os.geteuid() != 0:
        return "booting a host needs root"
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is not installed (package systemd-container)"
    if not Path("/usr/bin/systemd").exists() and not Path("/lib/systemd/systemd").exists():
        return "systemd is not installed"
    return None


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command on the host said. ``output`` is both of its streams."""

    status: int
    output: str


class Host:
    """One host: off until :meth:`boot`. Its disk stays from boot to boot.

    It has the files of ``over`` too, which has to be a file system of its own: such as all that
    another host has changed.
    """

    def __init__(self, directory: Path, *, over: Path | None = None) -> None:
        self._directory = directory
        self._over = over
        self.root = directory / "root"
        self._nspawn: asyncio.subprocess.Process | None = None
        self._leader: int | None = None

    @property
    def changed(self) -> Path:
        """All that differs on its disk from what it was made over."""
        return self._directory / "upper"

    @property
    def leader(self) -> int:
        """The PID, as this machine sees it, of the host's PID 1."""
        if self._leader is None:
            raise RuntimeError("the host is off")
        return self._leader

    async def mount(self) -> None:
        """Make its disk: this machine's files, and a place for all that is changed."""
        work = self._directory / "work"
        for directory in (self.changed, work, self.root):
            directory.mkdir()
        below = "/" if self._over is None else f"{self._over}:/"
        # Else a directory of the disk below is copied, file by file, where it is moved.
        layers = f"redirect_dir=on,lowerdir={below},upperdir={self.changed},workdir={work}"
        await _must("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        (self.root / "etc/machine-id").write_text("")
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        for unit in UNWANTED:
            (wants / unit).unlink(missing_ok=True)
        # Else each package that is installed has all manual pages of this machine indexed anew.
        (self.root / "var/lib/man-db/auto-update").unlink(missing_ok=True)

    async def unmount(self) -> None:
        await _must("umount", str(self.root))

    async def boot(self) -> None:
        """Switch it on; returns when systemd has started everything. Raises AssertionError."""
        await self.switch_on()
        await self.has_started()

    async def switch_on(self) -> None:
        """Begin its boot."""
        log = (self._directory / "console.log").open("ab")
        with log:
            self._nspawn = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", _IN_GROUP, str(self._make_group()),
                "systemd-nspawn", "-D", str(self.root), "--register=no", "--keep-unit", "-b",
                "--private-network", "--console=pipe", "--quiet", "systemd.unit=multi-user.target",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )  # fmt: skip

    async def has_started(self) -> None:
        """Wait until systemd has started everything, by asking it: that takes a processor.

        Raises AssertionError.
        """
        try:
            await eventually(self._is_up, "systemd has started everything", within=BOOT_SECONDS)
        except AssertionError as error:
            said = (self._directory / "console.log").read_text(errors="replace")
            await self.crash()
            raise AssertionError(f"the host did not boot:\n{said[-4000:]}") from error

    def _make_group(self) -> Path:
        """The control group of the host: those of two hosts in one would be each other's."""
        with contextlib.suppress(FileExistsError):
            self._group.mkdir()
        return self._group

    @property
    def _group(self) -> Path:
        (ours,) = [
            line.removeprefix("0::/")
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::/")
        ]
        return cgroups.hierarchy() / ours / self._directory.name

    def _remove_group(self) -> bool:
        """Whether it is gone: it is busy as long as the kernel is with its processes."""
        for directory, _, _ in os.walk(self._group, topdown=False):
            try:
                os.rmdir(directory)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
        return not self._group.exists()

    async def shut_down(self) -> None:
        """Switch it off in order, as ``poweroff`` does."""
        if self._nspawn is not None:
            with contextlib.suppress(ProcessLookupError):
                self._nspawn.send_signal(signal.SIGTERM)
            await self._has_ended()

    async def crash(self) -> None:
        """SIGKILL to all of it at once; what was written stays, synced or not."""
        if self._nspawn is not None:
            with contextlib.suppress(ProcessLookupError):
                # The kernel ends every process of the namespace with its first one.
                os.kill(self._leader or self._nspawn.pid, signal.SIGKILL)
            await self._has_ended()

    async def reboot(self) -> None:
        await self.shut_down()
        await self.boot()

    async def run(
        self,
        *command: str,
        check: bool = True,
        user: str | None = None,
        timeout: float = COMMAND_SECONDS,
        env: Mapping[str, str] | None = None,
        input: str = "",  # noqa: A002 - as subprocess calls it
    ) -> Said:
        """Run ``command`` on the host, as root or as ``user``.

        Raises AssertionError with what it said when it fails (unless not ``check``) or does not
        end within ``timeout`` seconds.
        """
        process = await asyncio.create_subprocess_exec(
            *self.command(*command, user=user, env=env),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = await asyncio.wait_for(process.communicate(input.encode()), timeout)
        except TimeoutError as error:
            raise AssertionError(f"{' '.join(command)} did not end in {timeout:g} s") from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # nsenter, and what it has started
                await process.wait()
        said = Said(status=process.returncode or 0, output=output.decode(errors="replace"))
        assert not check or said.status == 0, f"{' '.join(command)}: {said.status}\n{said.output}"
        return said

    def command(
        self, *command: str, user: str | None = None, env: Mapping[str, str] | None = None
    ) -> Sequence[str]:
        """The command of this machine that runs ``command`` on the host."""
        as_user = ("runuser", "-u", str(user), "--")
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        variables |= {"HOME": "/", "LANG": "C.UTF-8", **(env or {})}
        return (
            "nsenter", "-t", str(self.leader), "-a", "--", "env", "-i",
            *(f"{name}={value}" for name, value in variables.items()),
            *(as_user if user is not None else ()), *command,
        )  # fmt: skip

    async def require(self, *paths: Path | str) -> None:
        """Raises AssertionError for files of this machine that are not to be seen there."""
        for path in paths:
            said = await self.run("test", "-e", str(path), check=False)
            assert said.status == 0, (
                f"{path} is not seen on a booted host: its disk is laid over this machine's root, "
                "with a /tmp and a /run of its own and without other file systems; have the "
                "checkout and its Python elsewhere, such as below /srv or /root"
            )

    async def first_process(self) -> int:
        """The PID, as this machine sees it, of the PID 1 of a host that boots."""
        return int(await eventually(self._first_process, "a first process", within=BOOT_SECONDS))

    def _first_process(self) -> int | None:
        """None as long as it has no network of its own: it is not the one yet."""
        pids = [] if self._nspawn is None else _children(self._nspawn.pid)
        if len(pids) != 1:
            return None
        with contextlib.suppress(FileNotFoundError):
            if not os.path.samefile(f"/proc/{pids[0]}/ns/net", "/proc/self/ns/net"):
                return pids[0]
        return None

    async def _is_up(self) -> bool:
        assert self._nspawn is not None
        assert self._nspawn.returncode is None, "the host went down in its boot"
        if (leader := self._first_process()) is None:
            return False
        self._leader = leader
        # It answers when all is started; until systemd itself answers, it fails at once.
        said = await self.run("systemctl", "is-system-running", "--wait", check=False)
        return said.output.strip() in UP

    async def _has_ended(self) -> None:
        assert self._nspawn is not None
        try:
            await asyncio.wait_for(self._nspawn.wait(), STOP_SECONDS)
        finally:
            if self._nspawn.returncode is None:
                self._nspawn.kill()
                await self._nspawn.wait()
            self._nspawn = self._leader = None
        await eventually(self._remove_group, "its control group is gone")


@contextlib.asynccontextmanager
async def host(*, over: Path | None = None) -> AsyncIterator[Host]:
    """A host that has booted; off and gone afterwards. ``over`` is as :class:`Host` takes it."""
    # Not on tmpfs: an overlay needs a real file system below it.
    with tempfile.TemporaryDirectory(prefix="bg-host-", dir="/var/tmp") as name:
        built = Host(Path(name), over=over)
        await built.mount()
        try:
            await built.boot()
            try:
                yield built
            finally:
                await built.crash()
        finally:
            await built.unmount()


def _children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    return []


async def _must(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, f"{' '.join(command)}: {output.decode(errors='replace')}"
