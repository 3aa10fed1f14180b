"""``bluegreen backup``: create, list, verify, restore."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bluegreen.cli.client import Client, app_path
from bluegreen.cli.release import begin
from bluegreen.errors import NotFoundError, UsageError
from bluegreen.words import ago, counted


def create(options: argparse.Namespace) -> int:
    return begin(options, "backups", {})


def listing(options: argparse.Namespace) -> int:
    found = _list(Client(options.root), options)
    if options.json:
        print(json.dumps(found))
        return 0
    for backup in found["backups"]:
        for line in backup_lines(backup):
            print(line)
    if not found["backups"]:
        print(f"{found['app']} has no backups; make one: bluegreen backup create {found['app']}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """Exit status 1 if one of them is damaged."""
    _understand(options)
    client = Client(options.root)
    found = _list(client, options)
    numbers = [backup["id"] for backup in found["backups"]] if options.id is None else [options.id]
    if not numbers:
        raise _no_backups(found["app"])
    answers = []
    for number in numbers:
        answer = client.post(f"{app_path(options.app)}/backups/{number}/verify")
        answers.append(answer)
        if not options.json:
            print(f"backup {number} of {answer['app']}: "
                  + ("verified" if answer["verified"] else "DAMAGED"), flush=True)  # fmt: skip
            for line in answer["damaged"]:
                print(f"  {line}")
    if options.json:
        print(json.dumps({"backups": answers}))
    if all(answer["verified"] for answer in answers):
        return 0
    if not options.json:
        print(f"Next: look at the disk; make another: bluegreen backup create {found['app']}")
    return 1


def rollback_with_data(options: argparse.Namespace) -> int:
    """``rollback --restore``: the release that made a backup, and its data."""
    number = options.restore
    _require_someone(options, f"bluegreen rollback APP --restore {number} --yes")
    client = Client(options.root)
    loss = client.get(f"{app_path(options.app)}/backups/{number}/loss?serving=1")
    if not options.json:
        for line in loss_lines(loss):
            print(line)
        release = options.version or loss["version"]
        print(
            f"Requests of {loss['app']} wait until {release} has passed its gate on these data: as "
            "long as limit in [hold] says. Then, and where nginx cannot hold them, it answers 503."
        )
    if not options.yes and not _agrees(number):
        print("nothing was changed")
        return 1
    return begin(options, "rollback", {"version": options.version, "restore": number})


def _require_someone(options: argparse.Namespace, command: str) -> None:
    """Raises UsageError where the question cannot be put, and was not answered beforehand."""
    if not options.yes and (options.json or not sys.stdin.isatty()):
        raise UsageError(
            "a restore replaces data, and nobody can be asked here",
            remedy=f"add --yes, when you know what is lost: {command}",
        )


def restore(options: argparse.Namespace) -> int:
    _understand(options)
    _require_someone(options, "bluegreen backup restore APP ID --yes")
    client = Client(options.root)
    number = options.id
    if number is None:
        number = _newest(_list(client, options))
    loss = client.get(f"{app_path(options.app)}/backups/{number}/loss")
    if not options.json:
        for line in loss_lines(loss):
            print(line)
    if not options.yes and not _agrees(number):
        print("nothing was changed")
        return 1
    return begin(options, f"backups/{number}/restore", {})


def _understand(options: argparse.Namespace) -> None:
    """A number alone is that of a backup: no app has such a name. Raises UsageError."""
    if options.id is None and options.app is not None and _is_number(options.app):
        options.app, options.id = None, options.app
    if options.id is not None and not _is_number(options.id):
        raise UsageError(
            f"{options.id!r} is no backup's number", remedy="bluegreen backup list names them"
        )


def _is_number(text: str) -> bool:
    """Digits that a path of the API may hold: not those of other scripts."""
    return text.isascii() and text.isdecimal()


def _list(client: Client, options: argparse.Namespace) -> Any:
    return client.get(f"{app_path(options.app)}/backups")


def _newest(found: Any) -> int:
    for backup in found["backups"]:
        if backup["good"]:
            return int(backup["id"])
    raise _no_backups(found["app"])


def _no_backups(app: str) -> NotFoundError:
    return NotFoundError(
        f"{app} has no backup that is good", remedy=f"make one: bluegreen backup create {app}"
    )


def _agrees(number: int) -> bool:
    try:
        return input(f"Restore backup {number}? Type yes: ").strip() == "yes"
    except EOFError:
        print()
        return False


def backup_lines(backup: dict[str, Any]) -> list[str]:
    """A backup in words."""
    if backup["problem"] is not None:
        return [f"{backup['id']:>5}  CANNOT BE USED: {backup['problem']}"]
    databases = {**backup["sqlite"], **backup["postgres"]}
    rows = sum(sum(tables.values()) for tables in databases.values())
    files = sum(found["files"] for found in backup["files"].values())
    holds = [
        f"{counted(rows, 'row')} in {', '.join(databases)}" if databases else "",
        f"{counted(files, 'file')} in {', '.join(backup['files'])}" if backup["files"] else "",
        "what its command printed" if backup["command"] else "",
        f"DAMAGED {', '.join(backup['damaged'])}" if backup["damaged"] else "",
    ]
    return [
        f"{backup['id']:>5}  {ago(backup['created_at']):<12} {_size(backup['bytes'])}  "
        f"{backup['version'] or '-'}  {backup['reason']}",
        f"       {'; '.join(filter(None, holds)) or 'nothing'}",
    ]


def loss_lines(loss: dict[str, Any]) -> list[str]:
    """What a restore would lose, in words."""
    then = loss["created_at"]
    lines = [
        f"backup {loss['backup']} of {loss['app']}, made {_clock(then)} ({ago(then)}), "
        f"by {loss['version'] or 'no release'}; all that was written since is replaced:"
    ]
    for path, found in loss["sqlite"].items():
        lines.append(f"  {path}: {found['problem'] or _changed(found, then)}")
        lines += _tables(found)
    for path, found in loss["files"].items():
        lines.append(
            f"  {path}: {counted(found['files'], 'file')} now, "
            f"{found['then']['files']:,} then; "
            f"{_changed(found, then)}"
        )
    for url, found in loss["postgres"].items():
        problem = f"; {found['problem']}" if found["problem"] else ""
        lines += [f"  {url}: replaced as a whole{problem}", *_tables(found)]
    if loss["command"]:
        lines.append("  what restore_command writes: replaced as it does it")
    lines.append("What is there now is backed up first.")
    return lines


def _tables(found: dict[str, Any]) -> list[str]:
    """A line for each table of a database that has another number of rows now."""
    if found["problem"] is not None:
        return []
    both = sorted({*found["rows"], *found["then"]})
    pairs = ((table, found["rows"].get(table), found["then"].get(table)) for table in both)
    return [
        f"    {table}: {_count(now)} now, {_count(was)} then"
        for table, now, was in pairs
        if now != was
    ]


def _count(rows: int | None) -> str:
    return "no such table" if rows is None else counted(rows, "row")


def _changed(found: dict[str, Any], then: float) -> str:
    at = found["changed_at"]
    if at is None or at <= then:
        return "not changed since"
    return f"last changed {_clock(at)} ({ago(at)})"


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
