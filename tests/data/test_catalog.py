"""The backups on disk: what counts as one, and which of them stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bluegreen.data.catalog import Catalog
from bluegreen.data.manifest import Manifest, write_manifest
from bluegreen.errors import NotFoundError


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "backups").mkdir()
    return Catalog("shop", tmp_path / "backups")


def add(
    catalog: Catalog, number: int, *, damaged: bool = False, sqlite: Sequence[str] = ()
) -> None:
    draft = catalog.begin(number)
    write_manifest(
        draft,
        Manifest(
            id=number, app="shop", created_at=1000.0 - number, reason="asked for", version=None,
            damaged=("app.db",) if damaged else (), sqlite={path: {} for path in sqlite},
        ),
    )  # fmt: skip
    catalog.publish(number)


def numbers(catalog: Catalog) -> list[int]:
    return [entry.id for entry in catalog.entries()]


def test_the_newest_come_first_whatever_the_clock_said(catalog: Catalog) -> None:
    for number in (2, 9, 10):
        add(catalog, number)
    assert numbers(catalog) == [10, 9, 2]
    assert catalog.manifest(9).created_at == 991.0


def test_a_draft_is_no_backup_and_the_next_one_reclaims_it(catalog: Catalog) -> None:
    draft = catalog.begin(3)
    (draft / "half").write_text("x")
    (catalog.directory / ".2.gone").mkdir()
    assert numbers(catalog) == []
    assert not catalog.has(3)
    add(catalog, 4)
    assert [path.name for path in catalog.directory.iterdir()] == ["4"]


def test_a_draft_that_is_discarded_is_gone_and_may_be_discarded_again(catalog: Catalog) -> None:
    catalog.begin(3)
    catalog.discard(3)
    catalog.discard(3)
    assert not list(catalog.directory.iterdir())


def test_the_newest_good_ones_stay(catalog: Catalog) -> None:
    for number in range(1, 7):
        add(catalog, number)
    assert catalog.prune(2) == [4, 3, 2, 1]
    assert numbers(catalog) == [6, 5]
    assert catalog.prune(2) == []
    assert sorted(path.name for path in catalog.directory.iterdir()) == ["5", "6"]


def test_the_only_good_one_stays_whatever_is_newer(catalog: Catalog) -> None:
    add(catalog, 1)
    add(catalog, 2, damaged=True)
    add(catalog, 3)
    (catalog.path(3) / "manifest.json").write_text("{}")
    assert catalog.prune(1) == []
    assert numbers(catalog) == [3, 2, 1]
    add(catalog, 4)
    assert catalog.prune(1) == [3, 2, 1]


def test_the_only_one_of_a_database_that_is_gone_stays(catalog: Catalog) -> None:
    """As after a mistake that the next release has backed up what it left of."""
    paths = ["app.db", "logs.db", "none.db"]
    add(catalog, 1, sqlite=("app.db", "logs.db"))
    add(catalog, 2, sqlite=("app.db", "logs.db"))
    add(catalog, 3, sqlite=("logs.db",))
    assert catalog.prune(1, paths) == [1]
    add(catalog, 4, sqlite=("logs.db",))
    assert catalog.prune(1, paths) == [3]
    assert numbers(catalog) == [4, 2]
    assert catalog.prune(1, ["logs.db"]) == [2]


def test_what_others_have_put_there_is_none_and_stays(catalog: Catalog) -> None:
    for number in (2, 3):
        add(catalog, number)
    odd = ["007", "\N{ARABIC-INDIC DIGIT TWO}", "9" * 30, "1 ", "-1"]
    for name in odd:
        (catalog.directory / name).mkdir()
    (catalog.directory / "1").write_text("a file")
    (catalog.directory / "4").symlink_to("3")
    assert numbers(catalog) == [3, 2]
    assert not catalog.has(1)
    assert not catalog.has(4)
    assert catalog.prune(1) == [2]
    left = {path.name for path in catalog.directory.iterdir()}
    assert left == {"1", "3", "4", *odd}


def test_one_without_a_usable_manifest_is_listed_with_the_reason(catalog: Catalog) -> None:
    catalog.path(5).mkdir()
    (entry,) = catalog.entries()
    assert entry.problem is not None
    assert "manifest.json cannot be used: No such file or directory" in entry.problem
    assert not entry.is_good


def test_one_that_is_not_there_is_not_found_and_the_others_are_named(catalog: Catalog) -> None:
    add(catalog, 1)
    with pytest.raises(NotFoundError, match="shop has no backup 7") as caught:
        catalog.manifest(7)
    assert "(1)" in caught.value.remedy


def test_an_app_without_the_directory_has_no_backups(tmp_path: Path) -> None:
    assert Catalog("shop", tmp_path / "none").entries() == []
