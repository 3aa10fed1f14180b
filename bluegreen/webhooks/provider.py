"""What each provider's module is asked: pure functions of headers, raw body, secrets and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bluegreen.webhooks import gitea, github, gitlab, standard
from bluegreen.webhooks.headers import Headers
from bluegreen.webhooks.nouns import Happening, Nothing


class Provider(Protocol):
    """One kind of sender. Times are Unix seconds."""

    def is_sender(self, headers: Headers) -> bool:
        """Whether the headers are those of such a sender."""

    def is_usable(self, secret: str) -> bool:
        """Whether a secret is one that could sign, and not one to be guessed."""

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
        """Whether one of ``secrets`` has signed the body. All are tried, whichever is right."""

    def delivery(
        self, headers: Headers, body: bytes, secrets: Sequence[str], now: float
    ) -> tuple[str | None, bool]:
        """The sender's name for one that was verified, and whether that is signed with it."""

    def happening(self, headers: Headers, body: bytes) -> Happening | Nothing:
        """What a body that was verified says."""

    def sign(self, body: bytes, secret: str, event: str, name: str, now: float) -> dict[str, str]:
        """The headers of a delivery as the sender would send it."""


PROVIDERS: dict[str, Provider] = {
    "gitea": gitea,  # before GitHub, whose headers it sends too
    "github": github,
    "gitlab": gitlab,
    "standard": standard,
}
