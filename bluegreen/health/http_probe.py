"""The http probe: status, headers, JSON fields and text of one answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from bluegreen.config.placeholders import expand
from bluegreen.config.questions import HttpQuestion, SmokeRequest
from bluegreen.health.answer import (
    Answer,
    Mask,
    connection_failure,
    no_answer,
    refused,
    seconds,
    shorten,
)
from bluegreen.health.client import LARGEST_ANSWER, open_session, url
from bluegreen.health.entrance import Entrance
from bluegreen.model import Address

TOO_MANY_REQUESTS = 429
MISSING = object()
"""What `field` gives where there is no such field."""

Take = Callable[[bytes], str | None]
"""Keeps what it wants of an answer's body; says in words what is not there."""


async def ask_http(
    probe: HttpQuestion,
    address: Address,
    values: Mapping[str, str],
    timeout: float,
    mask: Mask,
    take: Take | None = None,
    entrance: Entrance | None = None,
) -> Answer:
    """One request, one complete answer, compared with what the probe wants.

    With an ``entrance`` it is asked there, and not at ``address``.
    ``timeout`` (seconds) bounds the whole. An answer counts when its body has ended, or has
    reached 64 KiB. What is quoted of it goes through ``mask``. ``take`` is given the body first,
    and says what it misses there. Raises UsageError for an unknown placeholder.
    """
    headers = {"Connection": "close", "Accept-Encoding": "identity"}
    if entrance is not None:
        address = entrance.address
        headers |= entrance.headers
    data = None
    if isinstance(probe, SmokeRequest):
        headers |= {"Content-Type": "application/json"} if probe.send_json is not None else {}
        data = _body(probe, values)
    headers |= {name: expand(text, values) for name, text in probe.request_headers.items()}
    target = url(address, expand(probe.path, values))
    status: int | None = None
    try:
        async with (
            asyncio.timeout(timeout),
            open_session(address) as session,
            session.request(
                probe.method, target, headers=headers, data=data, allow_redirects=False
            ) as response,
        ):
            status = response.status
            body = await _read(response)
    except TimeoutError:
        if status is not None:
            return refused(f"HTTP {status}, but the answer did not end within {seconds(timeout)}")
        return no_answer(timeout)
    except (OSError, aiohttp.ClientError, ValueError) as error:
        return refused(mask(connection_failure(error)))
    missed = take(body) if take is not None else None
    answer = _judge(probe, values, response, body, mask)
    if answer.passed and entrance is not None:
        doubt = entrance.doubt(response.headers)
        answer = answer if doubt is None else refused(doubt)
    return refused(f"{status}, but {missed}") if answer.passed and missed is not None else answer


def _body(request: SmokeRequest, values: Mapping[str, str]) -> bytes | None:
    if request.send_json is not None:
        return json.dumps(_expanded(request.send_json, values)).encode()
    return None if request.send is None else expand(request.send, values).encode()


def _expanded(value: Any, values: Mapping[str, str]) -> Any:
    """``value`` with the placeholders expanded in all of its texts, but not in its keys."""
    if isinstance(value, dict):
        return {key: _expanded(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, values) for inner in value]
    return expand(value, values) if isinstance(value, str) else value


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= LARGEST_ANSWER:
            break
    return bytes(body[:LARGEST_ANSWER])


def _judge(
    probe: HttpQuestion,
    values: Mapping[str, str],
    response: aiohttp.ClientResponse,
    body: bytes,
    mask: Mask,
) -> Answer:
    text = body.decode(errors="replace")
    seen = mask(text.strip() or response.reason or "")
    wanted = (probe.status,) if isinstance(probe.status, int) else probe.status
    if response.status not in wanted:
        return refused(_wrong_status(response.status, wanted, seen))
    problem = (
        _wrong_header(probe, values, response.headers)
        or _wrong_text(probe, values, text)
        or _wrong_json(probe, values, body, mask)
    )
    if problem is not None:
        return refused(f"{response.status}, but {mask(problem)}")
    return Answer(passed=True, text=shorten(f"{response.status} {seen}"))


def _wrong_status(status: int, wanted: tuple[int, ...], seen: str) -> str:
    if status == TOO_MANY_REQUESTS:
        return (
            f"HTTP {status}: {shorten(seen, 60)}; probing counts towards a rate limit: "
            "raise the probe's `interval`"
        )
    if status < 400:  # not an error in itself, so what was wanted needs saying
        return f"HTTP {status}, not {' or '.join(map(str, wanted))}: {seen}"
    return f"HTTP {status}: {seen}"


def _wrong_header(
    probe: HttpQuestion, values: Mapping[str, str], headers: Mapping[str, str]
) -> str | None:
    for name, text in probe.headers.items():
        expected = expand(text, values)
        found = headers.get(name)
        if found is None:
            return f"without the header {name}"
        if found != expected:
            return f"the header {name} is {json.dumps(found)}, not {json.dumps(expected)}"
    return None


def _wrong_text(probe: HttpQuestion, values: Mapping[str, str], text: str) -> str | None:
    if probe.body is None:
        return None
    expected = expand(probe.body, values)
    if expected in text:
        return None
    return f"the body does not contain {json.dumps(shorten(expected, 60))}: {text}"


def _wrong_json(
    probe: HttpQuestion, values: Mapping[str, str], body: bytes, mask: Mask
) -> str | None:
    if not probe.json_fields:
        return None
    text = body.decode(errors="replace")
    if len(body) >= LARGEST_ANSWER:
        return f"the body is longer than {LARGEST_ANSWER // 1024} KiB: {mask(text)[:100]}"
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return f"body is not JSON: {text or '(empty)'}"
    for path, value in probe.json_fields.items():
        # Texts only, as with the configuration check: a list is compared as it was written.
        expected = expand(value, values) if isinstance(value, str) else value
        found = field(document, path)
        if found is MISSING:
            return f"there is no field {path}: {text}"
        if not _equal(found, expected):
            seen = shorten(mask(json.dumps(found, ensure_ascii=False)), 80)
            return f"{path} is {seen}, not {json.dumps(expected, ensure_ascii=False, default=str)}"
    return None


def field(document: Any, path: str) -> Any:
    """What a JSON document has at a dotted path (``servers.0.name``), or MISSING."""
    found = document
    for part in path.split("."):
        if isinstance(found, dict):
            found = found.get(part, MISSING)
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return MISSING
    return found


def _equal(found: Any, expected: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_equal, found, expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            _equal(found[key], expected[key]) for key in found
        )
    return bool(found == expected)
