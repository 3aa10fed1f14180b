"""One attempt of one probe."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bluegreen.config.questions import Probe, SmokeStep
from bluegreen.config.secrets import redact
from bluegreen.errors import BluegreenError, UsageError
from bluegreen.health.answer import Answer, Mask, refused, seconds
from bluegreen.health.command_probe import ask_command
from bluegreen.health.entrance import Entrance
from bluegreen.health.http_probe import Take, ask_http
from bluegreen.health.ownership import LOOK_TIMEOUT, examine, listening, still
from bluegreen.health.target import Target
from bluegreen.health.tcp_probe import ask_tcp
from bluegreen.health.websocket_probe import ask_websocket
from bluegreen.model import Address, ProbeResult, UnitKey


async def probe_once(
    target: Target,
    probe: Probe | SmokeStep,
    *,
    key: UnitKey | None = None,
    hasty: bool = False,
    mask: Mask | None = None,
    take: Take | None = None,
) -> ProbeResult:
    """Ask once, bounded by ``probe.timeout``, and say what was answered.

    ``key`` is the instance to ask; None: the service as a whole, which its first instance is.

    What is quoted goes through ``mask``, and is without the secrets of the service's environment
    in any case. ``take`` is given the body of an HTTP answer.

    ``hasty``: where nobody listens, it is not looked into where else the service may listen. That
    costs more than all the rest, while the service that is starting needs the processor itself.

    Where the service has an address, the answer counts only if, before and after it, the socket
    there belonged to a process of this slot's service and to no other; where the target's entrance
    leads to the service, it is asked there, and has to be told which slot has answered. Whatever
    goes wrong is a result that did not pass; raises only UsageError, for an unknown placeholder.
    """
    began = time.monotonic()
    asked = target.view.keys(probe.service)[0] if key is None else key
    try:
        answer = await _ask(target, _Asking(probe, asked, mask or str, take), hasty=hasty)
    except UsageError:
        raise
    except BluegreenError as error:
        answer = refused(error.message)
    except TimeoutError:
        answer = refused(f"could not tell within {seconds(LOOK_TIMEOUT)} whose socket answers")
    except OSError as error:
        answer = refused(f"could not be tried: {error}")
    return ProbeResult(
        service=probe.service if key is None else target.name(key),
        probe=probe.label,
        passed=answer.passed,
        answer=answer.text,
        took=time.monotonic() - began,
    )


@dataclass(frozen=True)
class _Asking:
    probe: Probe | SmokeStep
    key: UnitKey
    mask: Mask
    take: Take | None


async def _ask(target: Target, asking: _Asking, *, hasty: bool) -> Answer:
    probe = asking.probe
    address = target.view.address(asking.key)
    if address is None:
        if probe.command is not None:
            return await ask_command(
                probe.command, target, probe.service, probe.label, probe.timeout
            )
        return refused(f"{probe.service} has no address to probe")
    if hasty and not await listening(address):
        return refused("connection refused")
    entrance = target.entrance
    if entrance is not None and entrance.leads_to(probe, target.values[probe.service]):
        return await _ask_at(target, asking, address, entrance)
    before = await examine(target.view, asking.key, address)
    if before.problem is not None:
        return refused(before.problem)
    answer = await _ask_at(target, asking, address)
    if not answer.passed or await still(before, address):
        return answer
    after = await examine(target.view, asking.key, address)
    return answer if after.problem is None else refused(after.problem)


async def _ask_at(
    target: Target, asking: _Asking, address: Address, entrance: Entrance | None = None
) -> Answer:
    probe = asking.probe
    values = target.values_of(asking.key)
    variables = target.environment[probe.service].variables

    def mask(text: str) -> str:
        [masked] = redact([asking.mask(text)], variables)
        return masked if entrance is None else entrance.mask(masked)

    if probe.http is not None:
        return await ask_http(
            probe.http, address, values, probe.timeout, mask, asking.take, entrance
        )
    if probe.websocket is not None:
        return await ask_websocket(probe.websocket, address, values, probe.timeout, mask, entrance)
    if probe.command is not None:
        return await ask_command(probe.command, target, probe.service, probe.label, probe.timeout)
    return await ask_tcp(address, probe.timeout)
