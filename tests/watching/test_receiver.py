from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen.watching.receiver import MOST, Receiver
from tests.waiting import eventually

OURS = frozenset({os.geteuid()})
NOBODYS = frozenset({os.geteuid() + 1})


@pytest.fixture
def receiver(root: Path) -> Iterator[Receiver]:
    made = Receiver(root / "watch.sock")
    made.open(for_all=False)
    yield made
    made.close()


def sent(root: Path, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(root / "watch.sock"))
        for datagram in datagrams:
            sender.send(datagram)


async def until_come(receiver: Receiver, count: int) -> list[bytes]:
    come: list[bytes] = []

    def all_came() -> bool:
        come.extend(receiver.take())
        return len(come) >= count

    await eventually(all_came, f"{count} datagrams have come")
    return come


async def test_what_comes_is_kept_in_its_order_while_somebody_listens(
    root: Path, receiver: Receiver
) -> None:
    receiver.listen(OURS)
    sent(root, b"one", b"", b"two", b"x" * 5000)
    assert await until_come(receiver, 4) == [b"one", b"", b"two", b"x" * 1024]
    receiver.listen(frozenset())
    assert receiver.take() == []


async def test_what_others_send_does_not_count(root: Path, receiver: Receiver) -> None:
    receiver.listen(NOBODYS)
    sent(root, *[b"<190>Nov 29 12:44:36 bluegreen: shop.api.green|500|0|0|0"] * 10)
    await eventually(lambda: receiver.strange == 10, "they are counted as strange")
    assert receiver.take() == []


async def test_a_flood_takes_no_more_room_than_there_is(root: Path, receiver: Receiver) -> None:
    receiver.listen(OURS)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(root / "watch.sock"))
        sender.setblocking(False)
        for _ in range(10 * MOST):
            with contextlib.suppress(BlockingIOError):
                sender.send(b"nonsense")
    assert 0 < len(await until_come(receiver, 1)) <= 4 * MOST


def test_it_is_for_the_daemon_alone_or_for_all_and_gone_at_the_end(root: Path) -> None:
    for for_all, mode in ((False, 0o660), (True, 0o666)):
        receiver = Receiver(root / "watch.sock")
        receiver.open(for_all=for_all)
        assert stat.S_IMODE((root / "watch.sock").stat().st_mode) == mode
        receiver.close()
        receiver.close()
        assert not (root / "watch.sock").exists()
        assert not receiver.is_open
