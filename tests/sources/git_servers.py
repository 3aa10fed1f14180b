"""Real servers of git repositories on loopback, and the ways in which servers misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.bench.servers import nginx_command, nginx_main, program, running
from tests.ports import kernel_ports

USER, TOKEN = "x-access-token", "s3cr%t-T0ken"


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
    }  # fmt: skip


@contextlib.asynccontextmanager
async def git_daemon(root: Path) -> AsyncIterator[str]:
    """``git daemon`` over all that is in ``root``; the address of that."""
    (port,) = kernel_ports(1)
    command = [
        "git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", "--export-all",
        f"--base-path={root}", str(root),
    ]  # fmt: skip
    async with running(command, port, root / "daemon.log"):
        yield f"git://127.0.0.1:{port}"


@dataclass
class Backend:
    """``git http-backend``, as a server runs it. Its faults are those of the next answers."""

    root: Path
    wants: dict[str, str] = field(default_factory=dict)  # what a client asks for: what it is given
    cut_after: int | None = None  # bytes of an answer to a POST
    hangs: bool = False  # instead of being cut
    drips: bool = False  # a byte at a time from there on
    moved_to: str = ""  # where what is under /moved/ is redirected to
    asked: Callable[[], None] = lambda: None  # called while a client waits

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await asyncio.to_thread(self.asked)
        if request.path.startswith("/moved/"):
            target = f"{self.moved_to}{request.path_qs.removeprefix('/moved')}"
            return web.Response(status=302, headers={"Location": target})
        body = await request.read()
        for asked, given in self.wants.items():
            body = body.replace(asked.encode(), given.encode())
        environment = {
            **_environment(), "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path, "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method, "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate(body)
        head, _, content = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        response = web.StreamResponse(status=status, headers=headers)
        most = self.cut_after
        if request.method == "POST" and most is not None and len(content) > most:
            return await self._cut(request, response, content)
        await response.prepare(request)
        await response.write(content)
        return response

    async def _cut(
        self, request: web.Request, response: web.StreamResponse, content: bytes
    ) -> web.StreamResponse:
        await response.prepare(request)
        await response.write(content[: self.cut_after])
        if self.hangs:
            await asyncio.Event().wait()
        for byte in content[self.cut_after :] if self.drips else b"":
            await response.write(bytes([byte]))
            await asyncio.sleep(0.02)
        assert request.transport is not None
        request.transport.close()
        return response


@dataclass(frozen=True, kw_only=True)
class Site:
    """nginx by TLS before a backend. Guarded, it lets in whoever has the token."""

    url: str
    backend: Backend
    log: Path

    def seen(self) -> list[list[str]]:
        """Host, path, and what there was of an Authorization header, of each request."""
        return [line.split() for line in self.log.read_text().splitlines()]


@contextlib.asynccontextmanager
async def https_site(root: Path, certificate: Path, *, guarded: bool) -> AsyncIterator[Site]:
    """The repositories in ``root`` by the smart protocol."""
    (port,) = kernel_ports(1)
    place = root / "site"
    place.mkdir()
    (place / "htpasswd").write_text(f"{USER}:{{PLAIN}}{TOKEN}\n")
    place.chmod(0o755)
    guard = "auth_basic git; auth_basic_user_file htpasswd;" if guarded else ""
    (place / "nginx.conf").write_text(
        nginx_main(
            f"""
    log_format seen '$host $uri $http_authorization';
    server {{
        access_log seen.log seen;
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        {guard}
        location / {{ proxy_pass http://unix:{place}/cgi.sock; proxy_buffering off; }}
    }}
""",
            workers="1",
        ).replace("daemon off;", "daemon off;\nuser root;" if os.geteuid() == 0 else "daemon off;")
    )
    backend = Backend(root, moved_to=f"https://localhost:{port}")
    runner = web.ServerRunner(web.Server(backend.answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    await web.UnixSite(runner, str(place / "cgi.sock")).start()
    try:
        async with running(nginx_command(place), port, place / "nginx.log"):
            yield Site(
                url=f"https://127.0.0.1:{port}",
                backend=backend, log=place / "seen.log",
            )  # fmt: skip
    finally:
        await runner.cleanup()


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """An sshd that lets in whoever has the key."""

    url: str
    key: Path
    other_key: Path
    known_hosts: Path


@contextlib.asynccontextmanager
async def ssh_server(root: Path) -> AsyncIterator[Ssh]:
    """An ordinary process with a configuration of its own, for the user that runs the tests."""
    (port,) = kernel_ports(1)
    place = root / "sshd"
    _prepare_ssh(place, port)
    command = [program("sshd"), "-D", "-e", "-f", str(place / "config")]
    async with running(command, port, place / "log"):
        yield Ssh(
            url=f"ssh://{getpass.getuser()}@127.0.0.1:{port}",
            key=place / "key", other_key=place / "other", known_hosts=place / "known_hosts",
        )  # fmt: skip


def _prepare_ssh(place: Path, port: int) -> None:
    place.mkdir()
    for name in ("host", "key", "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True
        )
    (place / "authorized").write_text((place / "key.pub").read_text())
    host = (place / "host.pub").read_text()
    (place / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as the package's own unit makes it
    (place / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nPidFile none\n"
        f"AuthorizedKeysFile {place}/authorized\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
