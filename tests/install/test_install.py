"""The installation on a host of its own, and what it leaves there."""

from __future__ import annotations

import re

import pytest

from bluegreen import __version__
from tests.host.lab import Said
from tests.install.prepared import (
    INSTALL_SECONDS,
    NEWER,
    NEWER_SOURCE,
    OFFLINE,
    Installed,
    Prepared,
)

# All that an installation writes, with what a second one must leave as it is.
_LOOK = (
    "find /opt/bluegreen /usr/local /etc/systemd /etc/bluegreen /etc/fish /etc/passwd /etc/group"
    " -printf '%p %M %u %g %s %T@ %l\\n' | sort"
)
_SYSTEMCTL = """\
#!/bin/sh
[ "$1" = --version ] || exec /usr/bin/systemctl "$@"
echo 'systemd {version} ({version}.1-1)'
"""
# Packages that bring a git and the tool of the certificates, in a repository of their own.
_REPOSITORY = """\
set -e
package() {
    mkdir -p /srv/repository/$1/DEBIAN /srv/repository/$1${2%/*}
    mv $2 /srv/repository/$1$2
    printf 'Package: %s\\nVersion: 99:1\\nArchitecture: all\\nMaintainer: t <t@example.org>\\n%s' \
        $1 'Description: t
' >/srv/repository/$1/DEBIAN/control
    cd /srv/repository
    dpkg-deb --build $1 $1.deb
    { dpkg-deb --field $1.deb; printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' \
        $1.deb "$(stat -c %s $1.deb)" "$(sha256sum $1.deb | cut -d' ' -f1)"; } >>Packages
}
package git /usr/bin/git
package ca-certificates /usr/sbin/update-ca-certificates
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
echo 'deb [trusted=yes] file:/srv/repository ./' >/etc/apt/sources.list
"""


async def test_it_says_what_it_did_and_what_is_next(prepared: Prepared) -> None:
    for part in (
        "wrote /usr/local/lib/systemd/system/bluegreen.service",
        "wrote /opt/bluegreen/libexec/bluegreen-exec",
        f"bluegreen is version {__version__} now",
        "bluegreen.service is ready",
        "Next: describe an app",
        "sudo bluegreen apply",
    ):
        assert part in prepared.said
    # Nothing but what it says itself: no tool's chatter.
    said = prepared.said.partition("Next:")[0].splitlines()
    assert [line for line in said if not line.startswith("install: ")] == []


async def test_the_daemon_runs_from_the_boot_on_as_its_own_user(installed: Installed) -> None:
    assert await installed.unit("bluegreen.service", "ActiveState") == "active"
    assert await installed.unit("bluegreen.service", "User") == "bluegreen"
    assert await installed.unit("bluegreen.service", "Type") in ("notify", "notify-reload")
    assert "there are no apps" in (await installed.command("status")).output
    said = await installed.command("--version")
    assert said.output == f"bluegreen {__version__}\n"
    assert (await installed.unit("bluegreen.service", "StatusText")) == "serving 0 apps"
    before = await installed.unit("bluegreen.service", "ExecStartPreEx")
    assert "bluegreen-boot" in before
    assert "code=exited ; status=0" in before


async def test_shells_and_man_find_it(installed: Installed) -> None:
    """As somebody finds it who has logged in and set nothing."""
    missing = []
    for shell, asks, answer in (
        ("fish", "complete -C 'bluegreen swi'", "switch"),
        ("zsh", "autoload -Uz compinit; compinit -u; echo $_comps[bluegreen]", "_bluegreen"),
        ("man", "", "bluegreen.1"),
    ):
        if (await installed.host.run("which", shell, check=False)).status != 0:
            missing.append(shell)
            continue
        words = ("-w", "bluegreen") if shell == "man" else ("-c", asks)
        assert answer in (await installed.host.run(shell, *words)).output, shell
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")


async def test_members_of_its_group_may_ask_it_and_others_may_not(installed: Installed) -> None:
    await installed.host.run("useradd", "--groups=bluegreen", "admin")
    await installed.host.run("bluegreen", "status", user="admin")
    said = await installed.host.run("bluegreen", "status", user="nobody", check=False)
    assert said.status == 3
    assert "a member of the socket's group" in said.output


async def test_a_second_run_changes_nothing(installed: Installed) -> None:
    before, pid = await installed.host.run("sh", "-c", _LOOK), await installed.main_pid()
    said = await installed.run_installer()

    assert "install: everything is in place" in said.output
    assert await installed.host.run("sh", "-c", _LOOK) == before
    assert await installed.main_pid() == pid


async def test_what_was_changed_by_hand_is_mended(installed: Installed) -> None:
    launcher = installed.path("/opt/bluegreen/libexec/bluegreen-exec")
    launcher.chmod(0o777)
    installed.path("/usr/local/lib/systemd/system/bluegreen.socket").unlink()
    said = await installed.run_installer()

    assert "wrote /opt/bluegreen/libexec/bluegreen-exec" in said.output
    assert "wrote /usr/local/lib/systemd/system/bluegreen.socket" in said.output
    assert launcher.stat().st_mode & 0o7777 == 0o755


