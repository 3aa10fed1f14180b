from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration, Problem, check_files, load_all
from bluegreen.layout import Layout
from tests.config.samples import SHOP, install, small_app, write

NOBODY = 65534


@pytest.fixture
def layout(root: Path) -> Layout:
    return Layout(root)


def _problems(layout: Layout) -> list[Problem]:
    with pytest.raises(InvalidConfiguration) as caught:
        load_all(layout)
    return list(caught.value.problems)


def test_a_root_without_files_has_no_apps_and_the_defaults(layout: Layout) -> None:
    configuration = load_all(layout)
    assert dict(configuration.apps) == {}
    assert configuration.daemon.limits.builds == 2


def test_all_app_files_are_loaded_by_name(layout: Layout) -> None:
    install(layout, SHOP)
    install(layout, small_app("blog", 9001, 9101), "blog")
    layout.daemon_file.write_text("[limits]\nbuilds = 4\n")
    (layout.app_files / "README").write_text("not an app")
    (layout.app_files / ".blog.toml").write_text("left by an editor")
    configuration = load_all(layout)
    assert list(configuration.apps) == ["blog", "shop"]
    assert configuration.daemon.limits.builds == 4


def test_problems_of_all_files_are_reported_at_once_and_nothing_is_loaded(layout: Layout) -> None:
    install(layout, SHOP)
    install(layout, "[app]\nname = blog\n", "blog")
    install(layout, small_app("wiki", 9001, 9101).replace("command", "comand"), "wiki")
    layout.daemon_file.write_text(
        "[limits]\nbuild = 4\n[api]\nlisten = 80\n[[notify]]\nurl = 'x'\n"
    )
    assert [(p.file.name, p.line, p.key) for p in _problems(layout)] == [
        ("bluegreen.toml", 2, "limits.build"),
        ("bluegreen.toml", 4, "api.listen"),
        ("bluegreen.toml", 6, "notify[0].url"),
        ("blog.toml", 2, ""),
        ("wiki.toml", 5, "services.web.command"),
        ("wiki.toml", 6, "services.web.comand"),
    ]


@pytest.mark.parametrize("text", ["[limits]\nbuilds = 0\n", '[limits]\nbuilds = "2"\n', "x = 1\n"])
def test_the_daemons_file_is_checked(layout: Layout, text: str) -> None:
    layout.config.mkdir(parents=True)
    layout.daemon_file.write_text(text)
    (problem,) = _problems(layout)
    assert problem.file == layout.daemon_file


def test_a_daemons_file_that_links_to_nowhere_is_a_problem(layout: Layout) -> None:
    layout.config.mkdir(parents=True)
    layout.daemon_file.symlink_to("gone.toml")
    (problem,) = _problems(layout)
    assert "No such file" in problem.wrong


def test_two_apps_cannot_claim_one_port(layout: Layout) -> None:
    blog = install(layout, small_app("blog", 9001, 9101), "blog")
    install(layout, small_app("wiki", 9101, 9001), "wiki")
    found = _problems(layout)
    assert [(p.file.name, p.line, p.key) for p in found] == [
        ("wiki.toml", 7, "services.web.ports.blue"),
        ("wiki.toml", 7, "services.web.ports.green"),
    ]
    assert found[0].wrong == (f"port 9101 is also services.web.ports.green of app blog ({blog})")


def test_a_port_conflict_shows_beside_other_mistakes_of_the_same_files(layout: Layout) -> None:
    install(layout, small_app("blog", 9001, 9101).replace("[app]", "[app]\nx = 1"), "blog")
    install(layout, small_app("wiki", 9001, 9201).replace("[app]", "[app]\ny = 1"), "wiki")
    assert {p.key for p in _problems(layout)} == {"app.x", "app.y", "services.web.ports.blue"}


def test_two_apps_cannot_claim_one_socket(layout: Layout) -> None:
    sockets = "sockets = { blue = '/run/x.sock', green = '%s.sock' }"
    for name, green in (("blog", "g"), ("wiki", "g")):
        text = small_app(name, 9001, 9101)
        install(
            layout,
            text.replace("ports = { blue = 9001, green = 9101 }", sockets % green).replace(
                "{port}", "{socket}"
            ),
            name,
        )
    (problem,) = _problems(layout)  # relative ones are in each app's own run directory
    assert (problem.file.name, problem.key) == ("wiki.toml", "services.web.sockets.blue")


def test_a_socket_path_longer_than_the_kernel_takes_is_refused(layout: Layout) -> None:
    text = small_app("blog", 9001, 9101).replace("{port}", "{socket}")
    sockets = f"sockets = {{ blue = 'b.sock', green = '{'g' * 120}.sock' }}"
    install(layout, text.replace("ports = { blue = 9001, green = 9101 }", sockets), "blog")
    (problem,) = _problems(layout)
    assert problem.key == "services.web.sockets.green"
    assert "107" in problem.wrong


