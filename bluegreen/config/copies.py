"""Whether all of an app's data can be copied, and the app led to the copy, for a rehearsal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bluegreen.config.migrations_section import Migrations
from bluegreen.config.placeholders import COPY, mentions
from bluegreen.config.postgres_address import LONGEST_NAME, database_of
from bluegreen.config.problems import Finding
from bluegreen.config.settings import AppSettings, Backup, Service

LONGEST_SUFFIX = 16  # bytes of ``{copy}``
# What tells a copy from the data; the links in the release's directory lead to these.
_OF_COPIES = (COPY, "shared_dir")


def aimless_copies(backup: Backup) -> Iterator[Finding]:
    """Commands that would write over the data themselves, or remove them."""
    for key in ("copy_command", "drop_command"):
        script = getattr(backup, key)
        if script is not None and not any(mentions(script, name) for name in _OF_COPIES):
            yield Finding(
                place=("backup", key),
                wrong="it names no copy, so that it would do it to the data themselves",
                right="End the copy's name with {copy}, such as shop{copy}, or write {shared_dir}",
            )
    made = backup.copy_command
    if made is not None and backup.drop_command is None and mentions(made, COPY):
        yield Finding(
            place=("backup", "copy_command"),
            wrong="it makes what {copy} names, and nothing removes that after a rehearsal",
            right="Add drop_command, which does; or copy into {shared_dir}, which goes by itself",
        )


def uncopied(
    backup: Backup, migrations: Migrations, environment: Iterable[str], started: Iterable[str]
) -> tuple[str, str] | None:
    """What keeps them from being copied, and what would be right; None: nothing.

    ``environment`` are the texts of ``[env]``, and ``started`` those of services, which count where
    the app migrates as it starts.
    """
    if backup.command is not None and backup.copy_command is None:
        return (
            "what [backup] has under command cannot be copied for a rehearsal",
            "Add copy_command, which reads what command prints and makes {copy} of it, and "
            "drop_command, which removes that; or write rehearse = false",
        )
    for address in backup.postgres:
        name = database_of(address)
        if name is None:
            return (
                f"the copy of {address} cannot be named after it: it names no database",
                'Write the name, such as "postgresql:///shop"; or rehearse = false',
            )
        if len(name.encode()) > LONGEST_NAME - LONGEST_SUFFIX:
            return (
                f"a copy of {name} would have a name of more than {LONGEST_NAME} bytes",
                "Give the database a shorter name, or write rehearse = false",
            )
    scripts = [script for script in (migrations.check, migrations.run) if script is not None]
    told = (*environment, *(scripts or started))
    if backup.postgres and not any(mentions(text, COPY) for text in told):
        name = database_of(backup.postgres[0])
        return (
            "nothing leads the app to the copy of its PostgreSQL database in a rehearsal",
            f"Write {{copy}} behind the name where the app gets it, such as "
            f'DATABASE_URL = "postgresql://127.0.0.1/{name}{{copy}}" in [env]; or rehearse = false',
        )
    return None


def texts_of(services: Iterable[Service]) -> list[str]:
    """What leads services to their data."""
    return [
        text
        for service in services
        for text in (service.command, *service.env.values())
        if isinstance(text, str)
    ]


def why_uncopied(settings: AppSettings) -> str | None:
    """The same of an app file in force; None also where it has no migrations."""
    if settings.backup is None or settings.migrations is None:
        return None
    texts = [text for text in settings.env.values() if isinstance(text, str)]
    started = texts_of(settings.services.values())
    found = uncopied(settings.backup, settings.migrations, texts, started)
    return None if found is None else found[0]
