"""The events of GitHub, which Gitea and Forgejo send in the same shape."""

from __future__ import annotations

from bluegreen.webhooks.nouns import Happening, Nothing
from bluegreen.webhooks.payloads import (
    Commit,
    Payload,
    Text,
    branch_and_tag,
    is_nothing,
    read,
)


class _HeadCommit(Payload):
    id: Commit


class _Push(Payload):
    ref: Text
    after: Commit
    deleted: bool = False
    head_commit: _HeadCommit | None = None


class _Release(Payload):
    tag_name: Text
    draft: bool = False
    prerelease: bool = False


class _ReleaseEvent(Payload):
    action: Text
    release: _Release


class _Repository(Payload):
    full_name: Text


class _Run(Payload):
    name: Text | None = None
    head_branch: Text | None = None
    head_sha: Commit
    event: Text
    conclusion: Text | None = None
    head_repository: _Repository | None = None


class _Workflow(Payload):
    name: Text | None = None


class _RunEvent(Payload):
    action: Text
    workflow_run: _Run
    workflow: _Workflow | None = None
    repository: _Repository


class _Deployment(Payload):
    sha: Commit
    ref: Text
    environment: Text | None = None


class _DeploymentEvent(Payload):
    deployment: _Deployment


def push(body: bytes, content_type: str | None) -> Happening | Nothing:
    found = read(_Push, "push", body, content_type)
    if isinstance(found, Nothing):
        return found
    branch, tag = branch_and_tag(found.ref)
    if found.deleted or is_nothing(found.after):
        return Nothing(event="push", why=f"{tag or branch or found.ref} was deleted")
    commit = found.after
    if tag is not None and found.head_commit is not None:
        commit = found.head_commit.id  # ``after`` is the tag itself, where that is annotated
    return Happening(event="push", branch=branch, tag=tag, commit=commit)


def release(body: bytes, content_type: str | None) -> Happening | Nothing:
    found = read(_ReleaseEvent, "release", body, content_type)
    if isinstance(found, Nothing):
        return found
    if found.action != "published":
        return Nothing(event="release", why=f"a release counts once published, not {found.action}")
    if found.release.draft:
        return Nothing(event="release", why="it is a draft")
    return Happening(
        event="release", tag=found.release.tag_name, is_prerelease=found.release.prerelease
    )


def workflow_run(body: bytes, content_type: str | None) -> Happening | Nothing:
    """One that ran for a pull request, or in a fork, is of a commit that anybody may have made."""
    event = "workflow_run"
    found = read(_RunEvent, event, body, content_type)
    if isinstance(found, Nothing):
        return found
    run = found.workflow_run
    if found.action != "completed" or run.conclusion != "success":
        how = run.conclusion or found.action
        return Nothing(event=event, why=f"it counts once completed with success, not {how}")
    if run.event.startswith("pull_request"):
        return Nothing(event=event, why="it ran for a pull request")
    if run.head_repository is None or run.head_repository != found.repository:
        return Nothing(event=event, why="it ran for a fork")
    workflow = run.name or (found.workflow.name if found.workflow else None)
    return Happening(
        event=event, branch=run.head_branch, tag=run.head_branch, commit=run.head_sha,
        workflow=workflow,
    )  # fmt: skip


def deployment(body: bytes, content_type: str | None) -> Happening | Nothing:
    found = read(_DeploymentEvent, "deployment", body, content_type)
    if isinstance(found, Nothing):
        return found
    asked = found.deployment
    return Happening(
        event="deployment", branch=asked.ref, tag=asked.ref, commit=asked.sha,
        environment=asked.environment,
    )  # fmt: skip
