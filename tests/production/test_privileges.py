"""Who may do what on a host in production: the daemon's user, an app's, and everybody else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.host import lab
from tests.host.lab import Said
from tests.production.faulty import add_versions
from tests.production.production import APP, REPOSITORY, Production

API = f"bluegreen-{APP}-api@blue.service"
SECRET = "hunter2-in-a-file"
PASSWORD = "correct-horse-in-an-env-file"
BUILDS = "only-for-the-builds"
DATA = f"/var/lib/bluegreen/apps/{APP}"
# A version whose service plants, as the app's user, what might lead others astray.
PLANTS = f"""\
tree = Path.cwd()
for name, target in (
    ("store", "/var/lib/bluegreen/bluegreen.db"),
    ("secrets", "/etc/bluegreen"),
    ("victim", "/srv/victim"),
    (".bluegreen-aside", "/srv/victim"),
):
    (tree / name).symlink_to(target)
(tree / "frontend").rename(tree / "before")
(tree / "frontend").symlink_to("/srv/victim")
(tree / "closed/deeply").mkdir(parents=True)
(tree / "closed/deeply/file").write_text("mine")
(tree / "closed/away").symlink_to("/srv/victim")
for directory in ("closed/deeply", "closed"):
    (tree / directory).chmod(0)
run = Path("/run/bluegreen/apps/{APP}")
for name in ("closed.nginx.sock", "api.nginx.sock", "web.nginx.sock"):
    (run / name).symlink_to("/srv/victim/file")
