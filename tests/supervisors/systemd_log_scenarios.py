"""Scenarios of services' logs on a systemd host (see systemd_scenarios)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

from bluegreen.model import Slot, UnitKey
from bluegreen.supervisors import journal
from bluegreen.supervisors.unit_names import service_unit
from tests.supervisors.systemd_api import api, bluegreen
from tests.supervisors.systemd_workshop import Workshop, command, is_alive, refusal
from tests.waiting import PATIENCE, eventually

COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.002; done\n"
LEFT_OUT = "--- bluegreen: a line of more than 1 MiB is left out ---"
# Sends what the native protocol can carry and standard output cannot.
SEND = """\
import socket, struct, sys
def field(name, value):
    return name.encode() + b"\\n" + struct.pack("<Q", len(value)) + value + b"\\n"
def send(**fields):
    data = b"".join(field(name, value) for name, value in fields.items())
    out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    out.connect("/run/systemd/journal/socket")
    if len(data) < 100_000:
        out.send(data)
        return
    import array, fcntl, os
    memory = os.memfd_create("entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(memory, "wb", closefd=False) as file:
        file.write(data)
    fcntl.fcntl(memory, 1033, 15)  # F_ADD_SEALS: all of them
    out.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))])
"""


def own(lines: list[str]) -> list[str]:
    """What the service itself has written."""
    return [line for line in lines if "systemd" not in line and "bluegreen" not in line
            and line and not line.endswith(".")]  # fmt: skip


async def shown(shop: Workshop, *keys: UnitKey, lines: int = 1000) -> list[tuple[UnitKey, str]]:
    found = await shop.supervisors[-1].log_lines(keys, lines, follow=lambda: False)
    async with aclosing(found):
        return [line async for line in found]


async def texts(shop: Workshop, key: UnitKey, lines: int = 1000) -> list[str]:
    return [line for _, line in await shown(shop, key, lines=lines)]


async def once_shown(shop: Workshop, key: UnitKey, last: str) -> list[str]:
    """The whole log of a service, once it has written ``last``."""
    found: list[str] = []

    async def is_there() -> bool:
        found[:] = await texts(shop, key)
        return last in found

    await eventually(is_there, f"{key} has written {last}")
    return found


def readers() -> list[str]:
    """The journalctls that this process has started."""
    lists = [told(children) for children in Path("/proc/self/task").glob("*/children")]
    names = [told(Path(f"/proc/{child}/comm")).strip() for text in lists for child in text.split()]
    return [name for name in names if name == "journalctl"]


def told(file: Path) -> str:
    """What the kernel tells of a process or a thread; nothing of one that has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return file.read_text()
    return ""


async def nothing_is_lost_or_doubled_between_a_tail_and_what_follows(shop: Workshop) -> None:
    unit = await shop.write(COUNT)
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await once_shown(shop, unit.key, "50")
    for turn in range(6):
        numbers: list[int] = []
        found = await supervisor.log_lines([unit.key], 20, follow=lambda: True)
        async with aclosing(found):
            async for key, line in found:
                assert key == unit.key
                if line.isdecimal():
                    numbers.append(int(line))
                if len(numbers) in (150, 300):  # the journal goes on in another file
                    await command("journalctl", "--rotate")
                    numbers.append(-1)
                if len(numbers) == 452:
                    break
        numbers = [number for number in numbers if number >= 0]
        # The next one begins where this one is, or before: it has last lines of its own.
        assert numbers == list(range(numbers[0], numbers[0] + 450)), (turn, numbers)
        assert readers() == []


async def lines_that_were_rotated_away_are_not_there_and_the_rest_is(shop: Workshop) -> None:
    unit = await shop.write(
        "seq 1 100; until [ -e go ]; do sleep 0.02; done; seq 101 150; sleep 1000\n"
    )
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await once_shown(shop, unit.key, "100")
    found = await supervisor.log_lines([unit.key], 10, follow=lambda: True)
    seen: list[str] = []
    async with aclosing(found):
        async for _, line in found:
            seen.append(line)
            if line == "100":
                await command("journalctl", "--rotate")
                await command("journalctl", "--vacuum-files=1")
                (shop.work / "go").touch()
            if line == "150":
                break
    assert own(seen) == [str(number) for number in range(91, 151)]
    # The tail now holds what is left of it, which is not an error.
    assert own(await texts(shop, unit.key))[-50:] == [str(number) for number in range(101, 151)]


