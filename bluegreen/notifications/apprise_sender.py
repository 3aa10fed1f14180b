"""Services that Apprise knows, each message in a process of its own with a limit of time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys

from bluegreen.config.notify_section import Notify, is_web
from bluegreen.config.secret_file import SecretFile
from bluegreen.notifications.answer import ACCEPTED, Answer, failed
from bluegreen.notifications.message import Message
from bluegreen.notifications.secret_files import UnusableSecretError, read_secret

SEND_LIMIT = 30.0  # seconds, with the start of Python and of Apprise
_BAD = ("failed", "rolled_back", "interrupted")
# Of the daemon's environment, what a program needs that asks others over the network.
_KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
)  # fmt: skip


class AppriseSender:
    """Sends to one URL. ``turns`` bounds how many processes start at a time.

    That takes the processor for a second or two. The answer of a service takes nothing but its
    time, so nobody waits for another's turn to end with that.
    """

    def __init__(
        self, settings: Notify, turns: asyncio.Semaphore, *, limit: float = SEND_LIMIT
    ) -> None:
        self._settings, self._turns, self._limit = settings, turns, limit

    async def send(self, message: Message, name: str) -> Answer:
        """``name`` is not told: none of these services knows messages that come again."""
        try:
            url = self._settings.url
            address = await read_secret(url) if isinstance(url, SecretFile) else url
        except UnusableSecretError as error:
            return failed(str(error))
        if is_web(address):
            return failed("its url is that of a webhook, and it has no secret to sign with")
        task = {
            "url": address, "title": message.title(), "body": message.words(),
            "seconds": self._limit, "kind": _kind(message.occasion),
        }  # fmt: skip
        async with contextlib.AsyncExitStack() as turn:
            await turn.enter_async_context(self._turns)
            return await self._run(json.dumps(task).encode(), turn)

    async def _run(self, task: bytes, turn: contextlib.AsyncExitStack) -> Answer:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", "bluegreen.notifications.apprise_worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env=_environment(), cwd="/",
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._limit):
                output = await _told(process, task, turn)
        except TimeoutError:
            return failed(f"it took longer than {self._limit:g} s, and was ended")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return _answer(output)


async def _told(
    process: asyncio.subprocess.Process, task: bytes, turn: contextlib.AsyncExitStack
) -> bytes:
    """What it says of ``task``. Its turn is over once it has started."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    with contextlib.suppress(ConnectionError):  # it has ended, and says nothing
        process.stdin.write(task)
        await process.stdin.drain()
    process.stdin.close()
    await process.stdout.readline()
    await turn.aclose()
    return await process.stdout.read()


def _answer(output: bytes) -> Answer:
    try:
        said = json.loads(output)
    except ValueError:
        return failed("Apprise ended without an answer")
    if said["sent"]:
        return ACCEPTED
    return failed(said["said"][:300] or "it was not taken, and Apprise does not say why")


def _kind(occasion: str) -> str:
    return "failure" if occasion in _BAD else "success" if occasion == "succeeded" else "info"


def _environment() -> dict[str, str]:
    names = (*_KEPT, *(name.lower() for name in _KEPT if name.endswith("_PROXY")))
    return {name: os.environ[name] for name in names if name in os.environ}
