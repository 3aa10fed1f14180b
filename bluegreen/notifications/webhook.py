"""Outgoing webhooks, signed as Standard Webhooks (standardwebhooks.com) has it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bluegreen.config.notify_section import Notify
from bluegreen.config.secret_file import SecretFile
from bluegreen.notifications.answer import Answer, failed
from bluegreen.notifications.hiding import parts_of
from bluegreen.notifications.message import Message
from bluegreen.notifications.outbound import Outbound
from bluegreen.notifications.secret_files import UnusableSecretError, read_secret
from bluegreen.webhooks.signatures import standard_key, standard_signature


class WebhookSender:
    """Posts messages to one address; while its secret is replaced, signed by both."""

    def __init__(self, settings: Notify) -> None:
        self._settings = settings
        self._outbound = Outbound(private=settings.allow_private)

    async def send(self, message: Message, name: str) -> Answer:
        """``name`` is the message's own: the same whenever it is sent again."""
        try:
            url = self._settings.url
            address = await read_secret(url) if isinstance(url, SecretFile) else url
            keys = [await _key(secret) for secret in self._settings.secret]
        except UnusableSecretError as error:
            return failed(str(error))
        body = message.body()
        headers, secrets = _headers(keys, name, body), parts_of(address)
        reply = await self._outbound.ask("POST", address, headers, body, secrets=secrets)
        return reply.answer


async def _key(secret: SecretFile) -> bytes:
    key = standard_key(await read_secret(secret))
    if key is None:
        raise UnusableSecretError(
            f"the secret in {secret.file} is none of a standard webhook: whsec_ and base64 of 16 "
            "bytes or more"
        )
    return key


def _headers(keys: Sequence[bytes], name: str, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            standard_signature(key, name, timestamp, body) for key in keys
        ),
    }
