"""All that is done to an app's data and its backups, by name.

A task is a JSON document, and so is what came of it: what does it may be another process, and
another user's. Each has ``app``, and the directories ``shared`` and ``backups``. All of this blocks
on the disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bluegreen.data.archive import Say
from bluegreen.data.catalog import Catalog
from bluegreen.data.databases import NoRoomError
from bluegreen.data.gathering import Gathering, gather, seal
from bluegreen.data.manifest import manifest_of
from bluegreen.data.rehearsal import Rehearsal, begin, bytes_of, end
from bluegreen.data.release_copy import ReleaseCopy, copy_release
from bluegreen.data.replacement import Step, replacements
from bluegreen.data.schema import schema_of
from bluegreen.data.shapes import LONGEST
from bluegreen.data.staging import present, stage
from bluegreen.data.verification import verify
from bluegreen.errors import DataError, NotFoundError
from bluegreen.words import counted

DAMAGED_LINES = 100  # of a backup that does not verify
FULL = "full"  # the kind of an error for want of room

_TOO_LONG = {
    "kind": DataError.kind,
    "message": f"there is more to say of it than {LONGEST} bytes",
    "detail": [],
    "remedy": "are there very many tables? Keep fewer backups, or name fewer databases in [backup]",
}

Task = Mapping[str, Any]


def written_report(what: str, task: Task, say: Say) -> bytes:
    """Do it: ``{"result"}`` or ``{"error"}`` in JSON, never longer than whoever reads it allows."""
    written = json.dumps(_report(what, task, say)).encode()
    return written if len(written) <= LONGEST else json.dumps({"error": _TOO_LONG}).encode()


def _report(what: str, task: Task, say: Say) -> dict[str, Any]:
    try:
        return {"result": _TASKS[what](task, say)}
    except Exception as error:
        return {"error": _error(error)}


def _catalog(task: Task) -> Catalog:
    return Catalog(task["app"], Path(task["backups"]))


# -- the catalog ----------------------------------------------------------------------------


def _list(task: Task, _: Say) -> dict[str, Any]:
    return {
        "backups": [
            {
                "id": entry.id, "problem": entry.problem,
                "manifest": None if entry.manifest is None else entry.manifest.to_json(),
            }
            for entry in _catalog(task).entries()
        ]
    }  # fmt: skip


def _has(task: Task, _: Say) -> dict[str, Any]:
    return {"has": _catalog(task).has(task["number"])}


def _manifest(task: Task, _: Say) -> dict[str, Any]:
    return {"manifest": _catalog(task).manifest(task["number"]).to_json()}


def _begin(task: Task, say: Say) -> dict[str, Any]:
    """The manifest of the backup of that number, if there is one; else a draft has begun."""
    if _catalog(task).has(task["number"]):
        return _manifest(task, say)
    _catalog(task).begin(task["number"])
    return {"manifest": None}


def _publish(task: Task, say: Say) -> dict[str, Any]:
    _catalog(task).publish(task["number"])
    return _manifest(task, say)


def _discard(task: Task, _: Say) -> dict[str, Any]:
    _catalog(task).discard(task["number"])
    return {}


def _prune(task: Task, _: Say) -> dict[str, Any]:
    return {"removed": _catalog(task).prune(task["keep"], task["paths"])}


# -- their content --------------------------------------------------------------------------


def _there(task: Task, _: Say) -> dict[str, Any]:
    shared = Path(task["shared"])
    return {"there": [path for path in task["paths"] if os.path.lexists(shared / path)]}


def _size(task: Task, _: Say) -> dict[str, Any]:
    """Bytes: of a copy of the data, and of the newest backup, None where there is none."""
    data = bytes_of(Path(task["shared"]), task["sqlite"], task["files"])
    made = (entry.manifest for entry in _catalog(task).entries())
    return {"data": data, "backup": next((one.bytes for one in made if one is not None), None)}


def _gather(task: Task, say: Say) -> dict[str, Any]:
    catalog = _catalog(task)
    what = Gathering(
        shared=task["shared"],
        draft=str(catalog.draft(task["number"])),
        sqlite=task["sqlite"],
        files=task["files"],
        directories=task["directories"],
        others=catalog.size_of_others(),
        leniently=task["leniently"],
    )
    return asdict(gather(what, say))


def _seal(task: Task, say: Say) -> dict[str, Any]:
    seal(_catalog(task).draft(task["number"]), manifest_of(task["manifest"]), say)
    return {}


def _verify(task: Task, _: Say) -> dict[str, Any]:
    catalog, number = _catalog(task), task["number"]
    catalog.require(number)
    damaged = verify(catalog.path(number))
    if more := damaged[DAMAGED_LINES:]:
        damaged[DAMAGED_LINES:] = [f"and {len(more)} more"]
    return {"damaged": damaged}


# -- the way back ---------------------------------------------------------------------------


def _present(task: Task, _: Say) -> dict[str, Any]:
    manifest = _catalog(task).manifest(task["number"])
    shared = Path(task["shared"])
    sqlite, files = (
        [*known, *(path for path in absent if os.path.lexists(shared / path))]
        for known, absent in (
            (manifest.sqlite, manifest.absent_sqlite), (manifest.files, manifest.absent_files)
        )
    )  # fmt: skip
    return {"manifest": manifest.to_json(), **present(shared, sqlite, files)}


def _stage(task: Task, say: Say) -> dict[str, Any]:
    catalog, number = _catalog(task), task["number"]
    manifest = catalog.manifest(number)
    stage(catalog.path(number), manifest, Path(task["shared"]), task["operation"], say)
    return {}


def _replace(task: Task, _: Say) -> dict[str, Any]:
    manifest = _catalog(task).manifest(task["number"])
    paths, shared = (*manifest.sqlite, *manifest.files), Path(task["shared"])
    for replacement in replacements(shared, paths, task["operation"], absent=manifest.absent):
        replacement.do(Step(task["step"]))
    return {}


# -- rehearsals of migrations ---------------------------------------------------------------


def _schema(task: Task, _: Say) -> dict[str, Any]:
    return {"schema": schema_of(Path(task["of"]), task["sqlite"])}


def _begin_rehearsal(task: Task, say: Say) -> dict[str, Any]:
    return {"left_out": begin(_rehearsal(task), say)}


def _copy_release(task: Task, say: Say) -> dict[str, Any]:
    what = ReleaseCopy(tree=task["tree"], copy=task["copy"], leads=task["leads"])
    say(f"{counted(copy_release(what), 'file')} of the old version copied for the rehearsal")
    return {}


def _end_rehearsal(task: Task, _: Say) -> dict[str, Any]:
    end(_rehearsal(task))
    return {}


def _rehearsal(task: Task) -> Rehearsal:
    return Rehearsal(**{field.name: task[field.name] for field in fields(Rehearsal)})


_TASKS: Mapping[str, Callable[[Task, Say], dict[str, Any]]] = {
    "list": _list, "has": _has, "manifest": _manifest,
    "there": _there, "begin": _begin, "gather": _gather, "seal": _seal, "publish": _publish,
    "discard": _discard, "prune": _prune, "verify": _verify,
    "present": _present, "stage": _stage, "replace": _replace, "size": _size,
    "schema": _schema, "begin-rehearsal": _begin_rehearsal, "copy-release": _copy_release,
    "end-rehearsal": _end_rehearsal,
}  # fmt: skip


def _error(error: Exception) -> dict[str, Any]:
    if isinstance(error, DataError | NotFoundError):
        kind = FULL if isinstance(error, NoRoomError) else error.kind
        detail, remedy = list(error.detail), error.remedy
        return {"kind": kind, "message": error.message, "detail": detail, "remedy": remedy}
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}"
        remedy = "see that the app's user may read it and write there, and look at the disk"
    else:
        message = f"unexpected {type(error).__name__}: {error}"
        remedy = "this is a defect of bluegreen: please report it, with what the backup is of"
    return {"kind": DataError.kind, "message": message, "detail": [], "remedy": remedy}
