"""On a systemd host that the bench boots: its boot, a switch back, and the start of a slot.

Rounds alternate. The start is measured as the daemon's user on both sides, because systemd asks
polkit about anybody but root.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bluegreen.cli.client import Client
from tests.bench.figures import Figure, median
from tests.bench.hosts import switch_back
from tests.bench.switch import alternate, monitor_host
from tests.host import lab
from tests.host.program import PROGRAM, lay_out
from tests.mounts import mounted_tmpfs
from tests.production.production import APP, LISTEN, Production

SWITCHES = 200  # of each kind, after the first ones
WARM_UP = 20
STARTS = 20  # of each kind
BOOTS = 20  # of each kind: one differs from the next by a tenth
BOOT_SECONDS = 60.0
START_SECONDS = 300.0
# Prints when the site answers first, in Unix seconds.
_WATCH = f"""
import http.client, time
while True:
    try:
        visit = http.client.HTTPConnection("127.0.0.1", {LISTEN}, timeout=5)
        visit.request("GET", "/api/health")
        if visit.getresponse().status == 200:
            print(time.time(), flush=True)
            break
    except OSError:
        pass
    time.sleep(0.002)
"""
# Starts the units of a slot by our supervisor and by systemctl, in turns; prints seconds of each.
_STARTS = f"""
import asyncio, json, os, subprocess, sys, time
from pathlib import Path
from bluegreen.host.places import HostLayout
from bluegreen.model import ServiceUnit, Slot, UnitKey
from bluegreen.supervisors.systemd import SystemdSupervisor
from bluegreen.supervisors.unit_names import service_unit

async def main():
    os.umask(0o007)
    slot = Slot(sys.argv[1])
    keys = [UnitKey(app="{APP}", slot=slot, service=name) for name in sys.argv[2:]]
    names = [service_unit(key) for key in keys]
    units = [
        ServiceUnit(key=key, argv=(), cwd=Path("/"), env={{"BLUEGREEN_VERSION": "v1"}},
                    stop_timeout=10.0, log_file=Path("/dev/null"))
        for key in keys
    ]
    supervisor = SystemdSupervisor(HostLayout(Path("/")))
    await supervisor.open(units)
    mark = HostLayout(Path("/")).app("{APP}").wanted / slot.value
    times = {{"ours": [], "systemctl": []}}
    for _ in range({STARTS}):
        await asyncio.gather(*(supervisor.stop(key) for key in keys))
        began = time.perf_counter()
        await asyncio.gather(*(supervisor.start(unit) for unit in units))
        times["ours"].append(time.perf_counter() - began)
        await asyncio.gather(*(supervisor.stop(key) for key in keys))
        mark.write_text("v1\\n")
        mark.chmod(0o644)
        began = time.perf_counter()
        await asyncio.to_thread(subprocess.run, ["systemctl", "start", *names], check=True)
        times["systemctl"].append(time.perf_counter() - began)
    print(json.dumps(times))
    await supervisor.close(stop_units=False)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def production() -> AsyncIterator[Production]:
    """The sample app on a host, with both slots hot."""
    if (why := lab.obstacle()) is not None:
        raise RuntimeError(f"no host can be booted here: {why}")
    with tempfile.TemporaryDirectory(prefix="bg-program-") as name, mounted_tmpfs(name):
        program = Path(name)
        await asyncio.to_thread(lay_out, program)
        async with lab.host(over=program) as host:
            built = Production(host)
            await built.set_up(watch="0s")
            await built.deploy("v1")
            await built.deploy("v2")
            yield built


async def measure() -> list[Figure]:
    async with production() as built:
        switches = await _switches(built)
        starts = await _starts(built)
        boots = await _boots(built)
    return [*_compared("switch back on the host", switches, "embedded", 1.1, "ms"),
            *_compared("start of four services", starts, "systemctl start", 1.2, "ms"),
            *_compared("boot with bluegreen", boots, "without", 1.05, "s")]  # fmt: skip


def _compared(
    what: str, times: Sequence[Sequence[float]], beside: str, goal: float, unit: str
) -> list[Figure]:
    """``times`` are seconds: what is measured, and what it is beside."""
    factor = 1e3 if unit == "ms" else 1.0
    ours, theirs = (median(each) * factor for each in times)
    return [
        Figure(name=f"{what}, median", value=ours, unit=unit),
        Figure(name=f"{beside}, median", value=theirs, unit=unit),
        Figure(name=f"{what} ÷ {beside}", value=ours / theirs, unit="times", goal=goal),
    ]


async def _switches(built: Production) -> Sequence[Sequence[float]]:
    async with monitor_host(1) as embedded:
        host = Client(f"/proc/{built.host.leader}/root")
        own = Client(embedded.root)
        actions = {
            "host": lambda: switch_back(host, APP),
            "embedded": lambda: switch_back(own, APP),
        }
        times: dict[str, list[float]] = defaultdict(list)
        await asyncio.to_thread(alternate, actions, WARM_UP, defaultdict(list))
        await asyncio.to_thread(alternate, actions, SWITCHES, times)
    return times["host"], times["embedded"]


async def _starts(built: Production) -> Sequence[Sequence[float]]:
    """Of the idle slot, while the daemon is away."""
    (status,) = (await built.status())["apps"]
    (idle,) = {"blue", "green"} - {status["active"]}
    await built.host.run("systemctl", "stop", "bluegreen.service")
    services = list(status["slots"][idle]["services"])
    said = await built.host.run(
        f"{PROGRAM}/bin/python", "-c", _STARTS, idle, *services,
        user="bluegreen", timeout=START_SECONDS,
    )  # fmt: skip
    times = json.loads(said.output.splitlines()[-1])
    return times["ours"], times["systemctl"]


async def _boots(built: Production) -> Sequence[Sequence[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(BOOTS):
        for verb in ("enable", "disable"):
            await built.host.run("systemctl", verb, "--quiet", "bluegreen.service")
            await built.host.shut_down()
            times[verb].append(await _boot(built.host))
    return times["enable"], times["disable"]


async def _boot(host: lab.Host) -> float:
    """Seconds from the host's first moment to the first answer of the app."""
    began = time.time()
    await host.switch_on()
    async with asyncio.timeout(BOOT_SECONDS):
        leader = await host.first_process()
        process = await asyncio.create_subprocess_exec(
            "nsenter", f"--net=/proc/{leader}/ns/net", "--", sys.executable, "-c", _WATCH,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    # Asked only now: to ask systemd all the while would take the processor that is measured.
    await host.has_started()
    return float(output) - began
