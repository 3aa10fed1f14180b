"""Whatever is in a file, loading it gives settings or says what is wrong, and where."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bluegreen.config.load import InvalidConfiguration, Problem, check_files, load_all, load_app
from bluegreen.config.settings import AppSettings
from bluegreen.layout import Layout
from tests.config.samples import SHOP, install

_LINES = SHOP.splitlines()
_VALUES = st.sampled_from(
    ["1", "-1", "0", "1.5", "nan", "inf", "true", '""', '"x"', "'{'", "'{port}'", "'\\'", "[]",
     "{}", "[[]]", "[1]", "['x', 'x']", "[{}]", "{ a = 1 }", "{ file = 'x' }",
     "{ blue = 1, green = 1 }",
     "1979-05-27", "07:32:00", "'/'", "'..'", '"\\u0000"', '"\\n"', "99999999999999999999", "'é'"]
)  # fmt: skip
_KEYS = st.sampled_from(
    ["app", "name", "shared", "source", "git", "directory", "env", "env_file", "build", "run",
     "services", "command", "ports", "sockets", "routes", "path", "service", "nginx", "listen",
     "server_name", "gate", "probes", "http", "json", "status", "watch", "for", "keep", "hot",
     "limits", "promote", "x", '"a b"', "'é'", "file", "timeout", "deadline", "healthy_for"]
)  # fmt: skip


@st.composite
def _changed_files(draw: st.DrawFn) -> str:
    """A good app file after up to four blows."""
    lines = list(_LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        key, _, _ = lines[at].partition("=")
        match draw(st.integers(0, 5)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, draw(st.sampled_from(_LINES)))
            case 2:
                lines[at] = f"{key} = {draw(_VALUES)}"
            case 3:
                lines.insert(at, f"{draw(_KEYS)} = {draw(_VALUES)}")
            case 4:
                lines.insert(at, draw(st.sampled_from(["[{}]", "[[{}]]"])).format(draw(_KEYS)))
            case _:
                cut = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + draw(st.text(max_size=3)) + lines[at][cut + 1 :]
    return "\n".join(lines)


def _check_outcome(file: Path) -> None:
    problems: tuple[Problem, ...] = ()
    settings_of_file: AppSettings | None = None
    try:
        settings_of_file = load_app(file)
    except InvalidConfiguration as error:
        problems = error.problems
    assert (settings_of_file is None) == bool(problems)
    lines = file.read_bytes().count(b"\n") + 1
    for problem in problems:
        assert problem.file == file
        assert problem.wrong.strip()
        assert problem.right.strip()
        assert problem.line is None or 1 <= problem.line <= lines


@settings(max_examples=300, deadline=None)
@given(_changed_files())
@example(SHOP)
@example("")
@example("services = 1\nroutes = [1]\nbuild = {}\n[gate]\nprobes = [[]]\n[app]\nshared = [1]")
@example(SHOP + "\n[routes.x]\n")
def test_a_damaged_app_file_loads_or_says_what_is_wrong(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "shop.toml"
        file.write_bytes(text.encode(errors="replace"))
        _check_outcome(file)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_load_or_say_what_is_wrong(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "shop.toml"
        file.write_bytes(data)
        _check_outcome(file)


@settings(max_examples=50, deadline=None)
@given(st.lists(_changed_files(), min_size=1, max_size=3))
def test_damaged_files_side_by_side_load_all_or_none(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        layout = Layout(Path(directory))
        for number, text in enumerate(texts):
            install(layout, text.encode(errors="replace").decode(), f"shop{number}")
        problems = check_files([], layout)
        assert {problem.file.parent for problem in problems} <= {layout.app_files}
        if not problems:
            assert len(load_all(layout).apps) == len(texts)
