"""What the demo says: acts, commands as an operator would type them, what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

PIPE_WIDTH = 100  # characters of the tables where there is no terminal


def make_console(*, quiet: bool) -> Console:
    """A console for standard output: colours on a terminal, plain lines in a pipe."""
    console = Console(highlight=False, markup=False, emoji=False, quiet=quiet)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


class Narrator:
    """Tells the demo line by line; with ``as_json`` as one JSON document a line instead."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self.console = console
        self._as_json = as_json
        self._acts = 0
        self._status: Status | None = None

    def line(self, text: str = "", style: str = "") -> None:
        # Long lines are left to the terminal: a pipe gets them whole.
        self.console.print(Text(text, style=style), soft_wrap=True)

    def act(self, *lines: str) -> None:
        """Begin the next act with a sentence or two."""
        self._acts += 1
        first, *rest = lines
        self.line()
        self.line(f"{self._acts:>2}. {first}", "bold")
        for text in rest:
            self.line(f"    {text}")
        self.document({"act": self._acts, "says": " ".join(lines)})

    def command(self, *words: str) -> None:
        self.line(f"    $ {' '.join(words)}", "cyan")

    def output(self, lines: Iterable[str]) -> None:
        for text in lines:
            self.line(f"      {text}", "dim")

    def check(self, *, held: bool, text: str) -> None:
        """Whether it came as it should."""
        terminal = self.console.is_terminal
        if held:
            self.line(f"    {'✓' if terminal else 'ok:'} {text}", "green")
        else:
            self.line(f"    {'✗' if terminal else 'NOT AS EXPECTED:'} {text}", "bold red")
        self.document({"act": self._acts, "held": held, "check": text})

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """Something that moves while ``with`` lasts, where there is a terminal to see it.

        What it yields changes the text. Inside another one, only the text changes.
        """
        if self._status is not None:
            self._update(text)
            yield self._update
            return
        with self.console.status(Text(text, style="dim")) as self._status:
            try:
                yield self._update
            finally:
                self._status = None

    def _update(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(text, style="dim"))

    def document(self, document: dict[str, Any]) -> None:
        """One line of JSON, where that is asked for."""
        if self._as_json:
            print(json.dumps(document), flush=True)
