"""What the pages work on, and whoever looks at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bluegreen.api.access import Access
from bluegreen.api.context import Api
from bluegreen.api.scopes import Scope, allows
from bluegreen.dashboard.guard import form_token
from bluegreen.dashboard.health import Rounds
from bluegreen.dashboard.live import Live
from bluegreen.dashboard.pages import Pages
from bluegreen.dashboard.rows import Rows
from bluegreen.dashboard.sessions import Session, Sessions
from bluegreen.errors import NotFoundError


def no_such_page() -> NotFoundError:
    return NotFoundError("there is no such page", remedy="the dashboard itself begins at /")


@dataclass
class Made:
    """A page as it was last made, at a time of time.monotonic(); None: it was not yet."""

    text: str | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Dashboard:
    """The daemon, as the pages see it."""

    api: Api
    access: Access
    sessions: Sessions
    live: Live
    rounds: Rounds
    rows: Rows
    pages: Pages
    made_for_all: Made = field(default_factory=Made)  # the status page

    async def close(self) -> None:
        """Keep the sessions for the next daemon."""
        await self.rounds.close()
        await self.sessions.close()


async def opened(api: Api, access: Access) -> Dashboard:
    """With the sessions that an earlier daemon has left."""
    sessions = Sessions(api.keyring, api.desk.parts.layout.sessions)
    await sessions.load()
    pages = Pages()
    return Dashboard(
        api=api, access=access, sessions=sessions, pages=pages,
        live=Live(api.bus, api.keyring, sessions), rounds=Rounds(api.checkups),
        rows=Rows(api, pages),
    )  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """A request of somebody who has logged in. ``form`` is what a form has sent."""

    request: web.Request
    session: Session
    secret: str = field(repr=False)
    form: dict[str, list[str]] = field(default_factory=dict)

    def may(self, scope: Scope) -> bool:
        return allows([Scope(one) for one in self.session.token.scopes], scope)

    def text(self, name: str) -> str:
        """A field of the form; empty where there is none, the first where there are several."""
        return next(iter(self.form.get(name, ())), "").strip()

    @property
    def common(self) -> dict[str, Any]:
        """What every page of somebody says. What it is to say first is said once."""
        token, said = self.session.token, [*self.session.said]
        self.session.said.clear()
        return {
            "who": token.name or f"token {token.id}",
            "form_token": form_token(self.secret),
            "said": said,
        }
