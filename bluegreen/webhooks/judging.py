"""From headers and raw body to a verdict: first the signature, and only then the rest is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from secrets import token_hex

from bluegreen.config.webhook_section import Webhook
from bluegreen.webhooks.headers import Headers
from bluegreen.webhooks.nouns import Decision, Happening, Nothing, Verdict
from bluegreen.webhooks.provider import PROVIDERS
from bluegreen.webhooks.rules import UnmetError, version_by

LONGEST_REASON = 300  # characters
_NAME = re.compile(r"[A-Za-z0-9._:=+/-]{1,128}")
# What is compared where there is nothing to compare with, so that it takes as long.
_NOBODYS = f"whsec_{token_hex(32)}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A ``[[webhook]]`` with the secrets that are in its files now; none: nobody can sign."""

    webhook: Webhook
    secrets: Sequence[str] = field(repr=False)


def judge(rules: Sequence[Rule], headers: Headers, body: bytes, now: float) -> Verdict | None:
    """What a delivery asks for by the first rule that it meets; None: not by anyone known.

    ``now`` is Unix seconds. Nothing of the body is parsed before one secret has signed all of it.
    """
    name = next((name for name, one in PROVIDERS.items() if one.is_sender(headers)), "github")
    provider = PROVIDERS[name]
    candidates = [rule for rule in rules if rule.webhook.provider == name]
    signed = [
        provider.verify(headers, body, rule.secrets or [_NOBODYS], now) for rule in candidates
    ]
    if not candidates:
        provider.verify(headers, body, [_NOBODYS], now)
    if not any(signed):
        return None
    met = [rule for rule, is_right in zip(candidates, signed, strict=True) if is_right]
    return _verdict(name, met, headers, body, now)


def _verdict(name: str, met: Sequence[Rule], headers: Headers, body: bytes, now: float) -> Verdict:
    provider = PROVIDERS[name]
    secrets = [secret for rule in met for secret in rule.secrets]
    given, is_signed = provider.delivery(headers, body, secrets, now)
    found = provider.happening(headers, body)
    is_usable = given is not None and _NAME.fullmatch(given) is not None
    delivery = given if is_usable and given else f"sha256:{hashlib.sha256(body).hexdigest()}"
    decision, version, why = _decision([rule.webhook for rule in met], found)
    return Verdict(
        provider=name,
        delivery=delivery,
        is_named_by_signature=is_signed and is_usable,
        event=ascii(found.event)[1:-1],
        decision=decision,
        version=version,
        why=why,
    )


def _decision(
    met: Sequence[Webhook], found: Happening | Nothing
) -> tuple[Decision, str | None, str | None]:
    if isinstance(found, Nothing):
        why = ascii(found.why)[1:-1][:LONGEST_REASON]
        return (Decision.UNREADABLE if found.is_unreadable else Decision.IGNORED), None, why
    reasons: list[str] = []
    for webhook in met:
        try:
            return Decision.ACCEPTED, version_by(webhook, found), None
        except UnmetError as error:
            reasons.append(str(error))
    return Decision.IGNORED, None, "; ".join(dict.fromkeys(reasons))[:LONGEST_REASON]


def judge_again(
    rules: Sequence[Webhook], provider: str, headers: Headers, body: bytes
) -> tuple[Decision, str | None, str | None]:
    """Decision, version and reason of a delivery that was verified as it came, by today's rules."""
    met = [webhook for webhook in rules if webhook.provider == provider]
    found = PROVIDERS[provider].happening(headers, body)
    if not met:
        return Decision.IGNORED, None, f"the app file has no webhook of {provider} any more"
    return _decision(met, found)
