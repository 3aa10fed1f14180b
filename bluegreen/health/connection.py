"""An established connection, as the kernel tells of each of its ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of it. What this one is named, the other one, if it is on this host, calls ``peer``.

    ``port`` and ``path`` are its own; ``control_group`` is that in which a TCP socket was made,
    None where the kernel does not tell. ``inode`` is 0 of what nobody has accepted yet.
    """

    inode: int
    name: object
    peer: object
    port: int | None = None
    path: str | None = None
    control_group: int | None = None
