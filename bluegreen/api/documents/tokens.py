"""Tokens."""

from __future__ import annotations

from typing_extensions import TypedDict


class Token(TypedDict):
    """What the API may be asked with over TCP, without its text. ``apps`` null: all."""

    id: int
    name: str
    scopes: list[str]
    apps: list[str] | None
    valid: bool
    created_at: float
    created_by: str
    expires_at: float | None
    last_used_at: float | None
    last_used_from: str | None
    revoked_at: float | None
    revoked_by: str | None


class Tokens(TypedDict):
    """Those that have ended too, the oldest first."""

    tokens: list[Token]


class TokenMade(Token):
    """A new token with its text, which is not kept: null where a key asks for it once more."""

    token: str | None
