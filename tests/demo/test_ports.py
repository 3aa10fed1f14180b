"""Ports for demos side by side."""

from __future__ import annotations

import itertools
import socket
from contextlib import ExitStack

import pytest

from bluegreen.demo import ports
from bluegreen.demo.ports import BLOCK, HOST, NoPortsError, claimed_ports


def test_the_ports_can_be_listened_on() -> None:
    with claimed_ports(9) as found, ExitStack() as stack:
        assert len(set(found)) == 9
        for port in found:
            stack.enter_context(socket.create_server((HOST, port)))


def test_two_demos_never_share_a_port() -> None:
    with ExitStack() as stack:
        found = [stack.enter_context(claimed_ports(9)) for _ in range(20)]
        assert len(set(itertools.chain.from_iterable(found))) == 20 * 9


def test_a_block_with_a_port_in_use_has_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    with claimed_ports(BLOCK - 1) as found:
        first = found[0]
    monkeypatch.setattr(ports, "FIRST", first - 1)
    monkeypatch.setattr(ports, "LAST", first)
    with (
        socket.create_server((HOST, first + 3)),
        pytest.raises(NoPortsError, match="are free between"),
        claimed_ports(BLOCK - 1),
    ):
        pass
    with claimed_ports(BLOCK - 1) as again:
        assert again == found
