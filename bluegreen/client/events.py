"""Server-sent events, line by line: for the client and for the command line."""

from __future__ import annotations

import json

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from typing import Any


class EventLines:
    """Takes the lines of a stream as they come; ``last`` is the id to go on after."""

    def __init__(self, last: str = "0") -> None:
        self.last = last
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> tuple[str, dict[str, Any]] | None:
        """The name and the document of the event that ``line``, without its end, completes.

        A comment, which says that the daemon lives, completes none.
        """
        if line:
            field, _, value = line.partition(": ")
            self._fields[field] = value
            return None
        fields, self._fields = self._fields, {}
        self.last = fields.get("id") or self.last
        if "event" not in fields:
            return None
        return fields["event"], json.loads(fields.get("data", "{}"))
