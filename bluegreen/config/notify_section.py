"""``[[notify]]`` of the daemon's file and ``[[status]]`` of an app's: who is told what happens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.section import Section
from bluegreen.config.values import Line, Name, Switch
from bluegreen.model import OperationKind

Occasion = Literal[
    "queued", "started", "waiting", "succeeded", "failed", "rolled_back", "cancelled", "superseded",
    "interrupted", "warning",
]  # fmt: skip
USUAL: tuple[Occasion, ...] = ("waiting", "succeeded", "failed", "rolled_back", "interrupted")
ROTATING = 2  # secrets at a time

_KEEP_IT = 'Keep it in a file: {key} = {{ file = "/etc/bluegreen/notify/{key}" }}'
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://[^\s]+", re.IGNORECASE)
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+")
PUBLIC_APIS = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4"}


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str | dict | SecretFile) else value


def _secrets(value: Any) -> Any:
    several = _several(value)
    if isinstance(several, list | tuple):
        if any(isinstance(one, str) for one in several):
            # Nothing of it is repeated: it is the secret, or where that is kept.
            raise ValueRefusedError("a secret does not stand here", _KEEP_IT.format(key="secret"))
        if len(several) > ROTATING:
            raise ValueRefusedError(
                f"there are {len(several)} secrets",
                "Name the file of one or, while you go over from it to another, of both",
            )
    return several


def _token(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueRefusedError("a token does not stand here", _KEEP_IT.format(key="token"))
    if isinstance(value, dict) and not str(value.get("file", "/")).startswith("/"):
        # It may be the token itself.
        raise ValueRefusedError("that is not the path of a file", _KEEP_IT.format(key="token"))
    return value


def _url(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > 4096 or not _SCHEME.fullmatch(value):
        raise ValueError(
            'an Apprise URL such as "ntfy://topic", an https URL of a receiver of webhooks, or '
            '{ file = "/path" } for one that holds a secret'
        )
    return value


def _url_kind(value: Any) -> str:
    return "<secret>" if isinstance(value, dict | SecretFile) else "<text>"


def _repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise ValueError('the name of a repository at the forge, such as "owner/name"')
    return value


def is_web(url: str) -> bool:
    """Whether it is asked by HTTP itself, and not by a service that Apprise knows."""
    return urlsplit(url).scheme.lower() in ("http", "https")


def refuse_address(url: str, *, private: bool) -> None:
    """Raises ValueRefusedError for a URL that nothing may be sent to."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise ValueRefusedError("there is no host in it", 'Write "https://HOST/PATH"')
    if parts.scheme.lower() != "https" and not private:
        raise ValueRefusedError(
            "what is sent there could be read on the way, as it is not https",
            "Write https://…; or, for a receiver in a network of your own, allow_private = true",
        )


class Notify(Section):
    """``[[notify]]``: one receiver. With a secret it gets signed webhooks, else Apprise does it."""

    name: Name | None = None
    secret: Annotated[tuple[SecretFile, ...], BeforeValidator(_secrets)] = ()
    allow_private: Switch = False  # http, and addresses that are not public
    url: Annotated[
        Annotated[str, BeforeValidator(_url), Tag("<text>")]
        | Annotated[SecretFile, Tag("<secret>")],
        Discriminator(_url_kind),
    ]  # judged by those above it
    on: Annotated[tuple[Occasion, ...], BeforeValidator(_several), Field(min_length=1)] = USUAL
    apps: Annotated[tuple[Name, ...], BeforeValidator(_several)] = ()  # none: all
    kinds: Annotated[tuple[OperationKind, ...], BeforeValidator(_several)] = ()  # none: all

    @field_validator("url")
    @classmethod
    def _fits_the_rest(cls, url: str | SecretFile, info: ValidationInfo) -> str | SecretFile:
        if not isinstance(url, str) or not {"secret", "allow_private"} <= info.data.keys():
            return url
        if not is_web(url):
            if info.data["secret"]:
                raise ValueRefusedError(
                    "a service that Apprise knows is sent no signature, and there is a secret",
                    "Remove the secret, or name a receiver of webhooks: https://…",
                )
            return url
        if not info.data["secret"]:
            raise ValueRefusedError(
                "a webhook is signed, and there is no secret",
                'Add secret = { file = "/path" } with a text such as whsec_… in it; of a chat '
                "service, write the Apprise URL instead, such as slack://…",
            )
        refuse_address(url, private=info.data["allow_private"])
        return url

    @property
    def is_webhook(self) -> bool:
        return bool(self.secret)


def refuse_doubles(receivers: Sequence[Notify]) -> None:
    """Raises ValueRefusedError where two could not be told apart."""
    names = [receiver.name for receiver in receivers if receiver.name is not None]
    for name in names:
        if names.count(name) > 1:
            raise ValueRefusedError(
                f'two receivers are called "{name}"', "Give each a name of its own"
            )
    unnamed = [receiver.url for receiver in receivers if receiver.name is None]
    if any(unnamed.count(url) > 1 for url in unnamed):
        raise ValueRefusedError("two receivers have one url and no names", "Give each a name")


class ForgeStatus(Section):
    """``[[status]]``: at which forge the commits of releases are marked."""

    provider: Literal["github", "gitlab", "gitea"]
    repository: Annotated[str, AfterValidator(_repository)]
    token: Annotated[SecretFile, BeforeValidator(_token)]
    allow_private: Switch = False
    api: Line | None = Field(default=None, validate_default=True)  # judged by those above it
    context: Line | None = None  # None: "bluegreen/APP"
    deployments: Switch = True  # of GitHub, besides the status of the commit
    environment: Line = "production"

    @field_validator("api")
    @classmethod
    def _reachable(cls, api: str | None, info: ValidationInfo) -> str | None:
        if api is None:
            if info.data.get("provider") == "gitea":
                raise ValueRefusedError(
                    "no address is known of it", 'Add api = "https://HOST/api/v1"'
                )
            return None
        if not is_web(api) or "?" in api or "@" in api or "#" in api:
            raise ValueError('the address of the API, such as "https://git.example.org/api/v4"')
        refuse_address(api, private=bool(info.data.get("allow_private")))
        return api.rstrip("/")

    @property
    def base(self) -> str:
        """Where its API is."""
        return self.api if self.api is not None else PUBLIC_APIS[self.provider]
