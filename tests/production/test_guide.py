"""The production guide, from its page: each file written, each command run, in their order."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.production.production import Production
from tests.waiting import eventually

GUIDE = Path(__file__).resolve().parents[2] / "docs/production.md"
_PART = re.compile(
    r"^## (?P<heading>[^\n]+)$|^`(?P<file>/\S+)`:\n\n```\w+\n(?P<text>.*?)^```$"
    r"|^```sh\n(?P<commands>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# What tests/install follows, and then what is followed here.
_FOLLOWED = {"Install", "A newer bluegreen", "As a Debian package", "Taking bluegreen off"}
# What the guide's reader has: an app of one file, with two releases.
SERVE = """\
import http.server, os, sys
VERSION = "{version}"
class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        text = f"{VERSION} {len(os.environ['SHOP_KEY'])} {sorted(os.listdir('data'))}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, form, *rest):
        print(form % rest, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Site).serve_forever()
"""

WEBHOOK = """
[[webhook]]
provider = "github"
secret = { file = "/etc/bluegreen/webhooks/shop" }
on = "release"
tags = ["w*"]
version = "tag"
"""
KEY = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Step:
    """A command of the guide, or a file (``path``) with its text."""

    section: str
    text: str
    path: str | None = None


def steps() -> Iterator[Step]:
    section = ""
    for part in _PART.finditer(GUIDE.read_text()):
        if part["heading"]:
            section = part["heading"]
        elif part["file"]:
            yield Step(section, part["text"], part["file"])
        else:
            yield from (Step(section, line) for line in part["commands"].splitlines())


async def follow(production: Production, section: str) -> None:
    """Do what ``section`` says, as root."""
    _FOLLOWED.add(section)
    of_it = [step for step in steps() if step.section == section]
    assert of_it, f"the guide has no section {section}"
    for step in of_it:
        if step.path is None:
            await production.host.run("sh", "-c", f"PATH=/opt/bluegreen/bin:$PATH; {step.text}")
        else:
            file = production.path(step.path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(step.text)


async def make_app(production: Production) -> None:
    """The repository of the guide's app, and a certificate."""
    script = "set -e; rm -rf /tmp/shop; git init -q -b main /tmp/shop; cd /tmp/shop; mkdir data\n"
    script += "git config user.name a; git config user.email a@example.org\n"
    for version in ("v1", "v2"):
        script += f"cat > serve.py <<'END'\n{SERVE.replace('{version}', version)}END\n"
        script += f"git add .; git commit -qm {version}; git tag {version}\n"
    script += "git clone -q --bare /tmp/shop /srv/git/shop.git; chown -R bluegreen: /srv/git\n"
    for name in ("shop", "deploy"):
        script += f"mkdir /etc/ssl/{name}; cd /etc/ssl/{name}; openssl req -x509 -newkey rsa:2048 "
        script += f"-nodes -subj /CN={name}.example.org -keyout privkey.pem -out fullchain.pem "
        script += "2>/dev/null\n"
    await production.host.run("sh", "-c", script)


async def visit(production: Production, scheme: str = "http") -> str:
    port = {"http": 80, "https": 443}[scheme]
    said = await production.host.run(
        "curl", "-sSk", "--resolve", f"shop.example.org:{port}:127.0.0.1",
        "-w", "%{http_code} ", f"{scheme}://shop.example.org/",
    )  # fmt: skip
    return said.output


async def ask_from_outside(production: Production, path: str, token: str) -> str:
    """Status and answer, through the guide's nginx."""
    said = await production.host.run(
        "curl", "-sSk", "--resolve", "deploy.example.org:443:127.0.0.1",
        "-H", f"Authorization: Bearer {token}", "-w", "%{http_code} ",
        f"https://deploy.example.org{path}",
    )  # fmt: skip
    return said.output


