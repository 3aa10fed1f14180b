"""``[[webhook]]``: which deliveries from outside ask for a release, and of which version."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.section import Section
from bluegreen.config.values import Line, Switch

Provider = Literal["github", "gitlab", "gitea", "standard"]

# What each of them can send that asks for a release; of ``standard``, whatever its sender calls it.
EVENTS: dict[str, tuple[str, ...]] = {
    "github": ("push", "release", "workflow_run", "deployment"),
    "gitlab": ("push", "release", "workflow_run"),
    "gitea": ("push", "release", "workflow_run"),
}
ROTATING = 2  # secrets at a time
LONGEST_PATTERN = 200  # characters
DEEPEST_FIELD = 8  # parts of a path

_KEEP_IT = 'Keep it in a file: secret = { file = "/etc/bluegreen/webhooks/app" }'
_FIELD = re.compile(rf"[A-Za-z0-9_-]{{1,64}}(?:\.[A-Za-z0-9_-]{{1,64}}){{0,{DEEPEST_FIELD - 1}}}")
_EVENT = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")


def _secrets(value: Any) -> Any:
    if isinstance(value, str):
        # Nothing of it is repeated: it is the secret, or where that is kept.
        raise ValueRefusedError("a secret does not stand in the app file", _KEEP_IT)
    several = (value,) if isinstance(value, dict | SecretFile) else value
    if isinstance(several, list | tuple) and any(isinstance(one, str) for one in several):
        raise ValueRefusedError("a secret does not stand in the app file", _KEEP_IT)
    if isinstance(several, list | tuple) and not 0 < len(several) <= ROTATING:
        raise ValueRefusedError(
            f"there are {len(several)} secrets" if several else "there is no secret",
            "Name the file of one or, while you go over from it to another, of both",
        )
    return several


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _event(value: str) -> str:
    if not _EVENT.fullmatch(value):
        raise ValueError('the name of an event, such as "release"')
    return value


def _glob(value: str) -> str:
    if not 0 < len(value) <= LONGEST_PATTERN or not value.isprintable() or " " in value:
        raise ValueError(
            'a name or a pattern such as "v*": * for any characters, ? for one, [0-9] for one of '
            f"those, at most {LONGEST_PATTERN} in all"
        )
    return value


def _version(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise ValueError(
            '"tag", "commit" or, of a standard webhook, the path of a field in its body: names '
            f'with dots between them, such as "data.version", at most {DEEPEST_FIELD}'
        )
    return value


Glob = Annotated[str, AfterValidator(_glob)]
Event = Annotated[str, AfterValidator(_event)]


class Webhook(Section):
    """``[[webhook]]``. Patterns are those of ``fnmatch``, in which ``*`` matches slashes too."""

    provider: Provider
    secret: Annotated[tuple[SecretFile, ...], BeforeValidator(_secrets)]
    on: Annotated[tuple[Event, ...], BeforeValidator(_several), Field(min_length=1)]
    version: Annotated[str, AfterValidator(_version)]
    branches: Annotated[tuple[Glob, ...], BeforeValidator(_several)] = ()
    tags: Annotated[tuple[Glob, ...], BeforeValidator(_several)] = ()
    workflows: Annotated[tuple[Line, ...], BeforeValidator(_several)] = ()
    environments: Annotated[tuple[Line, ...], BeforeValidator(_several)] = ()
    prereleases: Switch = False