async def is_said_to_be_started(shop: Workshop, key: UnitKey) -> bool:
    return any(line.startswith("Started ") for line in await texts(shop, key))


async def several_services_and_both_slots_are_told_apart(shop: Workshop) -> None:
    quiet = shop.key("quiet")
    units = [
        await shop.write(
            "until [ -e go ]; do sleep 0.02; done\n"
            f"seq -f {service}-{slot}-%g 5; exec sleep 1000\n",
            service=f"{service}-{slot}",
            slot=slot,
        )
        for service in ("api", "web")
        for slot in Slot
    ]
    supervisor = await shop.supervisor()
    for unit in units:
        await supervisor.start(unit)
        # systemd sends it on a way of its own: else it might come after what the service writes.
        await eventually(partial(is_said_to_be_started, shop, unit.key), f"{unit.key} is started")
    (shop.work / "go").touch()
    for unit in units:
        name = unit.key.service
        assert own(await once_shown(shop, unit.key, f"{name}-5")) == [
            f"{name}-{number}" for number in range(1, 6)
        ]
    keys = [unit.key for unit in units]
    found = await shown(shop, quiet, *keys, lines=2)
    assert found == [(key, f"{key.service}-{number}") for key in keys for number in (4, 5)]
    assert await shown(shop, *keys, lines=0) == []
    assert await shown(shop, quiet) == []
    following = await supervisor.log_lines([quiet, *keys], 0, follow=lambda: True)
    async with aclosing(following):
        first = asyncio.ensure_future(anext(following))
        await eventually(readers, "the journal is read")
        for unit in units:
            await supervisor.stop(unit.key)
        said = [await first]
        while {key for key, _ in said} != set(keys):
            said.append(await anext(following))
    assert all(key.service in line or "---" in line for key, line in said), said


async def what_is_no_plain_text_comes_as_far_as_it_can_be_shown(shop: Workshop) -> None:
    (shop.work / "send.py").write_text(
        SEND
        + "send(MESSAGE=b'one\\ntwo\\n\\nfour', JOB_TYPE=b'x')\n"
        + "send(MESSAGE=b'caf\\xc3\\xa9 \\xff\\x00 end')\n"
        + "send(MESSAGE=b'm' * 300_000)\n"
        + "send(MESSAGE=b'h' * 3_000_000, _SYSTEMD_UNIT=b'forged.service')\n"
        + "send(MESSAGE=b'with UNIT', UNIT=b'forged.service')\n"
        + "send(PRIORITY=b'6')\n"
        + "send(MESSAGE=b'first', PRIORITY=b'6') or send(MESSAGE=b'last')\n"
    )
    unit = await shop.write(
        "printf '\\033[1mbold\\033[0m\\r\\n'; printf '%100000s|\\n' x; echo printed\n"
        "until [ -e go ]; do sleep 0.02; done\n"
        f"/usr/bin/python3 {shop.work}/send.py; exec sleep 1000\n"
    )
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    # What is sent comes on a way of its own: it could be there before what is printed.
    await once_shown(shop, unit.key, "printed")
    (shop.work / "go").touch()
    found = own(await once_shown(shop, unit.key, "last"))
    assert found[0] == "\x1b[1mbold\x1b[0m"
    # journald itself breaks a line of 100 000.
    long = [line for line in found if line.startswith(" ") or line.endswith(("x", "|"))]
    assert "".join(long) == f"{'x':>100000}|"
    assert found[1 + len(long) :] == [
        "printed", "one", "two", "four", "café \ufffd\x00 end", "m" * 300_000, "with UNIT", "first",
        "last",
    ]  # fmt: skip
    everything = await texts(shop, unit.key)
    assert everything.count(LEFT_OUT) == 1
    # Fit to print, the same: as the gate shows it.
    assert "bold" in await supervisor.log_tail(unit.key, 1000)
    # And the same of what comes while it is followed.
    (shop.work / "send.py").write_text(
        SEND + "send(MESSAGE=b'h' * 3_000_000)\nsend(MESSAGE=b'end')\n"
    )
    following = await supervisor.log_lines([unit.key], 0, follow=lambda: True)
    said = asyncio.create_task(up_to(following, "end"))
    await eventually(readers, "the journal is read")
    await command("systemctl", "restart", service_unit(unit.key))
    assert LEFT_OUT in await asyncio.wait_for(said, PATIENCE)


