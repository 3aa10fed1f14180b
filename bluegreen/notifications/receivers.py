"""Who is to be told of what, as the files say."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bluegreen.config.load import Configuration
from bluegreen.config.notify_section import ForgeStatus, Notify
from bluegreen.config.secret_file import SecretFile
from bluegreen.model import Event, OperationKind
from bluegreen.notifications.answer import Answer
from bluegreen.notifications.apprise_sender import AppriseSender
from bluegreen.notifications.forge import OCCASIONS, ForgeSender
from bluegreen.notifications.message import Message, occasion_of
from bluegreen.notifications.webhook import WebhookSender


class Sender(Protocol):
    """Tells one receiver; never raises for what the receiver does, and ends in bounded time."""

    async def send(self, message: Message, name: str) -> Answer:
        """``name`` is the message's own: the same whenever it is sent again."""


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """One receiver. ``key`` and ``address`` say in the store which it is, and where."""

    key: str
    label: str  # for people
    kind: str  # "webhook", "apprise", "github", …
    address: str = field(repr=False)
    settings: Notify | ForgeStatus = field(repr=False)
    apps: tuple[str, ...]  # none: all
    wants: Callable[[Event], bool] = field(repr=False, compare=False)
    sender: Sender = field(repr=False, compare=False)


def receivers_of(configuration: Configuration, turns: asyncio.Semaphore) -> dict[str, Receiver]:
    """By key. ``turns`` are those of processes that start Apprise."""
    found = [
        _notify(number, settings, turns)
        for number, settings in enumerate(configuration.daemon.notify, start=1)
    ]
    found += [
        _status(name, settings)
        for name, app in configuration.apps.items()
        for settings in app.status
    ]
    return {receiver.key: receiver for receiver in found}


def unknown_apps(configuration: Configuration) -> list[str]:
    """Warnings of apps that a receiver names, and that there are not."""
    return [
        f'[[notify]] {_label(number, one)} is told of "{app}", and there is no such app; see '
        "apps in bluegreen.toml"
        for number, one in enumerate(configuration.daemon.notify, start=1)
        for app in one.apps
        if app not in configuration.apps
    ]


def _label(number: int, settings: Notify) -> str:
    return settings.name or f"receiver-{number}"


def _notify(number: int, settings: Notify, turns: asyncio.Semaphore) -> Receiver:
    url = settings.url
    place = f"file {url.file}" if isinstance(url, SecretFile) else f"url {url}"
    digest = hashlib.sha256(place.encode()).hexdigest()[:32]
    return Receiver(
        key=f"name {settings.name}" if settings.name is not None else f"address {digest}",
        label=_label(number, settings),
        kind="webhook" if settings.is_webhook else "apprise",
        address=digest,
        settings=settings,
        apps=settings.apps,
        wants=lambda event: _wants(settings, event),
        sender=WebhookSender(settings) if settings.is_webhook else AppriseSender(settings, turns),
    )


def _status(app: str, settings: ForgeStatus) -> Receiver:
    place = f"{settings.provider} {settings.base} {settings.repository}"
    return Receiver(
        key=f"status {app} {place}",
        label=f"{app}/{settings.provider}/{settings.repository}",
        kind=settings.provider,
        address=hashlib.sha256(place.encode()).hexdigest()[:32],
        settings=settings,
        apps=(app,),
        wants=lambda event: _is_marked(app, event),
        sender=ForgeSender(app, settings),
    )


def _is_marked(app: str, event: Event) -> bool:
    """Whether it is about a release, and so perhaps about a commit."""
    if event.app != app or event.kind == "warning" or occasion_of(event) not in OCCASIONS:
        return False
    return OperationKind(event.data["kind"]).is_release


def _wants(settings: Notify, event: Event) -> bool:
    if settings.apps and event.app not in settings.apps:
        return False
    if occasion_of(event) not in settings.on:
        return False
    if event.kind == "warning" or not settings.kinds:
        return True
    if event.kind == "promotion":
        return OperationKind.DEPLOY in settings.kinds  # nothing else waits
    return OperationKind(event.data["kind"]) in settings.kinds
