"""bluegreen on a booted host, as the install script leaves it."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.host.lab import Host, Said

CHECKOUT = Path(__file__).resolve().parents[2]
LAUNCHERS = ("bluegreen-exec", "bluegreen-env", "bluegreen-job")
UNITS = "etc/systemd/system"

SHOP = """\
[app]
name = "shop"
user = "shop"

[source]
git = "/srv/git/shop.git"

[env]
GREETING = "50% of $HOME is \\"quoted\\" \\\\ back"
JWT_SECRET = { file = "/etc/bluegreen/secrets/jwt" }

[services.api]
command = "/usr/bin/python3 -u serve.py --port {port} '$HOME %n'"
ports = { blue = 9083, green = 9183 }
env_file = "/etc/bluegreen/secrets/api.env"
limits = { memory = "512MiB", cpu = "50%", tasks = 100, open_files = 4096 }

[services.mailer]
command = "/bin/sleep infinity"

[[routes]]
path = "/"
service = "api"

[nginx]
listen = ["8080"]
"""


@dataclass(frozen=True)
class Installed:
    """The host, and what a test does on it."""

    host: Host

    def path(self, inside: str) -> Path:
        """Where a file of the host is for the test."""
        return self.host.root / inside.lstrip("/")

    def app_file(self, text: str, name: str = "shop") -> None:
        file = self.path(f"/etc/bluegreen/apps/{name}.toml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    async def bluegreen(self, *arguments: str, check: bool = True) -> Said:
        return await self.host.run(
            sys.executable, "-m", "bluegreen", *arguments, check=check,
            env={"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip

    async def apply(self, *options: str, check: bool = True) -> Said:
        return await self.bluegreen("apply", *options, check=check)

    async def apply_json(self, *options: str) -> Any:
        return json.loads((await self.apply("--json", *options)).output)

    async def unit(self, name: str, prop: str) -> str:
        said = await self.host.run("systemctl", "show", "--value", f"--property={prop}", name)
        return said.output.strip()


async def install(host: Host) -> Installed:
    """The users, the launchers, nginx, and the app ``shop`` with a release in blue."""
    built = Installed(host)
    for user in ("bluegreen", "shop"):
        await host.run("useradd", "--system", "--user-group", user)
    libexec = built.path("/opt/bluegreen/libexec")
    libexec.mkdir(parents=True)
    for launcher in LAUNCHERS:
        shutil.copy2(CHECKOUT / "systemd" / launcher, libexec / launcher)
        (libexec / launcher).chmod(0o755)
    secrets = built.path("/etc/bluegreen/secrets")
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / "jwt").write_text("s3cret-jwt\n")
    (secrets / "api.env").write_text('export TOKEN="two\\nlines"\nGREETING=from-file # not this\n')
    for file in secrets.iterdir():
        file.chmod(0o600)
    built.path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
    built.app_file(SHOP)
    await host.run("systemctl", "start", "nginx.service")
    return built
