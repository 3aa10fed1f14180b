"""What a switch back means, by what is known of migrations and by their mode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.config.migrations_section import Migrations
from bluegreen.errors import NotFoundError, RefusedError
from bluegreen.migrations.nouns import AppliedMigration, MigrationChange, MigrationPlace
from bluegreen.model import Hold, Slot, SlotRecord, SlotState, Traffic
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.way_back import (
    How,
    refuse_by_schema,
    way_back,
    way_back_after,
    with_its_backup,
)

GREEN_SERVES = Traffic(active=Slot.GREEN, closed=False)
V1 = SlotRecord(
    app="shop", slot=Slot.BLUE, state=SlotState.HOT, version="v1", tree=Path("/t/1-blue"),
    operation=1, gated_by=1,
)  # fmt: skip
V2 = replace(V1, slot=Slot.GREEN, version="v2", tree=Path("/t/2-green"), operation=2, gated_by=2)


def migration(name: str, change: MigrationChange = MigrationChange.APPLIED) -> AppliedMigration:
    """Of v2, the release of operation 2."""
    place = MigrationPlace(version="v2", slot=Slot.GREEN, tree=Path("/t/2-green"))
    return AppliedMigration(
        name=name, change=change, operation=2, place=place, at=1_000_000.0, succeeded=True
    )


def app(mode: str, *, rollback: bool = True, ready: bool = True, blue: SlotRecord = V1) -> Any:
    """Both slots, as far as the way back looks at them; ``mode`` as settings will have it."""
    section = Migrations(
        check="check", run="run", rollback="rollback {name}" if rollback else None
    ).model_copy(update={"mode": mode})
    settings = SimpleNamespace(
        migrations=section, keep=SimpleNamespace(hot=None), app=SimpleNamespace(overlap=True)
    )
    found = SimpleNamespace(
        name="shop", settings=settings, slots={Slot.BLUE: blue, Slot.GREEN: V2},
        is_ready=lambda _: ready, is_running=lambda _: True, lacks=lambda _: (),
    )  # fmt: skip
    return cast(AppRuntime, found)


TWO = [migration("0001_audit"), migration("0002_notes")]


def test_online_it_is_instant_whatever_was_applied() -> None:
    assert way_back(app("online"), GREEN_SERVES, None, None, TWO).how is How.INSTANT


def test_what_runs_without_its_migrations_is_said_to() -> None:
    gone = migration("0002_notes", MigrationChange.ROLLED_BACK)
    back = replace(GREEN_SERVES, active=Slot.BLUE)
    found = way_back(app("online"), back, None, None, [TWO[0], gone])
    assert found.how is How.INSTANT
    assert found.says.endswith("without 0002_notes, with which it has passed its gate")


def test_what_needs_a_hold_of_its_own_waits_for_one_by_hand() -> None:
    hold = Hold(since=1.0, until=2.0, by="ann", operation=None)
    held = replace(GREEN_SERVES, held=hold)
    found = way_back(app("hold"), held, None, None, TWO)
    assert found.says.endswith("so first: bluegreen release shop")
    assert "release shop" not in way_back(app("online"), held, None, None, TWO).says
    during = replace(held, held=replace(hold, operation=7))
    assert "release shop" not in way_back(app("hold"), during, None, None, TWO).says


def test_under_a_hold_it_is_a_reverse_migration_newest_first() -> None:
    found = way_back(app("hold"), GREEN_SERVES, None, None, TWO)
    assert (found.how, found.migrations) == (How.REVERSE, ("0002_notes", "0001_audit"))
    assert found.says.startswith("reverse migration: 0002_notes, 0001_audit; then v1")


def test_without_a_rollback_it_is_a_restore_that_loses_writes() -> None:
    shop = app("hold", rollback=False)
    found = way_back(shop, GREEN_SERVES, None, None, TWO)
    assert (found.how, found.backup, found.since) == (How.RESTORE, 2, 1_000_000.0)
    assert "loses writes since" in found.says
    with pytest.raises(RefusedError) as refused:
        refuse_by_schema(shop, Slot.BLUE, found, TWO)
    assert "bluegreen rollback shop --restore 2" in refused.value.remedy


def test_under_a_hold_with_nothing_that_came_after_it_is_instant() -> None:
    gone = [migration("0001_audit", MigrationChange.ROLLED_BACK)]
    for known in ([], gone):
        assert way_back(app("hold"), GREEN_SERVES, None, None, known).how is How.INSTANT


def test_to_a_release_whose_own_migrations_are_gone_it_is_another_deploy() -> None:
    newer = replace(V2, slot=Slot.BLUE, state=SlotState.COLD, gated_by=None)
    shop = app("online", ready=False, blue=newer)
    gone = [migration("0001_audit", MigrationChange.ROLLED_BACK)]
    found = way_back(shop, GREEN_SERVES, None, None, gone)
    assert found.how is How.IMPOSSIBLE
    assert "has applied" not in found.says  # which an earlier release may have done
    assert found.says.endswith("bluegreen deploy shop v2")
    with pytest.raises(RefusedError, match="rolled back since"):
        refuse_by_schema(shop, Slot.BLUE, None, gone)


def test_after_a_deploy_it_depends_on_what_is_pending() -> None:
    assert way_back_after(app("online"), GREEN_SERVES, ("0003_x",)).how is How.INSTANT
    assert way_back_after(app("hold"), GREEN_SERVES, ()).how is How.INSTANT
    found = way_back_after(app("hold"), GREEN_SERVES, ("0003_x", "0004_y"))
    assert (found.how, found.migrations) == (How.REVERSE, ("0004_y", "0003_x"))
    unknown = way_back_after(app("hold"), GREEN_SERVES, None)
    assert (unknown.how, unknown.migrations) == (How.REVERSE, ())
    found = way_back_after(app("hold", rollback=False), GREEN_SERVES, ("0003_x",))
    assert found.how is How.RESTORE
    assert "0003_x cannot be undone" in found.says


@pytest.mark.parametrize(
    ("idle", "applied_by", "how"),
    [
        (("main", "c1"), ("main", "c2"), How.REVERSE),
        (("main", "c2"), ("main", "c2"), How.INSTANT),
        (("v2", "c2"), ("main", "c2"), How.INSTANT),
        (("v2", None), ("v2", "c2"), How.INSTANT),
        (("v1", None), ("v2", None), How.REVERSE),
    ],
)
def test_a_migration_is_of_a_release_by_its_commit_and_else_by_its_version(
    idle: tuple[str, str | None], applied_by: tuple[str, str | None], how: How
) -> None:
    one = migration("0001_audit")
    place = replace(one.place, version=applied_by[0])
    known = [replace(one, place=place, commit=applied_by[1])]
    blue = replace(V1, version=idle[0], commit=idle[1])
    assert way_back(app("hold", blue=blue), GREEN_SERVES, None, None, known).how is how


@pytest.mark.parametrize(
    ("made_at", "there"),
    [(999_990.0, True), (1_000_010.0, False), (None, False)],
    ids=["before", "later", "gone"],
)
async def test_a_backup_is_named_only_where_it_is_there_and_of_before(
    made_at: float | None, there: bool
) -> None:
    async def require_restorable(number: int) -> Any:
        if made_at is None:
            raise NotFoundError(f"there is no backup {number}", remedy="look")
        return SimpleNamespace(id=number, created_at=made_at)

    shop = app("hold", rollback=False)
    shop.backups = SimpleNamespace(require_restorable=require_restorable)
    said = way_back(shop, GREEN_SERVES, None, None, TWO)
    found = await with_its_backup(shop, V1, said)
    assert found.how is How.RESTORE
    if there:
        # What is lost is what was written since the backup was begun.
        assert (found.backup, found.since) == (2, made_at)
        return
    assert (found.backup, found.since) == (None, None)
    assert "backup 2, of before 0001_audit, is not there or not whole" in found.says
    assert found.says.endswith("bluegreen backup list shop")
    with pytest.raises(RefusedError) as refused:
        refuse_by_schema(shop, Slot.BLUE, found, TWO)
    assert "--restore BACKUP" in refused.value.remedy
