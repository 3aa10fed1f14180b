"""What the daemon answers instead of doing it: a problem document as an exception.

The command line raises it too, whose quickest command cannot afford more imports than these.
"""

from __future__ import annotations

from bluegreen.errors import BluegreenError

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from typing import Any


class RefusalError(BluegreenError):
    """A problem document (RFC 9457): ``status``, ``kind``, ``message``, ``detail``, ``remedy``.

    ``exit_status`` is what a command ends with on it.
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
