"""Commands as an operator types them, run as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bluegreen.errors import BluegreenError

COMMAND_SECONDS = 120.0  # that a command may take
DOCUMENT_BYTES = 2**20  # of one line of JSON


class CommandTimeoutError(BluegreenError):
    """A command did not come to its end."""

    kind: ClassVar[str] = "timeout"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a command with ``--json`` ended: its status, and the documents it printed."""

    status: int
    documents: Sequence[dict[str, Any]]

    @property
    def result(self) -> dict[str, Any]:
        """The last document; empty when there is none."""
        return self.documents[-1] if self.documents else {}


class Commands:
    """``bluegreen`` on one root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def documents(
        self, *arguments: str, on_document: Callable[[dict[str, Any]], None] | None = None
    ) -> Ran:
        """Run ``bluegreen ARGUMENTS --json``; each document goes to ``on_document`` as it comes.

        Raises CommandTimeoutError.
        """
        documents = []
        async with self._started(*arguments, "--json", errors=None) as command:
            output = command.stdout
            while output is not None and (line := await output.readline()):
                document = json.loads(line)
                documents.append(document)
                if on_document is not None:
                    on_document(document)
            status = await command.wait()
        return Ran(status=status, documents=documents)

    async def lines(self, *arguments: str) -> tuple[int, list[str]]:
        """Run ``bluegreen ARGUMENTS``; its status and all that it said. CommandTimeoutError."""
        async with self._started(*arguments, errors=asyncio.subprocess.STDOUT) as command:
            said, _ = await command.communicate()
        return command.returncode or 0, said.decode().splitlines()

    @contextlib.asynccontextmanager
    async def _started(
        self, *arguments: str, errors: int | None
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bluegreen", *arguments,
            cwd=self._root, env={**os.environ, "BLUEGREEN_ROOT": str(self._root)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=errors,
            limit=DOCUMENT_BYTES,
            start_new_session=True,  # an interrupt at the terminal is ours to handle
        )  # fmt: skip
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                yield command
        except TimeoutError as error:
            raise CommandTimeoutError(
                f"bluegreen {shlex.join(arguments)} took longer than {COMMAND_SECONDS:g} s",
                remedy="see what it waits for: bluegreen demo --keep",
            ) from error
        finally:
            if command.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    command.kill()
                await command.wait()
