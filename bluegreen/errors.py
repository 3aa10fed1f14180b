"""What can go wrong, as an operator reads it.

Every error carries a machine-readable ``kind``, a sentence that says what happened, the evidence
(``detail``: lines of output, a probe's last answer) and ``remedy``: what to do next.
``exit_status`` is what the command line ends with and ``http_status`` what the API answers.
"""

from __future__ import annotations

from collections.abc import Sequence

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from typing import Any, ClassVar


class BluegreenError(Exception):
    """The base of every error an operator is meant to see."""

    kind: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, remedy: str, detail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.detail = tuple(detail)

    def lines(self) -> list[str]:
        """The whole error as lines of text: message, evidence, what to do next."""
        return [self.message, *(f"  {line}" for line in self.detail), f"Next: {self.remedy}"]

    def document(self) -> dict[str, object]:
        """The whole error as the command line prints it in JSON."""
        return {
            "error": self.kind, "message": self.message,
            "detail": list(self.detail), "remedy": self.remedy,
        }  # fmt: skip


class ConfigError(BluegreenError):
    """A configuration file cannot be used; nothing was changed."""

    kind = "configuration"
    exit_status = 2
    http_status = 422


class UsageError(BluegreenError):
    """A request that makes no sense as it stands (a malformed version, an unknown slot)."""

    kind = "usage"
    exit_status = 2
    http_status = 400


class WhichAppError(UsageError):
    """No app is named, and there are several. A command names itself in the remedy."""

    kind = "which-app"


class UnauthenticatedError(BluegreenError):
    """Nothing that was sent says who asks, or what says so is not right."""

    kind = "unauthenticated"
    exit_status = 2
    http_status = 401


class OverloadedError(BluegreenError):
    """There is no room for one more now."""

    kind = "overloaded"
    http_status = 429


class ForbiddenError(BluegreenError):
    """Whoever asks was not granted what this needs."""

    kind = "forbidden"
    exit_status = 2
    http_status = 403


class NotFoundError(BluegreenError):
    """The named app, operation, release or service does not exist."""

    kind = "not-found"
    exit_status = 2
    http_status = 404


class DaemonUnreachableError(BluegreenError):
    """No daemon answers on the control socket."""

    kind = "no-daemon"
    exit_status = 3
    http_status = 503


class BusyError(BluegreenError):
    """Another operation holds the app."""

    kind = "busy"
    exit_status = 4
    http_status = 409


class LockedError(BluegreenError):
    """An operator has locked the app against deploys."""

    kind = "locked"
    exit_status = 4
    http_status = 423


class RefusedError(BluegreenError):
    """The request is well-formed but the state of the app does not allow it."""

    kind = "refused"
    http_status = 409


class PreflightError(BluegreenError):
    """A check made before anything is touched has failed."""

    kind = "preflight"
    http_status = 409


class SourceError(BluegreenError):
    """The release could not be fetched or resolved."""

    kind = "source"
    http_status = 502


class BuildError(BluegreenError):
    """A build step failed, ran out of time or was killed."""

    kind = "build"


class DataError(BluegreenError):
    """An app's data could not be backed up, verified or restored."""

    kind = "data"


class MigrationError(BluegreenError):
    """A migration of an app failed, or cannot be undone."""

    kind = "migration"


class SlotError(BluegreenError):
    """A slot's tree or link could not be changed."""

    kind = "slot"


class SupervisorError(BluegreenError):
    """A process could not be started or stopped."""

    kind = "supervisor"


class GateError(BluegreenError):
    """The release did not pass its gate, or fell ill while it was watched."""

    kind = "gate"


class TrafficError(BluegreenError):
    """nginx refused the configuration, is not running, or does not confirm a switch."""

    kind = "traffic"


class StoreError(BluegreenError):
    """The store could not read or record."""

    kind = "store"


class StoreFullError(StoreError):
    """The store could not record because the disk is full or read-only."""

    kind = "store-full"
    http_status = 507


class IllegalTransitionError(StoreError):
    """A state may not follow the one that is recorded."""

    kind = "illegal-transition"
    http_status = 409


class RefusalError(BluegreenError):
    """What the daemon answers instead of doing it: a problem document (RFC 9457), as it was raised.

    With the HTTP ``status`` of it; ``exit_status`` is what a command ends with.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(
            str(body.get("detail", "the daemon refused")),
            remedy=str(body.get("remedy", "see the daemon's log")),
            detail=[str(line) for line in body.get("evidence", [])],
        )
        self.status = int(body.get("status", 500))
        # Instance values of what is a class's in the daemon's own errors.
        self.__dict__["kind"] = str(body.get("kind", "error"))
        self.__dict__["exit_status"] = int(body.get("exit_status", 1))
        self.__dict__["http_status"] = self.status
