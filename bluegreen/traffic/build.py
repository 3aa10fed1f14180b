"""Which nginx is installed, and what it can do."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass

from bluegreen.errors import TrafficError

QUERY_TIMEOUT = 10.0  # seconds for ``nginx -V``
_SYSTEM_PATHS = "/usr/sbin:/usr/local/sbin:/sbin"  # not on the PATH of ordinary users


@dataclass(frozen=True, kw_only=True)
class NginxBuild:
    """What ``nginx -V`` says."""

    binary: str
    version: tuple[int, ...]
    arguments: str  # of its configure script

    @property
    def keepalive_min_timeout(self) -> bool:
        """Whether a reload can spare busy keep-alive connections."""
        return self.version >= (1, 27, 4)

    @property
    def can_hold(self) -> bool:
        """Whether it may have a request wait for what another process says."""
        needed = ("access", "auth_basic", "proxy", "rewrite")
        return "--with-http_auth_request_module" in self.arguments and not any(
            f"--without-http_{name}_module" in self.arguments for name in needed
        )

    @property
    def early_error_log(self) -> bool:
        """Whether ``-e`` names the log for what happens before the configuration is read."""
        return self.version >= (1, 19, 5)

    @property
    def temporary_modules(self) -> list[str]:
        """The modules that would otherwise make temporary directories in places of root's."""
        modules = ("fastcgi", "uwsgi", "scgi")
        return [name for name in modules if f"--without-http_{name}_module" not in self.arguments]

    @property
    def pid_file(self) -> str:
        """Where the host's own nginx writes its PID, unless its configuration differs."""
        match = re.search(r"--pid-path=(\S+)", self.arguments)
        return match[1] if match else "/run/nginx.pid"


def find_nginx() -> str:
    """The path of the nginx program. Raises TrafficError when there is none."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATHS}")
    if binary is None:
        raise TrafficError(
            "nginx is not installed", remedy="install it: apt install nginx-light (or nginx)"
        )
    return binary


async def installed_build() -> NginxBuild:
    """Asks the installed nginx. Raises TrafficError when there is none or it does not answer."""
    binary = find_nginx()
    process = await asyncio.create_subprocess_exec(
        binary, "-V",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), QUERY_TIMEOUT)
    except TimeoutError as error:
        raise TrafficError(
            f"{binary} -V does not answer", remedy=f"run {binary} -V by hand"
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return parse_build(binary, output.decode(errors="replace"))


def parse_build(binary: str, output: str) -> NginxBuild:
    """Raises TrafficError when ``output`` is not that of ``nginx -V``."""
    version = re.search(r"nginx version: \S+?/(\d+(?:\.\d+)*)", output)
    if version is None:
        raise TrafficError(
            f"{binary} -V says no version",
            detail=output.splitlines()[:5],
            remedy="install nginx from your distribution or from nginx.org",
        )
    return NginxBuild(
        binary=binary,
        version=tuple(int(part) for part in version[1].split(".")),
        arguments=output.partition("configure arguments:")[2],
    )
