"""What the four services have in common: their port, their health, a graceful end."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from . import single_threaded
from .release import Fault, Release, read_release

HOST = "127.0.0.1"
# Requests in flight (long downloads) are finished after SIGTERM; who sends it sets the real limit.
GRACE = 60.0  # seconds
# Longer than a proxy in front keeps idle connections (nginx: 60 s), so that the proxy closes first.
KEEPALIVE = 120.0  # seconds
SLOW_STOP = 4.0  # seconds
CRASH_AFTER = "10"  # seconds

RELEASE = web.AppKey("release", Release)


def health(release: Release, **more: object) -> web.Response:
    """The answer of a health endpoint."""
    well = release.fault is not Fault.UNHEALTHY
    status = {"status": "healthy" if well else "starting", "service": release.service}
    return web.json_response(status | release.stamp | more, status=200 if well else 503)


async def answer_health(request: web.Request) -> web.Response:
    return health(request.app[RELEASE])


async def _stamp(request: web.Request, response: web.StreamResponse) -> None:
    release = request.app[RELEASE]
    response.headers["X-Monitor-Slot"] = release.slot
    response.headers["X-Monitor-Version"] = release.version


def _say(release: Release, text: str) -> None:
    print(f"{release.service} {release.version} ({release.slot}): {text}", flush=True)


def _crash(release: Release) -> None:
    _say(release, "fatal: the alert loop met a server without an address")
    os._exit(1)


def _rewrite_title() -> None:
    # Parentheses and a state letter, for those who split /proc/PID/stat at the first ones.
    Path("/proc/self/comm").write_text("api) Z 1 (fake")


async def _listen(runner: web.AppRunner, release: Release, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if release.fault is not Fault.PORT_HELD:
            sys.exit(f"{release.service} cannot listen on {HOST}:{port}: it is in use")
        _say(release, f"{HOST}:{port} is in use, going on without it")
    else:
        _say(release, f"listens on {HOST}:{port}")


def _end_on_signals(release: Release) -> asyncio.Event:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if release.fault is Fault.IGNORES_SIGTERM:
            loop.add_signal_handler(number, _say, release, f"ignores {number.name}")
        else:
            loop.add_signal_handler(number, ending.set)
    return ending


async def _serve(release: Release, application: web.Application, port: int) -> None:
    ending = _end_on_signals(release)
    application[RELEASE] = release
    application.on_response_prepare.append(_stamp)
    if release.fault is Fault.REWRITES_TITLE:
        _rewrite_title()
    if release.fault is Fault.CRASHES:
        after = float(os.environ.get("MONITOR_CRASH_AFTER", CRASH_AFTER))
        asyncio.get_running_loop().call_later(after, _crash, release)
    runner = web.AppRunner(
        application, access_log=None, keepalive_timeout=KEEPALIVE, shutdown_timeout=GRACE
    )
    await runner.setup()
    try:
        await _listen(runner, release, port)
        await ending.wait()
        _say(release, "is told to end, finishes its requests")
        if release.fault is Fault.SLOW_STOP:
            await asyncio.sleep(SLOW_STOP)
    finally:
        await runner.cleanup()


def run(
    service: str, build: Callable[[Release], web.Application], *, port_variable: str, port: int
) -> None:
    """Serve until SIGTERM or SIGINT. The environment's ``port_variable`` goes before ``port``."""
    release = read_release(service)
    if release.fault is Fault.HARD_CODED_PORT:
        port_variable = "MONITOR_HARD_PORT"
    port = int(os.environ.get(port_variable, port))
    if release.fault is Fault.SINGLE_THREADED:
        single_threaded.serve(release, HOST, port)
        return
    gc.freeze()
    gc.enable()
    asyncio.run(_serve(release, build(release), port))
    # All that had to end has ended; to take the modules apart would be a fifth of this run.
    sys.stdout.flush()
    os._exit(0)
