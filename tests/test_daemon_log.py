"""The daemon's log: records in the journal with their fields, lines on standard error elsewhere."""

from __future__ import annotations

import ast
import logging
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bluegreen
from bluegreen.daemon_log import JOURNAL_SOCKET, JournalHandler
from tests.service_manager import ServiceManager


@pytest.fixture
def logger(listener: ServiceManager) -> Iterator[logging.Logger]:
    """One that speaks to ``listener`` only."""
    handler = JournalHandler(listener.path)
    listener.receive()
    assert listener.raw == [b""]  # the question whether anybody listens
    listener.raw.clear()
    logger = logging.Logger("bluegreen.test")
    logger.addHandler(handler)
    yield logger
    handler.close()


def fields(datagram: bytes) -> dict[str, str]:
    """An entry of the native protocol (systemd.io, JOURNAL_NATIVE_PROTOCOL)."""
    found = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", datagram)
            value, datagram = datagram[8 : 8 + length], datagram[8 + length + 1 :]
        found[name.decode()] = value.decode()
    return found


def test_a_record_has_its_fields(listener: ServiceManager, logger: logging.Logger) -> None:
    logger.warning("%s is slow", "shop", extra={"app": "shop", "operation": 7})
    listener.receive()

    (entry,) = map(fields, listener.raw)
    assert int(entry.pop("CODE_LINE")) > 0
    assert entry == {
        "MESSAGE": "shop is slow",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "bluegreen",
        "LOGGER": "bluegreen.test",
        "CODE_FILE": __file__,
        "CODE_FUNC": "test_a_record_has_its_fields",
        "BLUEGREEN_APP": "shop",
        "BLUEGREEN_OPERATION": "7",
    }


NAMES_AN_APP = ("app.name", "operation.app", "operation.id", "key.app", "settings.name")


def test_what_is_logged_of_an_app_or_an_operation_has_its_fields() -> None:
    about = 0
    for path in sorted(Path(bluegreen.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if ast.unparse(call.func.value) not in ("log", "logger"):
                continue
            if any(name in " ".join(map(ast.unparse, call.args)) for name in NAMES_AN_APP):
                about += 1
                given = [keyword.arg for keyword in call.keywords]
                assert "extra" in given, f"{path}:{call.lineno} has no extra="
    assert about > 10


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, "2"), (logging.ERROR, "3"), (logging.INFO, "6"), (logging.DEBUG, "7")],
)
def test_levels_are_syslog_severities(
    listener: ServiceManager, logger: logging.Logger, level: int, priority: str
) -> None:
    logger.log(level, "said")
    listener.receive()

    (entry,) = map(fields, listener.raw)
    assert entry["PRIORITY"] == priority
    assert not {"BLUEGREEN_APP", "BLUEGREEN_OPERATION"} & entry.keys()


def test_a_message_cannot_bring_fields_of_its_own(
    listener: ServiceManager, logger: logging.Logger
) -> None:
    logger.info("first\nPRIORITY=0\nBLUEGREEN_APP=other")
    listener.receive()

    (entry,) = map(fields, listener.raw)
    assert entry["MESSAGE"] == "first\nPRIORITY=0\nBLUEGREEN_APP=other"
    assert entry["PRIORITY"] == "6"


def test_a_trace_comes_with_its_message(listener: ServiceManager, logger: logging.Logger) -> None:
    try:
        raise ValueError("a defect")
    except ValueError:
        logger.exception("it failed")
    listener.receive()

    (entry,) = map(fields, listener.raw)
    assert entry["MESSAGE"].startswith("it failed\nTraceback")
    assert entry["MESSAGE"].endswith("ValueError: a defect")


def test_what_the_journal_does_not_take_goes_to_standard_error(
    listener: ServiceManager, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = JournalHandler(listener.path)
    logger = logging.Logger("bluegreen.test")
    logger.addHandler(handler)
    for _ in range(10_000):  # until the journal's queue is full: the logger never waits
        logger.info("one of many")
        if said := capsys.readouterr().err:
            break
    assert said.endswith("INFO one of many\n")

    too_long = "x" * 2**20
    logger.info(too_long)
    assert too_long in capsys.readouterr().err
    handler.close()


def test_nobody_at_the_journals_socket_is_an_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JournalHandler(root / "nobody")


def said_by_a_process(root: Path, stream: str | None, journal: Path = JOURNAL_SOCKET) -> str:
    """Standard error of a process that logs one line. ``stream``: JOURNAL_STREAM, None: true."""
    script = (
        "import logging, os, pathlib, sys; from bluegreen import daemon_log;"
        "daemon_log.configure(os.environ, journal=pathlib.Path(sys.argv[1]));"
        "logging.info('a line')"
    )
    path = root / "stderr"
    with path.open("wb") as stderr:
        status = os.fstat(stderr.fileno())
        stream = stream or f"{status.st_dev}:{status.st_ino}"
        environment = {**os.environ, "JOURNAL_STREAM": stream}
        subprocess.run(
            [sys.executable, "-c", script, str(journal)],
            stderr=stderr, env=environment, check=True, timeout=30,
        )  # fmt: skip
    return path.read_text()


def test_a_redirected_standard_error_gets_the_log(root: Path) -> None:
    assert said_by_a_process(root, "8:1234567").endswith("INFO a line\n")


def test_without_a_journal_the_log_goes_to_standard_error_and_says_so(root: Path) -> None:
    said = said_by_a_process(root, None, root / "nobody")

    assert said.startswith(f"the log goes to standard error: {root}/nobody: ")
    assert said.endswith("INFO a line\n")


def test_where_standard_error_leads_to_the_journal_the_log_goes_there(
    listener: ServiceManager, root: Path
) -> None:
    assert said_by_a_process(root, None, listener.path) == ""
    listener.receive()

    assert [fields(entry)["MESSAGE"] for entry in listener.raw if entry] == ["a line"]
