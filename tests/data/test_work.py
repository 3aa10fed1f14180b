"""A job on data is another user's: what it gets, what it gives, and what is made of that."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bluegreen.data import shapes
from bluegreen.data.work import JobFiles, Work, remove_leftovers
from bluegreen.errors import DataError
from bluegreen.layout import AppLayout, Layout
from bluegreen.model import Job, JobResult
from tests.mounts import full


@dataclass
class Says:
    """Runs jobs that report what it is told to, and end as it is told to."""

    report: bytes
    status: int = 0

    async def run(self, job: Job) -> JobResult:
        await asyncio.to_thread(Path(job.argv[-1]).write_bytes, self.report)
        return JobResult(exit_status=self.status, ending=f"exit status {self.status}")


@pytest.fixture
def layout(tmp_path: Path) -> AppLayout:
    found = Layout(tmp_path).app("shop")
    found.run.mkdir(parents=True)
    return found


async def report_of(layout: AppLayout, says: Says) -> dict[str, object]:
    work = Work(app="shop", layout=layout, jobs=says, timeout=10)
    try:
        return await work.do("verify", {"number": 1}, log=None)
    finally:
        assert not list(layout.work.iterdir())


async def test_what_a_job_reports_comes_back(layout: AppLayout) -> None:
    assert await report_of(layout, Says(b'{"result": {"a": 1}}')) == {"a": 1}


@pytest.mark.parametrize(
    "report",
    [
        b"", b"{", b"[]", b"null", b"{}", b'{"result": []}', b'{"error": {}}', b'{"error": 1}',
        b'{"error": {"kind": "data", "message": "x", "detail": "x", "remedy": "x"}}',
        b'"' + b"x" * shapes.LONGEST + b'"',
    ],
    ids=lambda report: report[:30].decode(),
)  # fmt: skip
async def test_what_makes_no_sense_is_said_to(layout: AppLayout, report: bytes) -> None:
    with pytest.raises(DataError, match="has come to an end that makes no sense"):
        await report_of(layout, Says(report))


async def test_on_a_full_disk_it_is_room_that_is_asked_for(layout: AppLayout) -> None:
    layout.work.mkdir()
    with full(layout.work):
        work = Work(app="shop", layout=layout, jobs=Says(b""), timeout=10)
        with pytest.raises(DataError, match="No space left") as refused:
            await work.do("verify", {"number": 1}, log=None)
    assert refused.value.remedy.startswith("free some space")


async def test_of_a_job_that_was_killed_nothing_is_believed(layout: AppLayout) -> None:
    with pytest.raises(DataError, match=r"has not come to its end: exit status 9"):
        await report_of(layout, Says(b'{"result": {}}', status=9))


def plant(layout: AppLayout) -> Path:
    """A link where root has not made the directory yet, to what the daemon may change."""
    victim = layout.run.with_name("victim")
    victim.mkdir()
    (victim / "precious").touch()
    layout.work.symlink_to(victim)
    return victim


def make(layout: AppLayout) -> None:
    JobFiles(directory=layout.work, name="job").make({}, of_user=True).close()


@pytest.mark.parametrize("do", [remove_leftovers, make])
def test_a_link_in_the_place_of_the_directory_leads_nowhere(
    layout: AppLayout, do: Callable[[AppLayout], None]
) -> None:
    victim = plant(layout)
    with contextlib.suppress(FileNotFoundError):
        do(layout)
    assert os.listdir(victim) == ["precious"]


def test_what_an_earlier_daemon_has_left_is_removed(layout: AppLayout) -> None:
    layout.work.mkdir()
    make(layout)
    remove_leftovers(layout)
    assert not list(layout.work.iterdir())
