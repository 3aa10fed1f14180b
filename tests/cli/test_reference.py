"""Completion in real shells, and the manual page, against the parser."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bluegreen.cli.parser import parser
from bluegreen.cli.reference import completion
from bluegreen.cli.reference.grammar import Command, grammar
from bluegreen.cli.reference.manual import manual
from tests.waiting import PATIENCE

PROGRAM = grammar(parser())
COMMANDS = [command for command in PROGRAM.all() if command.words]
_BASH = """\
source "$1"; shift
COMP_WORDS=(bluegreen "$@") COMP_CWORD=$#
_bluegreen bluegreen "${@: -1}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


def in_bash(root: Path, *typed: str) -> set[str]:
    script = root / "bluegreen.bash"
    script.write_text(completion.bash(PROGRAM))
    said = subprocess.run(
        ["bash", "--norc", "-c", _BASH, "bash", script, *typed], cwd=root, timeout=PATIENCE,
        env={"PATH": os.environ["PATH"], "BLUEGREEN_ROOT": str(root)}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert said.stderr == ""
    return set(said.stdout.split())


def in_fish(root: Path, *typed: str) -> set[str]:
    script = root / "bluegreen.fish"
    script.write_text(completion.fish(PROGRAM))
    line = " ".join(("bluegreen", *typed))
    said = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
        cwd=root, timeout=PATIENCE, check=True, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(root), "BLUEGREEN_ROOT": str(root)},
    )  # fmt: skip
    assert said.stderr == ""
    return {line.partition("\t")[0] for line in said.stdout.splitlines()}


SHELLS = [pytest.param(in_bash, marks=needs("bash")), pytest.param(in_fish, marks=needs("fish"))]
Complete = Callable[..., set[str]]


@pytest.fixture
def host(root: Path) -> Path:
    apps = root / "etc/bluegreen/apps"
    apps.mkdir(parents=True)
    for name in ("shop", "wiki"):
        (apps / f"{name}.toml").touch()
    (root / "shop.toml").touch()
    return root


@pytest.mark.parametrize("complete", SHELLS)
def test_commands_apps_options_and_values_are_offered(complete: Complete, host: Path) -> None:
    assert complete(host, "") == {command.words[0] for command in COMMANDS}
    assert complete(host, "sw") == {"switch"}
    assert complete(host, "switch", "") == {"back", "to"}
    assert complete(host, "switch", "to", "") == {"blue", "green"}
    assert complete(host, "switch", "to", "green", "") == {"shop", "wiki"}
    assert complete(host, "deploy", "sh") == {"shop"}
    assert complete(host, "deploy", "shop", "") == set()
    assert complete(host, "--json", "status", "") == {"shop", "wiki"}
    assert "--detach" in complete(host, "deploy", "shop", "--d")
    assert complete(host, "check", "shop.t") == {"shop.toml"}
    assert complete(host, "rollback", "--to", "") == set()


@pytest.mark.parametrize("complete", SHELLS)
def test_apps_are_those_of_the_root_that_is_named(complete: Complete, host: Path) -> None:
    (host / "other/etc/bluegreen/apps").mkdir(parents=True)
    (host / "other/etc/bluegreen/apps/blog.toml").touch()
    assert complete(host, "--root", str(host / "other"), "stop", "") == {"blog"}


@pytest.mark.parametrize("complete", SHELLS)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_offered(complete: Complete, command: Command, host: Path) -> None:
    offered = complete(host, *command.words, "--")
    assert offered == {option.flags[0] for option in command.options}


@needs("zsh")
def test_zsh_completes_what_is_typed(host: Path) -> None:
    functions = host / "functions"
    functions.mkdir()
    (functions / "_bluegreen").write_text(completion.zsh(PROGRAM))
    with typing_into_zsh(host) as terminal:
        os.write(terminal, f"fpath=({functions} $fpath); autoload -Uz compinit\n".encode())
        # What was completed is run, and says what it was.
        os.write(
            terminal, b"compinit -u -D; bluegreen() { print -r -- \"<$*>\" }; PS1='rea''dy> '\n"
        )
        read_until(terminal, "ready> ")
        for typed, completed in (
            ("swi", "switch"),
            ("switch to gr", "switch to green"),
            ("deploy wi", "deploy wiki"),
            ("deploy shop --det", "deploy shop --detach"),
            ("check sho", "check shop.toml"),
        ):
            os.write(terminal, f"bluegreen {typed}\t\n".encode())
            read_until(terminal, f"<{completed}>")


@contextlib.contextmanager
def typing_into_zsh(root: Path) -> Iterator[int]:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(root)
        environment = {"PATH": os.environ["PATH"], "TERM": "vt100", "HOME": str(root)}
        environment |= {"BLUEGREEN_ROOT": str(root)}
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)
    try:
        yield terminal
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def read_until(terminal: int, wanted: str) -> None:
    said, until = "", time.monotonic() + PATIENCE
    while wanted not in said:
        assert time.monotonic() < until, f"no {wanted!r} in {said!r}"
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 65536).decode(errors="replace")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_page_is_one_without_a_warning(root: Path) -> None:
    page = root / "bluegreen.1"
    page.write_text(manual(PROGRAM, version="1.2.3", epilog=parser().epilog or ""))
    said = subprocess.run(
        ["groff", "-man", "-ww", "-Kutf8", "-Tascii", "-rHY=0", "-P-cbou", page],
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert said.stderr == ""
    words = " ".join(said.stdout.split())
    for command in COMMANDS:
        if not command.commands:
            assert f"bluegreen {command.name}" in words
    assert "bluegreen - blue-green deployments" in words
    assert "130 Interrupted." in words
    assert "bluegreen 1.2.3" in words
