"""Bodies of requests: what is accepted, field by field."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from aiohttp import web
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from bluegreen.api.limits import LONGEST_LIFE
from bluegreen.errors import UsageError
from bluegreen.gate.hold_file import LONGEST_HOLD
from bluegreen.one_line import LONGEST, WHAT_IS_RIGHT, is_one_line
from bluegreen.traffic.previews import LONGEST_PREVIEW

BODY_LIMIT = 64 * 1024  # bytes; the application's client_max_size
BODY_TIMEOUT = 10.0  # seconds for the whole of it to arrive


def _one_line(text: str) -> str:
    if is_one_line(text):
        return text
    raise PydanticCustomError("one_line", WHAT_IS_RIGHT)


# What JSON Schema cannot say of it, the refusal says.
Text = Annotated[  # that a terminal may print
    str,
    AfterValidator(_one_line),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST}),
]
Version = Annotated[  # what it may be is said by check_version
    str,
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}$"}),
]


class Body(BaseModel):
    """A JSON object; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Empty(Body):
    """No fields."""


def _several(value: object) -> tuple[object, ...]:
    if isinstance(value, str | list):
        return (value,) if isinstance(value, str) else tuple(value)
    raise PydanticCustomError("texts", "write a text, or a list of texts")


class DeployBody(Body):
    version: Version
    manual: bool = False  # it waits for a person, whatever the app file says
    ack: Annotated[
        tuple[Text, ...],
        BeforeValidator(_several, json_schema_input_type=Text | tuple[Text, ...]),
    ] = ()  # or one text by itself
    force: bool = False  # past the versions that the app file lets in, starts from and goes by


class PlanBody(Body):
    version: Version


class RollbackBody(Body):
    version: Version | None = None
    restore: Annotated[int, Field(ge=1, lt=2**62)] | None = None  # the number of a backup


class MigrationBody(Body):
    name: str | None = None  # what it may be is said by check_name


OperationNumber = Annotated[int, Field(ge=1, lt=2**62)]


class CancelBody(Body):
    operation: OperationNumber | None = None  # None: the one that runs


class PromoteBody(Body):
    operation: OperationNumber | None = None  # None: whichever waits


class SwitchBody(Body):
    to: Literal["back", "blue", "green"]


class ReloadBody(Body):
    check: bool = False  # only say what it would take up, or why it would not


class HoldBody(Body):
    timeout: Annotated[float, Field(gt=0, le=LONGEST_HOLD)] = 30.0  # seconds


class PreviewBody(Body):
    seconds: Annotated[float, Field(gt=0, le=LONGEST_PREVIEW)] = 3600.0
    revoke: bool = False  # end them all instead


class WebhookTestBody(Body):
    event: Text | None = None  # default: the first that each rule is on
    version: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class NotifyTestBody(Body):
    receiver: Annotated[Text, Field(max_length=300)] | None = None  # default: all of them


class LockBody(Body):
    reason: Text


class TokenBody(Body):
    scopes: Annotated[
        tuple[Literal["read", "deploy", "switch", "admin"], ...],
        BeforeValidator(_several), Field(min_length=1, max_length=4),
    ]  # fmt: skip
    apps: Annotated[tuple[str, ...], BeforeValidator(_several), Field(max_length=1000)] = ()  # all
    seconds: Annotated[float, Field(gt=0, le=LONGEST_LIFE)] | None = None  # None: for ever
    name: Annotated[Text, Field(max_length=60)] | None = None


B = TypeVar("B", bound=Body)


async def read_body(request: web.Request, kind: type[B]) -> B:
    """The request's body; UsageError names the field, what is wrong and what would be right."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise UsageError(
            "the body is too large", remedy=f"send at most {BODY_LIMIT} bytes"
        ) from error
    except TimeoutError as error:
        raise UsageError(
            f"the body had not arrived after {BODY_TIMEOUT:g} s",
            remedy="send as many bytes as Content-Length says, in one go",
        ) from error
    return body_of(request, raw, kind)


def body_of(request: web.Request, raw: bytes, kind: type[B]) -> B:
    """The same, where the bytes are here."""
    raw = raw or b"{}"
    try:
        found = kind.model_validate_json(raw)
    except ValidationError as error:
        raise _refused(request, kind, faults(error, "body")) from error
    # Of two the parser took the last, and whoever asks may have meant the other.
    if twice := _given_twice(raw):
        raise _refused(request, kind, [f"{name}: it is given more than once" for name in twice])
    return found


def _given_twice(raw: bytes) -> list[str]:
    """The keys that an object of this JSON has more than once."""
    twice: list[str] = []

    def note(pairs: Sequence[tuple[str, object]]) -> None:
        counts = Counter(name for name, _ in pairs)
        twice.extend(name for name, count in counts.items() if count > 1)

    json.loads(raw, object_pairs_hook=note)
    return twice


def _refused(request: web.Request, kind: type[Body], wrong: Sequence[str]) -> UsageError:
    fields = ", ".join(f'"{name}"' for name in kind.model_fields)
    return UsageError(
        f"{request.method} {request.path}: the body is not as it should be",
        detail=wrong,
        remedy=f"send a JSON object with {f'{fields}, each once' if fields else 'no fields'}",
    )


def faults(error: ValidationError, whole: str) -> list[str]:
    """A line for each field that is wrong; one without a field is of the ``whole``."""
    return [
        f"{'.'.join(map(str, item['loc']))[:60] or whole}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)
    ]
