"""``python -m bluegreen.data.worker TASK REPORT``: the long work on data, in a process of its own.

It runs as a job of the app: what it reads and hashes keeps no switch waiting, ends with the
operation that it is for, and may be another user's. TASK is a JSON document; what came of it is
written to the file REPORT, ``{"result"}`` or ``{"error"}``; what it says meanwhile goes to its log.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bluegreen.data.databases import NoRoomError
from bluegreen.data.gathering import Gathering, gather, seal
from bluegreen.data.manifest import Manifest, read_manifest
from bluegreen.data.rehearsal import Rehearsal, begin, end
from bluegreen.data.schema import schema_of
from bluegreen.data.staging import present, stage
from bluegreen.data.verification import verify
from bluegreen.errors import DataError
from bluegreen.files import write_atomically

Task = Mapping[str, Any]


def _say(line: str) -> None:
    print(line, flush=True)


def _gather(task: Task) -> dict[str, Any]:
    return asdict(gather(Gathering(**task), _say))


def _seal(task: Task) -> dict[str, Any]:
    return seal(Path(task["draft"]), Manifest(**task["manifest"]), _say).to_json()


def _verify(task: Task) -> dict[str, Any]:
    return {"damaged": verify(Path(task["directory"]))}


def _stage(task: Task) -> dict[str, Any]:
    directory = Path(task["directory"])
    stage(directory, read_manifest(directory), Path(task["shared"]), task["operation"], _say)
    return {}


def _present(task: Task) -> dict[str, Any]:
    return present(Path(task["shared"]), task["sqlite"], task["files"])


def _schema(task: Task) -> dict[str, Any]:
    return {"schema": schema_of(Path(task["shared"]), task["sqlite"])}


def _begin_rehearsal(task: Task) -> dict[str, Any]:
    return {"left_out": begin(Rehearsal(**task), _say)}


def _end_rehearsal(task: Task) -> dict[str, Any]:
    end(Rehearsal(**task))
    return {}


_TASKS: Mapping[str, Callable[[Task], dict[str, Any]]] = {
    "gather": _gather, "seal": _seal, "verify": _verify, "stage": _stage, "present": _present,
    "schema": _schema, "begin-rehearsal": _begin_rehearsal, "end-rehearsal": _end_rehearsal,
}  # fmt: skip


def main(what: str, report: str) -> int:
    """Exit status 0 with a result, 1 with an error."""
    os.umask(0o077)  # data are their owner's alone
    task = json.loads(what)
    try:
        document: dict[str, Any] = {"result": _TASKS[task.pop("do")](task)}
    except Exception as error:
        document = {"error": _error(error)}
    write_atomically(Path(report), json.dumps(document), mode=0o600, durable=False)
    return 1 if "error" in document else 0


def _error(error: Exception) -> dict[str, Any]:
    if isinstance(error, DataError):
        return {
            "message": error.message, "detail": list(error.detail), "remedy": error.remedy,
            "full": isinstance(error, NoRoomError),
        }  # fmt: skip
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return {
            "message": f"{where}{error.strerror or error}", "detail": [], "full": False,
            "remedy": "see that the app's user may read it and write there, and look at the disk",
        }  # fmt: skip
    return {
        "message": f"unexpected {type(error).__name__}: {error}", "detail": [], "full": False,
        "remedy": "this is a defect of bluegreen: please report it, with what the backup is of",
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
