"""The daemon itself."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class Alive(TypedDict):
    """That the daemon lives."""

    status: Literal["ok"]
    version: str


class Reloaded(TypedDict):
    """Names of apps that have changed, or would; and of files that count from the next start."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    at_next_start: list[str]
