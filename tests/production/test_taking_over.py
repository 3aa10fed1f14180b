"""An app that has run for years as somebody's units comes under bluegreen, and nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.host.lab import Host
from tests.host.program import PROGRAM
from tests.production import old_shop, old_shop_load
from tests.production.production import Production
from tests.waiting import eventually

SHARED = "/var/lib/bluegreen/apps/shop/shared/data"
APP_FILE = "/etc/bluegreen/apps/shop.toml"
INCLUDE = "include /etc/nginx/bluegreen/snippets/shop.server.conf;"
LOAD = Path(old_shop_load.__file__).read_text()


@pytest_asyncio.fixture
async def lived(bare: Production) -> Host:
    """The old shop runs as v1; of bluegreen there is the program, and its daemon."""
    await bare.host.run("useradd", "-r", "-U", "--home-dir=/var/lib/bluegreen", "bluegreen")
    await old_shop.set_up(bare.host)
    await bare.host.run("systemctl", "enable", "-q", "--now", "bluegreen.service")
    return bare.host


async def bluegreen(host: Host, *words: str, user: str | None = None) -> str:
    said = await host.run(
        "env", f"--chdir={old_shop.HOME}", f"{PROGRAM}/bin/bluegreen", *words, user=user
    )
    return said.output


async def get(host: Host, path: str = "/api/health") -> Any:
    return json.loads((await host.run("curl", "-sf", f"http://127.0.0.1:8080{path}")).output)


async def orders(host: Host) -> int:
    return int((await host.run("/usr/bin/python3", "-c", old_shop.COUNT_ORDERS)).output)


async def more_orders(host: Host) -> None:
    goal = await orders(host) + 50

    async def reached() -> bool:
        return await orders(host) >= goal

    await eventually(reached, "50 more orders")


@contextlib.asynccontextmanager
async def under_load(host: Host, kind: str) -> AsyncIterator[dict[str, int]]:
    """POSTs of one kind all the while; none fails, and each is in the shop's books once.

    What is yielded has, afterwards, how many each version has answered.
    """
    stop = f"/run/stop-{kind}"
    answers: dict[str, int] = {}
    before = await orders(host)
    load = ("/usr/bin/python3", "-c", LOAD, "8080", stop, kind)
    running = asyncio.create_task(host.run(*load, timeout=280), name="load")
    try:
        await more_orders(host)
        yield answers
        await more_orders(host)
    finally:
        await host.run("touch", stop)
        report = json.loads((await running).output)
    assert report["failures"] == []
    answers |= report["answers"]
    assert await orders(host) - before == sum(answers.values())


async def share_the_data(host: Host) -> None:
    """Both use one directory, also after a boot."""
    with (host.root / "etc/fstab").open("a") as fstab:
        fstab.write(f"{old_shop.HOME}/data {SHARED} none bind 0 0\n")
    await host.run("install", "-d", "-o", "shop", "-g", "shop", SHARED)
    await host.run("mount", SHARED)


def edit(host: Host, old: str, new: str) -> None:
    """Change the app file in one place."""
    file = host.root / APP_FILE.lstrip("/")
    text = file.read_text()
    assert text.count(old) == 1, text
    file.write_text(text.replace(old, new))


async def load_site(host: Host) -> None:
    """Returns when the workers that closed their idle connections in it are gone."""
    await host.run("nginx", "-t")
    before = await _workers(host)
    await host.run("systemctl", "reload", "nginx.service")

    async def gone() -> bool:
        return before.isdisjoint(await _workers(host))

    await eventually(gone, "nginx has new workers only")


async def _workers(host: Host) -> set[str]:
    return set((await host.run("pgrep", "-f", "nginx: worker process")).output.split())


async def make_quick(host: Host) -> None:
    edit(host, 'healthy_for = "10s"', 'healthy_for = "1s"')
    edit(host, 'for = "60s"', 'for = "3s"')
    await bluegreen(host, "check")


async def take_up(host: Host) -> None:
    """As far as the first deploy: the file, what apply makes of it, the data, the site's line."""
    await bluegreen(host, "init")
    await make_quick(host)
    await bluegreen(host, "apply")
    await share_the_data(host)
    old_shop.replace_locations(host, INCLUDE)
    await load_site(host)