async def deliver(production: Production, version: str) -> str:
    """What a forge is answered that tells of a release, of none that the app asks for."""
    run = production.host.run
    secret = "/etc/bluegreen/webhooks/shop"
    of_daemon = ("-obluegreen", "-groot")
    await run("install", "-d", "-m0500", *of_daemon, "/etc/bluegreen/webhooks")
    await run("install", "-m0400", *of_daemon, "/dev/null", secret)
    await run("sh", "-c", f"printf {KEY} > {secret}")
    file = production.path("/etc/bluegreen/apps/shop.toml")
    file.write_text(file.read_text() + WEBHOOK)
    await production.bluegreen("apply")
    body = json.dumps({"action": "published", "release": {"tag_name": version}})
    signature = hmac.new(KEY.encode(), body.encode(), "sha256").hexdigest()
    headers = {"Event": "release", "Delivery": "one", "Signature-256": f"sha256={signature}"}
    words = [f"-HX-{'Hub' if 'Sign' in name else 'GitHub'}-{name}: {text}"
             for name, text in headers.items()]  # fmt: skip
    said = await run(
        "curl", "-sSk", "--resolve", "deploy.example.org:443:127.0.0.1", *words,
        "-HContent-Type: application/json", "-d", body, "-w", " %{http_code}",
        "https://deploy.example.org/hooks/shop",
    )  # fmt: skip
    return said.output


async def test_whoever_follows_the_guide_is_in_production(installed: Production) -> None:
    await make_app(installed)
    await follow(installed, "The first app")
    assert await visit(installed) == "v1 64 []\n200 "

    async def is_logged() -> bool:
        return "GET / HTTP/1.1" in (await installed.bluegreen("logs", "shop")).output

    await eventually(is_logged, "the journal has the visit")
    for who, status in (("alice", 0), ("shop", 3)):
        said = await installed.host.run(
            "/opt/bluegreen/bin/bluegreen", "status", user=who, check=False
        )
        assert said.status == status, said.output

    await follow(installed, "TLS in front")
    assert await visit(installed, "https") == "v1 64 []\n200 "
    assert (await visit(installed)).endswith("301 ")
    await installed.host.run("/opt/bluegreen/bin/bluegreen", "deploy", "shop", "v2", user="alice")
    assert await visit(installed, "https") == "v2 64 []\n200 "

    await follow(installed, "The API, webhooks and the internet")
    listed = await installed.document("token", "list")
    assert [(token["name"], token["apps"]) for token in listed["tokens"]] == [("ci", ["shop"])]
    made = await installed.document("token", "create", "--scope", "read")

    async def passed_on() -> bool:  # before, the app itself answers, whatever it is asked for
        said = await ask_from_outside(installed, "/healthz", "")
        return '"version"' in said and said.endswith("200 ")

    await eventually(passed_on, "nginx serves the API")
    assert '"app": "shop"' in await ask_from_outside(installed, "/v1/apps", made["token"])
    assert (await ask_from_outside(installed, "/v1/apps", "bg_1_x")).endswith("401 ")
    assert (await ask_from_outside(installed, "/", "")).endswith("303 ")  # to the dashboard's login
    assert (await ask_from_outside(installed, "/nothing", made["token"])).endswith("404 ")

    # From within its sandbox the daemon reads the secret: it believes the delivery.
    assert '"decision": "ignored"' in await deliver(installed, "v2")

    data = "/var/lib/bluegreen/apps/shop/shared/data"
    await installed.host.run("touch", f"{data}/precious", user="shop")
    await follow(installed, "Backups of an app's data")
    await follow(installed, "Backup of bluegreen's state")
    history = await installed.document("history", "shop")

    await installed.host.run("sh", "-c", "rm -rf /var/lib/bluegreen/* /etc/bluegreen")
    await follow(installed, "A lost state directory")
    assert await visit(installed, "https") == "v2 64 ['precious']\n200 "
    again = await installed.document("history", "shop")
    assert again["operations"][1:] == history["operations"]

    await follow(installed, "Hardening")
    assert {step.section for step in steps()} == _FOLLOWED
