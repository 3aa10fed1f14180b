"""Asks what ``[[gate.unchanged]]`` names.

Run as a program, ``answering QUESTIONS``, by the user that services run as and with the app's
environment: it prints an `Answer` for each question, in their order, as a line of JSON. What a
command says on its standard error stands between these lines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bluegreen.invariants import sqlite
from bluegreen.log_tail import printable

SHOWN = 200  # characters of an answer; the rest of it is compared all the same
CHUNK = 64 * 1024  # bytes


@dataclass(frozen=True, kw_only=True)
class Question:
    """One of them: a query of the database at ``sqlite`` in ``shared``, or a program's words."""

    timeout: float  # seconds
    shared: str = ""
    sqlite: str = ""
    query: str = ""
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered: its beginning, fit to print, and a digest of all of it.

    ``problem`` is why there is none.
    """

    shown: str
    digest: str
    problem: str | None = None

    def line(self) -> str:
        return json.dumps({"answer": asdict(self)})


def parse(line: str) -> Answer | None:
    """The answer in a line that was printed; None for any other line."""
    try:
        found = json.loads(line)["answer"]
        answer = Answer(**found)
    except (ValueError, TypeError, KeyError):
        return None
    return answer if isinstance(answer.shown, str) and isinstance(answer.digest, str) else None


def answer(question: Question) -> Answer:
    """Ask one. Blocks for ``question.timeout`` at the most."""
    try:
        if question.argv:
            return _of_program(question)
        rows = sqlite.ask(_database(question), question.query, timeout=question.timeout)
        return _answer(f"{row}\n".encode() for row in rows)
    except sqlite.UnreadableError as error:
        return Answer(shown="", digest="", problem=printable(str(error)))


def _database(question: Question) -> Path:
    shared = os.path.realpath(question.shared)
    found = Path(os.path.realpath(os.path.join(shared, question.sqlite)))
    if not found.is_relative_to(shared):
        raise sqlite.UnreadableError(f"it leads out of the shared directory, to {found}")
    return found


def _of_program(question: Question) -> Answer:
    try:
        process = subprocess.Popen(
            question.argv, bufsize=0, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return _none(f"{question.argv[0]}: {error.strerror or error}")
    late = threading.Event()

    def end() -> None:
        late.set()
        if process.returncode is None:  # until then its number is not given to another
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    clock = threading.Timer(question.timeout, end)
    clock.start()
    try:
        found = _answer(_output(process))
        status = process.wait()
    finally:
        clock.cancel()
    if late.is_set():
        return _none(f"no answer within {question.timeout:g} s")
    if status < 0:
        return _none(f"killed by {signal.Signals(-status).name}")
    return found if status == 0 else _none(f"exit status {status}")


def _output(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    if process.stdout is not None:
        with process.stdout as output:
            while part := output.read(CHUNK):
                yield part


def _none(problem: str) -> Answer:
    return Answer(shown="", digest="", problem=problem)


def _answer(parts: Iterable[bytes]) -> Answer:
    digest, beginning = hashlib.sha256(), bytearray()
    for part in parts:
        digest.update(part)
        beginning += part[: max(4 * SHOWN + 4 - len(beginning), 0)]
    text = " ".join(printable(line) for line in beginning.decode(errors="replace").splitlines())
    text = " ".join(text.split())
    shown = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
    return Answer(shown=shown, digest=digest.hexdigest())


def main(questions: str) -> None:
    """Answer the questions of a JSON list."""
    asked: list[dict[str, Any]] = json.loads(questions)
    for one in asked:
        print(answer(Question(**{**one, "argv": tuple(one.get("argv", ()))})).line(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
