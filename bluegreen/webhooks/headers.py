"""The headers of a delivery, of which each that matters may come once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LONGEST = 2048  # characters of one header

# All that any provider is told by; others are not looked at.
THAT_MATTER = frozenset(
    {
        "content-type",
        "idempotency-key",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
        "x-forgejo-delivery",
        "x-forgejo-event",
        "x-forgejo-signature",
        "x-gitea-delivery",
        "x-gitea-event",
        "x-gitea-signature",
        "x-github-delivery",
        "x-github-event",
        "x-gitlab-event",
        "x-gitlab-event-uuid",
        "x-gitlab-token",
        "x-hub-signature-256",
    }
)

Headers = Mapping[str, str]


def headers_of(pairs: Iterable[tuple[str, str]]) -> Headers | None:
    """Those that matter, by their names in lower case; None where one comes twice or is too long.

    Whoever is on the way reads one of two, and the daemon the other.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        if key not in THAT_MATTER:
            continue
        if key in found or len(value) > LONGEST:
            return None
        found[key] = value
    return found
