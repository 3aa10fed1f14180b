"""Failed authentication is slowed, address by address, in bounded memory."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress

import pytest

from bluegreen.api import attempts
from bluegreen.api.attempts import Attempts, delay
from bluegreen.errors import OverloadedError
from tests.waiting import PATIENCE

HERE = ipaddress.ip_address("203.0.113.7")


def test_each_failure_doubles_the_delay_up_to_the_longest() -> None:
    assert [delay(n) for n in range(4)] == [0.0, 0.1, 0.2, 0.4]
    assert delay(7) == delay(10**9) == attempts.LONGEST_DELAY


async def test_an_address_has_one_attempt_at_a_time_and_few_that_wait() -> None:
    counted = Attempts()
    async with counted.turn(HERE):

        async def attempt() -> None:
            async with counted.turn(HERE):
                pass

        waiting = [asyncio.create_task(attempt()) for _ in range(attempts.MOST_WAITING - 1)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        with pytest.raises(OverloadedError, match=r"203\.0\.113\.7"):
            async with counted.turn(HERE):
                pass
        async with counted.turn(ipaddress.ip_address("203.0.113.8")):
            pass  # others do not wait for it
    await asyncio.gather(*waiting)


async def test_a_network_of_ipv6_is_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "LONGEST_DELAY", 0.0)
    counted = Attempts()
    for last in range(1, 5):
        counted.fail(ipaddress.ip_address(f"2001:db8::{last}"), "no valid token")
    counted.fail(ipaddress.ip_address("2001:db8:0:1::1"), "no valid token")
    assert [record.failures for record in counted._addresses.values()] == [4, 1]
    assert counted.failed == 5


async def test_what_comes_through_a_proxy_is_counted_for_it_whatever_it_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted, proxy = Attempts(), ipaddress.ip_address("127.0.0.1")
    async with contextlib.AsyncExitStack() as turns:
        for number in range(attempts.MOST_THROUGH):
            await turns.enter_async_context(counted.turn(ipaddress.ip_address(number), proxy))
            counted.fail(ipaddress.ip_address(number), "no valid token", proxy)
        with pytest.raises(OverloadedError):
            await turns.enter_async_context(counted.turn(HERE, proxy))
        await turns.enter_async_context(counted.turn(HERE))  # without it, there is room
    assert counted._addresses["through 127.0.0.1"].failures == attempts.MOST_THROUGH
    assert len(caplog.records) == 1


async def test_memory_is_bounded_and_failures_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attempts, "MOST_ADDRESSES", 10)
    counted = Attempts()
    for number in range(100):
        counted.fail(ipaddress.ip_address(number), "no valid token")
    assert len(counted._addresses) == 10
    caplog.clear()
    for _ in range(8):
        counted.fail(HERE, "no valid token")
    assert len(caplog.records) == 4  # the first, the second, the fourth, the eighth
    monkeypatch.setattr(attempts, "FORGOTTEN_AFTER", -1.0)
    async with asyncio.timeout(PATIENCE), counted.turn(HERE):
        assert counted._record(str(HERE)).failures == 0