@pytest.mark.parametrize("first", ["blog", "wiki"])
def test_no_service_uses_a_port_on_which_nginx_listens_for_any_app(
    layout: Layout, first: str
) -> None:
    listener, user = (first, "other")
    install(layout, small_app(listener, 9001, 9101, nginx='listen = ["9002"]'), listener)
    install(layout, small_app(user, 9002, 9102), user)
    (problem,) = _problems(layout)
    assert "port 9002 is also" in problem.wrong


def test_listen_counts_only_where_bluegreen_writes_the_site(layout: Layout) -> None:
    install(
        layout, small_app("blog", 9001, 9101, nginx='listen = ["9002"]\nmode = "snippet"'), "blog"
    )
    install(layout, small_app("wiki", 9002, 9102), "wiki")
    assert list(load_all(layout).apps) == ["blog", "wiki"]


@pytest.mark.parametrize(
    ("one", "two", "conflict"),
    [
        ("", 'server_name = ["a.example"]', False),
        ('server_name = ["a.example"]', 'server_name = ["b.example", "A.example"]', True),
        ('server_name = ["a.example"]', 'server_name = ["a.example"]\nlisten = ["81"]', False),
        ('listen = ["80"]', 'listen = ["0.0.0.0:80"]', True),
        ('listen = ["80"]', 'listen = ["127.0.0.1:80"]', False),
        ('listen = ["80"]', 'listen = ["80"]\nmode = "upstream"', False),
    ],
)
def test_two_apps_cannot_answer_to_one_name_on_one_port(
    layout: Layout, one: str, two: str, conflict: bool
) -> None:
    install(layout, small_app("blog", 9001, 9101, nginx=one or "switch = 'marker'"), "blog")
    install(layout, small_app("wiki", 9002, 9102, nginx=two), "wiki")
    if not conflict:
        assert list(load_all(layout).apps) == ["blog", "wiki"]
        return
    (problem,) = _problems(layout)
    assert problem.file.name == "wiki.toml"
    assert problem.key.startswith("nginx.server_name")
    assert "app blog" in problem.wrong


def test_no_app_has_the_address_on_which_the_daemon_listens(layout: Layout) -> None:
    app = install(
        layout, small_app("blog", 9001, 9101, nginx='listen = ["127.0.0.1:9000"]'), "blog"
    )
    for listen, key in {
        "127.0.0.1:9101": "services.web.ports.green",
        "127.0.0.1:9000": "nginx.listen[0]",
    }.items():
        layout.daemon_file.write_text(f'[api]\nlisten = "{listen}"\n')
        (problem,) = _problems(layout)
        assert (problem.file.name, problem.key) == ("blog.toml", key)
        assert problem.wrong == f"port {listen[-4:]} is also listen of [api] in bluegreen.toml"
        assert check_files([], layout) == [problem]
        (problem,) = check_files([layout.daemon_file], layout)  # alone, as before it is installed
        assert (problem.file, problem.line, problem.key) == (layout.daemon_file, 2, "api.listen")
        assert problem.wrong == f"its port is also {key} of app blog ({app})"
    layout.daemon_file.write_text('[api]\nlisten = "[::1]:9000"\n')
    assert list(load_all(layout).apps) == ["blog"]


def test_a_name_for_previews_is_neither_anothers_site_nor_anothers_preview(layout: Layout) -> None:
    own = '\n[preview]\nserver_name = ["Next.example"]\n'
    blog = small_app("blog", 9001, 9101, nginx='server_name = ["blog.example"]')
    install(layout, blog + own, "blog")
    wiki = small_app("wiki", 9002, 9102, nginx='server_name = ["wiki.example", "next.example"]')
    install(layout, wiki, "wiki")
    shop = small_app("shop", 9003, 9103, nginx='server_name = ["shop.example"]')
    install(layout, shop + own, "shop")
    found = {problem.file.name: problem for problem in _problems(layout)}
    assert {name: problem.key for name, problem in found.items()} == {
        "shop.toml": "preview.server_name[0]",
        "wiki.toml": "nginx.server_name[1]",
    }
    assert all("is answered by app blog" in problem.wrong for problem in found.values())
    install(layout, shop.replace("[nginx]", '[nginx]\nlisten = ["81"]') + own, "shop")
    install(layout, wiki.replace(', "next.example"', ""), "wiki")
    assert list(load_all(layout).apps) == ["blog", "shop", "wiki"]


def test_a_file_where_the_directory_of_apps_should_be_is_a_problem(layout: Layout) -> None:
    layout.config.mkdir(parents=True)
    layout.app_files.write_text("")
    (problem,) = _problems(layout)
    assert "cannot be read" in problem.wrong


