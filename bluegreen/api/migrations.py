"""The app's own migrations over the API."""

from __future__ import annotations

from bluegreen.api.documents.data import Applied
from bluegreen.errors import NotFoundError, UsageError
from bluegreen.operations.by_hand import Action
from bluegreen.operations.runtime import AppRuntime


async def applied_view(app: AppRuntime) -> Applied:
    """What releases and operators are known to have applied, in that order."""
    found = await app.parts.store.migrations.applied(app.name)
    return {
        "app": app.name,
        "applied": [
            {
                "name": one.name, "change": one.change, "operation": one.operation,
                "version": one.place.version, "at": one.at,
            }
            for one in found
        ],
    }  # fmt: skip


def action_named(text: str) -> Action:
    """Raises NotFoundError."""
    try:
        return Action(text)
    except ValueError:
        raise NotFoundError(
            f"{text} is nothing that is done to migrations",
            remedy=f"one of {', '.join(Action)}",
        ) from None


def require_name(action: Action, name: str | None) -> None:
    """Raises UsageError where a name is missing, or makes no sense."""
    if name is None and action is Action.MARK_APPLIED:
        raise UsageError("which migration?", remedy='name it: {"name": "0007_owner"}')
    if name is not None and action in (Action.CHECK, Action.RUN):
        raise UsageError(
            f"{action} is about all that are pending, and takes no name", remedy="leave name out"
        )
