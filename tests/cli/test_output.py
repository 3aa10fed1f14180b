"""What is printed: plain lines, live progress, a status in words; and what is imported for it."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bluegreen.cli import main
from bluegreen.cli.history import history_line
from bluegreen.cli.parser import parse
from bluegreen.cli.plain import PlainLines
from bluegreen.cli.preview import preview_lines
from bluegreen.cli.progress import Progress
from bluegreen.cli.status_lines import slot_lines
from bluegreen.words import ago, seconds


def phase(name: str, state: str, at: float, **data: Any) -> dict[str, Any]:
    return {"kind": "phase", "at": at, "data": {"phase": name, "state": state, "data": data}}


EVENTS = [
    phase("fetch", "intent", 100.0),
    phase("fetch", "done", 100.5, release="v2 (0123456789)"),
    {"kind": "step", "at": 101.0, "data": {"step": "assets", "state": "started"}},
    phase("gate", "intent", 102.0),
    {
        "kind": "probe",
        "at": 103.0,
        "data": {"service": "api", "probe": "http /", "passed": False, "answer": "HTTP 503"},
    },
    phase("gate", "failed", 110.0),
    phase("gate", "undoing", 110.1),
    phase("gate", "undone", 110.2),
]


def test_plain_lines_say_each_step_once_and_how_long_it_took() -> None:
    lines = PlainLines()
    said = [line[9:] for event in EVENTS if (line := lines.line(event)) is not None]
    assert said == [
        "fetch …",
        "fetch done: v2 (0123456789) (500 ms)",
        "  step assets started",
        "gate …",
        "  api http / fails: HTTP 503",
        "gate failed (8.0 s)",
        "gate undoing",
        "gate undone",
    ]


def test_an_operations_own_events_are_not_said_twice() -> None:
    event = {"kind": "operation", "at": 1.0, "data": {"state": "running"}}
    assert PlainLines().line(event) is None


def test_live_progress_shows_what_failed_after_it_was_undone() -> None:
    operation = {"kind": "deploy", "version": "v2", "app": "a", "slot": "green", "id": 7}
    progress = Progress(operation)
    for event in EVENTS:
        progress.take(event)
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(progress)
    text = out.getvalue()
    assert "deploy v2 of a into green (operation 7)" in text
    assert "✓  fetch  500 ms" in text
    assert "✗  gate   8.0 s" in text
    assert "api http / fails: HTTP 503" in text


@pytest.mark.parametrize(
    ("duration", "words"),
    [(0.0123, "12 ms"), (3.21, "3.2 s"), (250, "4 min 10 s"), (7300, "2 h 1 min")],
)
def test_durations_in_words(duration: float, words: str) -> None:
    assert seconds(duration) == words


def test_a_time_to_come_is_not_negative() -> None:
    assert ago(2**40) == "0 s ago"


def test_the_history_says_how_long_an_operation_runs_already() -> None:
    operation = {
        "id": 7, "app": "shop", "kind": "deploy", "version": "v2", "commit": None,
        "slot": "green", "state": "running", "requested_by": "uid 0", "error": None,
        "created_at": time.time() - 180, "finished_at": None,
    }  # fmt: skip
    assert "running  3 min" in history_line(operation)


def test_the_history_says_that_a_rollback_has_replaced_the_data() -> None:
    operation = {
        "id": 9, "app": "shop", "kind": "rollback", "version": "v2", "commit": "0123456789abcdef",
        "slot": "green", "state": "succeeded", "requested_by": "uid 0", "error": None,
        "created_at": time.time() - 180, "finished_at": time.time(), "backup": 6,
    }  # fmt: skip
    assert "rollback v2 with the data of backup 6 (0123456789)" in history_line(operation)
    assert "rollback v2 (0123456789)" in history_line(operation | {"backup": None})


def test_a_slot_that_is_starting_is_not_said_to_be_so_for_a_day() -> None:
    slot: dict[str, Any] = {
        "version": "v1", "commit": None, "state": "starting", "services": {}, "health": None,
        "hot_until": time.time() + 86400,
    }  # fmt: skip
    assert slot_lines("blue", slot, active=False) == ["    blue   v1  starting"]
    (hot,) = slot_lines("blue", {**slot, "state": "hot"}, active=False)
    assert "hot for " in hot


@pytest.mark.parametrize(
    ("state", "restarts", "last_exit", "shown"),
    [
        ("running", 0, None, "api running"),
        ("running", 0, "killed by SIGTERM", "api running"),  # in a life before
        ("running", 1, "exit status 3", "api running (restarted once, exit status 3)"),
        ("running", 2, "exit status 3", "api running (restarted 2 times, exit status 3)"),
        ("backoff", 0, "exit status 3", "api backoff (exit status 3)"),
        ("stopped", 0, "stopped from outside", "api stopped (stopped from outside)"),
    ],
)
def test_a_service_that_did_not_run_on_says_why(
    state: str, restarts: int, last_exit: str | None, shown: str
) -> None:
    service = {"state": state, "restarts": restarts, "last_exit": last_exit, "exclusive": False}
    slot = {
        "version": "v1", "commit": None, "state": "hot", "hot_until": None, "health": None,
        "services": {"api": service},
    }  # fmt: skip
    assert slot_lines("blue", slot, active=False)[1:] == [f"      {shown}"]
    cold = slot_lines("blue", {**slot, "state": "cold"}, active=False)
    assert len(cold) == (1 if state == "stopped" else 2)


def test_of_several_instances_those_are_told_of_that_did_not_run_on() -> None:
    running: dict[str, Any] = {"state": "running", "restarts": 0, "last_exit": None}
    gone: dict[str, Any] = {"state": "stopped", "restarts": 0, "last_exit": None}
    ended: dict[str, Any] = {"state": "backoff", "restarts": 2, "last_exit": "exit status 3"}
    slot: dict[str, Any] = {
        "version": "v1", "commit": None, "state": "cold", "hot_until": None, "health": None,
    }  # fmt: skip
    for each, shown in (
        ([running, running], ["      api 2 of 2 running"]),
        (
            [running, ended, {**running, "restarts": 1, "last_exit": "exit status 1"}],
            [
                "      api 2 of 3 running, api 2 backoff (restarted 2 times, exit status 3), "
                "api 3 running (restarted once, exit status 1)"
            ],
        ),
        ([ended, ended], ["      api 0 of 2 running (restarted 4 times, exit status 3)"]),
        ([gone, gone], []),
    ):
        worst = min(each, key=lambda one: ["backoff", "stopped", "running"].index(one["state"]))
        whole = {**worst, "restarts": sum(one["restarts"] for one in each), "exclusive": False}
        slot["services"] = {"api": {**whole, "instances": each}}
        assert slot_lines("blue", slot, active=False)[1:] == shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["--root", "/r", "status", "a"],
        ["status", "--root", "/r", "a"],
        ["status", "a", "--root=/r"],
    ],
)
def test_the_root_may_stand_anywhere(arguments: list[str]) -> None:
    options = parse(arguments)
    assert str(options.root) == "/r"
    assert options.app == "a"


def test_deploy_takes_one_word_for_the_version_and_two_with_the_app() -> None:
    assert (parse(["deploy", "v1"]).app, parse(["deploy", "v1"]).version) == (None, "v1")
    assert (parse(["deploy", "a", "v1"]).app, parse(["deploy", "a", "v1"]).version) == ("a", "v1")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["deploy"],
        ["switch"],
        ["switch", "to", "red"],
        ["lock", "a"],
        ["history", "--limit", "x"],
        ["logs", "--lines", "-1"],
    ],
)
def test_a_mistyped_command_ends_with_2_and_the_next_step(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("bluegreen: ")
    assert "\nNext: " in said.err
    assert main([*arguments, "--json"]) == 2
    said = capsys.readouterr()
    assert said.err == ""
    document = json.loads(said.out)
    assert document["error"] == "usage"
    assert document["message"]
    assert "--help" in document["remedy"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", ""],
        ["history", ""],
        ["logs", ""],
        ["restart", ""],
        ["deploy", "", "v1"],
        ["rollback", ""],
        ["cancel", ""],
        ["lock", "", "--reason", "audit"],
        ["unlock", ""],
        ["switch", "back", ""],
        ["switch", "to", "blue", ""],
        ["init", ""],
    ],
)
def test_an_app_without_a_name_is_wrong_use(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--root", "/nonexistent"]) == 2
    assert "the name of the app is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lock", "a", "--reason", ""], "argument --reason: write one line of text, not empty"),
        (["lock", "a", "--reason", "x" * 100_000], "argument --reason: write one line of text"),
        (["lock", "a", "--reason", "a\nb"], "argument --reason: write one line of text"),
        (["deploy", "a", "v1", "--ack", ""], "argument --ack: write one line of text, not empty"),
        (["deploy", "a", "v" * 100_000], "vvv...' cannot be a version"),
        (["status", "a" * 100_000], "aaa... cannot be the name of an app"),
        (["rollback", "a", "--to", "v" * 100_000], "vvv...' cannot be a version"),
    ],
    ids=["empty", "long", "two lines", "ack", "version", "app", "older version"],
)
def test_a_text_that_nobody_can_keep_is_said_in_the_words_of_the_command(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--root", "/nonexistent"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "JSON" not in shown
    assert len(shown) < 500


@pytest.mark.parametrize(
    ("arguments", "wrong", "right"),
    [
        (
            ["hold", "--timeout", "0s"],
            "--timeout: '0s' is too short",
            "more than 0s, and at most 1 h",
        ),
        (["hold", "--timeout", "61m"], "--timeout: '61m' is too long", "at most 1 h"),
        (["hold", "--timeout", "x"], "--timeout: 'x' is no time", '"30s"'),
        (["preview", "--for", "0ms"], "--for: '0ms' is too short", "at most 168 h"),
        (["preview", "--for", "8d"], "--for: '8d' is too long", "at most 168 h"),
        (["history", "--limit", "x"], "'x' is not a whole number from 1 to 200", "history --help"),
        (["history", "--limit", "0"], "'0' is not a whole number from 1 to 200", "history --help"),
        (["history", "--limit", "201"], "'201' is not a whole number from 1 to 200", "--help"),
        (["logs", "--lines", "200000"], "'200000' is not a whole number from 0 to", "logs --help"),
        (["logs", "a", "9" * 20], "'9999999999999999999...' is not a whole number", "logs --help"),
        *(
            ([command, "9" * 5000], "9... cannot be the name of an app", "bluegreen status")
            for command in ("cancel", "promote", "logs", "report")
        ),
        (["rollback", "--restore", "0"], "'0' is not a whole number from 1 up", "rollback --help"),
    ],
)
def test_what_is_beyond_its_limits_is_told_them_before_anything_is_sent(
    arguments: list[str], wrong: str, right: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--root", "/nonexistent"]) == 2
    first, *_, last = capsys.readouterr().err.splitlines()
    assert wrong in first
    assert right in last


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["plan", "v1.0", "--bogus"], "bluegreen plan"),
        (["backup", "list", "a", "--bogus"], "bluegreen backup list"),
        (["switch", "back", "a", "b", "c"], "bluegreen switch back"),
    ],
)
def test_what_a_subcommand_does_not_take_points_to_its_own_help(
    arguments: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(f"see what it takes: {command} --help\n")


@pytest.mark.parametrize("command", [["status"], ["switch", "back"]])
def test_an_empty_root_is_wrong_use_and_not_the_whole_host(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLUEGREEN_ROOT", "/nonexistent")
    assert main([*command, "--root", ""]) == 2
    assert "argument --root: it is empty" in capsys.readouterr().err
    monkeypatch.setenv("BLUEGREEN_ROOT", "")
    assert main(command) == 2
    assert "the variable BLUEGREEN_ROOT is empty" in capsys.readouterr().err
    assert main([*command, "--root", "/nonexistent"]) == 3


def test_what_is_typed_does_not_command_the_terminal_that_is_told_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["status", "--root", "/nonexistent/\x1b[2J"]) == 3
    said = capsys.readouterr().err
    assert "/nonexistent/\\x1b[2J" in said
    assert "\x1b" not in said


def test_what_is_not_utf8_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run/bluegreen").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "run/bluegreen/control.sock"))
        listener.listen()
        root = ["--root", str(tmp_path)]
        assert main(["deploy", "shop", "v\udcff", *root]) == 2
        assert "not UTF-8 text: the bytes ff" in capsys.readouterr().err


def test_a_check_that_nobody_reads_to_its_end_still_says_that_there_is_something_to_mend(
    tmp_path: Path,
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text("".join(f"unknown-{number} = 1\n" for number in range(5000)))
    command = [sys.executable, "-m", "bluegreen", "check", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as check:
        assert check.stdout is not None
        assert check.stderr is not None
        check.stdout.readline()
        check.stdout.close()
        assert check.wait(60) == 2
        assert check.stderr.read() == b""


def test_an_output_that_finds_no_room_is_told_in_words(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bluegreen", "check", "--root", str(tmp_path)]
    with Path("/dev/full").open("w") as full:
        check = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert check.returncode == 1
    assert check.stderr.startswith(b"bluegreen: No space left on device\nNext: ")


def test_a_switch_imports_nothing_that_takes_long() -> None:
    script = (
        "import sys; from bluegreen.cli import main;"
        "status = main(['switch', 'back', '--root', '/nonexistent']);"
        "heavy = {'asyncio', 'aiohttp', 'pydantic', 'rich', 'jinja2', 'http.client', 'logging'};"
        "print(status, sorted(heavy & sys.modules.keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "3 []"


def test_a_preview_of_a_daemon_that_knows_no_names_of_their_own_is_told_all_the_same() -> None:
    """As while bluegreen itself is upgraded: the command is the new one at once."""
    answer = {
        "app": "shop", "slot": "green", "version": "v2", "until": 1_800_000_000.0,
        "header": {"X-Bluegreen-Preview": "k"}, "path": "/.bluegreen/shop/preview/k",
        "link": "https://shop.example/.bluegreen/shop/preview/k",
    }  # fmt: skip
    assert preview_lines(answer)[1] == f"  link:   {answer['link']}"
    own = {"site": "https://next.example", "link": "https://next.example/x", "allow": []}
    assert "  or:     https://next.example/x" in preview_lines({**answer, "own": own})
