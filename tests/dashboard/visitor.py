"""A browser without a script: a cookie, pages, and forms that hold what the page gave them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import aiohttp

from tests.api.door import Door
from tests.waiting import PATIENCE

_VOID = {"meta", "link", "input", "img", "br"}


@dataclass
class Page:
    """What was answered; ``tags`` are the start tags with their attributes, in order."""

    status: int
    text: str
    headers: Mapping[str, str]
    cookies: Sequence[str]
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def links(self) -> set[str]:
        return {a["href"] or "" for _, a in self.tags if "href" in a}

    def hidden(self) -> dict[str, str]:
        """The fields that the last form of the page sends by itself."""
        return {
            a["name"] or "": a.get("value") or ""
            for tag, a in self.tags
            if tag == "input" and a.get("type") == "hidden"
        }


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"


@dataclass
class Visitor:
    """Each comes from an address of its own."""

    door: Door
    address: str
    cookie: str = ""
    scheme: str = "http"

    def headers(self, more: Mapping[str, str]) -> dict[str, str]:
        headers = {
            "X-Forwarded-For": self.address, "X-Forwarded-Proto": self.scheme,
            "Sec-Fetch-Site": "same-origin", **more,
        }  # fmt: skip
        if self.cookie:
            headers["Cookie"] = self.cookie
        return headers

    async def get(self, path: str, **headers: str) -> Page:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: Any, **headers: str) -> Page:
        return await self._ask("POST", path, fields, headers)

    async def login(self, token: str, **fields: str) -> Page:
        page = await self.post("/login", {"token": token, **fields})
        for cookie in page.cookies:
            self.cookie = cookie.partition(";")[0]
        return page

    async def press(self, path: str, fields: Any = (), **headers: str) -> Page:
        """Open the page of a button, fill in its form, and send that."""
        page = await self.get(path)
        assert page.status == 200, page.text
        return await self.post(path, [*page.hidden().items(), *dict(fields).items()], **headers)

    async def _ask(self, method: str, path: str, fields: Any, headers: Mapping[str, str]) -> Page:
        async with self.door.tcp.request(
            method, path, data=None if fields is None else aiohttp.FormData(fields),
            headers=self.headers(headers), allow_redirects=False,
            cookies={},
        ) as response:  # fmt: skip
            self.door.tcp.cookie_jar.clear()
            text = await response.text()
            reader = _Reader()
            if response.content_type == "text/html":
                reader.feed(text)
                assert not reader.open, f"{path}: {reader.open} are never closed"
            return Page(
                response.status, text, response.headers,
                response.headers.getall("Set-Cookie", []), reader.tags,
            )  # fmt: skip

    async def events(self, path: str) -> AsyncGenerator[tuple[str, Any], None]:
        """The events of a page's stream: kind and document."""
        async with self.door.tcp.get(path, headers=self.headers({})) as response:
            assert response.content_type == "text/event-stream", await response.text()
            kind = ""
            async with asyncio.timeout(PATIENCE):
                async for raw in self._lines(response):
                    name, _, value = raw.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        yield kind, json.loads(value)

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        try:
            async for line in response.content:
                yield line
        except aiohttp.ClientPayloadError as error:
            log = self.door.stack.daemon_log.read_text()
            raise AssertionError(f"the stream broke off:\n{log[-5000:]}") from error