async def test_init_writes_the_file_of_what_runs(lived: Host) -> None:
    said = await bluegreen(lived, "init")
    assert "sudo systemctl disable --now shop-api.service shop-web.service" in said
    assert INCLUDE in said
    assert "all is well" in await bluegreen(lived, "check")
    text = (lived.root / APP_FILE.lstrip("/")).read_text()
    assert "hush" not in text
    assert "s3cret" not in text
    assert "# SHOP_SECRET = { file =" in text
    assert "not carried over from the unit: ExecStartPre" in text
    app = tomllib.loads(text)
    assert app["app"] == {"name": "shop", "user": "shop", "shared": ["data"]}
    assert app["source"] == {"git": old_shop.ORIGIN}
    assert app["services"] == {
        "web": {
            "command": "/usr/bin/python3 -u serve.py web --bind 127.0.0.1:{port}",
            "ports": {"blue": 9100, "green": 9200}, "replaces": "127.0.0.1:9000",
            "limits": {"open_files": 8192},
        },
        "api": {
            "command": "/usr/bin/python3 -u serve.py api --bind 127.0.0.1:{port} --data data",
            "ports": {"blue": 9101, "green": 9201}, "replaces": "127.0.0.1:9001",
            "env": {"MODE": "very live", "API_PORT": "{port}"}, "env_file": "/etc/shop/api.env",
            "limits": {"tasks": 100}, "stop_timeout": "90s",
        },
    }  # fmt: skip
    assert app["routes"] == [
        {"path": "/", "service": "web"},
        {"path": "/api/", "service": "api", "timeout": "2m"},
    ]
    assert app["nginx"] == {"mode": "snippet", "max_body": "20MiB"}
    web, api = app["gate"]["probes"]
    assert (web["service"], web["tcp"]) == ("web", {})
    assert api["http"] == {"path": "/api/health", "status": 200}


async def test_without_root_it_finds_the_same_but_what_only_root_may_read(lived: Host) -> None:
    await lived.run("rm", "-rf", "/etc/bluegreen")
    as_root = tomllib.loads(await bluegreen(lived, "init", "--output", "-"))
    text = await bluegreen(lived, "init", "--output", "-", user="nobody")
    assert tomllib.loads(text)["services"]["web"] == as_root["services"]["web"]
    assert tomllib.loads(text)["services"]["api"]["replaces"] == "127.0.0.1:9001"
    assert tomllib.loads(text)["routes"] == as_root["routes"]


async def test_the_first_deploy_takes_over_and_no_request_fails(lived: Host) -> None:
    # A reload of nginx closes idle connections under a request that is on its way, whoever does
    # it: until the line is in, the load makes a connection for each request.
    async with under_load(lived, "close") as answers:
        await take_up(lived)
    assert set(answers) == {"v1"}
    said = await bluegreen(lived, "status")
    assert "never deployed; what it replaces serves: web at 127.0.0.1:9000, api at" in said
    assert (await lived.run("curl", "-sf", "http://127.0.0.1:8080/robots.txt")).output == "mine\n"

    async with under_load(lived, "keep") as answers:
        await bluegreen(lived, "deploy", "shop", "v2")
        await more_orders(lived)
        await lived.run("systemctl", "disable", "--now", "shop-web.service", "shop-api.service")
        await more_orders(lived)
    assert set(answers) == {"v1", "v2"}
    assert (await get(lived))["has_token"] is True
    assert (await get(lived, "/"))["version"] == "v2"
    assert (await lived.run("curl", "-sf", "http://127.0.0.1:8080/robots.txt")).output == "mine\n"
    assert "green holds no release" in await bluegreen(lived, "status")