def test_two_hundred_apps_load_together(layout: Layout) -> None:
    for number in range(200):
        port = 10000 + 2 * number
        install(layout, small_app(f"app{number}", port, port + 1), f"app{number}")
    assert len(load_all(layout).apps) == 200


class TestCheckFiles:
    def test_without_files_it_checks_what_is_installed(self, layout: Layout) -> None:
        install(layout, SHOP.replace("user ", "usr "))
        assert [problem.key for problem in check_files([], layout)] == ["app.usr"]
        install(layout, small_app("shop", 9001, 9101))
        assert check_files([], layout) == []
        layout.daemon_file.write_text("[limits]\nbuilds = 0\n")
        assert [problem.key for problem in check_files([], layout)] == ["limits.builds"]

    def test_the_files_that_variables_come_from_are_looked_at_where_an_app_is_installed(
        self, layout: Layout, tmp_path: Path
    ) -> None:
        text = SHOP.replace("/etc/", f"{tmp_path}/etc/")
        file = install(layout, text)
        keys = ["env.TOKEN", "env.env_file", "services.web.env_file"]
        assert check_files([write(tmp_path, text)], layout) == []
        for files in ([], [file]):
            found = check_files(files, layout)
            assert sorted(problem.key for problem in found) == keys
            assert all(problem.line for problem in found)
            assert "No such file" in found[0].wrong
        assert list(load_all(layout).apps) == ["shop"]  # what runs needs none of them
        for name in ("bluegreen/secrets/jwt", "shop.env", "web.env"):
            (tmp_path / "etc" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "etc" / name).write_text("A=b\n")
        assert check_files([], layout) == []
        (tmp_path / "etc/web.env").write_text("hunter2\n")
        [problem] = check_files([], layout)
        assert problem.key == "services.web.env_file"
        assert problem.wrong.endswith("web.env:1: not a line of an env file")

    def test_files_that_whoever_checks_may_not_look_at_are_no_problem(self, layout: Layout) -> None:
        private = layout.root / "private"
        private.mkdir()
        install(layout, SHOP.replace("/etc/", f"{private}/"))
        layout.root.chmod(0o755)
        assert len(check_files([], layout)) == 3
        private.chmod(0)
        user = os.geteuid()
        try:
            os.seteuid(user or NOBODY)  # root may look at everything
            assert check_files([], layout) == []
        finally:
            os.seteuid(user)
            private.chmod(0o700)

    def test_a_file_is_checked_against_the_other_installed_apps(
        self, layout: Layout, tmp_path: Path
    ) -> None:
        install(layout, small_app("blog", 9001, 9101), "blog")
        file = write(tmp_path, small_app("wiki", 9001, 9201), "wiki")
        (problem,) = check_files([file], layout)
        assert (problem.file, problem.key) == (file, "services.web.ports.blue")

    def test_a_file_stands_for_the_installed_one_of_its_app(
        self, layout: Layout, tmp_path: Path
    ) -> None:
        install(layout, SHOP)
        file = write(tmp_path, SHOP)
        assert check_files([file, file, layout.app_files / "shop.toml"][:2], layout) == []

    def test_two_files_for_one_app_are_a_problem(self, layout: Layout, tmp_path: Path) -> None:
        one, two = write(tmp_path / "a", SHOP), write(tmp_path / "b", SHOP)
        found = check_files([one, two], layout)
        assert {problem.file for problem in found} == {two}
        assert "app.name" in {problem.key for problem in found}

    def test_problems_of_installed_files_are_left_to_a_check_of_those(
        self, layout: Layout, tmp_path: Path
    ) -> None:
        install(layout, "not toml", "blog")
        install(layout, small_app("wiki", 9001, 9101).replace("command", "comand"), "wiki")
        assert check_files([write(tmp_path, SHOP)], layout) == []

    def test_the_daemons_file_is_known_by_its_name(self, layout: Layout, tmp_path: Path) -> None:
        file = tmp_path / "bluegreen.toml"
        file.write_text("[limits]\nbuilds = 0\n")
        assert [problem.key for problem in check_files([file], layout)] == ["limits.builds"]

    def test_an_app_may_be_called_bluegreen(self, layout: Layout) -> None:
        file = install(layout, small_app("bluegreen", 9001, 9101), "bluegreen")
        assert check_files([file], layout) == []
        assert list(load_all(layout).apps) == ["bluegreen"]

    def test_a_missing_file_is_a_problem(self, layout: Layout) -> None:
        (problem,) = check_files([layout.root / "none.toml"], layout)
        assert "No such file" in problem.wrong
        (problem,) = check_files([layout.daemon_file], layout)
        assert "No such file" in problem.wrong
