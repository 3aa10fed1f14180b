"""Tokens: made, listed and revoked."""

from __future__ import annotations

import time

from aiohttp import web

from bluegreen.api.bodies import TokenBody
from bluegreen.api.context import Api
from bluegreen.api.documents import tokens as documents
from bluegreen.api.parameters import token_id
from bluegreen.api.peer import note_about, requester
from bluegreen.api.repetitions import keep_as
from bluegreen.store.tokens import NewToken, Token


async def tokens(api: Api, _: web.Request) -> web.Response:
    now = time.time()
    found: documents.Tokens = {"tokens": [token_view(t, now) for t in await api.keyring.all()]}
    return web.json_response(found)


async def create_token(api: Api, request: web.Request, body: TokenBody) -> web.Response:
    """The only answer that says a token's text."""
    for app in body.apps:
        api.desk.app(app)  # raises if there is none
    now = time.time()
    token, text = await api.keyring.create(
        NewToken(
            name=body.name or "",
            scopes=tuple(sorted(set(body.scopes))),
            apps=tuple(sorted(set(body.apps))) or None,
            expires_at=None if body.seconds is None else now + body.seconds,
            by=await requester(request),
        )
    )
    note_about(request, token=token.id, scopes=token.scopes, apps=token.apps)
    made: documents.TokenMade = {**token_view(token, now), "token": text}
    response = web.json_response(made, headers={"Cache-Control": "no-store"})
    return keep_as(response, {**made, "token": None})


async def revoke_token(api: Api, request: web.Request) -> web.Response:
    token = await api.keyring.revoke(token_id(request), await requester(request))
    return web.json_response(token_view(token, time.time()))


def token_view(token: Token, now: float) -> documents.Token:
    """A token as it is now, without its text. Times are Unix seconds."""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "apps": None if token.apps is None else list(token.apps),
        "valid": token.is_valid(now),
        "created_at": token.created_at,
        "created_by": f"{token.created_by.name} via {token.created_by.via}",
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "last_used_from": token.last_used_from,
        "revoked_at": token.revoked_at,
        "revoked_by": token.revoked_by,
    }
