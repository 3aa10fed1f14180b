"""The acts of the demo, and what must come of each.

A WebSocket stays on the slot where it was opened, and ends gracefully when a later deploy takes
that slot. The load opens its WebSockets while blue has the traffic; so blue has the traffic
whenever an act begins with a deploy, which then takes green.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable
from typing import Any

from bluegreen.demo.account import (
    Account,
    Check,
    check,
    failed_phase,
    marks_of,
    switch_times,
)
from bluegreen.demo.commands import Ran
from bluegreen.demo.narration import Narrator
from bluegreen.demo.stage import APP, CRASHING_SERVICE, Stage
from bluegreen.demo.telling import outcome_lines, refusal_lines
from bluegreen.demo.timeline import Mark, duration
from bluegreen.errors import BluegreenError
from bluegreen.model import PhaseState, Slot

QUICK_SWITCHES = 100  # an even number, so that traffic ends where it was
QUICK_PAUSE = 0.02  # seconds between two of them
LOOK_SECONDS = 1.0  # after a switch, so that the chart shows which slot served
WITHOUT_DAEMON = 2.0  # seconds in which visitors are served with no daemon at all
READY_SECONDS = 60.0  # for the idle slot to be warm again
READY_POLL = 0.05
BLUE, GREEN = "blue", "green"

Trigger = Callable[[dict[str, Any]], None]


class Acts:
    """Each method is an act, or a part of one; together they make the demo (see ``play``)."""

    def __init__(self, stage: Stage, narrator: Narrator, account: Account) -> None:
        self._stage = stage
        self._say = narrator
        self._account = account

    # -- what acts are made of --------------------------------------------------------------

    def expect(self, *checks: Check) -> None:
        """Say and keep account of whether it came as it must."""
        for each in checks:
            self._account.expect(held=each.held, text=each.text)
            if not each.held:
                self._say.check(held=False, text=each.text)
        if held := [each.text for each in checks if each.held]:
            self._say.check(held=True, text="; ".join(held))

    async def served(self, version: str, slot: str) -> Check:
        """A visitor gets that version, from that slot."""
        wanted = f"{version} from {slot}"
        try:
            answer = str(await self._stage.visit())
        except (OSError, http.client.HTTPException) as error:
            answer = f"no answer: {error}"
        return check(answer == wanted, f"visitors get {wanted}", found=answer)

    async def release(self, *words: str) -> Ran:
        """Run a command that is an operation; say what came of it and mark it in the chart."""
        ran = await self.operation(*words)
        self.tell(ran)
        return ran

    async def operation(self, *words: str, on_document: Trigger | None = None) -> Ran:
        """Run a command that is an operation, to be told of with ``tell``."""
        self._say.command("bluegreen", *words)
        with self._say.working(" ".join(words)) as update:

            def follow(document: dict[str, Any]) -> None:
                if document.get("kind") == "phase":
                    update(f"{' '.join(words)}: {document['data']['phase']}")
                if on_document is not None:
                    on_document(document)

            return await self._stage.commands.documents(*words, on_document=follow)

    def tell(self, ran: Ran) -> None:
        """Say what came of an operation and mark it in the chart."""
        self._say.output(outcome_lines(ran.result))
        if "state" in ran.result:
            self._account.marks += marks_of(ran.documents)

    async def switch(self, *words: str, served: tuple[str, str]) -> None:
        """Run a ``switch`` that makes a version serve from a slot; the API's own time counts."""
        self._say.command("bluegreen", "switch", *words)
        ran = await self._stage.commands.documents("switch", *words)
        answer = ran.result
        if ran.status == 0:
            took = answer["seconds"]
            at, label = answer["operation"]["created_at"], " ".join(["switch", *words[:-1]])
            self._account.switch_seconds.append(took)
            self._account.marks.append(Mark(at=at, label=label, slot=Slot(answer["to"]), took=took))
            said = f"{APP}: {answer['to']} serves {answer['version']} now ({took * 1000:.1f} ms)"
            self._say.output([said])
        else:
            self._say.output(refusal_lines(answer))
        self.expect(exit_status(ran, 0), await self.served(*served))
        await asyncio.sleep(LOOK_SECONDS)

    async def idle_slot_ready(self) -> None:
        """Wait until the idle slot has its old release back and running."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if (await self._stage.status())["switch_back"]["how"] == "instant":
                return
            await asyncio.sleep(READY_POLL)
        self.expect(check(False, f"the idle slot is ready again within {READY_SECONDS:g} s"))

    # -- the acts ---------------------------------------------------------------------------

    async def first_release(self) -> None:
        self._say.act("The first release, before anybody visits.")
        await self.start_daemon()
        ran = await self.release("deploy", APP, "v1")
        self.expect(exit_status(ran, 0), await self.served("v1", BLUE))

    async def start_daemon(self) -> None:
        self._say.command("bluegreen", *self._stage.daemon.arguments, "&")
        with self._say.working("the daemon starts"):
            await self._stage.daemon.start()

    async def upgrade(self, *lines: str) -> None:
        self._say.act(*lines)
        ran = await self.release("deploy", APP, "v2")
        self.expect(exit_status(ran, 0), await self.served("v2", GREEN))

    async def back_and_forth(self) -> None:
        self._say.act(
            "Second thoughts: back to v1, which still runs in blue, and forward again.",
            "A switch is one rename of a file that nginx looks at; no reload, no new process.",
        )
        await self.switch("back", APP, served=("v1", BLUE))
        await self.switch("to", GREEN, APP, served=("v2", GREEN))

    async def back_to_blue(self, *lines: str) -> None:
        """So that the next deploy takes green, and not the slot of the WebSockets."""
        self._say.act(*lines)
        await self.switch("back", APP, served=("v1", BLUE))

    async def refused(self, version: str, phase: str, *lines: str) -> None:
        """A release that may not get any traffic."""
        await self.idle_slot_ready()
        self._say.act(*lines)
        ran = await self.release("deploy", APP, version)
        failed = failed_phase(ran.documents)
        self.expect(
            exit_status(ran, 1),
            check(failed == phase, f"refused in its {phase}", found=failed or "not refused"),
            await self.served("v1", BLUE),
        )

    async def port_is_held(self) -> None:
        """While green is empty, as an app's own port cannot be taken from it."""
        self._say.act(
            "A stranger sits on the port that the API is to have in green: v3-port-held, whose API "
            "would",
            "go on without its port while the stranger answers for it, is not even begun.",
        )
        async with self._stage.stranger(Slot.GREEN) as port:
            ran = await self.release("deploy", APP, "v3-port-held")
        failed = failed_phase(ran.documents)
        named = str(port) in str(ran.result.get("error"))
        self.expect(
            exit_status(ran, 1),
            check(failed == "preflight", "refused in its preflight", found=str(failed)),
            check(named, "the port is named"),
            await self.served("v1", BLUE),
        )

    async def ignores_sigterm(self) -> None:
        self._say.act(
            "Two releases with bad manners that no visitor can see. The first: the api never ends "
            "on SIGTERM.",
            "It may serve; whoever needs its slot next ends it after its stop_timeout.",
        )
        ran = await self.release("deploy", APP, "v3-ignores-sigterm")
        self.expect(exit_status(ran, 0), await self.served("v3-ignores-sigterm", GREEN))
        await self.switch("back", APP, served=("v1", BLUE))

    async def own_port(self) -> None:
        self._say.act(
            "The second takes its slot: /login redirects to http://localhost:PORT/ of its own "
            "process.",
            "nginx makes it an address of the site.",
        )
        ran = await self.release("deploy", APP, "v3-own-port")
        location = await self._stage.redirect("/login?next=/")
        leaked = any(str(port) in location for port in self._stage.ports)
        self.expect(
            exit_status(ran, 0),
            await self.served("v3-own-port", GREEN),
            check(location.startswith(("/", self._stage.url)) and not leaked,
                  "/login redirects within the site", found=location),
        )  # fmt: skip
        await self.switch("back", APP, served=("v1", BLUE))

    async def crashes(self) -> None:
        await self.idle_slot_ready()
        self._say.act(
            f"v3-crashes passes its gate and gets the traffic; then its {CRASHING_SERVICE} service "
            "dies.",
            "The watch after the switch sees it, and goes back to v1 by itself.",
        )
        ran = await self.release("deploy", APP, "v3-crashes")
        self.expect(exit_status(ran, 5), state(ran, "rolled_back"), await self.served("v1", BLUE))

    async def switch_in_a_deploy(self) -> None:
        await self.idle_slot_ready()
        self._say.act(
            "A switch back while a deploy is running: it waits for nothing, the deploy gives way."
        )
        building = asyncio.Event()

        def in_build(document: dict[str, Any]) -> None:
            if is_intent(document, "build"):
                building.set()

        deploy = asyncio.create_task(
            self.operation("deploy", APP, "v3-unhealthy", on_document=in_build),
            name="deploy that gives way",
        )
        try:
            begun = asyncio.create_task(building.wait(), name="the build has begun")
            await asyncio.wait([deploy, begun], return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
            await self.switch("back", APP, served=("v2", GREEN))
            ran = await deploy
        finally:
            deploy.cancel()
            await asyncio.wait([deploy])
        self.tell(ran)
        self.expect(exit_status(ran, 1), state(ran, "superseded"))

    async def killed_in_a_deploy(self) -> None:
        self._say.act(
            "The daemon is killed in the middle of a deploy: v2 is at its gate, half started.",
            f"nginx and the app do not need it. {WITHOUT_DAEMON:g} s later it is started again.",
        )
        killed: list[float] = []

        def at_gate(document: dict[str, Any]) -> None:
            if is_intent(document, "gate"):
                killed.append(time.time())
                self._stage.daemon.kill()

        pid = self._stage.daemon.pid
        deploy = asyncio.create_task(
            self.operation("deploy", APP, "v2", on_document=at_gate), name="deploy that is killed"
        )
        gone = asyncio.create_task(self._stage.daemon.gone(), name="the daemon is gone")
        try:
            await asyncio.wait([deploy, gone], return_when=asyncio.FIRST_COMPLETED)
            self.expect(check(bool(killed), "the deploy is at its gate"))
            if killed:
                self._account.marks.append(Mark(at=killed[0], label="daemon killed"))
                self._say.command("kill", "-9", str(pid))
                await gone
                await self._without_daemon()
                await self.start_daemon()
                self._account.marks.append(Mark(at=time.time(), label="daemon started again"))
            ran = await deploy
        finally:
            deploy.cancel()
            gone.cancel()
            await asyncio.wait([deploy, gone])
        self.tell(ran)
        self.expect(exit_status(ran, 1), state(ran, "interrupted"), await self.served("v1", BLUE))
        await self.idle_slot_ready()
        await self.show("status")
        await self.show("history", "--limit", "5")

    async def _without_daemon(self) -> None:
        status = await self.show("status")
        await asyncio.sleep(WITHOUT_DAEMON)
        self.expect(
            check(status == 3, "exit status 3: there is no daemon", found=str(status)),
            await self.served("v1", BLUE),
        )

    async def show(self, *words: str) -> int:
        """Run a command that only looks, and show all it says."""
        self._say.command("bluegreen", *words)
        status, lines = await self._stage.commands.lines(*words)
        self._say.output(lines)
        return status

    async def restart(self) -> None:
        self._say.act("A restart: the same version into the other slot, and traffic over to it.")
        ran = await self.release("restart", APP)
        self.expect(exit_status(ran, 0), await self.served("v1", GREEN))

    async def quick_switches(self) -> None:
        self._say.act(
            f"{QUICK_SWITCHES} switches in a row through the API, each of them recorded durably."
        )
        began, seconds = time.time(), []
        try:
            with self._say.working("switching"):
                for _ in range(QUICK_SWITCHES):
                    answer = await asyncio.to_thread(
                        self._stage.client.post, f"/v1/apps/{APP}/switch", {"to": "back"}
                    )
                    seconds.append(answer["seconds"])
                    await asyncio.sleep(QUICK_PAUSE)
        except (BluegreenError, OSError) as error:
            self._say.output(error.lines() if isinstance(error, BluegreenError) else [str(error)])
        self._account.switch_seconds += seconds
        made = len(seconds)
        if (times := switch_times(seconds)) is not None:
            label = f"{made} switches: median {duration(times.median)}, p99 {duration(times.p99)}"
            self._account.marks.append(Mark(at=began, label=label))
            self._say.output([f"{label}, slowest {duration(times.slowest)}"])
        self.expect(
            check(made == QUICK_SWITCHES, f"all {QUICK_SWITCHES} made", found=str(made)),
            await self.served("v2", GREEN),
        )


def exit_status(ran: Ran, wanted: int) -> Check:
    return check(ran.status == wanted, f"exit status {wanted}", found=str(ran.status))


def state(ran: Ran, wanted: str) -> Check:
    """The outcome of an operation."""
    found = str(ran.result.get("state"))
    return check(found == wanted, wanted.replace("_", " "), found=found)


def is_intent(document: dict[str, Any], phase: str) -> bool:
    """Whether an event says that a phase begins."""
    data = document.get("data", {})
    return (
        document.get("kind") == "phase"
        and data["phase"] == phase
        and data["state"] == PhaseState.INTENT
    )
