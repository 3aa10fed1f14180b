"""Commands are asked for their versions, whatever they do instead of answering."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from bluegreen.requirements import asking
from bluegreen.requirements.asking import Answer, parse
from bluegreen.requirements.commands import stated_version


def tool(directory: Path, name: str, script: str) -> None:
    file = directory / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


async def ask(directory: Path, *commands: str) -> list[Answer]:
    """As the program does it, on a PATH of ``directory`` and the host's own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "bluegreen.requirements.asking",
        json.dumps([command.split() for command in commands]),
        env={"PATH": f"{directory}:{os.defpath}"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    answers = [parse(line) for line in output.decode().splitlines()]
    assert None not in answers
    return [answer for answer in answers if answer is not None]


async def test_the_answers_come_in_the_order_of_the_questions(tmp_path: Path) -> None:
    tool(tmp_path, "slow", "sleep 0.3; echo slow 1.0")
    tool(tmp_path, "fast", "echo fast 2.0 $1")
    tool(tmp_path, "shy", "echo shy 3.0 >&2")
    answers = await ask(tmp_path, "slow --version", "fast --version", "shy --version", "none")
    assert [answer.said for answer in answers] == ["slow 1.0", "fast 2.0 --version", "shy 3.0", ""]
    assert [answer.status for answer in answers] == [0, 0, 0, None]
    assert answers[0].path == str(tmp_path / "slow")
    assert answers[3].path is None


async def test_a_command_that_never_stops_printing_is_killed_and_read_in_part(
    tmp_path: Path,
) -> None:
    tool(tmp_path, "flood", "exec yes 1.2.3")
    answers = await ask(tmp_path, *["flood --version"] * 16)
    assert [answer.status for answer in answers] == [-signal.SIGKILL] * 16
    for answer in answers:
        assert answer.said.startswith("1.2.3")
        assert len(answer.said) <= asking.SHOWN


async def test_what_a_command_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    tool(tmp_path, "forks", "sleep 600 >/dev/null 2>&1 & echo $! >$0.pid; echo forks 1.0")
    (answer,) = await ask(tmp_path, "forks --version")
    os.kill(int((tmp_path / "forks.pid").read_text()), 9)
    assert (answer.status, answer.said) == (0, "forks 1.0")


async def test_a_command_that_does_not_answer_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LIMIT", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    tool(tmp_path, "hangs", "exec sleep 600")
    (answer,) = await asking.ask_all([("hangs", "--version")])
    assert (answer.status, answer.said) == (None, "")


@pytest.mark.parametrize("line", ["", "Traceback:", "[]", "{}", '{"path": 1}'])
def test_a_line_that_is_no_answer_is_none(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Python 3.11.2", "3.11.2"),
        ("Python 3.14.0rc2", "3.14.0rc2"),
        ("v18.19.0", "18.19"),
        ("git version 2.39.2", "2.39.2"),
        ("gcc (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022", "12.2"),
        ("ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]", "3.1.2"),
        ("psql (PostgreSQL) 15.5 (Debian 15.5-0+deb12u1)", "15.5"),
        ("3.40.1 2022-12-28 14:03:47 df5c253c0b3dd24916e4ec7cf77d3db5294cc9fd45ae7b9c5e82ad8197f3",
         "3.40.1"),
        ("openjdk 17.0.9 2023-10-17", "17.0.9"),
        ("go version go1.21.5 linux/amd64", "1.21.5"),
        ("less 590 (GNU regular expressions)", "590"),
        ("jq-1.6", "1.6"),
        ("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)", "5.2.15"),
        ("curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1 OpenSSL/3.0.11", "7.88.1"),
    ],
)  # fmt: skip
def test_the_version_is_found_in_what_a_command_says(said: str, version: str) -> None:
    found = stated_version(said)
    assert found is not None
    assert str(found) in (version, f"{version}.0")


def test_a_command_that_names_no_version_has_none() -> None:
    assert stated_version("unknown option --version") is None
