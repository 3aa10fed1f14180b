"""One attempt of one probe."""

from __future__ import annotations

import time

from bluegreen.config.secrets import redact
from bluegreen.config.settings import Probe
from bluegreen.errors import BluegreenError, UsageError
from bluegreen.health.answer import Answer, refused, seconds
from bluegreen.health.command_probe import ask_command
from bluegreen.health.http_probe import ask_http
from bluegreen.health.ownership import LOOK_TIMEOUT, examine, listening, still
from bluegreen.health.target import Target
from bluegreen.health.tcp_probe import ask_tcp
from bluegreen.health.websocket_probe import ask_websocket
from bluegreen.model import Address, ProbeResult


async def probe_once(target: Target, probe: Probe, *, hasty: bool = False) -> ProbeResult:
    """Ask once, bounded by ``probe.timeout``, and say what was answered.

    ``hasty``: where nobody listens, it is not looked into where else the service may listen. That
    costs more than all the rest, while the service that is starting needs the processor itself.

    Where the service has an address, the answer counts only if, before and after it, the socket
    there belonged to a process of this slot's service and to no other. Whatever goes wrong is a
    result that did not pass; raises only UsageError, for an unknown placeholder.
    """
    began = time.monotonic()
    try:
        answer = await _ask(target, probe, hasty=hasty)
    except UsageError:
        raise
    except BluegreenError as error:
        answer = refused(error.message)
    except TimeoutError:
        answer = refused(f"could not tell within {seconds(LOOK_TIMEOUT)} whose socket answers")
    except OSError as error:
        answer = refused(f"could not be tried: {error}")
    return ProbeResult(
        service=probe.service,
        probe=probe.label,
        passed=answer.passed,
        answer=answer.text,
        took=time.monotonic() - began,
    )


async def _ask(target: Target, probe: Probe, *, hasty: bool) -> Answer:
    address = target.view.address(probe.service)
    if address is None:
        if probe.command is not None:
            return await ask_command(
                probe.command, target, probe.service, probe.label, probe.timeout
            )
        return refused(f"{probe.service} has no address to probe")
    if hasty and not await listening(address):
        return refused("connection refused")
    before = await examine(target.view, probe.service, address)
    if before.problem is not None:
        return refused(before.problem)
    answer = await _ask_at(target, probe, address)
    if not answer.passed or await still(before, address):
        return answer
    after = await examine(target.view, probe.service, address)
    return answer if after.problem is None else refused(after.problem)


async def _ask_at(target: Target, probe: Probe, address: Address) -> Answer:
    values = target.values[probe.service]
    variables = target.environment[probe.service].variables

    def mask(text: str) -> str:
        [masked] = redact([text], variables)
        return masked

    if probe.http is not None:
        return await ask_http(probe.http, address, values, probe.timeout, mask)
    if probe.websocket is not None:
        return await ask_websocket(probe.websocket, address, values, probe.timeout, mask)
    if probe.command is not None:
        return await ask_command(probe.command, target, probe.service, probe.label, probe.timeout)
    return await ask_tcp(address, probe.timeout)