async def test_it_stays_taken_over(lived: Host) -> None:
    await take_up(lived)
    await bluegreen(lived, "deploy", "shop", "v2")
    await lived.run("systemctl", "disable", "--now", "shop-web.service", "shop-api.service")
    file = lived.root / APP_FILE.lstrip("/")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("replaces = ")))
    await bluegreen(lived, "apply")
    assert (await get(lived))["version"] == "v2"
    before = await orders(lived)

    await lived.reboot()
    await eventually(lambda: _answers(lived), "the shop answers after a boot")
    assert await orders(lived) == before
    assert (await get(lived))["version"] == "v2"
    async with under_load(lived, "keep") as answers:
        await bluegreen(lived, "deploy", "shop", "v1")
    assert set(answers) == {"v1", "v2"}


async def _answers(host: Host) -> bool:
    said = await host.run("curl", "-sf", "http://127.0.0.1:8080/api/health", check=False)
    return said.status == 0


async def test_a_first_deploy_that_fails_leaves_the_old_shop_serving(lived: Host) -> None:
    await take_up(lived)
    edit(lived, '"/api/health", status = 200 }\n\n[w', '"/no/health", status = 200 }\n\n[w')
    edit(lived, 'deadline = "2m"', 'deadline = "5s"')
    await bluegreen(lived, "apply")
    async with under_load(lived, "keep") as answers:
        said = await lived.run(f"{PROGRAM}/bin/bluegreen", "deploy", "shop", "v2", check=False)
        assert said.status == 1
    assert set(answers) == {"v1"}


async def test_a_first_release_that_falls_ill_gives_the_traffic_back(lived: Host) -> None:
    await take_up(lived)
    edit(lived, 'for = "3s"', 'for = "50s"')
    edit(lived, "[watch]\n", '[watch]\ninterval = "200ms"\n')
    await bluegreen(lived, "apply")
    async with under_load(lived, "keep") as answers:
        command = (f"{PROGRAM}/bin/bluegreen", "deploy", "shop", "v2")
        deploying = asyncio.create_task(lived.run(*command, check=False), name="deploy")
        await eventually(lambda: _serves(lived, "v2"), "v2 has the traffic")
        await lived.run("touch", f"{old_shop.HOME}/data/ill")
        said = await deploying
        assert said.status == 5, said.output
        assert await _serves(lived, "v1")
    assert set(answers) == {"v1", "v2"}
    assert "never deployed; what it replaces serves" in await bluegreen(lived, "status")

    # By hand, it is the same rename.
    await lived.run("rm", f"{old_shop.HOME}/data/ill")
    edit(lived, 'for = "50s"', 'for = "1s"')
    await bluegreen(lived, "apply")
    traffic = "/var/lib/bluegreen/apps/shop/traffic"
    async with under_load(lived, "keep2") as answers:
        await bluegreen(lived, "deploy", "shop", "v2")
        await lived.run("mkdir", f"{traffic}/special", user="bluegreen")
        await lived.run("mv", f"{traffic}/blue", f"{traffic}/special/closed", user="bluegreen")
        await more_orders(lived)
        assert await _serves(lived, "v1")
        await bluegreen(lived, "deploy", "shop", "v2")
    assert set(answers) == {"v1", "v2"}
    assert await _serves(lived, "v2")


async def _serves(host: Host, version: str) -> bool:
    return bool((await get(host))["version"] == version)


async def test_a_site_that_does_more_is_kept_by_names(lived: Host) -> None:
    header = 'proxy_set_header X-Tenant "one";\n        proxy_read_timeout 2m;'
    old_shop.edit_site(lived, "proxy_read_timeout 2m;", header)
    said = await bluegreen(lived, "init")
    assert "in the place of http://shop_api_old: http://shop_api;" in said
    text = (lived.root / APP_FILE.lstrip("/")).read_text()
    assert "# upstream: the header X-Tenant in /etc/nginx/sites-enabled/shop:" in text
    await make_quick(lived)
    await bluegreen(lived, "apply")
    await share_the_data(lived)
    old_shop.edit_site(lived, "http://shop_api_old;", "http://shop_api;")
    old_shop.edit_site(lived, "http://127.0.0.1:9000;", "http://shop_web;")
    await load_site(lived)
    async with under_load(lived, "keep") as answers:
        await bluegreen(lived, "deploy", "shop", "v2")
    assert set(answers) == {"v1", "v2"}
