"""How pages are rendered: every value in them is escaped, and no script or style stands inside."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bluegreen.log_tail import visible
from bluegreen.words import seconds, subject

_HERE = Path(__file__).resolve().parent
_SIZE_OF_VERSION = 8  # hexadecimal digits


@dataclass(frozen=True)
class Asset:
    """A file beside the pages. ``version`` changes with its content."""

    body: bytes
    content_type: str
    version: str


@dataclass(frozen=True)
class Fragment:
    """A part of a page that is replaced as it changes; ``html`` has its ``version`` in it."""

    version: str
    html: Markup


_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def assets() -> Mapping[str, Asset]:
    """All files that pages refer to, by name."""
    found = {}
    for path in sorted((_HERE / "static").iterdir()):
        if path.suffix in _TYPES:
            body = path.read_bytes()
            found[path.name] = Asset(body, _TYPES[path.suffix], version_of(body))
    return found


def version_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_SIZE_OF_VERSION]


class Pages:
    """The templates, and what every page has."""

    def __init__(self) -> None:
        self.assets = assets()
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            undefined=StrictUndefined,
            autoescape=True,
            finalize=_finished,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["asset"] = self._asset
        self._environment.filters.update(
            duration=seconds, moment=moment, day=day, coded=coded, subject=subject
        )

    def page(self, template: str, /, *, status: int = 200, **values: Any) -> web.Response:
        """A whole page, which nobody keeps."""
        return web.Response(
            status=status, text=self.text(template, **values), content_type="text/html",
            headers={"Cache-Control": "no-store"},
        )  # fmt: skip

    def text(self, template: str, /, **values: Any) -> str:
        return self._environment.get_template(template).render(values)

    def fragment(self, template: str, /, **values: Any) -> Fragment:
        """A part of one, whose template writes an empty ``data-v`` for what is its version."""
        text = self.text(template, **values)
        version = version_of(text.encode())
        # In what was escaped there are no quotes. And all was.
        return Fragment(version, Markup(text.replace('data-v=""', f'data-v="{version}"', 1)))  # noqa: S704

    def _asset(self, name: str) -> str:
        return f"/static/{name}?v={self.assets[name].version}"


def _finished(value: Any) -> Any:
    """What somebody has asked for may hold what no page may: NUL, and what moves a cursor."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def moment(at: float) -> Markup:
    """A time, which the script says as "3 min ago"; without it, in UTC."""
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
    return Markup('<time datetime="{}Z">{} UTC</time>').format(text.replace(" ", "T"), text)


def day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def coded(text: str) -> Markup:
    """A sentence whose commands stand in backticks, as a terminal has them: as code."""
    text = visible(text)
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)  # one that is none of a pair
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(one) if n % 2 else one for n, one in enumerate(parts))
