"""A shop that has run for years: two services as somebody's own units behind somebody's own nginx
site, on one SQLite file. Only the standard library, and the system's own Python."""

from __future__ import annotations

import os
from pathlib import Path

from tests.host.lab import Host

HOME = "/srv/shop"
ORIGIN = "/srv/git/shop.git"
SITE = "/etc/nginx/sites-available/shop"
COUNT_ORDERS = """\
import sqlite3
store = sqlite3.connect("/srv/shop/data/shop.db", timeout=50)
print(*store.execute("select count(*) from orders").fetchone())
"""

SERVE = """\
import argparse, http.server, json, os, pathlib, sqlite3, threading
options = argparse.ArgumentParser()
options.add_argument("role")
options.add_argument("--bind", required=True)
options.add_argument("--data")
options = options.parse_args()
VERSION = (pathlib.Path(__file__).parent / "VERSION").read_text().strip()
lock = threading.Lock()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, **said):
        body = json.dumps({"version": VERSION, "role": options.role, "uid": os.getuid(), **said})
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        if self.path == "/api/health" and options.role == "api":
            if VERSION == "v2" and os.path.exists(options.data + "/ill"):
                return self.answer(500)
            token, mode = os.environ.get("TOKEN"), os.environ["MODE"]
            return self.answer(200, has_token=bool(token), mode=mode)
        self.answer(404 if "health" in self.path else 200)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with lock, sqlite3.connect(options.data + "/shop.db", timeout=30) as store:
            store.execute("insert into orders (version) values (?)", [VERSION])
        self.answer(200)

    def log_message(self, *said):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512

if options.role == "api":
    with sqlite3.connect(options.data + "/shop.db", timeout=30) as store:
        store.execute("create table if not exists orders (version text)")
host, _, port = options.bind.rpartition(":")
Server((host, int(port)), Handler).serve_forever()
"""

WEB = f"""\
[Unit]
Description=The shop's pages
After=network.target

[Service]
User=shop
WorkingDirectory={HOME}
ExecStart=/usr/bin/python3 -u {HOME}/serve.py web --bind 127.0.0.1:9000
Restart=always
LimitNOFILE=8192

[Install]
WantedBy=multi-user.target
"""

API = f"""\
[Service]
User=shop
WorkingDirectory={HOME}
Environment="MODE=very live" "SHOP_SECRET=hush"
EnvironmentFile=-/etc/shop/absent.env
EnvironmentFile=/etc/shop/api.env
ExecStart=-/usr/bin/python3 -u serve.py api \\
    --bind 127.0.0.1:${{API_PORT}} --data "{HOME}/data"
TimeoutStopSec=1min 30s
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""
DROP_IN = "[Service]\nTasksMax=100\nExecStartPre=/bin/true\n"

NGINX = """\
upstream shop_api_old { server 127.0.0.1:9001; }

server {
    listen 8080;
    server_name shop.example.org _;
    client_max_body_size 20m;

    location / {
        proxy_pass http://127.0.0.1:9000;
        proxy_set_header Host $host;
    }
    location /api/ {
        proxy_pass http://shop_api_old;
        proxy_set_header Host $host;
        proxy_read_timeout 2m;
    }
    location = /robots.txt { return 200 "mine\\n"; }
}
"""


def _write(host: Host, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = host.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


async def set_up(host: Host) -> None:
    """The shop runs, as version v1, and answers on port 8080."""
    await host.run("useradd", "--system", "--user-group", "shop")
    _write(
        host,
        {
            f"{HOME}/serve.py": SERVE,
            f"{HOME}/VERSION": "v1\n",
            f"{HOME}/.gitignore": "data/\n",
            "/etc/shop/api.env": "API_PORT=9001\nTOKEN='s3cret'\n",
            "/etc/systemd/system/shop-web.service": WEB,
            "/etc/systemd/system/shop-api.service": API,
            "/etc/systemd/system/shop-api.service.d/more.conf": DROP_IN,
            SITE: NGINX,
        },
    )
    sites = host.root / "etc/nginx/sites-enabled"
    (sites / "default").unlink(missing_ok=True)
    os.symlink("../sites-available/shop", sites / "shop")
    (host.root / "etc/shop/api.env").chmod(0o600)
    (host.root / HOME.lstrip("/") / "data").mkdir()
    git = f"git -C {HOME} -c user.name=s -c user.email=s@example.org"
    await host.run(
        "sh", "-ec",
        f"git init -q -b main {HOME}; {git} add .; {git} commit -qm one; {git} tag v1\n"
        f"echo v2 > {HOME}/VERSION; {git} commit -qam two; {git} tag v2\n"
        f"{git} checkout -q v1; mkdir -p /srv/git\n"
        f"git clone -q --bare {HOME} {ORIGIN}; git -C {HOME} remote add origin {ORIGIN}\n"
        f"chown -R shop:shop {HOME}; chown -R bluegreen:bluegreen {ORIGIN}\n"
        "systemctl daemon-reload\n"
        "systemctl enable -q --now shop-web.service shop-api.service nginx.service\n"
        "for path in / /api/health; do timeout 30 sh -c "
        '"until curl -sf http://127.0.0.1:8080$path; do sleep 0.05; done"; done',
    )  # fmt: skip


def replace_locations(host: Host, line: str) -> None:
    """As an administrator does in an editor: ``line`` in the place of the two that proxy."""
    path: Path = host.root / SITE.lstrip("/")
    text = path.read_text()
    start, end = text.index("    location / {"), text.index("    location = /robots.txt")
    path.write_text(f"{text[:start]}    {line}\n{text[end:]}")


def edit_site(host: Host, old: str, new: str) -> None:
    """The same in one place."""
    path: Path = host.root / SITE.lstrip("/")
    text = path.read_text()
    assert text.count(old) == 1, text
    path.write_text(text.replace(old, new))
