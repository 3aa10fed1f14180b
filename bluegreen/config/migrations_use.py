"""What ``[migrations]`` and the rest of an app file say about each other."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.copies import texts_of, uncopied
from bluegreen.config.draft import Draft
from bluegreen.config.problems import Finding

_COMMANDS = ("check", "run", "rollback", "mark_applied")


def migration_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed in ``[migrations]``, and could not be done."""
    migrations, backup = draft.migrations, draft.backup
    if migrations is None:
        return
    given = [key for key in _COMMANDS if getattr(migrations, key) is not None]
    if migrations.mode == "none":
        if given:
            yield Finding(
                place=("migrations", given[0]),
                wrong='with mode = "none" it would never be run',
                right='Remove it, or write mode = "online"',
            )
        return
    for key in ("rollback", "mark_applied"):
        if key in given and migrations.check is None:
            yield Finding(
                place=("migrations", key),
                wrong="nothing says which migrations there are",
                right="Add check, which prints the names of the pending ones",
            )
    if backup is None:
        yield Finding(
            place=("migrations",),
            wrong="no data are changed without a backup, and nothing says what to back up",
            right='Add [backup], with sqlite = ["data/app.db"] for instance',
        )
        return
    # A command that the file has not stands in for what is wrong there, and is told by itself.
    if backup.command is not None and "command" not in draft.backed_up:
        return
    services = [one.settings for one in draft.services.values() if one.settings is not None]
    found = uncopied(backup, migrations, draft.env.values(), texts_of(services))
    if migrations.rehearses and found is not None:
        yield Finding(place=("migrations",), wrong=found[0], right=found[1])
