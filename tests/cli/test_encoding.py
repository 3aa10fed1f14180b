"""What is printed where not every character can be."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bluegreen.cli import main
from bluegreen.cli.encoding import say_what_can_be_said
from bluegreen.cli.plain import PlainLines
from bluegreen.cli.progress import Progress
from tests.cli.test_output import EVENTS, phase


def printed(text: str, encoding: str) -> str:
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, encoding=encoding)
    say_what_can_be_said(stream)
    print(text, file=stream, flush=True)
    return out.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_phase_is_said_in_every_encoding(encoding: str) -> None:
    line = PlainLines().line(phase("gate", "intent", 102.0)) or ""
    said = printed(line, encoding)
    assert said.endswith("gate …\n" if encoding == "utf-8" else "gate ...\n")


def test_what_has_no_other_word_is_escaped_and_the_rest_stays() -> None:
    assert printed("Größe 大 \udcff", "latin-1") == "Größe \\u5927 \\udcff\n"


def test_live_progress_is_drawn_in_every_encoding() -> None:
    progress = Progress({"kind": "deploy", "version": "v2", "app": "a", "slot": "green", "id": 7})
    for event in [*EVENTS, phase("watch", "intent", 120.0)]:
        progress.take(event)
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, encoding="latin-1")
    say_what_can_be_said(stream)
    Console(file=stream, width=80, force_terminal=True, color_system=None).print(progress)
    stream.flush()
    text = out.getvalue().decode("latin-1")
    assert "+  fetch  500 ms" in text
    assert "x  gate   8.0 s" in text
    assert "*  watch" in text


def test_a_command_ends_as_it_should_on_a_terminal_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('"größe" = 1\n', encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "bluegreen", "check", str(file)],
        capture_output=True, timeout=60, check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert ended.returncode == 2
    assert b"gr\\xf6\\xdfe" in ended.stdout
    assert ended.stderr == b""


def defect(*arguments: object) -> list[object]:
    raise KeyError("what")


def test_a_defect_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bluegreen.cli.check.check_files", defect)
    assert main(["check", "--root", "/nonexistent"]) == 1
    said = capsys.readouterr().err
    assert "unexpected KeyError: 'what'\nNext: this is a defect of bluegreen" in said
    assert "Traceback" not in said
    assert main(["check", "--root", "/nonexistent", "--json"]) == 1
    assert "KeyError" in json.loads(capsys.readouterr().out)["message"]


def test_the_trace_of_a_defect_is_shown_to_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluegreen.cli.check.check_files", defect)
    monkeypatch.setenv("BLUEGREEN_TRACE", "1")
    with pytest.raises(KeyError):
        main(["check", "--root", "/nonexistent"])
