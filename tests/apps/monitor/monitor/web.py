"""The ``web`` service: the pages, the built bundle, and downloads of any length."""

from __future__ import annotations

import asyncio
import html
import json
import sys
from collections.abc import AsyncIterator
from string import Template

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from .assets import DIST
from .release import ROOT, Fault, Release
from .serving import HOST, RELEASE, health, run

CHUNK = 64 * 1024  # bytes
LARGEST = 2**30  # bytes
API_TIMEOUT = ClientTimeout(total=5.0)  # seconds

BUNDLE = web.AppKey("bundle", str)
PAGE = web.AppKey("page", Template)
API_PORT = web.AppKey("api_port", int)
SESSION = web.AppKey("session", ClientSession)


async def _session(application: web.Application) -> AsyncIterator[None]:
    async with ClientSession(timeout=API_TIMEOUT) as session:
        application[SESSION] = session
        yield


def _page(request: web.Request, title: str) -> web.Response:
    release = request.app[RELEASE]
    features = "".join(f"<li>{html.escape(feature)}</li>" for feature in release.features)
    text = request.app[PAGE].substitute(
        release.stamp, title=title, bundle=request.app[BUNDLE], features=features
    )
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


async def _index(request: web.Request) -> web.Response:
    return _page(request, "Servers")


async def _login(request: web.Request) -> web.Response:
    if request.app[RELEASE].fault is Fault.OWN_PORT:
        address = request.transport and request.transport.get_extra_info("sockname")
        port = address[1] if address else 0
        raise web.HTTPFound(f"http://localhost:{port}/sign-in")
    return _page(request, "Log in")


async def _sign_in(request: web.Request) -> web.Response:
    return _page(request, "Log in")


async def _static(request: web.Request) -> web.FileResponse:
    # Fingerprinted: a name stands for its content for ever.
    name = request.match_info["name"]
    if name != request.app[BUNDLE]:
        raise web.HTTPNotFound(text="no such file in this release\n")
    forever = {"Cache-Control": "public, max-age=31536000, immutable"}
    return web.FileResponse(DIST / name, headers=forever)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= LARGEST:
        raise web.HTTPBadRequest(text=f"{name} is a number from 1 to {LARGEST}\n")
    return int(text)


async def _download(request: web.Request) -> web.StreamResponse:
    """``size`` bytes at ``rate`` bytes a second."""
    size = _number(request, "size", 1024 * 1024)
    rate = _number(request, "rate", LARGEST)
    chunk = min(CHUNK, max(1, rate // 10))
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = size
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    started, sent = loop.time(), 0
    while sent < size:
        part = min(chunk, size - sent)
        await response.write(b"m" * part)
        sent += part
        await asyncio.sleep(started + sent / rate - loop.time())
    await response.write_eof()
    return response


async def _status(request: web.Request) -> web.Response:
    """This service and the API that was baked into its build, which is that of its own slot."""
    url = f"http://{HOST}:{request.app[API_PORT]}/api/health"
    try:
        async with request.app[SESSION].get(url) as response:
            api = await response.json()
    except (ClientError, TimeoutError, ValueError) as error:
        api = {"status": "unreachable", "error": str(error)}
    return web.json_response({"api": api} | request.app[RELEASE].stamp)


async def _health(request: web.Request) -> web.Response:
    return health(request.app[RELEASE], api_port=request.app[API_PORT])


def build(release: Release) -> web.Application:
    """Exits 1 where the tree has not been built."""
    try:
        manifest = json.loads((DIST / "manifest.json").read_text())
    except FileNotFoundError:
        sys.exit("web: there is no dist/ here: run 'python -m monitor.assets' first")
    application = web.Application()
    application[BUNDLE] = manifest["bundle"]
    application[API_PORT] = manifest["api_port"]
    application[PAGE] = Template((ROOT / "frontend/page.html").read_text())
    application.cleanup_ctx.append(_session)
    application.router.add_get("/", _index)
    application.router.add_get("/login", _login)
    application.router.add_get("/sign-in", _sign_in)
    application.router.add_get("/static/{name}", _static)
    application.router.add_get("/download", _download)
    application.router.add_get("/status", _status)
    application.router.add_get("/health", _health)
    return application


if __name__ == "__main__":
    run("web", build, port_variable="WEB_PORT", port=9081)