async def up_to(found: AsyncGenerator[tuple[UnitKey, str], None], last: str) -> list[str]:
    """Lines, the latest of which is ``last``."""
    lines = []
    async with aclosing(found):
        async for _, line in found:
            lines.append(line)
            if line == last:
                break
    return lines


async def too_much_is_cut_off_at_its_beginning(shop: Workshop) -> None:
    unit = await shop.write(
        "yes $(printf '%0.sm' $(seq 900)) | head -n 25000; echo last; exec sleep 1000\n",
        more="LogRateLimitIntervalSec=0",
    )
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await once_shown(shop, unit.key, "last")
    found = await texts(shop, unit.key, lines=100_000)
    assert found[0] == journal.CUT_OFF
    assert 10_000 < len(found) < 25_000
    assert len(await texts(shop, unit.key, lines=10_000)) == 10_000


async def a_follower_leaves_no_reader_behind(shop: Workshop) -> None:
    unit = await shop.write(COUNT)
    quiet = await shop.write("exec sleep 1000\n", service="quiet")
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await supervisor.start(quiet)
    for key in (unit.key, quiet.key):
        enough = asyncio.Event()
        found = await supervisor.log_lines([key], 5, follow=partial(goes_on, enough))
        task = asyncio.create_task(drained(found))
        await eventually(readers, "the journal is read")
        enough.set()
        await asyncio.wait_for(task, PATIENCE)
        assert readers() == []
        task = asyncio.create_task(
            drained(await supervisor.log_lines([key], 5, follow=lambda: True))
        )
        await eventually(readers, "the journal is read")
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert readers() == []


def goes_on(enough: asyncio.Event) -> bool:
    return not enough.is_set()


async def drained(found: AsyncIterator[object]) -> None:
    async for _ in found:
        pass


def words(pid: str) -> list[str]:
    """Of the command of a process."""
    return told(Path(f"/proc/{pid}/cmdline")).split("\0")


async def a_killed_daemon_leaves_no_reader_behind(shop: Workshop) -> None:
    unit = await shop.write("exec sleep 1000\n")
    code = (
        "import asyncio\n"
        "from bluegreen.supervisors import journal\n"
        "async def main():\n"
        f"    async for line in await journal.log_lines([{service_unit(unit.key)!r}], 0,"
        " follow=lambda: True):\n"
        "        print(line)\n"
        "asyncio.run(main())\n"
    )
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")

    reader: list[str] = []

    def is_following() -> bool:
        reader[:] = children.read_text().split()
        return any("--follow" in words(pid) for pid in reader)

    await eventually(is_following, "the journal is followed")
    daemon.kill()
    await daemon.wait()
    await eventually(lambda: not any(is_alive(int(pid)) for pid in reader), "the reader has ended")


