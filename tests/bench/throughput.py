"""Requests a second through the rendered site, beside a bare proxy block written by hand.

Both are served by the same nginx processes, from the same backends: one that answers at once (an
nginx) and one that takes a millisecond (asyncio; so few connections that no core is busy all the
time). Rounds alternate, and each gives a ratio.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bench.figures import Figure, median
from tests.bench.hosts import TRIVIAL, etc_nginx
from tests.bench.servers import program
from tests.bench.trivial import app_file, write_release
from tests.ports import kernel_ports
from tests.stack import PYTHON, Stack, stack

ROUNDS = 24
SECONDS = 1
DELAY = 0.001  # seconds
# No more than are kept to the backend: beyond that each site opens new ones whenever the kernel
# spreads the connections unevenly over the workers, and the ratio would be a matter of luck.
CONNECTIONS = {"trivial": 16, "1 ms": 8}
GOALS = {"trivial": 0.85, "1 ms": 0.95}
PATHS = {"trivial": "/", "1 ms": "/slow/"}

# What a person writes who wants upstream connections kept, and nothing else.
_BARE = """
upstream bare_trivial {{ server 127.0.0.1:{trivial}; keepalive 16; }}
upstream bare_slow {{ server 127.0.0.1:{slow}; keepalive 16; }}
server {{
    listen 127.0.0.1:{listen};
    location / {{
        proxy_pass http://bare_trivial;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }}
    location /slow/ {{
        proxy_pass http://bare_slow;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }}
}}
"""
_SLOW_SERVICE = """
[services.slow]
command = "{python} {script} {{port}} {delay}"
ports = {{ blue = {blue}, green = {green} }}
[[routes]]
path = "/slow/"
service = "slow"
"""


def write_app(built: Stack) -> int:
    """An app with both backends, and the bare block beside it; the port of that block."""
    listen, bare, *ports = kernel_ports(6)
    built.listen[TRIVIAL] = listen
    releases = built.root / "releases"
    write_release(releases / "v1", "v1", ports[:2])
    slow = _SLOW_SERVICE.format(
        python=PYTHON, script=Path(__file__).with_name("slow_backend.py"), delay=DELAY,
        blue=ports[2], green=ports[3],
    )  # fmt: skip
    built.layout.app_files.mkdir(parents=True)
    path = built.layout.app_files / f"{TRIVIAL}.toml"
    path.write_text(app_file(TRIVIAL, releases, ports[:2], listen) + slow)
    etc_nginx(built).mkdir(parents=True)
    text = _BARE.format(listen=bare, trivial=ports[0], slow=ports[2])
    (etc_nginx(built) / "bare.conf").write_text(text)
    return bare


def requests_a_second(url: str, connections: int) -> float:
    """With wrk, on kept connections, from one thread. Blocking."""
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{SECONDS}s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    assert rate is not None, said
    return float(rate[1])


def alternate(ports: Mapping[str, int], backend: str) -> dict[str, list[float]]:
    """Requests a second of each site, in rounds of which every other is the other way about."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for number in range(ROUNDS):
        for name in list(ports)[:: 1 if number % 2 else -1]:
            url = f"http://127.0.0.1:{ports[name]}{PATHS[backend]}"
            rates[name].append(requests_a_second(url, CONNECTIONS[backend]))
    return rates


async def measure() -> list[Figure]:
    figures = []
    async with stack() as built:
        bare = await asyncio.to_thread(write_app, built)
        await built.serve()
        await built.deploy("v1", TRIVIAL)
        ports = {"site": built.listen[TRIVIAL], "bare": bare}
        for backend, goal in GOALS.items():
            rates = await asyncio.to_thread(alternate, ports, backend)
            pairs = zip(rates["site"], rates["bare"], strict=True)
            figures += [
                Figure(
                    name=f"{backend} backend: {name}, median", value=median(rates[name]),
                    unit="requests/s",
                )
                for name in ports
            ]  # fmt: skip
            figures.append(
                Figure(
                    name=f"{backend} backend: site ÷ bare, median of {ROUNDS} rounds",
                    value=median([site / plain for site, plain in pairs]),
                    unit="times",
                    goal=goal,
                    at_least=True,
                )
            )
    return figures
