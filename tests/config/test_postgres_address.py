"""The database that an address names, and the address of its copy."""

from __future__ import annotations

import pytest

from bluegreen.config.postgres_address import copy_of, database_of, naming_databases


@pytest.mark.parametrize(
    ("address", "name", "copy"),
    [
        ("postgresql:///app", "app", "postgresql:///app_copy_1"),
        ("postgresql:///app?host=/run/x", "app", "postgresql:///app_copy_1?host=/run/x"),
        ("postgres://u@h:5432/a%20b", "a b", "postgres://u@h:5432/a%20b_copy_1"),
        ("postgresql://h?dbname=x", "x", "postgresql://h/?dbname=x_copy_1"),
        ("postgresql:///y?dbname=x&port=1", "x", "postgresql:///y?dbname=x_copy_1&port=1"),
        ("postgresql:///a#b?host=/run/x", "a#b", "postgresql:///a%23b_copy_1?host=/run/x"),
        ("postgresql:///?dbname=a+b", "a+b", "postgresql:///?dbname=a%2Bb_copy_1"),
        (
            "postgresql://one:1,two:2/db?target_session_attrs=read-write",
            "db",
            "postgresql://one:1,two:2/db_copy_1?target_session_attrs=read-write",
        ),
    ],
)
def test_a_copy_is_named_after_its_original(address: str, name: str, copy: str) -> None:
    assert database_of(address) == name
    assert copy_of(address, "_copy_1") == copy
    assert database_of(copy) == f"{name}_copy_1"
    assert copy_of(address, "") == address


@pytest.mark.parametrize("address", ["postgresql://u@h", "postgresql:///", "postgresql:///?port=1"])
def test_an_address_may_name_none(address: str) -> None:
    assert database_of(address) is None


@pytest.mark.parametrize(
    "text",
    [
        "postgresql:///shop",
        "postgres://u:secret@h/shop?sslmode=require",
        "jdbc:postgresql://h:5432/shop",
        "postgresql+asyncpg://u@h/shop",
        "psql 'postgresql:///shop' -c 'SELECT 1'",
        "host=/run/x dbname=shop user=u",
        "psql \"host=/run/x dbname='shop'\"",
        "PGDATABASE=shop ./migrate",
        "postgresql://h/other postgresql://h?dbname=shop",
    ],
)
def test_what_names_the_database_is_found(text: str) -> None:
    assert naming_databases(["shop"], {"URL": text}) == ["URL names the database shop"]


@pytest.mark.parametrize(
    "text",
    [
        "shop",
        "postgresql:///shop_copy_1",
        "dbname=shop_copy_1",
        "PGDATABASE=shops",
        "mysql://h/shop",
        "",
        "dbshop",
    ],
)
def test_what_names_another_is_not(text: str) -> None:
    assert naming_databases(["shop"], {"URL": text}) == []


def test_a_variable_of_libpq_is_the_name_alone() -> None:
    assert naming_databases(["shop"], {"PGDATABASE": "shop"}) == [
        "PGDATABASE names the database shop"
    ]
    assert naming_databases(["shop"], {"PGDATABASE": "shop_copy_1"}) == []
