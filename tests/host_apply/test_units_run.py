"""What the units that ``bluegreen apply`` writes run, and as what."""

from __future__ import annotations

import json
from typing import Any

from tests.host_apply.installed import SHOP, Installed

API = "bluegreen-shop-api@blue.service"
APP = "/var/lib/bluegreen/apps/shop"
# Says how it was started, and what it can reach, and stays.
SERVE = """\
import json, os, sys, time
def can_write(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False
json.dump({
    "argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "uid": os.getuid(),
    "writes": [p for p in ("/var/lib/bluegreen/apps/shop/shared/x", "/var/tmp/../lib/x",
                           "/etc/x", "/run/bluegreen/apps/shop/x") if can_write(p)],
    "sees_config": os.access("/etc/bluegreen", os.R_OK),
    "status": open("/proc/self/status").read(),
}, open("../../shared/said.json.new", "w"))
os.rename("../../shared/said.json.new", "../../shared/said.json")
time.sleep(3600)
"""


async def _deploy(installed: Installed) -> None:
    await installed.apply()
    tree = installed.path(f"{APP}/trees/1-blue")
    tree.mkdir()
    (tree / "serve.py").write_text(SERVE)
    tree.chmod(0o755)
    installed.path(f"{APP}/slots/blue").symlink_to("../trees/1-blue")


async def _said(installed: Installed) -> Any:
    """What the service says of itself, once it does."""
    file = installed.path(f"{APP}/shared/said.json")
    await installed.host.run(
        "timeout", "60", "sh", "-c", f"until test -e {APP}/shared/said.json; do sleep 0.02; done"
    )
    return json.loads(file.read_text())


async def test_a_service_gets_its_command_environment_and_secrets(installed: Installed) -> None:
    await _deploy(installed)
    installed.path(f"{APP}/wanted/blue").write_text("v1.2\n")
    await installed.host.run("systemctl", "start", API, user="bluegreen")
    said = await _said(installed)
    assert said["argv"] == ["serve.py", "--port", "9083", "$HOME %n"]
    assert said["cwd"] == f"{APP}/trees/1-blue"
    environment = said["env"]
    assert environment["BLUEGREEN_VERSION"] == "v1.2"
    assert environment["BLUEGREEN_SLOT"] == "blue"
    assert environment["PORT"] == "9083"
    assert environment["USER"] == "shop"
    assert environment["JWT_SECRET"] == "s3cret-jwt"
    # The service's own env file wins over [env], and is read as bluegreen reads env files.
    assert environment["GREETING"] == "from-file"
    assert environment["TOKEN"] == "two\nlines"
    assert said["writes"] == [f"{APP}/shared/x", "/run/bluegreen/apps/shop/x"]
    assert said["sees_config"] is False
    assert "NoNewPrivs:\t1" in said["status"]
    shown = await installed.host.run("systemctl", "show", API, user="nobody")
    assert "s3cret" not in shown.output
    assert await installed.unit(API, "LimitNOFILE") == "4096"
    assert await installed.unit(API, "CPUQuotaPerSecUSec") == "500ms"
    assert await installed.unit(API, "MemoryMax") == str(512 * 2**20)


async def test_text_of_env_arrives_as_it_is_written(installed: Installed) -> None:
    await _deploy(installed)
    installed.path("/etc/bluegreen/secrets/api.env").write_text("")
    installed.path(f"{APP}/wanted/blue").write_text("v1\n")
    await installed.host.run("systemctl", "start", API)
    said = await _said(installed)
    assert said["env"]["GREETING"] == '50% of $HOME is "quoted" \\ back'


async def test_a_slot_that_is_not_wanted_does_not_start(installed: Installed) -> None:
    await _deploy(installed)
    await installed.host.run("systemctl", "start", API)
    assert await installed.unit(API, "ActiveState") == "inactive"
    assert await installed.unit(API, "ConditionResult") == "no"


