"""The one place that runs git: without prompts, hooks, helpers, shells or limitless waiting.

The system's and the user's git configuration stay in force, because proxies, certificates and
credentials are set there; what could run a command on a remote's behalf is overruled on each
command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.secrets import MASK
from bluegreen.errors import SourceError
from bluegreen.files import write_atomically
from bluegreen.processes import uninterrupted
from bluegreen.sources.git_access import GitAccess
from bluegreen.sources.remote import Remote, redact

LOCAL_TIMEOUT = 60.0  # seconds for a git that does not leave this host
STALLED_AFTER = 30  # seconds below 1000 bytes/s, then an http transfer is given up
MOST_OUTPUT = 64 * 2**20  # bytes
MOST_ERRORS = 16 * 2**10  # bytes
SHOWN_ERRORS = 12  # lines
KILL_WAIT = 10.0  # seconds that a git is given to vanish after SIGKILL
PIPE_WAIT = 2.0  # seconds for the last output after git has ended

_OPTIONS = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.unpackLimit=1",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "advice.detachedHead=false",
    "http.lowSpeedLimit=1000",
    f"http.lowSpeedTime={STALLED_AFTER}",
)
_CONFIGURED = tuple(argument for option in _OPTIONS for argument in ("-c", option))
# Of the daemon's own environment git sees only these GIT_ variables: a GIT_DIR or GIT_TRACE left
# over from whoever started the daemon must not point git elsewhere or print credentials.
_KEPT = (
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_HTTP_PROXY_AUTHMETHOD",
)  # fmt: skip
_NETWORK = "http:https:ssh:git"
_PACKAGES = {"gpg": "gnupg"}  # of Debian, where they are not called like their program


@dataclass(frozen=True, kw_only=True)
class GitResult:
    """How a git ended. ``errors`` are its last words, without credentials."""

    status: int | None  # None: killed, or out of time
    ending: str  # "exit status 128", "timed out after 300 s"
    output: bytes
    errors: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def timed_out(self) -> bool:
        return self.ending.startswith("timed out")

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace").strip()


class Git:
    """Runs git for the repositories of one app, under its cache lock."""

    def __init__(
        self,
        remote: Remote,
        cache: Path,
        *,
        lock: int,
        access: GitAccess | None = None,
    ) -> None:
        self.remote = remote
        self._cache = cache
        self._lock = lock
        self._access = access or GitAccess()
        self._secret: str | None = None  # what it leads to, and no error may show
        self._ssh: dict[str, str] | None = None

    async def run(
        self,
        *arguments: str,
        repository: Path | None = None,
        timeout: float = LOCAL_TIMEOUT,
        env: Mapping[str, str] | None = None,
        text: str | None = None,
    ) -> GitResult:
        """Run git to its end, with ``text`` for its input; a failure is a result, no exception.

        Out of time or cancelled, git and all it started get SIGKILL before this returns or raises.
        """
        timeout = max(timeout, 0.0)
        argv = ["git", *_CONFIGURED]
        if repository is not None:
            argv.append(f"--git-dir={repository}")
        environment = await asyncio.to_thread(self._environment, env or {})
        return await self._execute([*argv, *arguments], timeout, environment, text)

    async def run_program(self, program: str, *arguments: str, env: Mapping[str, str]) -> GitResult:
        """Run another program that git works with, by the same rules."""
        environment = await asyncio.to_thread(self._environment, env)
        return await self._execute([program, *arguments], LOCAL_TIMEOUT, environment)

    async def run_remote(
        self,
        *arguments: str,
        timeout: float,
        repository: Path | None = None,
        text: str | None = None,
    ) -> GitResult:
        """Run a git that may speak to the remote: with the operator's own ssh command, or ours.

        Raises SourceError where the key or token that [source] names cannot be used.
        """
        if self._ssh is None:
            self._secret = await asyncio.to_thread(self._access.look)
            ours = self._access.has_ssh or not await self._has_ssh_command()
            self._ssh = {"GIT_SSH_COMMAND": self._access.ssh_command()} if ours else {}
        env = {
            **self._ssh,
            **self._access.environment(self.remote),
            # Also for submodules: only an app whose own source is a path may read other paths.
            "GIT_ALLOW_PROTOCOL": f"file:{_NETWORK}" if self.remote.is_local else _NETWORK,
        }
        return await self.run(
            *arguments, timeout=timeout, repository=repository, env=env, text=text
        )

    async def _has_ssh_command(self) -> bool:
        """Whether the user's environment or configuration says how ssh is run."""
        if any(name in os.environ for name in ("GIT_SSH", "GIT_SSH_COMMAND")):
            return True
        return bool((await self.run("config", "--get", "core.sshCommand")).text)

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Blocking: it may write the configuration that it names."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name in _KEPT
        }
        environment |= {
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "SSH_ASKPASS_REQUIRE": "never",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            # Nor does one that is not told so speak to anyone, for objects that are missing, say.
            "GIT_ALLOW_PROTOCOL": "none",
        }
        if self.remote.is_local:
            environment["GIT_CONFIG_GLOBAL"] = str(self._local_configuration())
        return {**environment, **extra}

    def _local_configuration(self) -> Path:
        """The user's configuration, and trust in a repository that belongs to another user.

        It must be a file: git's upload-pack, which reads that repository, ignores the command
        line's settings (safe.directory in git-config(1)). The operator has named the path.
        """
        file = self._cache / "git.config"
        home = Path(os.environ.get("HOME", "/"))
        xdg = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        own = os.environ.get("GIT_CONFIG_GLOBAL")
        included = [Path(own)] if own else [xdg / "git/config", home / ".gitconfig"]
        lines = [f"[include]\n\tpath = {_quoted(str(path))}\n" for path in included]
        content = "".join([*lines, "[safe]\n\tdirectory = *\n"])
        if not file.exists() or file.read_text() != content:
            write_atomically(file, content, mode=0o600)
        return file

    async def _execute(
        self,
        argv: Sequence[str],
        timeout: float,
        environment: Mapping[str, str],
        text: str | None = None,
    ) -> GitResult:
        async with (
            _given(text) as given,
            _captured(MOST_OUTPUT, 0) as output,
            _captured(0, MOST_ERRORS) as errors,
        ):
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv, cwd=self._cache, env=environment, start_new_session=True,
                    stdin=given, stdout=output.writer, stderr=errors.writer,
                    pass_fds=(self._lock,),
                )  # fmt: skip
            except FileNotFoundError as error:
                package = _PACKAGES.get(argv[0], argv[0])
                raise SourceError(
                    f"{argv[0]} is not installed, or not on the daemon's PATH",
                    detail=[str(error)],
                    remedy=f"install it (apt install {package}), then try again",
                ) from error
            timed_out = not await _finished(process, timeout)
            await output.finish()
            await errors.finish()
        ending = f"timed out after {timeout:.3g} s" if timed_out else _ending(process.returncode)
        if len(output.data) >= MOST_OUTPUT:
            ending = f"more than {MOST_OUTPUT} bytes of output"
        return GitResult(
            status=None if timed_out or len(output.data) >= MOST_OUTPUT else process.returncode,
            ending=ending,
            output=bytes(output.data),
            errors=_last_words(errors.data, self._secret),
        )


