"""Servers that a benchmark starts for itself, in the foreground, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

END_SECONDS = 10.0
START_SECONDS = 15.0
POLL = 0.01  # seconds


def program(name: str) -> str:
    """Its path; Debian keeps servers in /usr/sbin, which is not on everybody's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        raise SystemExit(f"{name} is not installed: ./deploy/setup --test installs it")
    return found


def nginx_program() -> str:
    return program("nginx")


@contextlib.contextmanager
def directory_for_servers() -> Iterator[Path]:
    """A directory with a short path that every user may enter; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bg-bench-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def nginx_main(http: str, *, workers: str = "auto") -> str:
    """A whole nginx.conf with ``http`` in its http block, for ``nginx -p DIRECTORY``."""
    return f"""
daemon off;
pid nginx.pid;
error_log error.log warn;
worker_processes {workers};
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    {http}
}}
"""


def nginx_command(directory: Path, config: str = "nginx.conf") -> list[str]:
    """Run the configuration ``config`` in ``directory``, which is its prefix too."""
    prefix = f"{directory}/"
    return [nginx_program(), "-p", prefix, "-e", "error.log", "-c", str(directory / config)]


@contextlib.asynccontextmanager
async def running(command: Sequence[str], port: int, log: Path) -> AsyncIterator[int]:
    """Run ``command`` until the block ends; yields its pid once ``port`` accepts connections.

    Raises AssertionError with its output when it ends or does not listen in time.
    """
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _accepts(port):
                if process.returncode is not None:
                    said = await asyncio.to_thread(log.read_text)
                    raise AssertionError(f"{command[0]} has ended:\n{said}")
                await asyncio.sleep(POLL)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
