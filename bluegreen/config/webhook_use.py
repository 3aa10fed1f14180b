"""What the keys of a ``[[webhook]]`` say about each other."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.draft import Draft
from bluegreen.config.places import Place
from bluegreen.config.problems import Finding
from bluegreen.config.webhook_section import EVENTS, Webhook

LISTS = ("on", "branches", "tags", "workflows", "environments")
# A key that is about one event, and how that is called there.
_OF_EVENTS = {
    "workflows": ("workflow_run", "workflows"),
    "environments": ("deployment", "deployments"),
    "prereleases": ("release", "releases"),
}


def webhook_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed in ``[[webhook]]`` and cannot be meant."""
    seen: dict[Webhook, int] = {}
    owners: dict[str, tuple[int, str]] = {}
    for index, webhook in draft.webhooks:
        place: Place = ("webhook", index)
        first = seen.setdefault(webhook, index)
        if first != index:
            yield Finding(
                place=(*place, "provider"),
                wrong=f"all of it is the same as webhook[{first}]",
                right="Keep one of them",
            )
            continue
        yield from _repeated(place, webhook)
        yield from _shared(index, webhook, owners)
        if webhook.provider == "standard":
            yield from _standard(place, webhook)
        else:
            yield from _events(place, webhook)
            yield from _forge(place, webhook)


def _repeated(place: Place, webhook: Webhook) -> Iterator[Finding]:
    for key in LISTS:
        values = getattr(webhook, key)
        for index, value in enumerate(values):
            if value in values[:index]:
                yield Finding(
                    place=(*place, key),
                    wrong=f'"{value}" is listed twice',
                    right="Keep one of them",
                )
    if len({one.file for one in webhook.secret}) < len(webhook.secret):
        yield Finding(
            place=(*place, "secret"),
            wrong="both secrets are in one file",
            right="Give the new one a file of its own, until nobody signs with the old one",
        )


def _shared(index: int, webhook: Webhook, owners: dict[str, tuple[int, str]]) -> Iterator[Finding]:
    """Forges sign alike: who has a delivery of one could show it as another's.

    ``owners`` has the webhook and the provider that each secret was first for.
    """
    for secret in webhook.secret:
        first, provider = owners.setdefault(secret.file, (index, webhook.provider))
        if provider != webhook.provider:
            yield Finding(
                place=("webhook", index, "secret"),
                wrong=f"it is the secret of webhook[{first}] too, which is for {provider}",
                right="Give each provider a secret of its own: what one signs is then no other's",
            )


def _standard(place: Place, webhook: Webhook) -> Iterator[Finding]:
    """Its sender names events and fields; of branches it knows nothing."""
    for key in ("branches", "workflows", "environments", "prereleases"):
        if getattr(webhook, key):
            yield Finding(
                place=(*place, key),
                wrong="a standard webhook says nothing of them",
                right="Remove it: tags is what the version has to match",
            )


def _events(place: Place, webhook: Webhook) -> Iterator[Finding]:
    known = EVENTS[webhook.provider]
    for event in webhook.on:
        if event not in known:
            yield Finding(
                place=(*place, "on"),
                wrong=f'{webhook.provider} has no "{event}" that asks for a release',
                right=f"Write one of {', '.join(known)}",
            )
    for key, (event, called) in _OF_EVENTS.items():
        if getattr(webhook, key) and event not in webhook.on:
            yield Finding(
                place=(*place, key),
                wrong=f"it is about {called}, and this webhook is not on {event}",
                right=f'Remove it, or add "{event}" to on',
            )


def _forge(place: Place, webhook: Webhook) -> Iterator[Finding]:
    """A forge's version is a tag or a commit, and not every event has both."""
    named = set(webhook.on)
    if webhook.version not in ("tag", "commit"):
        yield Finding(
            place=(*place, "version"),
            wrong=f'"{webhook.version}" is the field of a standard webhook',
            right='Write "tag" or "commit"',
        )
    elif webhook.version == "tag":
        yield from _by_tag(place, webhook, named)
    elif "release" in named:
        yield Finding(
            place=(*place, "version"),
            wrong="a release names its tag, and no commit",
            right='Write "tag", or give other events a [[webhook]] of their own',
        )
    elif named & {"push", "workflow_run"} and not (webhook.branches or webhook.tags):
        yield Finding(
            place=(*place, "on"),
            wrong="what is pushed to any branch would be deployed",
            right='Say which, as in branches = ["main"]',
        )


def _by_tag(place: Place, webhook: Webhook, named: set[str]) -> Iterator[Finding]:
    if webhook.branches:
        yield Finding(
            place=(*place, "branches"),
            wrong="what is pushed to a branch has no tag",
            right='Write version = "commit", or remove branches',
        )
    # Neither says whether it ran for a tag or for a branch of that name.
    vague = [event for event in ("workflow_run", "deployment") if event in named]
    if vague and not webhook.tags:
        yield Finding(
            place=(*place, "version"),
            wrong=f"{vague[0]} may be of a branch, which is no tag",
            right='Say what tags look like, as in tags = ["v*"], or write version = "commit"',
        )
