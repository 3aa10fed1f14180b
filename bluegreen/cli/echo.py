"""Keys that are typed while something is drawn over and over."""

from __future__ import annotations

import contextlib
import signal
import sys
import termios
from collections.abc import Iterator

_LOCAL_MODES = 3  # their place in what termios.tcgetattr(3) returns


@contextlib.contextmanager
def unechoed() -> Iterator[None]:
    """The terminal does not show them: each would shift what is drawn, by a line at its edge.

    ^C ends the command all the same.
    """
    try:
        before = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, AttributeError, termios.error):  # it is no terminal, or closed
        yield
        return
    silent = [*before]
    silent[_LOCAL_MODES] &= ~termios.ECHO
    _set(silent)
    try:
        yield
    finally:
        _set(before)


def _set(attributes: list[int | list[bytes | int]]) -> None:
    # From the background it would stop the command otherwise.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, attributes)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