shared = Path("{DATA}/shared")
(shared / "planted").symlink_to("/srv/victim")
serve()
"""
NOT_ALLOWED = ("authentication required", "Access denied", "Permission denied", "Operation refused")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def production(program: Path) -> AsyncIterator[Production]:
    """One host for all of these tests: v1 serves from blue, with secrets."""
    async with lab.host(over=program) as built:
        made = Production(built)
        await made.set_up(services=("api",), watch="0.3s")
        add_versions(made.path(REPOSITORY), {"plants": PLANTS})
        await built.run("chown", "-R", "bluegreen:", REPOSITORY)
        await built.run("useradd", "--system", "--user-group", "neighbour")
        write_secrets(made)
        await made.bluegreen("apply")
        await made.deploy("v1")
        yield made


def write_secrets(production: Production) -> None:
    secrets = production.path("/etc/bluegreen/secrets")
    secrets.mkdir(mode=0o700)
    for name, text in {
        "token": f"{SECRET}\n", "api.env": f"PASSWORD={PASSWORD}\n", "build": BUILDS,
    }.items():  # fmt: skip
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o600)
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text()
    text = text.replace("[env]\n", '[env]\nTOKEN = { file = "/etc/bluegreen/secrets/token" }\n', 1)
    text = text.replace(
        "[services.api]\n", '[services.api]\nenv_file = "/etc/bluegreen/secrets/api.env"\n', 1
    )
    text = text.replace(
        "MONITOR_CACHE =", 'LICENCE = { file = "/etc/bluegreen/secrets/build" }, MONITOR_CACHE =', 1
    )
    file.write_text(text)


async def attempt(production: Production, user: str, *command: str) -> Said:
    return await production.host.run(*command, user=user, check=False)


async def assert_refused(production: Production, user: str, *command: str) -> None:
    said = await attempt(production, user, *command)
    assert said.status != 0, (user, command, said.output)
    assert any(words in said.output for words in NOT_ALLOWED), (user, command, said.output)


@pytest.mark.parametrize("user", ["bluegreen", APP])
@pytest.mark.parametrize(
    "command",
    [
        f"systemctl isolate {API}",
        f"systemctl clean --what=all {API}",
        f"systemctl freeze {API}",
        f"systemctl mask {API}",
        f"systemctl bind {API} /etc/shadow /tmp/shadow",
        f"systemctl set-property --runtime {API} MemoryMax=1G",
        "systemctl kill bluegreen.service",
        "systemctl kill nginx.service",
        "systemctl stop nginx.service",
        "systemctl reload-or-restart nginx.service",
        "systemctl start bluegreen.service",
        "systemctl stop bluegreen.service",
        "systemctl stop ssh.service systemd-journald.service",
        "systemctl restart nginx.service",
        "systemctl enable bluegreen.service",
        "systemctl link /tmp/evil.service",
        "systemctl daemon-reload",
        "systemctl set-environment LD_PRELOAD=/tmp/evil.so",
        "systemctl poweroff",
        "systemd-run --unit=bluegreen-evil@1.service /bin/true",
        f"systemd-run --unit=bluegreen-{APP}-job@evil.service /bin/true",
    ],
)
async def test_neither_daemon_nor_app_may_ask_systemd_for_more(
    production: Production, user: str, command: str
) -> None:
    await assert_refused(production, user, *command.split())


async def test_an_apps_user_may_not_even_stop_its_own_units(production: Production) -> None:
    for verb in ("stop", "start", "restart", "kill", "reset-failed"):
        await assert_refused(production, APP, "systemctl", verb, API)
    await assert_refused(production, APP, "systemctl", "reload", "nginx.service")
    assert await production.unit(API, "ActiveState") == "active"


async def test_nothing_that_root_reads_is_writable_by_daemon_or_app(
    production: Production,
) -> None:
    places = "/etc /opt /usr/local /var/lib/systemd /run/systemd /run/nginx.pid"
    # What systemd lets everybody write to: sockets that it listens on itself.
    look = f"find {places} -writable -not -type l -not -type s 2>/dev/null"
    for user in ("bluegreen", APP):
        said = await attempt(production, user, "sh", "-c", look)
        assert said.output == "", user


async def test_the_daemon_reads_no_secret(production: Production) -> None:
    for name in ("token", "api.env", "build"):
        await assert_refused(production, "bluegreen", "cat", f"/etc/bluegreen/secrets/{name}")
    for name in await credentials(production):
        await assert_refused(production, "bluegreen", "cat", name)
        await assert_refused(production, "neighbour", "cat", name)


async def credentials(production: Production) -> list[str]:
    said = await production.host.run("find", f"/run/credentials/{API}", "-type", "f")
    assert said.output
    return said.output.split()


async def test_an_apps_user_reads_nothing_of_the_daemon_and_of_other_apps(
    production: Production,
) -> None:
    # What the daemon and the app have, seen by a user that is neither.
    for place in (
        "/var/lib/bluegreen/bluegreen.db", "/var/lib/bluegreen/bluegreen.db-wal",
        "/var/lib/bluegreen/accepted", "/var/log/bluegreen", f"{DATA}/cache/git",
        f"{DATA}/cache/git.config", f"{DATA}/last-active",
    ):  # fmt: skip
        assert production.path(place).exists(), place
        for user in (APP, "neighbour"):
            said = await attempt(production, user, "test", "-r", place)
            assert said.status == 1, (user, place)
    for place in (
        f"{DATA}/trees/1-blue", f"{DATA}/trees", f"{DATA}/shared", f"{DATA}/cache",
        f"{DATA}/cache/build", f"/run/bluegreen/apps/{APP}/jobs", f"/run/credentials/{API}",
    ):  # fmt: skip
        for way in ("-r", "-x", "-w"):
            said = await attempt(production, "neighbour", "test", way, place)
            assert said.status == 1, (way, place)
    for user in (APP, "neighbour"):
        said = await attempt(production, user, "/opt/bluegreen/bin/bluegreen", "status")
        assert said.status != 0
        assert "you may not use /run/bluegreen/control.sock" in said.output


async def test_secrets_are_nowhere_but_in_the_service(production: Production) -> None:
    pid = await production.unit(API, "MainPID")
    environment = production.host.run("cat", f"/proc/{pid}/environ")
    given = dict(item.partition("=")[::2] for item in (await environment).output.split("\0"))
    assert (given["TOKEN"], given["PASSWORD"]) == (SECRET, PASSWORD)
    assert "LICENCE" not in given
    secrets = (SECRET, PASSWORD, BUILDS)
    said = [
        (await production.host.run("journalctl", "--no-pager", "-o", "export")).output,
        (await production.host.run("sh", "-c", "cat /proc/[0-9]*/cmdline", check=False)).output,
        (await production.bluegreen("history", APP, "--json")).output,
        (await production.bluegreen("logs", APP)).output,
        (await production.host.run("systemctl", "show", API, user="nobody")).output,
        (await production.host.run("systemctl", "cat", f"bluegreen-{APP}-*", user="nobody")).output,
    ]
    for text in said:
        assert text
        assert not any(secret in text for secret in secrets)
    # On disk: where the operator put them, and nowhere else, whoever may read it.
    places = "/etc /var/lib/bluegreen /var/log /run/bluegreen /opt/bluegreen/libexec /tmp /var/tmp"
    # Below /var/tmp are the disks of other tests' hosts too, with this file on them.
    looks = "grep -rlsF --exclude-dir='bg-*' " + " ".join(f"-e {secret}" for secret in secrets)
    found = await production.host.run("sh", "-c", f"{looks} {places}", check=False)
    assert sorted(found.output.split()) == [
        f"/etc/bluegreen/secrets/{name}" for name in ("api.env", "build", "token")
    ]


async def test_what_an_apps_user_plants_leads_nobody_astray(production: Production) -> None:
    victim = production.path("/srv/victim")
    victim.mkdir()
    (victim / "file").write_text("precious")
    await production.host.run("chown", "-R", "bluegreen:", "/srv/victim")  # the daemon could
    before = listing(victim)
    await production.deploy("plants")
    tree = production.path(f"{DATA}/slots/green").readlink()
    assert production.path(f"{tree}/victim").is_symlink()
    # It is reclaimed, shared files are linked in again, and root looks at all of it.
    await production.bluegreen("switch", "back")
    await production.deploy("v2")
    await production.deploy("v1")
    await production.bluegreen("apply")
    assert not production.path(str(tree)).exists()
    assert listing(victim) == before
    assert production.path("/var/lib/bluegreen/bluegreen.db").stat().st_size > 0
    # nginx listens where an app's user can put nothing in its way.
    await production.host.run("nginx", "-t")
    await production.host.run("systemctl", "restart", "nginx.service")
    assert await production.served() == "v1"


def listing(directory: Path) -> list[tuple[str, int, int, int, int]]:
    """All there is below, with modes, owners and sizes."""
    found = []
    for path in (directory, *sorted(directory.rglob("*"))):
        status = path.lstat()
        found.append((str(path), status.st_mode, status.st_uid, status.st_gid, status.st_size))
    return found


async def test_nginxs_own_sockets_are_out_of_everybodys_reach(production: Production) -> None:
    """nginx changes their modes as root, by their names: whoever may rename could name any file."""
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text()
    upstream = re.sub(r"\n\[\[routes\]\]\n[^\[]*", "\n", text)
    upstream = upstream.replace("[nginx]\n", '[nginx]\nmode = "upstream"\n')
    upstream = re.sub(r"listen = .*\n", "", upstream)
    try:
        file.write_text(upstream)
        await production.bluegreen("apply")
        await production.host.run("systemctl", "stop", "nginx.service")
        for name in ("api", "closed"):
            planted = f"/run/bluegreen/apps/{APP}/{name}.nginx.sock"
            await production.host.run("ln", "-sfn", "/srv", planted, user=APP)
        await production.host.run("systemctl", "start", "nginx.service")
        sockets = (await production.host.run("ss", "-lx")).output
        ours = [word for word in sockets.split() if word.endswith("nginx.sock")]
        assert {Path(each).name for each in ours} == {"api.nginx.sock", "nginx.sock"}
        for above in {str(parent) for each in ours for parent in Path(each).parents}:
            for user in (APP, "bluegreen"):
                assert (await attempt(production, user, "test", "-w", above)).status == 1, above
    finally:
        file.write_text(text)
        await production.bluegreen("apply")


@pytest.mark.parametrize(
    "line",
    [
        'listen = ["8080; return 200 evil"]',
        'server_name = ["a\\nreturn 200 evil;"]',
        "server_name = ['a\"; return 200 evil']",
        'server_name = ["${evil}"]',
    ],
)
async def test_no_app_file_carries_a_directive_to_nginx(production: Production, line: str) -> None:
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text()
    key = line.partition(" =")[0]
    file.write_text(re.sub(rf"^({key} = .*\n)?", "", text, flags=re.MULTILINE)
                    .replace("[nginx]\n", f"[nginx]\n{line}\n", 1))  # fmt: skip
    try:
        said = await production.bluegreen("apply", check=False)
    finally:
        file.write_text(text)
    assert said.status != 0
    assert f"nginx.{key}" in said.output
    found = await production.host.run("grep", "-rl", "evil", "/etc/nginx", check=False)
    assert found.output == ""


@pytest.mark.parametrize(
    "version", ["v9;touch$IFS/srv/evil", "v9$(id)", "v9'", 'v9"', "v9`id`", "v9\n[Service]", "-v9"]
)
async def test_no_version_carries_anything_but_itself(production: Production, version: str) -> None:
    said = await production.bluegreen("deploy", APP, "--", version, check=False)
    assert said.status != 0
    assert "cannot be a version" in said.output


async def test_a_secret_that_others_could_swap_for_a_link_is_refused(
    production: Production,
) -> None:
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text()
    shared = production.path(f"{DATA}/shared")
    await production.host.run("ln", "-sf", "/etc/shadow", f"{DATA}/shared/env", user=APP)
    links = production.path("/etc/bluegreen/secrets/link")
    links.symlink_to(f"{DATA}/shared/env")
    assert (shared / "env").is_symlink()
    for where in (f"{DATA}/shared/env", "/etc/bluegreen/secrets/link", "/tmp/env"):
        file.write_text(text.replace("/etc/bluegreen/secrets/api.env", where))
        try:
            said = await production.bluegreen("apply", check=False)
        finally:
            file.write_text(text)
        assert said.status != 0, where
        assert "services.api.env_file" in said.output
        assert "not only root's to change" in said.output


async def test_generated_units_are_without_an_error_and_little_exposed(
    production: Production,
) -> None:
    ours = "bluegreen.service bluegreen.socket bluegreen-gate.service bluegreen-gate.socket"
    units = f"{ours} bluegreen.target " + " ".join(
        f"bluegreen-{APP}-{name}.service" for name in ("api@blue", "api@green", "job@1")
    )
    said = await production.host.run("systemd-analyze", "verify", "--man=no", *units.split())
    assert said.output == ""
    daemons = ("bluegreen.service", "bluegreen-gate.service")
    for unit in (API, f"bluegreen-{APP}-job@1.service", *daemons):
        said = await production.host.run(
            "systemd-analyze", "--no-pager", "security", "--threshold=20", unit
        )
        (level,) = re.findall(r"exposure level for .*: ([0-9.]+)", said.output)
        print(f"{unit}: exposure {level}")
        assert float(level) <= 2.0
