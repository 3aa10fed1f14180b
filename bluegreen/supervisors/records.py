"""One small file a running process, so that the next daemon finds what this one has started.

A record is written before its process is let go. It says nothing secret: of the environment it
holds a digest. It need not outlive a power cut, which its process does not outlive either.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from bluegreen.files import write_atomically
from bluegreen.model import Job, ServiceUnit, Slot, UnitKey
from bluegreen.processes import ProcessIdentity, Session

logger = logging.getLogger(__name__)

FORMAT = 1
NAME_LENGTH = 150  # characters of a job's name that go into the name of its file


@dataclass(frozen=True, kw_only=True)
class ProcessRecord:
    """Who runs, and as what. ``key`` is None for a job, ``started_at`` is in Unix seconds."""

    session: Session
    key: UnitKey | None
    name: str
    definition: str
    stop_timeout: float
    started_at: float

    @property
    def file_name(self) -> str:
        if self.key is not None:
            return f"unit-{self.key}.json"
        # Two jobs of one name must not overwrite each other's record.
        return f"job-{quote(self.name, safe='')[:NAME_LENGTH]}.{self.session.invocation[:8]}.json"


def definition_digest(work: ServiceUnit | Job) -> str:
    """Tells whether a running process is what its present definition would start."""
    text = json.dumps([work.argv, str(work.cwd), sorted(work.env.items())])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _encode(record: ProcessRecord) -> str:
    return json.dumps({"format": FORMAT, **asdict(record)}, indent=1)


def _decode(text: str) -> ProcessRecord:
    data = cast("dict[str, Any]", json.loads(text))
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']!r}")
    key, session = data["key"], data["session"]
    return ProcessRecord(
        session=Session(
            leader=ProcessIdentity(**session["leader"]), invocation=str(session["invocation"])
        ),
        key=key and _key(key),
        name=str(data["name"]),
        definition=str(data["definition"]),
        stop_timeout=float(data["stop_timeout"]),
        started_at=float(data["started_at"]),
    )


def _key(data: dict[str, Any]) -> UnitKey:
    # A record of a version that knew of no instances has no number.
    instance = int(data.get("instance", 1))
    slot = Slot(data["slot"])
    return UnitKey(app=data["app"], slot=slot, service=data["service"], instance=instance)


class ProcessRecords:
    """The directory of the records. Every method touches the disk: call them in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, record: ProcessRecord) -> None:
        """Raises OSError with nothing written."""
        self._directory.mkdir(parents=True, exist_ok=True)
        # Readable by us only: the digest covers secrets of the environment.
        write_atomically(
            self._directory / record.file_name, _encode(record), mode=0o600, durable=False
        )

    def remove(self, record: ProcessRecord) -> None:
        """Raises OSError; fine if it is gone."""
        (self._directory / record.file_name).unlink(missing_ok=True)

    def load(self) -> list[ProcessRecord]:
        """All records. What cannot be read as one is removed, with a warning in the log."""
        records = []
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._directory.iterdir()):
                if path.suffix != ".json":
                    path.unlink()  # half-written, its process was never let go
                    continue
                try:
                    records.append(_decode(path.read_text()))
                except (ValueError, KeyError, TypeError) as error:
                    logger.warning(
                        "the process record %s is damaged and was removed (%r); a process it named"
                        " may still run",
                        path,
                        error,
                    )
                    path.unlink()
        return records
