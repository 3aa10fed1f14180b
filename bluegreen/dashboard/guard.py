"""What keeps other sites out: headers of every page, the cookie, and where a form comes from."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from aiohttp import web

from bluegreen.errors import ForbiddenError

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With "no-referrer" a browser would not even say to this site where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_COOKIE = "bluegreen"
# No other host of the domain can set a cookie of such a name, and it goes over TLS only.
_COOKIE_OF_TLS = "__Host-bluegreen"
_MOST_OF_COOKIE = 200  # characters


def is_encrypted(request: web.Request) -> bool:
    """Whether the browser's connection is: here, or at the proxy that says so.

    Who says so of a connection that is not harms nobody else.
    """
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def _name(request: web.Request) -> str:
    return _COOKIE_OF_TLS if is_encrypted(request) else _COOKIE


def secret_of(request: web.Request) -> str | None:
    """What the session's cookie holds."""
    secret = request.cookies.get(_name(request))
    return secret if secret and len(secret) <= _MOST_OF_COOKIE else None


def give_cookie(request: web.Request, response: web.Response, secret: str) -> None:
    """For as long as the browser runs; the session may be over before."""
    response.set_cookie(
        _name(request), secret, path="/", httponly=True, samesite="Strict",
        secure=is_encrypted(request),
    )  # fmt: skip


def take_cookie(request: web.Request, response: web.Response) -> None:
    """Log the browser out."""
    response.del_cookie(
        _name(request), path="/", httponly=True, samesite="Strict", secure=is_encrypted(request)
    )


def form_token(secret: str) -> str:
    """What a session's own forms hold, and nobody can know who has not the cookie."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def require_form_token(secret: str, shown: str) -> None:
    """Raises ForbiddenError."""
    if not hmac.compare_digest(form_token(secret).encode(), shown.encode()):
        raise ForbiddenError(
            "this form is not one of your session's",
            remedy="go back, load the page again, and send it from there",
        )


def require_same_site(request: web.Request) -> None:
    """Raises ForbiddenError for a form that another site has sent.

    Browsers say where it comes from; what says nothing is none, and needs the session's token all
    the same. Ports are not compared: proxies do not pass them on.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    here = _host(f"//{request.host}")
    if site == "same-origin" and (origin is None or _host(origin) == here is not None):
        return
    raise ForbiddenError(
        "this form was sent by another site",
        remedy="open the dashboard itself, and send it from there",
    )


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def comes_from_elsewhere(request: web.Request) -> bool:
    """Whether a link of another site led here: the browser keeps the cookie back then."""
    return request.headers.get("Sec-Fetch-Site") == "cross-site"
