"""App files to begin from, and what is wrong with a changed one."""

from __future__ import annotations

from pathlib import Path

from bluegreen.config.load import InvalidConfiguration, Problem, load_app
from bluegreen.layout import Layout

SHOP = """\
[app]
name   = "shop"
user   = "www-data"
shared = ["data", "backend/.env"]

[source]
git = "https://example.org/shop.git"
submodules = false
timeout = "2m"

[env]
TOKEN = { file = "/etc/bluegreen/secrets/jwt" }
MODE = "{slot}"
env_file = "/etc/shop.env"

[[build]]
name = "backend"
run = '''
python3 -m venv .venv
.venv/bin/pip install --cache-dir {cache_dir}/pip -r requirements.txt
'''
timeout = "10m"
env = { API = "http://127.0.0.1:{ports.api}" }

[[build]]
name = "frontend"
run = "npm ci"

[services.api]
command = ".venv/bin/python api.py --port {port} --version {version}"
ports   = { blue = 9083, green = 9183 }
env     = { DATA = "{shared_dir}/data", FORMAT = "{{level}}" }
keepalive = 0
stop_timeout = "30s"

[services.web]
command = "node server.js {socket}"
sockets = { blue = "web-blue.sock", green = "web-green.sock" }
env_file = "/etc/web.env"

[services.worker]
command = "python worker.py {ports.api} {sockets.web} {slot_dir}"

[[routes]]
path = "/api/"
service = "api"

[[routes]]
path = "/"
service = "web"
websocket = true
timeout = "5m"

[nginx]
server_name = ["shop.example.org", "*.shop.example.org"]
listen = ["80", "[::]:80"]
mode = "site"
switch = "reload"
max_body = "32MiB"

[gate]
deadline = "2m"
healthy_for = "10s"
[[gate.probes]]
service = "api"
[gate.probes.http]
path = "/health?{slot}"
status = [200, 204]
json = { status = "ok", "build.version" = "{version}" }
[[gate.probes]]
service = "web"
name = "echo"
interval = "500ms"
timeout = "3s"
websocket = { path = "/ws", send = '{{"type": "ping"}}', expect = "pong" }
[[gate.probes]]
service = "worker"
command = { run = "python check.py" }

[watch]
for = "90s"
failures = 2
probes = [{ service = "api", tcp = {} }]

[keep]
hot = "forever"
"""


def write(directory: Path, text: str, name: str = "shop") -> Path:
    file = directory / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def install(layout: Layout, text: str, name: str = "shop") -> Path:
    return write(layout.app_files, text, name)


def small_app(name: str, blue: int, green: int, *, nginx: str = "", extra: str = "") -> str:
    """An app of one service; by default it answers to a name of its own."""
    nginx = nginx or f'server_name = ["{name}.example.org"]'
    return f"""\
[app]
name = "{name}"
[source]
directory = "/srv/{name}/{{version}}"
[services.web]
command = "serve {{port}}"
ports = {{ blue = {blue}, green = {green} }}
[[routes]]
path = "/"
service = "web"
[nginx]
{nginx}
{extra}"""


def problems_of(directory: Path, text: str) -> list[Problem]:
    """Everything wrong with ``text`` as shop's app file; empty when it loads."""
    try:
        load_app(write(directory, text))
    except InvalidConfiguration as error:
        return list(error.problems)
    return []