def _last_words(errors: bytearray, secret: str | None) -> tuple[str, ...]:
    text = redact(errors.decode(errors="replace"))
    if secret is not None:
        text = text.replace(secret, MASK)  # a server may repeat what it was told
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    shown = ["".join(c for c in line if c.isprintable()) for line in lines if line]
    return tuple(shown[-SHOWN_ERRORS:])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ending(status: int | None) -> str:
    if status is not None and status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


async def _finished(process: asyncio.subprocess.Process, timeout: float) -> bool:
    """Wait for the end of git, and in any case end all of its process group."""
    try:
        async with asyncio.timeout(timeout):
            await process.wait()
    except TimeoutError:
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):  # the usual case: nothing is left
            os.killpg(process.pid, signal.SIGKILL)
        await uninterrupted(_reap(process), name=f"end of git {process.pid}")
    return True


async def _reap(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(KILL_WAIT):
            await process.wait()
    except TimeoutError as error:
        raise SourceError(
            f"git (process {process.pid}) outlives SIGKILL",
            remedy="it is stuck in the kernel: look at the disk that holds the cache, then try "
            "again",
        ) from error


class _Capture(asyncio.Protocol):
    """What is written to ``writer``: its first ``first`` bytes, or its last ``last`` ones."""

    def __init__(self, writer: int, first: int, last: int) -> None:
        self.writer = writer
        self.data = bytearray()
        self._first, self._last = first, last
        self._ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if self._last:
            self.data += data
            del self.data[: -self._last]
        else:
            self.data += data[: self._first - len(self.data)]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def finish(self) -> None:
        """Read what is left. An ssh that stays for the next connection may hold the pipe open."""
        os.close(self.writer)
        self.writer = -1
        await asyncio.wait([self._ended], timeout=PIPE_WAIT)


@contextlib.asynccontextmanager
async def _given(text: str | None) -> AsyncIterator[int]:
    """A descriptor to read ``text`` from, which may be longer than a pipe takes at once."""

    def write() -> int:
        descriptor = os.memfd_create("input")
        with open(descriptor, "w", closefd=False) as file:
            file.write(text or "")
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    if text is None:
        yield asyncio.subprocess.DEVNULL
        return
    descriptor = await asyncio.to_thread(write)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def _captured(first: int, last: int) -> AsyncIterator[_Capture]:
    reader, writer = os.pipe()
    capture = _Capture(writer, first, last)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: capture, os.fdopen(reader, "rb", buffering=0)
    )
    try:
        yield capture
    finally:
        if capture.writer >= 0:
            os.close(capture.writer)
        transport.close()
