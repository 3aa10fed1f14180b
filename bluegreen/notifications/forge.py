"""The commits of releases, marked at the forge that they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from bluegreen.config.notify_section import ForgeStatus
from bluegreen.model import Operation, OperationState
from bluegreen.notifications.answer import (
    ACCEPTED,
    NOT_YET,
    NOTHING,
    Answer,
    Outcome,
    failed,
)
from bluegreen.notifications.message import Message
from bluegreen.notifications.outbound import Outbound, Reply
from bluegreen.notifications.secret_files import UnusableSecretError, read_secret

OCCASIONS = (
    "started", "succeeded", "failed", "rolled_back", "cancelled", "superseded", "interrupted",
)  # fmt: skip
DESCRIPTION = 140  # characters, as GitHub has it
# What each of them calls it, of a commit …
_OF_A_COMMIT = {
    "github": {
        "started": "pending", "succeeded": "success", "failed": "failure",
        "rolled_back": "failure", "cancelled": "error", "superseded": "error",
        "interrupted": "error",
    },
    "gitlab": {
        "started": "running", "succeeded": "success", "failed": "failed", "rolled_back": "failed",
        "cancelled": "canceled", "superseded": "canceled", "interrupted": "failed",
    },
}  # fmt: skip
_OF_A_COMMIT["gitea"] = _OF_A_COMMIT["github"]
# … and of a deployment at GitHub, which ends the active one of its environment by itself.
_OF_A_DEPLOYMENT = {
    "started": "in_progress", "succeeded": "success", "failed": "failure",
    "rolled_back": "failure", "cancelled": "inactive", "superseded": "inactive",
    "interrupted": "error",
}  # fmt: skip
_SAYS = {
    "started": "is being deployed", "succeeded": "serves", "failed": "was not deployed",
    "rolled_back": "was deployed, and switched back", "cancelled": "was cancelled",
    "superseded": "was superseded", "interrupted": "was interrupted",
}  # fmt: skip


class ForgeSender:
    """Marks commits at one repository."""

    def __init__(self, app: str, settings: ForgeStatus) -> None:
        self._settings = settings
        self._context = settings.context or f"bluegreen/{app}"
        self._outbound = Outbound(private=settings.allow_private)

    async def send(self, message: Message, name: str) -> Answer:
        """``name`` ends in the deployment's payload: one that comes again finds it there."""
        operation = message.operation
        if message.is_test:
            return await self._look()
        if operation is None:
            return NOTHING
        if operation.commit is None:
            # Known once it is fetched; what ends before that was about no commit.
            return NOT_YET if message.occasion == "started" and message.is_current else NOTHING
        try:
            headers = await self._headers()
        except UnusableSecretError as error:
            return failed(str(error))
        if self._settings.provider == "github" and self._settings.deployments:
            answer = await self._mark_deployment(headers, message, operation, name)
            if answer.outcome is not Outcome.ACCEPTED:
                return answer
        return await self._mark_commit(headers, message, operation)

    async def _headers(self) -> dict[str, str]:
        token = await read_secret(self._settings.token)
        common = {"Content-Type": "application/json"}
        if self._settings.provider == "gitlab":
            return common | {"PRIVATE-TOKEN": token}
        if self._settings.provider == "gitea":
            return common | {"Authorization": f"token {token}"}
        return common | {
            "Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }  # fmt: skip

    @property
    def _repository(self) -> str:
        """The address of the repository."""
        base, name = self._settings.base, self._settings.repository
        if self._settings.provider == "gitlab":
            return f"{base}/projects/{quote(name, safe='')}"
        return f"{base}/repos/{name}"

    async def _look(self) -> Answer:
        """Whether the repository can be asked at all: a test marks nothing."""
        try:
            headers = await self._headers()
        except UnusableSecretError as error:
            return failed(str(error))
        reply = await self._ask("GET", self._repository, headers)
        return ACCEPTED if reply.answer.outcome is Outcome.ACCEPTED else reply.answer

    async def _post(self, headers: Mapping[str, str], path: str, body: dict[str, Any]) -> Reply:
        url = f"{self._repository}/{path}"
        return await self._ask("POST", url, headers, json.dumps(body).encode())

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        token = headers.get("PRIVATE-TOKEN") or headers["Authorization"].rpartition(" ")[2]
        return await self._outbound.ask(method, url, headers, body, secrets={token})

    async def _mark_commit(
        self, headers: Mapping[str, str], message: Message, operation: Operation
    ) -> Answer:
        state = _OF_A_COMMIT[self._settings.provider][message.occasion]
        said = _description(message, operation)
        named = "name" if self._settings.provider == "gitlab" else "context"
        body = {"state": state, named: self._context, "description": said}
        reply = await self._post(headers, f"statuses/{operation.commit}", body)
        if reply.status == 400 and "Cannot transition status" in reply.answer.said:
            return ACCEPTED  # GitLab, of a state that the commit has already
        return reply.answer

    # -- deployments at GitHub ------------------------------------------------------------------

    async def _mark_deployment(
        self, headers: Mapping[str, str], message: Message, operation: Operation, name: str
    ) -> Answer:
        mark = f"{name.rpartition('_')[0]}_{operation.id}"
        reply = await self._find(headers, operation, mark)
        if reply.answer.outcome is Outcome.ACCEPTED and reply.document is None:
            reply = await self._create(headers, operation, mark)
        if reply.answer.outcome is not Outcome.ACCEPTED:
            return reply.answer
        number = reply.document.get("id") if isinstance(reply.document, dict) else None
        if not isinstance(number, int):
            return failed("it does not say which deployment it made")
        body = {
            "state": _OF_A_DEPLOYMENT[message.occasion],
            "environment": self._settings.environment,
            "description": _description(message, operation),
        }
        return (await self._post(headers, f"deployments/{number}/statuses", body)).answer

    async def _find(self, headers: Mapping[str, str], operation: Operation, mark: str) -> Reply:
        """The deployment that was made for the operation; no document where there is none."""
        query = urlencode(
            {"sha": operation.commit, "environment": self._settings.environment, "per_page": 30}
        )
        url = f"{self._repository}/deployments?{query}"
        reply = await self._ask("GET", url, headers)
        if reply.answer.outcome is not Outcome.ACCEPTED:
            return reply
        known = reply.document if isinstance(reply.document, list) else []
        found = [one for one in known if isinstance(one, dict) and _mark_of(one) == mark]
        return Reply(reply.answer, reply.status, found[0] if found else None)

    async def _create(self, headers: Mapping[str, str], operation: Operation, mark: str) -> Reply:
        body: dict[str, Any] = {
            "ref": operation.commit, "environment": self._settings.environment,
            "auto_merge": False, "required_contexts": [], "payload": {"bluegreen": mark},
            "description": f"bluegreen: {operation.kind.value} {operation.version}"[:DESCRIPTION],
        }  # fmt: skip
        return await self._post(headers, "deployments", body)


def _mark_of(deployment: Mapping[str, Any]) -> object:
    payload = deployment.get("payload")
    if isinstance(payload, str):  # as older servers give it
        try:
            payload = json.loads(payload)
        except ValueError:
            return None
    return payload.get("bluegreen") if isinstance(payload, dict) else None


def _description(message: Message, operation: Operation) -> str:
    said = f"{operation.version} {_SAYS[message.occasion]}"
    if operation.error is not None and operation.state is OperationState.FAILED:
        said += f": {operation.error.message}"
    return said if len(said) <= DESCRIPTION else f"{said[: DESCRIPTION - 1]}…"
