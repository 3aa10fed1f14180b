"""What of a process's variables is not repeated."""

from __future__ import annotations

import json

from bluegreen.config.secrets import of_env_file, of_secret_file, redact


def test_the_values_of_files_are_masked_and_those_of_tables_are_not() -> None:
    environment = {
        "TOKEN": of_secret_file("hunter2"),
        "SHORT": of_secret_file("abc"),
        **of_env_file({"URL": "postgres://me:pass@db", "DEBUG": "true", "LEVEL": "verbose"}),
        "HOME": "/srv/the-app",
    }
    lines = ["hunter2 abc true verbose /srv/the-app", "to postgres://me:pass@db, hunter2"]
    assert redact(lines, environment) == ["*** abc true verbose /srv/the-app", "to ***, ***"]


def test_the_longer_of_two_is_masked_whole() -> None:
    environment = {"A": of_secret_file("hunter"), "B": of_secret_file("hunter-and-more")}
    assert redact(["hunter-and-more, hunter"], environment) == ["***, ***"]


def test_a_key_of_several_lines_is_masked_line_by_line() -> None:
    environment = {"KEY": of_secret_file("-----BEGIN KEY-----\nMIIEvgIBADANBg\n-----END KEY-----")}
    assert redact(["loaded", "MIIEvgIBADANBg"], environment) == ["loaded", "***"]


def test_within_json_it_is_masked_as_json_writes_it() -> None:
    environment = {"A": of_secret_file('say "café"\\')}
    for text in (json.dumps({"a": environment["A"]}), '{"a": "say \\"café\\"\\\\"}'):
        assert redact([text], environment) == ['{"a": "***"}']


def test_without_secrets_lines_stay_as_they_are() -> None:
    assert redact(["", "a"], {"PATH": "/bin"}) == ["", "a"]
