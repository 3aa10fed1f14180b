"""What served before bluegreen: whether it is still there to serve again."""

from __future__ import annotations

import asyncio
import contextlib

from bluegreen.config.settings import AppSettings

CONNECT_TIMEOUT = 2.0  # seconds


async def can_serve_again(settings: AppSettings) -> bool:
    """Whether the app replaces something, and all of that accepts connections."""
    addresses = [service.replaces for service in settings.services.values() if service.replaces]
    return bool(addresses) and all([await _accepts(address) for address in addresses])


async def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            if address.startswith("/"):
                _, writer = await asyncio.open_unix_connection(address)
            else:
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