async def test_a_reload_is_waited_for_as_soon_as_systemd_can(installed: Installed) -> None:
    """On a host whose systemd says that it is a newer one, and then that it is an older one."""
    drop_in = "/usr/local/lib/systemd/system/bluegreen.service.d/10-notify-reload.conf"
    systemctl = installed.path("/usr/local/sbin/systemctl")
    for version, done in ((253, "wrote"), (252, "removed")):
        systemctl.write_text(_SYSTEMCTL.format(version=version))
        systemctl.chmod(0o755)
        said = await installed.run_installer()
        assert f"{done} {drop_in}" in said.output
        if done == "wrote":
            assert "Type=notify-reload\n" in installed.path(drop_in).read_text()


async def test_only_root_may_write_what_root_or_the_daemon_runs(installed: Installed) -> None:
    await installed.host.run("useradd", "--system", "--user-group", "shop")
    places = ("/opt/bluegreen", "/usr/local/lib/systemd", "/usr/local/lib/tmpfiles.d",
              "/usr/local/lib/sysusers.d", "/etc/bluegreen", "/etc/systemd/system")  # fmt: skip
    loose = await installed.host.run(
        "find", *places, "!", "-type", "l", "(", "!", "-user", "root", "-o", "-perm", "/022", ")"
    )
    # Those are the daemon's, which reads what is in them, so that its group does not.
    read = [f"/etc/bluegreen/{name}" for name in ("notify", "sources", "webhooks")]
    assert sorted(loose.output.splitlines()) == read
    modes = await installed.host.run("stat", "--format=%A %U:%G", *read)
    assert modes.output == "dr-x------ bluegreen:root\n" * len(read)
    for user in ("bluegreen", "shop", "nobody"):
        # What such a user may write, wherever links lead.
        found = await installed.host.run(
            "find", "-L", *places, "!", "-type", "c", "-writable", user=user, check=False
        )
        assert [line for line in found.output.splitlines() if line.startswith("/")] == []
    secrets = await installed.host.run(
        "ls", "/etc/bluegreen/secrets", user="bluegreen", check=False
    )
    assert secrets.status == 2


async def test_it_refuses_what_it_should_not_do(installed: Installed) -> None:
    other = await installed.run_installer(source=NEWER_SOURCE, check=False)
    assert other.status == 1
    assert re.search(rf"version {__version__}-\w+ is installed, .* is {NEWER}-", other.output)
    assert "--upgrade" in other.output

    ordinary = await installed.host.run(
        f"{NEWER_SOURCE}/deploy/install", user="nobody", check=False
    )
    assert (ordinary.status, "sudo" in ordinary.output) == (1, True)

    unit = installed.path("/etc/systemd/system/bluegreen.service")
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    await installed.host.run("systemctl", "daemon-reload")
    hidden = await installed.run_installer(check=False)
    assert hidden.status == 1
    assert "hides the unit" in hidden.output


async def test_a_command_of_somebody_else_is_left_alone(installed: Installed) -> None:
    command = installed.path("/usr/local/bin/bluegreen")
    command.unlink()
    command.write_text("#!/bin/sh\n")
    said = await installed.run_installer(check=False)
    assert said.status == 1
    assert "/usr/local/bin/bluegreen is in the way" in said.output
    assert command.read_text() == "#!/bin/sh\n"


async def test_missing_debian_packages_are_installed(installed: Installed) -> None:
    await installed.host.run("bash", "-c", _REPOSITORY)
    said = await installed.run_installer()
    assert "installing with apt: git ca-certificates" in said.output
    assert "git version" in (await installed.host.run("git", "--version")).output


async def test_a_kill_at_any_moment_leaves_a_program_that_works(
    installed: Installed, prepared: Prepared
) -> None:
    """Killed as soon as each of these is to be seen, and done again in the end."""
    newer = f"/opt/bluegreen/versions/{prepared.newer}"
    for moment in (f"-e {newer}/bin/python", f"-e {newer}/wheels", f"-e {newer}/complete",
                   f"/opt/bluegreen/current -ef {newer}"):  # fmt: skip
        await _killed_when(installed, moment)
        said = await installed.command("--version")
        assert said.output in (f"bluegreen {__version__}\n", f"bluegreen {NEWER}\n")
        await installed.command("status")
    await installed.run_installer("--upgrade", source=NEWER_SOURCE)
    assert await installed.answering() == NEWER


async def _killed_when(installed: Installed, moment: str) -> Said:
    await installed.host.run(
        "systemd-run", "--unit=upgrade", "--collect",
        *(f"--setenv={name}={value}" for name, value in OFFLINE.items()),
        f"{NEWER_SOURCE}/deploy/install", "--upgrade",
    )  # fmt: skip
    # In one shell: it must not have ended by the time at which it is killed.
    kill = "systemctl kill --signal=KILL upgrade.service"
    return await installed.host.run(
        "sh", "-ec", f"until [ {moment} ]; do sleep 0.005; done; {kill}", timeout=INSTALL_SECONDS
    )
