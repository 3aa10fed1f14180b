"""What a rule of the app file makes of what has happened."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from bluegreen.config.versions import check_version
from bluegreen.config.webhook_section import Webhook
from bluegreen.errors import UsageError
from bluegreen.webhooks.nouns import Happening
from bluegreen.webhooks.standard import field_at

SHOWN = 100  # characters of a name that came from outside


class UnmetError(Exception):
    """Why a rule is not met, without a full stop."""


def version_by(rule: Webhook, happened: Happening) -> str:
    """The version that the rule would have deployed. Raises UnmetError.

    It came from outside, and is held to what may be a version at all.
    """
    if happened.event not in rule.on:
        raise UnmetError(f"on is {', '.join(rule.on)}")
    if happened.event == "workflow_run":
        _require(rule.workflows, happened.workflow, "workflows")
    if happened.event == "deployment":
        _require(rule.environments, happened.environment, "environments")
    if happened.is_prerelease and not rule.prereleases:
        raise UnmetError("it is a pre-release, and prereleases is not true")
    version = _named(rule, happened)
    try:
        return check_version(version)
    except UsageError as error:
        raise UnmetError(error.message) from error


def _named(rule: Webhook, happened: Happening) -> str:
    if rule.provider == "standard":
        version = field_at(happened.fields, rule.version)
        if version is None:
            raise UnmetError(f"there is no text at {rule.version} of its body")
        _require_match(rule.tags, version, "tags")
        return version
    if rule.version == "tag":
        if happened.tag is None:
            raise UnmetError(f"{_shown(happened.branch)} is no tag")
        _require_match(rule.tags, happened.tag, "tags")
        return happened.tag
    return _commit(rule, happened)


def _commit(rule: Webhook, happened: Happening) -> str:
    if rule.branches or rule.tags:
        named = _matches(rule.branches, happened.branch) or _matches(rule.tags, happened.tag)
        if not named:
            keys = " or ".join(key for key in ("branches", "tags") if getattr(rule, key))
            raise UnmetError(f"{_shown(happened.branch or happened.tag)} matches none of {keys}")
    if happened.commit is None:
        raise UnmetError("it names no commit")
    return happened.commit


def _require(wanted: Sequence[str], found: str | None, key: str) -> None:
    if wanted and found not in wanted:
        raise UnmetError(f"{_shown(found)} is not among {key}")


def _require_match(patterns: Sequence[str], name: str, key: str) -> None:
    if patterns and not _matches(patterns, name):
        raise UnmetError(f"{_shown(name)} matches none of {key}")


def _matches(patterns: Sequence[str], name: str | None) -> bool:
    return name is not None and any(fnmatchcase(name, pattern) for pattern in patterns)


def _shown(name: str | None) -> str:
    if not name:
        return "nothing"
    return ascii(name if len(name) <= SHOWN else f"{name[:SHOWN]}...")[1:-1]
