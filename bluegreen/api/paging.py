"""Lists in pages, the newest first: so many, and where the older ones are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from aiohttp import web


class Numbered(Protocol):
    """What a list is of."""

    @property
    def id(self) -> int: ...


N = TypeVar("N", bound=Numbered)


def page(request: web.Request, found: Sequence[N], limit: int) -> tuple[Sequence[N], str | None]:
    """The first ``limit`` of what was found, and the address of the next page.

    One more is looked for than is shown, to see whether there is one.
    """
    if len(found) <= limit:
        return found, None
    return found[:limit], f"{request.path}?before={found[limit - 1].id}&limit={limit}"


def paged(document: Any, following: str | None) -> web.Response:
    """The answer, which says in a header too where the next page is."""
    links = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return web.json_response(document, headers=links)
