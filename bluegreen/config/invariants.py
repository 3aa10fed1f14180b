"""``[[gate.unchanged]]``: what a release must find and leave the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import Name, PositiveDuration, PostgresUrl, Script, SharedPath

SLACK = 30.0  # seconds for what is not a query: starting whoever asks, and killing it
_SHOWN = 100  # characters of a query


class Invariant(Section):
    """Exactly one of sqlite and postgres, each with a query, and command.

    ``command`` is run by ``/bin/sh -c``, as build steps are: what it prints is its answer.
    """

    name: Name | None = None
    sqlite: SharedPath | None = None
    postgres: PostgresUrl | None = None
    query: Script | None = None
    command: Script | None = None
    allow: Literal["more"] | None = None  # besides the same answer
    timeout: PositiveDuration = 10.0

    @model_validator(mode="after")
    def _exactly_one(self) -> Invariant:
        if sum(kind is not None for kind in (self.sqlite, self.postgres, self.command)) != 1:
            raise ValueRefusedError(
                "it is exactly one of sqlite, postgres, command",
                "Give it one of them; a second one is a second [[gate.unchanged]]",
            )
        if (self.query is None) != (self.command is not None):
            raise ValueRefusedError(
                "it has no query" if self.query is None else "a command has no query",
                'Write query = "SELECT COUNT(*) FROM users" beside sqlite or postgres'
                if self.query is None
                else "Remove the query: what the command prints is compared",
            )
        return self

    @property
    def label(self) -> str:
        """``SELECT COUNT(*) FROM users of data/app.db``: which one, for people."""
        if self.name is not None:
            return self.name
        if self.query is None:
            return "command"
        query = " ".join(self.query.split())
        shown = query if len(query) <= _SHOWN else f"{query[: _SHOWN - 1]}…"
        return f"{shown} of {self.sqlite or self.postgres}"


def measuring_time(invariants: Sequence[Invariant]) -> float:
    """Seconds that it may take to ask all of them, which is done one after the other."""
    return sum(one.timeout for one in invariants) + SLACK
