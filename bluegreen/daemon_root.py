"""A daemon's root: its directories, and its store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from bluegreen.errors import UsageError
from bluegreen.layout import LONGEST_SOCKET_PATH, Layout
from bluegreen.model import Event
from bluegreen.operations import lost_history
from bluegreen.operations.observation import first_free_operation
from bluegreen.store import Store, StoreCorruptError, set_aside


def check_root(layout: Layout) -> None:
    """Raises UsageError where its path is too long."""
    longest = max(len(os.fsencode(path)) for path in (layout.control_socket, layout.nginx_socket))
    if longest > LONGEST_SOCKET_PATH:
        raise UsageError(
            f"{layout.root} is too long a path for the sockets in it "
            f"({longest} bytes, at most {LONGEST_SOCKET_PATH})",
            remedy="choose a shorter --root",
        )


def make_root(layout: Layout) -> None:
    """The directories of the daemon itself."""
    for directory in (layout.state, layout.logs, layout.process_records):
        directory.mkdir(parents=True, exist_ok=True)
    # Others find their way through it, to what they know of; a lock on it is not theirs to take.
    layout.apps.mkdir(mode=0o751, exist_ok=True)


async def open_store(layout: Layout, events: Callable[[Event], None]) -> Store:
    """The store; a corrupt one is put aside, and a new one begun."""
    path = layout.database
    # Also of a store that is there: an older one does not know of all that was done.
    first = await asyncio.to_thread(first_free_operation, layout)
    if await asyncio.to_thread(lost_history.is_missing, layout):
        lost = f"the history {path} was gone"
    else:
        try:
            return await Store.open(path, events=events, first_operation=first)
        except StoreCorruptError as error:
            aside = await asyncio.to_thread(set_aside, path)
            lost = f"{error.message} and was put aside as {aside}"
    await asyncio.to_thread(lost_history.remember, layout, lost)
    return await Store.open(path, events=events, first_operation=first)
