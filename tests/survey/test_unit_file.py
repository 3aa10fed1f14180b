"""Unit files: drop-ins, templates, env files, and what an app file takes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen.survey.unit_file import EnvFile, Unit, read_unit
from bluegreen.survey.unit_search import find_units

Reader = Callable[..., Unit]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Writes files below ``systemd/system`` of a root, and reads the unit of that name."""

    def reader(name: str, files: dict[str, str], *, links: dict[str, str] | None = None) -> Unit:
        for file, text in files.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for link, target in (links or {}).items():
            path = tmp_path / link
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
        unread: list[str] = []
        (found,) = [unit for unit in find_units(tmp_path, unread) if unit.files.name == name]
        unit = read_unit(found.files, unread)
        assert unread == []
        assert unit is not None
        return unit

    return reader


ETC, LIB = "etc/systemd/system", "usr/lib/systemd/system"


def service(text: str) -> str:
    return f"[Unit]\nDescription=x\n[Service]\n{text}\n[Install]\nWantedBy=multi-user.target\n"


def test_the_whole_of_a_unit(read: Reader) -> None:
    unit = read(
        "shop.service",
        {
            f"{ETC}/shop.service": service(
                "Type=notify\nUser=shop\nWorkingDirectory=-/srv/shop\n"
                "ExecStart=/usr/bin/python3 -m app \\\n  # a comment between\n  --port 9000\n"
                'Environment="A=b c" D=e\nEnvironment=F=%%g\n'
                "EnvironmentFile=-/etc/shop.env\nEnvironmentFile=/etc/shop-%p.env\n"
                "TimeoutStopSec=1min 30s\nMemoryMax=512M\nCPUQuota=150%\nTasksMax=64\n"
                "LimitNOFILE=1024:65536\nStateDirectory=shop\nRestart=always\nProtectHome=yes\n"
                "ExecStartPre=/bin/true\nSupplementaryGroups=video"
            )
        },
    )
    assert unit.kind == "notify"
    assert unit.words == ("/usr/bin/python3", "-m", "app", "--port", "9000")
    assert (unit.user, unit.working, unit.stop_timeout) == ("shop", "/srv/shop", "90s")
    assert unit.env == {"A": "b c", "D": "e", "F": "%g"}
    assert unit.env_files == (
        EnvFile(path="/etc/shop.env", optional=True),
        EnvFile(path="/etc/shop-shop.env", optional=False),
    )
    assert unit.limits == {
        "memory": '"512MiB"', "cpu": '"150%"', "tasks": "64", "open_files": "65536",
    }  # fmt: skip
    assert unit.writes == ("StateDirectory",)
    assert unit.left_out == ("ExecStartPre", "SupplementaryGroups")
    assert not unit.has_specifiers


@pytest.mark.parametrize(
    ("command", "words", "privileged"),
    [
        ("-/bin/a b", ("/bin/a", "b"), False),
        ("@/bin/a name b", ("/bin/a", "b"), False),
        ("-@/bin/a name b", ("/bin/a", "b"), False),
        (":/bin/a $HOME", ("/bin/a", "$$HOME"), False),
        ("+/bin/a", ("/bin/a",), True),
        ("!!/bin/a", ("/bin/a",), True),
        ('/bin/a "b c" ${D}', ("/bin/a", "b c", "${D}"), False),
    ],
)
def test_prefixes_of_the_program(
    read: Reader, command: str, words: tuple[str, ...], privileged: bool
) -> None:
    unit = read("a.service", {f"{ETC}/a.service": service(f"ExecStart={command}")})
    assert (unit.words, unit.privileged) == (words, privileged)


def test_drop_ins_of_all_directories_count_in_the_order_of_their_names(read: Reader) -> None:
    unit = read(
        "shop.service",
        {
            f"{LIB}/shop.service": service("ExecStart=/bin/a\nEnvironment=A=1 B=1 C=1"),
            f"{LIB}/shop.service.d/20-x.conf": service("Environment=A=2 B=2\nExecStart="),
            f"{ETC}/shop.service.d/10-y.conf": service("Environment=A=3"),
            f"{ETC}/shop.service.d/30-z.conf": service("ExecStart=/bin/z\nUser=shop"),
            "run/systemd/system/shop.service.d/30-z.conf": service("User=other"),
        },
    )
    assert unit.words == ("/bin/z",)
    assert unit.env == {"A": "2", "B": "2", "C": "1"}
    assert unit.user == "shop"


def test_a_unit_of_the_administrator_shadows_the_vendor_s(read: Reader) -> None:
    files = {
        f"{LIB}/a.service": service("ExecStart=/bin/lib"),
        f"{ETC}/a.service": service("ExecStart=/bin/etc"),
    }
    assert read("a.service", files).words == ("/bin/etc",)


def test_an_instance_of_a_template_is_a_unit_of_its_own(read: Reader) -> None:
    unit = read(
        "shop@9001.service",
        {
            f"{ETC}/shop@.service": service("ExecStart=/bin/a --port %i --name %N\nUser=%p"),
            f"{ETC}/shop@.service.d/a.conf": service("Environment=A=%i B=%i"),
            f"{ETC}/shop@9001.service.d/b.conf": service("Environment=B=own"),
        },
        links={f"{ETC}/multi-user.target.wants/shop@9001.service": "../shop@.service"},
    )
    assert unit.words == ("/bin/a", "--port", "9001", "--name", "shop@9001")
    assert unit.env == {"A": "9001", "B": "own"}
    assert unit.user == "shop"


def test_a_template_without_instances_and_an_alias_are_no_units(tmp_path: Path) -> None:
    directory = tmp_path / ETC
    directory.mkdir(parents=True)
    (directory / "a@.service").write_text("")
    (directory / "b.service").write_text("")
    (directory / "alias.service").symlink_to("b.service")
    (directory / "masked.service").symlink_to("/dev/null")
    assert [unit.files.name for unit in find_units(tmp_path, [])] == ["b.service"]


def test_specifiers_of_the_machine_are_noted(read: Reader) -> None:
    for text in ("ExecStart=/bin/a %H", "ExecStart=/bin/a\nEnvironmentFile=/etc/%m.env"):
        assert read("a.service", {f"{ETC}/a.service": service(text)}).has_specifiers


def test_limits_without_a_word_in_the_app_file_are_left_alone(read: Reader) -> None:
    text = service("ExecStart=/bin/a\nMemoryMax=infinity\nTasksMax=10%\nLimitNOFILE=infinity")
    assert read("a.service", {f"{ETC}/a.service": text}).limits == {}
