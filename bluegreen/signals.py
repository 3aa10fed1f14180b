"""What the daemon is told by signals, from its first instant to its last."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class Signals:
    """SIGTERM and SIGINT stop it; SIGHUP reloads, as soon as there is something to reload.

    Unheeded, each of them would end the process where it stands.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._reload: Callable[[], None] | None = None
        self._asked = False

    def listen(self) -> None:
        """Heed them from now on; called by the running event loop's main thread."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def on_reload(self, reload: Callable[[], None]) -> None:
        """Have SIGHUP call ``reload``: at once, if one has come already."""
        self._reload = reload
        if self._asked:
            self._hang_up()

    def _hang_up(self) -> None:
        self._asked = self._reload is None
        if self._reload is not None:
            self._reload()
