"""The file ``hold`` among an app's markers: nginx looks whether it is there, the gate reads it.

JSON: ``since`` and ``until`` in Unix seconds; ``by``; ``operation``, its number (null: by hand);
``addresses``, of each slot where its services listen, as ``127.0.0.1:PORT`` or ``unix:PATH``, or
as a list of these where a service has several instances; and
``ways``, the slots to which requests may be let through without the daemon, besides the one that
the markers name.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from bluegreen.model import Address, Hold, Slot

# The directory, among an app's markers, of those by which its requests are not served as ever. It
# is there only while one of them is: looking for it is all that other requests pay.
SPECIAL = "special"
HOLD = "hold"
CLOSED = "closed"
LONGEST_HOLD = 3600.0  # seconds; nginx waits for the gate's answer a little longer
# Seconds from its making, of a file that does not say it: somebody has put it there.
UNSAID = 30.0
_BYTES = 4 * 2**20  # many services, of many instances each


def encode(hold: Hold) -> str:
    """The content of the file."""
    return json.dumps(
        {
            "since": hold.since,
            "until": hold.until,
            "by": hold.by,
            "operation": hold.operation,
            "addresses": {
                slot.value: [_texts(addresses) for addresses in services]
                for slot, services in hold.addresses.items()
            },
            "ways": [slot.value for slot in hold.ways],
        },
        indent=1,
    )


def decode(text: str) -> Hold:
    """Raises ValueError for what `encode` has not written."""
    try:
        document = json.loads(text)
        since, operation = float(document["since"]), document["operation"]
        return Hold(
            since=since,
            until=min(float(document["until"]), since + LONGEST_HOLD),
            by=str(document["by"]),
            operation=None if operation is None else int(operation),
            addresses={
                Slot(slot): tuple(map(_addresses, services))
                for slot, services in document["addresses"].items()
            },
            ways=tuple(map(Slot, document["ways"])),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a hold: {error!r}") from error


def _texts(addresses: tuple[Address, ...]) -> str | list[str]:
    # As it was before there were instances: a gate outlives the daemon that has started it.
    texts = [str(address) for address in addresses]
    return texts[0] if len(texts) == 1 else texts


def _addresses(texts: str | list[str]) -> tuple[Address, ...]:
    return tuple(map(_address, [texts] if isinstance(texts, str) else texts))


def _address(text: str) -> Address:
    kind, _, rest = text.rpartition(":")
    if text.startswith("unix:"):
        return Address(socket=Path(text.removeprefix("unix:")))
    if kind != "127.0.0.1":
        raise ValueError(f"not an address of ours: {text}")
    return Address(port=int(rest))


def read(directory: Path | str) -> Hold | None:
    """The hold that the file in ``directory`` asks for; None where there is no such file.

    Raises OSError when it cannot be read.
    """
    try:
        descriptor = os.open(f"{os.fspath(directory)}/{HOLD}", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):  # nothing is held by what is not there
        return None
    try:
        found = os.fstat(descriptor)
        text = os.read(descriptor, min(found.st_size, _BYTES)).decode(errors="replace")
    finally:
        os.close(descriptor)
    try:
        return decode(text)
    except ValueError:
        return Hold(
            since=found.st_mtime,
            until=found.st_mtime + UNSAID,
            by="somebody who made the file by hand",
        )