async def test_a_service_is_up_when_one_of_its_processes_says_so(installed: Installed) -> None:
    """Behind both launchers and a shell, within its sandbox."""
    command = """/bin/sh -c 'touch begun; until test -e go; do sleep 0.05; done; """
    command += """systemd-notify --ready; sleep 3600'"""
    text = SHOP.replace("/usr/bin/python3 -u serve.py --port {port} '$HOME %n'", "COMMAND")
    text = text.replace('command = "COMMAND"', f'command = """{command}"""\nready = "notify"')
    installed.app_file(f'{text}\n[gate]\ndeadline = "3m"\n')
    await _deploy(installed)
    tree = installed.path(f"{APP}/trees/1-blue")
    tree.chmod(0o777)
    installed.path(f"{APP}/wanted/blue").write_text("v1\n")
    await installed.host.run("systemctl", "start", "--no-block", API)
    begun = f"until test -e {APP}/slots/blue/begun; do sleep 0.02; done"
    await installed.host.run("timeout", "60", "sh", "-c", begun)
    assert await installed.unit(API, "ActiveState") == "activating"
    (tree / "go").touch()
    # It is queued already, so this waits for it.
    await installed.host.run("systemctl", "start", API)
    assert await installed.unit(API, "ActiveState") == "active"
    assert await installed.unit(API, "TimeoutStartUSec") == "3min"


async def test_a_reboot_starts_the_slot_that_is_wanted(installed: Installed) -> None:
    await _deploy(installed)
    installed.path(f"{APP}/wanted/blue").write_text("v1\n")
    await installed.host.reboot()
    assert (await _said(installed))["env"]["BLUEGREEN_VERSION"] == "v1"
    assert await installed.unit(API, "ActiveState") == "active"
    green = API.replace("blue", "green", 2).replace("greengreen", "bluegreen")
    assert await installed.unit(green, "ActiveState") == "inactive"


async def test_a_job_runs_what_its_file_says_as_the_apps_user(installed: Installed) -> None:
    await _deploy(installed)
    code = (
        "import os; print(os.getuid(), os.environ['HOME'], os.environ['A'], os.getcwd(),"
        " os.access('/srv/mine', os.W_OK), os.path.exists('/etc/bluegreen/apps'))"
    )
    # Its user's, and no affair of a build.
    await installed.host.run("install", "-d", "-o", "shop", "/srv/mine")
    spec = {
        "argv": ["/usr/bin/python3", "-c", f"{code}; open('built', 'w')"],
        "cwd": f"{APP}/trees/1-blue",
        "env": {"A": "one two", "HOME": "/var/lib/bluegreen"},
    }
    tree = installed.path(f"{APP}/trees/1-blue")
    tree.chmod(0o2775)
    jobs = "/run/bluegreen/apps/shop/jobs"
    await installed.host.run(
        "sh", "-c", f"umask 027; cat > {jobs}/7-build.json",
        user="bluegreen", input=json.dumps(spec),
    )  # fmt: skip
    job = "bluegreen-shop-job@7-build.service"
    await installed.host.run("systemctl", "start", "--wait", job, user="bluegreen")
    assert await installed.unit(job, "Result") == "success"
    uid = (await installed.host.run("id", "-u", "shop")).output.strip()
    said = await installed.host.run(
        "timeout", "60", "sh", "-c",
        f"until journalctl -q -o cat -u {job} _UID={uid} | grep . ; do sleep 0.05; done",
    )  # fmt: skip
    assert said.output.strip() == f"{uid} /home/shop one two {APP}/trees/1-blue False False"
    assert await installed.unit(job, "TasksMax") == "4096"
    for limit in ("MemoryMax", "RuntimeMaxUSec"):
        assert await installed.unit(job, limit) != "infinity"
    assert (tree / "built").exists()
    # Without its file there is nothing to run.
    missing = job.replace("7-build", "8-build")
    await installed.host.run("systemctl", "start", "--wait", missing, check=False)
    assert await installed.unit(missing, "Result") == "exit-code"
