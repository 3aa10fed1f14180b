from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.survey.directory import AppDirectory
from bluegreen.survey.source_code import choose_port, ports_in_env, read_sources


@pytest.mark.parametrize(
    ("line", "variable", "number"),
    [
        ('port = int(os.environ.get("API_PORT", "9083"))', "API_PORT", 9083),
        ('os.getenv("PORT", 8000)', "PORT", 8000),
        ('int(os.environ["PORT"])', "PORT", None),
        ('os.environ.get("PORT") or 5000', "PORT", 5000),
        ("const port = process.env.PORT || 3000;", "PORT", 3000),
        ("const port = process.env.WS_PORT ?? '3001'", "WS_PORT", 3001),
        ("app.listen(3000)", None, 3000),
        ("uvicorn.run(app, port=8000)", None, 8000),
    ],
)
def test_a_port_is_read_with_the_variable_that_sets_it(
    tmp_path: Path, line: str, variable: str | None, number: int | None
) -> None:
    (tmp_path / "app.py").write_text(line)
    (source,) = read_sources(AppDirectory(tmp_path)).values()
    chosen = choose_port(source.ports, "web")
    assert chosen is not None
    assert (chosen.variable, chosen.number) == (variable, number)


def test_ports_of_databases_and_mail_are_not_the_apps(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text('os.getenv("DB_PORT", 5432); os.getenv("SMTP_PORT", 2525)')
    assert read_sources(AppDirectory(tmp_path)) == {}
    assert ports_in_env(".env", "REDIS_PORT=6379\nPOSTGRES_DB_PORT=5432") == []


def test_tests_and_installed_packages_are_not_read(tmp_path: Path) -> None:
    for name in ("tests/x.py", "node_modules/a/i.js", "venv/lib/x.py", "test_x.py", "a.spec.ts"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('x("PORT", 8000)')
    assert read_sources(AppDirectory(tmp_path)) == {}


def test_a_health_check_is_seen(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text("app.get('/api/healthz', handler); app.get('/healthy/x')")
    assert read_sources(AppDirectory(tmp_path))["app.js"].health == ("/api/healthz",)


def test_the_service_s_own_variable_comes_first() -> None:
    ports = ports_in_env(".env", "PORT=8000\nexport API_PORT='9083'\nWS_PORT=9084\nSECRET=x\n")
    assert [choose_port(ports, name).number for name in ("api", "ws", "web")] == [  # type: ignore[union-attr]
        9083, 9084, 8000,
    ]  # fmt: skip
    assert choose_port(ports[1:], "web") is None
