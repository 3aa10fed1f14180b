"""The demo from its beginning to its end (``bluegreen demo``, ``deploy/demo``)."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bluegreen.demo.account import Account, check
from bluegreen.demo.acts import Acts
from bluegreen.demo.finale import Finale
from bluegreen.demo.load_process import LoadProcess
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.migration import migrate_under_hold
from bluegreen.demo.narration import Narrator
from bluegreen.demo.report import Report
from bluegreen.demo.stage import APP, Stage, staged
from bluegreen.demo.versions import FAULTS

# Their pace is set by the visitors, not by the machine: what is shown is whether they are served.
CONNECTIONS, WEBSOCKETS, DOWNLOADS = 64, 20, 10
THINK_SECONDS = 0.1
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def play(narrator: Narrator, *, keep: bool) -> int:
    """Play it all; the exit status: 0 all held, 1 something did not, 128 + N ended by signal N.

    Raises BluegreenError where it cannot be played on this machine.
    """
    with _ended_by_signals(narrator) as received:
        try:
            return 0 if await _play(narrator, keep=keep) else 1
        except asyncio.CancelledError:
            if not received:
                raise
            narrator.line()
            narrator.line(f"{received[0].name}: all that was started has been ended and removed")
            return 128 + received[0]


async def _play(narrator: Narrator, *, keep: bool) -> bool:
    account = Account()
    async with staged() as stage:
        _introduce(narrator, stage)
        report = await _acts(stage, narrator, account)
        finale = Finale(report=report, account=account)
        await asyncio.to_thread(_present, finale, narrator)
        if keep:
            kept = _going_on(stage)
            stage.leave()
            narrator.line()
            for line in kept:
                narrator.line(line)
            narrator.document(finale.document() | {"root": str(stage.root), "url": stage.url})
        else:
            narrator.line()
            with narrator.working("ending all that was started"):
                await stage.clear()
            narrator.document(finale.document())
    if not keep:
        narrator.line("The daemon, the app and nginx have ended, and their root is removed.")
    narrator.line()
    for line in finale.verdict():
        narrator.line(line, "bold green" if finale.held else "bold red")
    return finale.held


def _introduce(narrator: Narrator, stage: Stage) -> None:
    for line in (
        "bluegreen demo: an app of four services (pages, API, two kinds of WebSockets) behind a "
        "real nginx,",
        "upgraded, broken and switched back while it is visited. Every command is run as shown, "
        "after:",
    ):
        narrator.line(line)
    narrator.line(f"    $ export BLUEGREEN_ROOT={shlex.quote(str(stage.root))}", "cyan")
    narrator.line(f"The site is {stage.url}")


async def _acts(stage: Stage, narrator: Narrator, account: Account) -> Report:
    acts = Acts(stage, narrator, account)
    await acts.first_release()
    settings = LoadSettings(
        url=stage.url, connections=CONNECTIONS, websockets=WEBSOCKETS, downloads=DOWNLOADS,
        think=THINK_SECONDS,
    )  # fmt: skip
    narrator.act(
        f"Visitors come, and stay to the end: {CONNECTIONS} keep-alive connections that POST and "
        "never try again,",
        f"{WEBSOCKETS} WebSockets whose every message must come back, {DOWNLOADS} slow downloads "
        "at a time.",
    )
    async with LoadProcess(settings) as load:
        await load.ready()
        acts.expect(check(True, "each of them has been served"))
        await _under_load(acts)
        narrator.act("The visitors leave.")
        report = await load.stop()
    await migrate_under_hold(stage, narrator, acts)
    narrator.act("What the first visitors saw:")
    return report


async def _under_load(acts: Acts) -> None:
    await acts.port_is_held()
    await acts.upgrade("An upgrade: v2 goes into the idle slot, through its gate, then traffic "
                       "goes there.")  # fmt: skip
    await acts.back_and_forth()
    await acts.back_to_blue(
        "Back to v1 in blue for the next deploys. The visitors' WebSockets live in blue, where "
        "they were opened;",
        "a deploy takes the idle slot and ends what is left there, so that is to be green. "
        "Downloads end by themselves.",
    )
    await acts.refused(
        "v3-build-fails", "build", f"A release whose build fails: {FAULTS['build-fails']}."
    )
    await acts.refused(
        "v3-unhealthy", "gate", f"A release that never gets healthy: {FAULTS['unhealthy']}."
    )
    await acts.refused(
        "v3-error-page", "gate", f"A release with an error page: {FAULTS['error-page']}."
    )
    await acts.refused(
        "v3-ws-closes", "gate", f"A release with a broken WebSocket: {FAULTS['ws-closes']}."
    )
    await acts.crashes()
    await acts.switch_in_a_deploy()
    await acts.back_to_blue("To v1 in blue again, for the same reason as before.")
    await acts.killed_in_a_deploy()
    await acts.ignores_sigterm()
    await acts.own_port()
    await acts.restart()
    await acts.back_to_blue("To blue once more, whose processes have served since the beginning.")
    await acts.upgrade("And v2 again, this time for good.")
    await acts.quick_switches()


def _present(finale: Finale, narrator: Narrator) -> None:
    """Charts and tables; the SVG stays where it says."""
    narrator.line()
    finale.show(narrator.console)
    finale.chart = _chart_file()
    finale.chart.write_text(finale.svg())
    narrator.line(f"The chart as a picture: {finale.chart}")


def _chart_file() -> Path:
    with tempfile.NamedTemporaryFile(prefix="bluegreen-demo-", suffix=".svg", delete=False) as file:
        return Path(file.name)


def _going_on(stage: Stage) -> list[str]:
    """How to go on with what is left running, and how to end it."""
    beside = Path(sys.executable).with_name("bluegreen")
    found = shutil.which("bluegreen") or not beside.exists()
    command = "bluegreen" if found else shlex.quote(str(beside))
    root = shlex.quote(str(stage.root))
    return [
        f"It is left running, without visitors: {stage.url}",
        "Go on:",
        f"    export BLUEGREEN_ROOT={root}",
        f"    {command} status",
        f"    {command} switch back",
        f"    {command} deploy {APP} v1",
        "End it (the daemon ends the app and nginx too), then remove it:",
        f"    kill {stage.daemon.pid}",
        f"    rm -r {root}",
    ]


@contextmanager
def _ended_by_signals(narrator: Narrator) -> Iterator[list[signal.Signals]]:
    """The first signal cancels the task that runs the ``with`` block; it is in the list then."""
    received: list[signal.Signals] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def on_signal(number: signal.Signals) -> None:
        if not received and task is not None:
            task.cancel()
        received.append(number)
        narrator.line()
        narrator.line(f"{number.name}: ending all that was started, a moment please")

    for number in _ENDING:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield received
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)
