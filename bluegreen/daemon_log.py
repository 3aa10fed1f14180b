"""Where the daemon's own log goes: to the journal with its fields, else to standard error."""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
_STDERR_FORMAT = "%(asctime)s %(levelname)s %(message)s"
# What a log call may name by ``extra=``, and the field that it becomes.
_EXTRA = {"app": "BLUEGREEN_APP", "operation": "BLUEGREEN_OPERATION"}


class JournalHandler(logging.Handler):
    """Sends each record to journald by its native protocol, without ever waiting for it.

    Fields: MESSAGE (a trace included), PRIORITY, SYSLOG_IDENTIFIER, LOGGER, CODE_FILE, CODE_LINE,
    CODE_FUNC; BLUEGREEN_APP and BLUEGREEN_OPERATION where the log call says ``extra={"app": …,
    "operation": …}``. What journald does not take goes to standard error.
    """

    def __init__(self, path: Path = JOURNAL_SOCKET) -> None:
        """Raises OSError when nobody listens at ``path``."""
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))  # the rest are fields
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._instead = logging.StreamHandler(sys.stderr)
        self._instead.setFormatter(logging.Formatter(_STDERR_FORMAT))
        try:
            self._socket.setblocking(False)
            self._socket.sendto(b"", self._path)  # journald ignores it
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # Not connected: journald may be another by now.
            entry = b"".join(_field(name, str(value)) for name, value in self._fields(record))
            self._socket.sendto(entry, self._path)
        except OSError:
            self._instead.handle(record)
        except Exception:  # a log call whose arguments do not fit its text
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, object]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", _priority(record.levelno)
        yield "SYSLOG_IDENTIFIER", "bluegreen"
        yield "LOGGER", record.name
        yield "CODE_FILE", record.pathname
        yield "CODE_LINE", record.lineno
        yield "CODE_FUNC", record.funcName
        for attribute, name in _EXTRA.items():
            if (value := getattr(record, attribute, None)) is not None:
                yield name, value


def configure(environment: Mapping[str, str], *, journal: Path = JOURNAL_SOCKET) -> None:
    """Send the process's log to the journal where standard error leads there anyway.

    ``journal`` is the socket that journald listens at.
    """
    handler: logging.Handler | None = None
    if _leads_to_journal(environment.get("JOURNAL_STREAM", "")):
        try:
            handler = JournalHandler(journal)
        except OSError as error:
            print(f"the log goes to standard error: {journal}: {error}", file=sys.stderr)
    if handler is None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(_STDERR_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _leads_to_journal(stream: str) -> bool:
    """Whether ``stream``, a ``DEVICE:INODE`` of systemd.exec(5), is standard error.

    It may be inherited by a process whose standard error was redirected since.
    """
    status = os.fstat(sys.stderr.fileno())
    return stream == f"{status.st_dev}:{status.st_ino}"


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


def _priority(level: int) -> int:
    """The syslog severity of a logging level."""
    for at_least, severity in ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4)):
        if level >= at_least:
            return severity
    return 6 if level >= logging.INFO else 7
