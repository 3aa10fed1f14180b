"""``replaces``: what serves until the first release is active."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import check_files, load_app
from bluegreen.layout import Layout
from tests.config.samples import SHOP, install, problems_of, small_app, write


def with_line(line: str, service: str = "api") -> str:
    table = f"[services.{service}]\n"
    shop = SHOP.replace('switch = "reload"', 'switch = "marker"')
    return shop.replace(table, f"{table}{line}\n")


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9000", "[::1]:9000", "10.0.0.7:9083", "/run/shop/api.sock"]
)
def test_addresses_and_sockets_are_taken(tmp_path: Path, address: str) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(with_line(f'replaces = "{address}"'))
    assert load_app(file).services["api"].replaces == address


@pytest.mark.parametrize(
    "address",
    ["9000", "localhost:9000", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "::1:9000",
     "[127.0.0.1]:9000", "127.0.0.1:9000; }", "http://127.0.0.1:9000", "/run/a b", "/run/../x",
     "run/x.sock", "[::1%;x]:1"],
)  # fmt: skip
def test_anything_else_is_not(tmp_path: Path, address: str) -> None:
    (problem,) = problems_of(tmp_path, with_line(f'replaces = "{address}"'))
    assert problem.key == "services.api.replaces"


def test_it_cannot_be_a_slot_s_own_port(tmp_path: Path) -> None:
    file = write(tmp_path, with_line('replaces = "127.0.0.1:9183"'))
    (problem,) = check_files([file], Layout(tmp_path))
    assert problem.key == "services.api.replaces"
    assert "services.api.ports.green" in problem.wrong


def test_nor_is_it_that_of_another_service_or_app(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    blog = small_app("blog", 9001, 9101).replace("[services.web]", "[services.web]\ninstances = 2")
    other = f"of app blog ({tmp_path}/blog.toml)"
    for address, key in {
        "127.0.0.1:9001": f"services.web.ports.blue {other}",
        "[::1]:9102": f"services.web.ports.green (instance 2 of 2) {other}",
        f"{layout.app('shop').run}/web-blue.sock": "services.web.sockets.blue",
    }.items():
        shop = write(tmp_path, with_line(f'replaces = "{address}"'))
        others = write(tmp_path, blog, "blog")
        (problem,) = check_files([others, shop], layout)
        assert (problem.file, problem.key) == (shop, "services.api.replaces")
        assert problem.line is not None
        assert problem.wrong == f"{address} is also {key}"
        if "of app" in key:  # told of the other one where that comes later, or is asked about alone
            install(layout, shop.read_text())
            for files in ([shop, others], [others]):
                (problem,) = check_files(files, layout)
                assert (problem.file, problem.key) == (others, key.partition(" ")[0])
                assert "is also services.api.replaces of app shop" in problem.wrong


@pytest.mark.parametrize(
    ("listen", "replaces", "meets"),
    [
        ("127.0.0.1:8090", "127.0.0.1:8090", True),
        ("8090", "127.0.0.1:8090", True),
        ("127.0.0.1:8090", "0.0.0.0:8090", True),
        ("10.0.0.7:8090", "10.0.0.7:8090", True),
        ("[::]:8090", "[::1]:8090", True),
        ("[::]:8090", "127.0.0.1:8090", False),
        ("10.0.0.7:8090", "127.0.0.1:8090", False),
        ("8090", "10.0.0.7:8090", False),  # which may be another host
        ("8090", "127.0.0.1:8091", False),
    ],
)
def test_nor_does_nginx_listen_there(
    tmp_path: Path, listen: str, replaces: str, meets: bool
) -> None:
    """It would send to itself what is for the old program."""
    layout = Layout(tmp_path)
    old = ("[services.web]", f'[services.web]\nreplaces = "{replaces}"')
    nginx = f'server_name = ["shop.example.org"]\nlisten = ["{listen}"]'
    own = write(tmp_path, small_app("shop", 9001, 9101, nginx=nginx).replace(*old))
    wrong = [f"{replaces} is also nginx.listen[0]"] if meets else []
    problems = check_files([own], layout)
    assert [problem.wrong for problem in problems] == wrong
    assert {problem.key for problem in problems} <= {"services.web.replaces"}
    assert all("at which the old program itself listens" in one.right for one in problems)

    site = write(tmp_path, small_app("shop", 9001, 9101, nginx=nginx))
    blog = write(tmp_path, small_app("blog", 9002, 9102).replace(*old), "blog")
    for files, key, other in (
        ([site, blog], "services.web.replaces", f"nginx.listen[0] of app shop ({site})"),
        ([blog, site], "nginx.listen[0]", f"services.web.replaces of app blog ({blog})"),
    ):
        found = [(problem.key, problem.wrong) for problem in check_files(files, layout)]
        assert found == ([(key, f"{replaces} is also {other}")] if meets else [])


def test_nor_does_the_daemon(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    file = write(tmp_path, with_line('replaces = "127.0.0.1:9000"'))
    daemon = layout.daemon_file
    daemon.parent.mkdir(parents=True, exist_ok=True)
    daemon.write_text('[api]\nlisten = "127.0.0.1:9000"\n')
    (problem,) = check_files([file], layout)
    assert (problem.file, problem.key) == (file, "services.api.replaces")
    assert problem.wrong == "127.0.0.1:9000 is also listen of [api] in bluegreen.toml"
    daemon.write_text('[api]\nlisten = "[::1]:9000"\n')
    assert check_files([file], layout) == []


def test_a_worker_replaces_nothing_that_nginx_knows(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, with_line('replaces = "127.0.0.1:9000"', "worker"))
    assert "no ports or sockets" in problem.wrong


def test_a_switch_by_reload_is_no_way_over(tmp_path: Path) -> None:
    text = with_line('replaces = "127.0.0.1:9000"').replace('"marker"', '"reload"')
    (problem,) = problems_of(tmp_path, text)
    assert problem.key == "services.api.replaces"
    assert 'switch = "marker"' in problem.right
