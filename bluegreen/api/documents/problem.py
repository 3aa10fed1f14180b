"""Why something was not done (RFC 9457)."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class Problem(TypedDict):
    """Why it was not done (RFC 9457)."""

    type: str
    title: str
    status: int
    kind: str
    detail: str
    remedy: str
    exit_status: int
    evidence: NotRequired[list[str]]
