"""The logs of services in files, as they are asked for and followed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path

from bluegreen.model import Slot, UnitKey
from bluegreen.supervisors.embedded import EmbeddedSupervisor
from tests.supervisors.conftest import Workshop
from tests.waiting import PATIENCE, eventually


async def shown(
    supervisor: EmbeddedSupervisor, *keys: UnitKey, lines: int = 100
) -> list[tuple[UnitKey, str]]:
    return [line async for line in await supervisor.log_lines(keys, lines, follow=lambda: False)]


async def test_the_last_lines_of_each_are_as_they_were_written(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    api = workshop.unit(
        "printf 'a\\ncaf\\303\\251 \\033[1mbold\\033[0m \\377\\r\\n'; exec sleep 1000"
    )
    web = workshop.unit("seq 5; exec sleep 1000", service="web")
    for unit, last in ((api, b"\377\r\n"), (web, b"5\n")):
        await supervisor.start(unit)
        await eventually(partial(ends_with, unit.log_file, last), "it has written all")
    assert await shown(supervisor, web.key, api.key, lines=2) == [
        (web.key, "4"), (web.key, "5"),
        (api.key, "a"),
        (api.key, "café \x1b[1mbold\x1b[0m \ufffd"),
    ]  # fmt: skip
    assert await shown(supervisor, web.key, lines=0) == []


def ends_with(file: Path, last: bytes) -> bool:
    return file.exists() and file.read_bytes().endswith(last)


async def test_a_service_of_an_earlier_daemon_has_its_log(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    key = UnitKey(app="shop", slot=Slot.GREEN, service="api")
    assert await shown(supervisor, key) == []
    log = workshop.layout.app("shop").service_log(Slot.GREEN, "api")
    log.parent.mkdir(parents=True)
    log.write_text("still here\n")
    assert await shown(supervisor, key) == [(key, "still here")]


async def test_what_comes_while_they_are_followed_follows_the_tail(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit("seq 3; until [ -e go ]; do sleep 0.01; done; seq 4 9; exec sleep 1000")
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "3")
    found = await supervisor.log_lines([unit.key], 2, follow=lambda: True)
    seen = []
    async with aclosing(found), asyncio.timeout(PATIENCE):
        async for key, line in found:
            assert key == unit.key
            seen.append(line)
            if line == "3":
                (workshop.root / "go").touch()
            if line == "9":
                break
    assert seen == [str(number) for number in range(2, 10)]
