"""Build steps, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bluegreen.errors import BuildError, ConfigError
from bluegreen.model import Release, Slot
from bluegreen.slots.building import last_lines
from bluegreen.slots.trees import Looks, Trees
from tests.slots.sources import RELEASE, FilesSource, Runner, layout_in, settings_with
from tests.waiting import eventually


class Site:
    """An app whose tree 12-blue is laid out."""

    def __init__(self, root: Path, **tables: object) -> None:
        self.layout = layout_in(root)
        self.runner = Runner()
        self.trees = Trees(settings_with(**tables), self.layout, self.runner, Looks())
        self.tree = self.trees.path(12, Slot.BLUE)
        self.logs = self.layout.operation_logs(12)
        self.steps: list[tuple[str, str]] = []

    async def build(self, release: Release = RELEASE) -> None:
        async def on_step(step: str, state: str) -> None:
            self.steps.append((step, state))

        await self.trees.lay_out(FilesSource({"app.py": "x"}), release, self.tree, Slot.BLUE)
        await self.trees.build(release, self.tree, Slot.BLUE, logs=self.logs, on_step=on_step)


async def test_steps_run_in_order_in_the_tree_with_the_addresses_of_the_slot(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, build=[
        {"name": "one", "run": "echo {slot} {ports.api} {version} $WHO > out; pwd",
         "env": {"WHO": "me {slot}"}},
        {"name": "two", "run": "cat out; test -d {cache_dir} && test {slot_dir} = \"$PWD\""},
    ])  # fmt: skip
    await site.build()
    assert (site.tree / "out").read_text() == "blue 9083 v1 me blue\n"
    assert (site.logs / "build-one.log").read_text() == f"{site.tree}\n"
    assert (site.logs / "build-two.log").read_text() == "blue 9083 v1 me blue\n"
    assert site.steps == [
        ("one", "started"), ("one", "done"), ("two", "started"), ("two", "done")
    ]  # fmt: skip
    assert len({job.name for job in site.runner.jobs}) == 2


async def test_a_failing_step_says_which_how_and_with_what_last_words(tmp_path: Path) -> None:
    site = Site(tmp_path, build=[
        {"name": "front", "run": "seq 99; printf '\\033[31mlock out of step\\033[0m\\n'; exit 3"},
        {"name": "never", "run": "true"},
    ])  # fmt: skip
    with pytest.raises(
        BuildError, match=r"build step front of v1 .* failed: exit status 3"
    ) as failed:
        await site.build()
    assert "lock out of step" in failed.value.detail[-1]
    assert len(failed.value.detail) == 15
    assert "\033" not in "".join(failed.value.detail)
    assert "bluegreen logs shop 12 --phase build" in failed.value.remedy
    assert site.steps == [("front", "started")]
    assert site.trees.info(site.tree) is None


async def test_a_step_out_of_time_is_named(tmp_path: Path) -> None:
    site = Site(tmp_path, build=[{"name": "slow", "run": "exec sleep 600", "timeout": "200ms"}])
    with pytest.raises(BuildError, match="timed out"):
        await site.build()


@pytest.mark.parametrize("run", ["kill -9 $$", "sh -c 'kill -9 $$'; exit $?"])
async def test_a_step_that_was_killed_hints_at_memory(tmp_path: Path, run: str) -> None:
    site = Site(tmp_path, build=[{"name": "big", "run": run}])
    with pytest.raises(BuildError) as failed:
        await site.build()
    assert "out of memory" in failed.value.detail[-1]


async def test_a_full_disk_is_named_and_the_tree_removed(tmp_path: Path) -> None:
    site = Site(tmp_path, build=[{"name": "big", "run": "cp app.py /dev/full"}])
    with pytest.raises(BuildError) as failed:
        await site.build()
    assert "needed" in failed.value.detail[-1]
    assert failed.value.kind == "build"
    assert not site.tree.exists()


async def test_secrets_in_the_output_are_not_repeated_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2-and-more\n")
    site = Site(
        tmp_path, env={"TOKEN": {"file": str(tmp_path / "secret")}},
        build=[{"name": "leaky", "run": 'echo "using $TOKEN"; exit 1'}],
    )  # fmt: skip
    with pytest.raises(BuildError) as failed:
        await site.build()
    assert failed.value.detail == ("using ***",)


async def test_values_of_an_env_file_are_not_repeated_either(tmp_path: Path) -> None:
    (tmp_path / "variables").write_text("URL=redis://:hunter2@cache\nDEBUG=true\n")
    site = Site(
        tmp_path, env_file=str(tmp_path / "variables"),
        build=[{"name": "leaky", "run": 'seq -s "" 400 | cut -c-490 | tr -d "\\n"; '
                                        'echo "$URL"; echo "$DEBUG"; exit 1'}],
    )  # fmt: skip
    with pytest.raises(BuildError) as failed:
        await site.build()
    first, second = failed.value.detail
    assert "redis" not in first  # also where the line is cut in the middle of the value
    assert second == "true"


async def test_a_missing_secret_is_found_before_any_step_runs(tmp_path: Path) -> None:
    site = Site(
        tmp_path, env={"TOKEN": {"file": str(tmp_path / "missing")}},
        build=[{"name": "one", "run": "true"}],
    )  # fmt: skip
    with pytest.raises(ConfigError):
        await site.build()
    assert site.steps == []


async def test_values_with_shell_characters_stay_values(tmp_path: Path) -> None:
    site = Site(tmp_path / "a b; touch ran", build=[
        {"name": "one", "run": "cp app.py {shared_dir}/copy && ls {slot_dir}"},
    ])  # fmt: skip
    await site.build()
    assert (site.layout.shared / "copy").read_text() == "x"


async def test_a_cancelled_build_ends_its_processes(tmp_path: Path) -> None:
    site = Site(tmp_path, build=[{"name": "slow", "run": "echo $$ > pid; sleep 600"}])
    task = asyncio.create_task(site.build(), name="build")
    pid = site.tree / "pid"
    await eventually(lambda: pid.exists() and pid.read_text(), "the step has written its pid")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIG_DFL)
    assert site.trees.info(site.tree) is None


def test_the_last_lines_of_a_progress_bar_are_what_a_terminal_would_show(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"10%\r50%\r100%\r\n\xff\xfe\n\n" + b"y" * 1000 + b"\n")
    assert last_lines(log, {}) == ["100%", "\ufffd\ufffd", "y" * 500]
    assert last_lines(tmp_path / "missing", {}) == []
