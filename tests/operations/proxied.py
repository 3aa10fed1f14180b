"""A shop of one service, an nginx for each slot, whose releases answer otherwise behind a proxy."""

from __future__ import annotations

import os

from tests.bench.servers import nginx_main
from tests.bench.trivial import SLOTS, app_file
from tests.ports import kernel_ports
from tests.stack import Stack
from tests.traffic.client import ask

HOST = "shop.test"
PROBE = """
[watch]
for = "0.1s"
[[gate.probes]]
service = "api"
http = { path = "/health", body = "well" }
interval = "0.1s"
"""
STEP = """
[[gate.smoke]]
service = "api"
http = { path = "/buy", method = "POST", send = "a hat", body = "well" }
"""
OVERLAP = 'name = "shop"\noverlap = false'
# How long a release has to pass its gate, and one that is not to pass it.
LONG, SHORT = 'deadline = "30s"', 'deadline = "3s"'
# What a release does with a request.
WELL = 'location / { return 200 "well $hostname"; }'
RELEASES = {
    "good": WELL,
    "better": WELL,
    "refuses-the-host": f'if ($host = "{HOST}") {{ return 400 "not my host"; }} {WELL}',
    "wants-another-scheme": 'if ($http_x_forwarded_proto = "http") '
    f"{{ return 301 https://$host$request_uri; }} {WELL}",
    "breaks-behind-a-proxy": f"if ($http_x_forwarded_for) {{ return 500; }} {WELL}",
    "sells-nothing-behind-a-proxy": "location /buy { if ($http_x_forwarded_for) { return 500; }"
    f" return 200 well; }} {WELL}",
}


def write_shop(stack: Stack, extra: str = "", **changes: str) -> None:
    """The app file, and a release of each kind."""
    stack.listen["shop"], *ports = kernel_ports(3)
    for version, does in RELEASES.items():
        directory = stack.root / "releases" / version
        directory.mkdir(parents=True)
        for slot, port in zip(SLOTS, ports, strict=True):
            text = nginx_main(
                f"""
    log_format all '$request $http_cookie $http_x_bluegreen_preview $http_x_forwarded_for';
    server {{
        listen 127.0.0.1:{port};
        access_log seen.log all;
        {does.replace("$hostname", version)}
    }}""",
                workers="1",
            )
            (directory / f"{slot}.conf").write_text(text)
    text = app_file("shop", stack.root / "releases", ports, stack.listen["shop"])
    text = text.partition("[[gate.probes]]")[0]
    text = text.replace("[nginx]", f'[nginx]\nserver_name = ["{HOST}"]')
    for old, new in changes.items():
        text = text.replace(old, new)
    path = stack.layout.app_files / "shop.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + PROBE + extra)


async def take_up(stack: Stack, old: str, new: str) -> None:
    """Let the app file say ``new`` from now on, where it says ``old``."""
    path = stack.layout.app_files / "shop.toml"
    path.write_text(path.read_text().replace(old, new))
    await stack.reload()


async def serving(stack: Stack) -> str:
    return (await ask(stack.listen["shop"], headers={"Host": HOST})).body


def keys(stack: Stack) -> list[str]:
    directory = stack.layout.app("shop").previews
    return os.listdir(directory) if directory.is_dir() else []
