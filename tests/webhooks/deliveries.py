"""Deliveries for tests: recorded shapes, signed as their senders would."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bluegreen.config.webhook_section import Webhook
from bluegreen.webhooks.judging import Rule
from bluegreen.webhooks.provider import PROVIDERS

SECRET = "kept-by-two-and-guessed-by-none"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COMMIT = "7a81e6b4a3f2c9d05e1f4b8890aa12cd34ef5678"
NOW = 1795000000.0


def payload(name: str) -> bytes:
    """The recorded body of that name."""
    return (Path(__file__).with_name("payloads") / f"{name}.json").read_bytes()


def rule(provider: str, on: Any, version: str = "tag", **keys: Any) -> Rule:
    """A rule of the app file, with the usual secret."""
    secret = STANDARD_SECRET if provider == "standard" else SECRET
    webhook = Webhook.model_validate(
        {"provider": provider, "on": on, "version": version, "secret": {"file": "/s"}} | keys
    )
    return Rule(webhook=webhook, secrets=[secret])


def signed(
    provider: str,
    event: str,
    body: bytes,
    *,
    name: str = "d-1",
    now: float | None = None,
    secret: str | None = None,
) -> dict[str, str]:
    """The headers of a delivery; ``now`` None is the time that it is."""
    secret = secret or (STANDARD_SECRET if provider == "standard" else SECRET)
    at = time.time() if now is None else now
    return PROVIDERS[provider].sign(body, secret, event, name, at)
