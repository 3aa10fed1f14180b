"""Values that must not be repeated: not in an error, an event or the history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

SHORTEST = 4  # characters; shorter ones would blacken half of what is shown
SHORTEST_IN_ENV_FILE = 8  # such files hold harmless words too, as "true" and "info"
MASK = "***"
_SECRET_NAMES = (
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PRIVATE",
    "CREDENTIAL",
    "API_KEY",
    "APIKEY",
)
_SECRET_ENDS = ("_KEY", "_PASS", "_PWD")


class Secret(str):
    """A variable's value that came from a file, and may be secret."""

    __slots__ = ()


def of_secret_file(text: str) -> str:
    """The text of a secret's file, marked unless it is too short to be masked."""
    return Secret(text) if len(text) >= SHORTEST else text


def of_env_file(variables: Mapping[str, str]) -> dict[str, str]:
    """What an env file holds, with those values marked that are long enough to be secrets."""
    return {
        name: Secret(value) if len(value) >= SHORTEST_IN_ENV_FILE else value
        for name, value in variables.items()
    }


def redact(lines: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """``lines`` with ``***`` for each `Secret` of ``environment``, as its process printed it.

    One of several lines (a key) is masked line by line; one within JSON as JSON writes it.
    """
    secrets = {
        written
        for value in environment.values()
        if isinstance(value, Secret)
        for part in (value, *value.splitlines())
        if len(part) >= SHORTEST
        for written in (part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])
    }
    # The longest first: one may be the beginning of another.
    for secret in sorted(secrets, key=len, reverse=True):
        lines = [line.replace(secret, MASK) for line in lines]
    return list(lines)


def looks_secret(variable: str) -> bool:
    """Whether a variable's name says that its value is nobody's business."""
    name = variable.upper()
    return any(word in name for word in _SECRET_NAMES) or name.endswith(_SECRET_ENDS)
