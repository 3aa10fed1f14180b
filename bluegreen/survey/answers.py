"""A service that runs is asked how it is: a path that answers makes a probe."""

from __future__ import annotations

import contextlib
import http.client
from dataclasses import replace

from bluegreen.survey.nouns import FoundService

PATHS = ("/health", "/healthz", "/api/health")
LIMIT = 2.0  # seconds for one answer


def asked(service: FoundService) -> FoundService:
    """``service`` with the first likely path that it answers with 200. Blocking."""
    address = service.replaces
    if not service.runs or address is None or address.startswith("/"):
        return service
    likely = [service.health[0]] if service.health else []
    for path in dict.fromkeys([*likely, *PATHS]):
        if _status(address, path) == http.client.OK:
            return replace(service, answered=path)
    return service


def _status(address: str, path: str) -> int | None:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=LIMIT)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None  # it speaks something else, or does not answer: there is no such page
