"""Deliveries made up here, to try a rule with: as small as its provider's may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from bluegreen.config.webhook_section import Webhook

COMMIT = "1" * 40
_REPOSITORY = {"full_name": "example/app"}


def sample(rule: Webhook, event: str | None, version: str | None) -> tuple[str, str, bytes]:
    """The event, the version and the body of a delivery that asks for it.

    Left out, the event is the rule's first, and the version one that the rule would take.
    """
    event = event or rule.on[0]
    if rule.provider == "standard":
        version = version or _like(rule.tags, "v1.2.3")
        return event, version, _bytes({"type": event} | _nested(rule.version, version))
    if rule.version == "tag":
        version = version or _like(rule.tags, "v1.2.3")
        what = _What(rule, version, COMMIT, is_tag=True)
    else:
        version = version or COMMIT
        is_tag = not rule.branches and bool(rule.tags)
        named = _like(rule.tags, "v1.2.3") if is_tag else _like(rule.branches, "main")
        what = _What(rule, named, version, is_tag=is_tag)
    bodies = _GITLAB if rule.provider == "gitlab" else _GITHUB
    return event, version, _bytes(bodies[event](what) if event in bodies else {})


class _What:
    """What a made-up delivery is about."""

    def __init__(self, rule: Webhook, name: str, commit: str, *, is_tag: bool) -> None:
        self.name, self.commit, self.is_tag = name, commit, is_tag
        self.ref = f"refs/{'tags' if is_tag else 'heads'}/{name}"
        self.workflow = rule.workflows[0] if rule.workflows else "tests"
        self.environment = rule.environments[0] if rule.environments else "production"


def _push(what: _What) -> dict[str, Any]:
    return {
        "ref": what.ref, "after": what.commit, "deleted": False,
        "head_commit": {"id": what.commit},
    }  # fmt: skip


def _release(what: _What) -> dict[str, Any]:
    release = {"tag_name": what.name, "draft": False, "prerelease": False}
    return {"action": "published", "release": release}


def _run(what: _What) -> dict[str, Any]:
    run = {
        "name": what.workflow, "head_branch": what.name, "head_sha": what.commit,
        "event": "push", "conclusion": "success", "head_repository": _REPOSITORY,
    }  # fmt: skip
    return {"action": "completed", "workflow_run": run, "repository": _REPOSITORY}


def _deployment(what: _What) -> dict[str, Any]:
    return {"deployment": {"sha": what.commit, "ref": what.name, "environment": what.environment}}


def _gitlab_push(what: _What) -> dict[str, Any]:
    kind = "tag_push" if what.is_tag else "push"
    return {
        "object_kind": kind, "ref": what.ref, "after": what.commit, "checkout_sha": what.commit,
    }  # fmt: skip


def _gitlab_release(what: _What) -> dict[str, Any]:
    return {"object_kind": "release", "action": "create", "tag": what.name}


def _gitlab_pipeline(what: _What) -> dict[str, Any]:
    attributes = {
        "ref": what.name, "tag": what.is_tag, "sha": what.commit, "status": "success",
        "source": "push", "name": what.workflow,
    }  # fmt: skip
    return {"object_kind": "pipeline", "object_attributes": attributes}


_GITHUB = {
    "push": _push, "release": _release, "workflow_run": _run, "deployment": _deployment,
}  # fmt: skip
_GITLAB = {"push": _gitlab_push, "release": _gitlab_release, "workflow_run": _gitlab_pipeline}


def _like(patterns: tuple[str, ...], usual: str) -> str:
    """A name that matches the first pattern, where one is easily found."""
    if not patterns:
        return usual
    tried = (usual, *(patterns[0].replace("*", some) for some in ("", "1.2.3", "main")))
    return next((name for name in tried if name and fnmatchcase(name, patterns[0])), usual)


def _nested(path: str, value: str) -> dict[str, Any]:
    """An object in which ``path`` leads to ``value``; a number is an item of a list."""
    built: Any = value
    for part in reversed(path.split(".")):
        built = [built] * (int(part) + 1) if part.isdecimal() and int(part) < 16 else {part: built}
    return built if isinstance(built, dict) else {"0": built}


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()