async def a_journal_that_cannot_be_read_says_so(shop: Workshop) -> None:
    key = shop.key("api")
    supervisor = await shop.supervisor()
    path, os.environ["PATH"] = os.environ["PATH"], "/nowhere"
    try:
        error = await refusal(supervisor.log_lines([key], 5, follow=lambda: False))
        assert "the journal cannot be read" in error.message
        assert "journalctl" in error.remedy
    finally:
        os.environ["PATH"] = path
    # As a user who is not in its group; what is imported lies where only root can read.
    user = pwd.getpwnam("nobody")
    code = (
        "import asyncio, os\n"
        "from bluegreen.errors import SupervisorError\n"
        "from bluegreen.supervisors import journal\n"
        f"os.setgroups([]); os.setgid({user.pw_gid}); os.setuid({user.pw_uid})\n"
        "async def main():\n"
        "    try:\n"
        "        await journal.log_lines(['x.service'], 5, follow=lambda: False)\n"
        "    except SupervisorError as error:\n"
        "        print(error.message)\n"
        "asyncio.run(main())\n"
    )
    said = await command(sys.executable, "-c", code)
    assert "the journal cannot be read: No journal files were opened" in said, said
    # One that dies under a follower is no silent end.
    found = await supervisor.log_lines([key], 0, follow=lambda: True)
    following = asyncio.create_task(drained(found))
    await eventually(readers, "the journal is read")
    await command("pkill", "--parent", str(os.getpid()), "--exact", "journalctl")
    error = await refusal(following)
    assert "journalctl has ended" in error.message, error.lines()


async def the_command_shows_them_as_it_shows_files(shop: Workshop) -> None:
    async with api(shop):
        for service in ("api", "web"):
            for slot in Slot:
                go = shop.work / f"go-{service}-{slot}"
                unit = await shop.write(
                    f"until [ -e {go} ]; do sleep 0.02; done\n"
                    f"seq -f {service}-%g 3; exec sleep 1000\n",
                    service=service, slot=slot,
                )  # fmt: skip
                await shop.supervisors[-1].start(unit)
                # systemd's own word on the start may come late on a busy machine.
                started = partial(is_said_to_be_started, shop, unit.key)
                await eventually(started, f"{unit.key} is started")
                go.touch()
                await once_shown(shop, unit.key, f"{service}-3")
        assert await bluegreen("logs", shop.app, "--service", "api", "--lines", "2") == (
            "blue api | api-2\nblue api | api-3\ngreen api | api-2\ngreen api | api-3\n"
        )
        # Nothing is active: what the next release goes into.
        assert await bluegreen("logs", "--lines", "1", "--json") == (
            '{"source": "blue api", "line": "api-3"}\n{"source": "blue web", "line": "web-3"}\n'
        )
        assert await bluegreen("logs", "--lines", "0") == "no lines were asked for: --lines 0\n"
        following = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", "logs", "--service", "web", "--lines", "1",
            "--follow", "--root", "/", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert following.stdout is not None
        assert await following.stdout.readline() == b"blue web | web-3\n"
        assert await following.stdout.readline() == b"green web | web-3\n"
        await eventually(readers, "the journal is read")
        await shop.supervisors[-1].stop(shop.key("web"))
        said = b""
        async with asyncio.timeout(PATIENCE):
            while b"blue web | --- bluegreen: stopped at " not in said:
                said += await following.stdout.readline()
        following.kill()
        await following.wait()
        await eventually(lambda: not readers(), "nothing reads the journal")
        # And with no journalctl: the answer is the error, not an empty log.
        path, os.environ["PATH"] = os.environ["PATH"], "/nowhere"
        try:
            said_wrong = await bluegreen("logs", check=False)
        finally:
            os.environ["PATH"] = path
        assert "the journal cannot be read" in said_wrong, said_wrong


SCENARIOS = (
    nothing_is_lost_or_doubled_between_a_tail_and_what_follows,
    lines_that_were_rotated_away_are_not_there_and_the_rest_is,
    several_services_and_both_slots_are_told_apart,
    what_is_no_plain_text_comes_as_far_as_it_can_be_shown,
    too_much_is_cut_off_at_its_beginning,
    a_follower_leaves_no_reader_behind,
    a_killed_daemon_leaves_no_reader_behind,
    a_journal_that_cannot_be_read_says_so,
    the_command_shows_them_as_it_shows_files,
)
