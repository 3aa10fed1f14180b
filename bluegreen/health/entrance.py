"""Where a release is asked as a visitor: through nginx, by the key of a preview of its slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from bluegreen.config.placeholders import expand
from bluegreen.config.questions import Probe, SmokeStep
from bluegreen.config.settings import Route
from bluegreen.model import Address


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """``headers`` of each request show the key; an answer that came from the slot has ``proof``.

    ``secret`` is what of the headers must not be repeated.

    ``routes`` are what nginx goes by. Whatever else is asked is asked of the service itself.
    """

    address: Address
    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)
    proof: tuple[str, str]  # a header of the answer, and its value
    routes: tuple[Route, ...]

    def leads_to(self, question: Probe | SmokeStep, values: Mapping[str, str]) -> bool:
        """Whether nginx sends such a request to the service that is to be asked.

        ``values`` are the placeholders of its path. Raises UsageError for an unknown one.
        """
        asked = question.http or question.websocket
        if asked is None:
            return False
        path = unquote(expand(asked.path, values).partition("?")[0])
        found = [route for route in self.routes if path.startswith(route.path)]
        if not found:
            return False
        route = max(found, key=lambda route: len(route.path))  # as nginx does
        upgraded = question.websocket is None or route.websocket
        return route.service == question.service and upgraded

    def mask(self, text: str) -> str:
        """Without the key, should whatever has answered repeat it."""
        return text.replace(self.secret, "***") if self.secret else text

    def doubt(self, headers: Mapping[str, str]) -> str | None:
        """Why an answer with these headers says nothing of the slot; None: it came from there."""
        name, value = self.proof
        if headers.get(name) == value:
            return None
        return (
            f"something else answered at {self.address}, not {value} by bluegreen's part of nginx "
            f"(its answer has no header {name}: {value})"
        )
