"""What the latest rehearsal of a version says of the migrations that are pending by now."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.data.answers import Room
from bluegreen.errors import SourceError
from bluegreen.migrations.nouns import MigrationChange, MigrationPlace
from bluegreen.model import (
    Lane,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Release,
    Requester,
    Slot,
)
from bluegreen.operations.pending import (
    FEW,
    LATER,
    Pending,
    Question,
    pending_of,
    pending_when_built,
    rehearsed,
)
from bluegreen.operations.runtime import AppRuntime
from bluegreen.store import Store

PLACE = MigrationPlace(version="v1.1", slot=Slot.GREEN, tree=Path("/trees/1-green"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "store.db")
    yield opened
    await opened.close()


async def deploy(store: Store, version: str, pending: Sequence[str]) -> int:
    """Rehearse and apply ``pending``."""
    number = await begun(store, OperationKind.DEPLOY, version)
    await store.record_phase(number, PhaseName.REHEARSE, PhaseState.INTENT)
    await store.record_phase(
        number, PhaseName.REHEARSE, PhaseState.DONE, {"pending": list(pending)}
    )
    await store.migrations.record(number, pending, MigrationChange.APPLIED, PLACE)
    await store.finish_operation(number, OperationState.SUCCEEDED)
    return number


async def roll_back(store: Store, names: Sequence[str]) -> None:
    number = await begun(store, OperationKind.ROLLBACK, "v1.0")
    await store.migrations.record(number, names, MigrationChange.ROLLED_BACK, PLACE)
    await store.finish_operation(number, OperationState.SUCCEEDED)


async def begun(store: Store, kind: OperationKind, version: str) -> int:
    operation = await store.create_operation(
        app="notes", kind=kind, lane=Lane.RELEASE, version=version, slot=Slot.GREEN,
        from_slot=Slot.BLUE, requested_by=Requester(name="test", via="test"),
    )  # fmt: skip
    return operation.id


async def test_what_was_rolled_back_since_the_rehearsal_is_not_said_to_be_applied(
    store: Store,
) -> None:
    assert await rehearsed(store, "notes", "v1.2") == LATER
    await deploy(store, "v1.1", ["0001_at"])
    number = await deploy(store, "v1.2", [])
    assert (await rehearsed(store, "notes", "v1.2")).names == ()
    assert (await rehearsed(store, "notes", "v1.1")).names == ()
    await roll_back(store, ["0001_at"])
    found = await rehearsed(store, "notes", "v1.2")
    assert found.names is None
    assert found.says == (
        f"not known: since the rehearsal of operation {number}, 0001_at was rolled back; "
        "found out in the rehearsal, before anything is touched"
    )
    assert (await rehearsed(store, "notes", "v1.1")).names == ("0001_at",)
    await deploy(store, "v1.2", ["0001_at"])
    assert (await rehearsed(store, "notes", "v1.2")).names == ()


def app_with(backup: dict[str, object], store: Store, **more: object) -> AppRuntime:
    settings = AppSettings.model_validate(
        {
            "app": {"name": "notes"},
            "source": {"directory": "/srv/releases/{version}"},
            "services": {"web": {"command": "true", "ports": {"blue": 7001, "green": 7002}}},
            "build": [{"name": "all", "run": "make"}],
            "backup": backup,
            "migrations": {"check": "check", "run": "run", "rehearse": False},
        }
    )
    parts = SimpleNamespace(store=store, builds=asyncio.Semaphore(1))
    app = SimpleNamespace(name="notes", settings=settings, parts=parts, **more)
    return cast("AppRuntime", app)


async def test_where_nothing_can_be_built_aside_the_plan_says_so_and_gives_its_place_back(
    store: Store,
) -> None:
    async def full(_: str) -> Release:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    app = app_with({"sqlite": ["data/notes.db"]}, store, source=SimpleNamespace(resolve=full))
    release = Release(app="notes", version="v1.2", commit=None, origin="test")
    of = Question(release=release, version="v1.2", slot=Slot.GREEN, scratch=Path("/plans/1"))
    found = await pending_when_built(app, of)
    assert found == Pending(
        names=None, says="not known: v1.2 could not be built aside: No space left on device"
    )
    assert not app.parts.builds.locked()


@pytest.mark.parametrize(
    ("backup", "says"),
    [
        ({"command": "dump", "restore_command": "load"}, "under command cannot be copied"),
        ({"sqlite": ["data/notes.db"]}, "migrated; now, by a build that is thrown away: "),
    ],
)
async def test_without_a_rehearsal_none_is_promised(
    store: Store, backup: dict[str, object], says: str
) -> None:
    app = app_with(backup, store)
    of = Question(release=None, version="v1.2", slot=Slot.GREEN, scratch=Path("/plans/1"))
    for found in (await pending_of(app, of), await pending_when_built(app, of)):
        assert isinstance(found, Pending)
        assert found.names is None
        assert found.says.startswith("asked in the deploy, before anything is migrated")
        assert says in found.says


@pytest.mark.parametrize(
    ("servers", "latest", "asks"),
    [(0, 0, True), (FEW, 0, True), (FEW, 1, False), (FEW + 1, 0, False)],
)
async def test_much_that_servers_have_is_not_copied_for_a_plan_that_nobody_waits_for(
    store: Store, servers: int, latest: int, *, asks: bool
) -> None:
    """The page of a deploy makes one each time it is looked at."""
    asked = list[str]()

    async def resolve(version: str) -> Release:
        asked.append(version)
        raise SourceError("not to be had", remedy="none")

    async def room() -> Room:
        return Room(data=0, backup=latest)

    async def bytes_in_servers() -> int:
        return servers

    app = app_with(
        {"command": "dump", "copy_command": "load {copy}"},
        store,
        source=SimpleNamespace(resolve=resolve),
        backups=SimpleNamespace(room=room, bytes_in_servers=bytes_in_servers),
    )
    release = Release(app="notes", version="v1.2", commit=None, origin="test")
    of = Question(release=release, version="v1.2", slot=Slot.GREEN, scratch=Path("/plans/1"))
    assert (await pending_of(app, of)) is not None
    assert asked == (["v1.2"] if asks else [])
