"""An asynchronous client of the daemon's API; see docs/api.md, "From Python".

    async with Client(root="/") as client:
        operation = await client.deploy("monitor", "v2")
        ended = await client.outcome(operation["id"])

What the daemon refuses is raised as `RefusalError`, and `DaemonUnreachableError` where none
answers. The client itself is imported when it is first asked for: the command line, whose quickest
command takes a few milliseconds, shares what is cheap of this package and has a client of its own.
"""

from __future__ import annotations

from bluegreen.errors import DaemonUnreachableError, RefusalError

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from bluegreen.client.client import Client

__all__ = ["Client", "DaemonUnreachableError", "RefusalError"]


def __getattr__(name: str) -> object:
    if name == "Client":
        from bluegreen.client.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
