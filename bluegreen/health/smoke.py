"""The smoke scenario: steps in order, each of which may use what earlier ones were answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bluegreen.config.questions import SmokeStep
from bluegreen.config.secrets import Secret, redact
from bluegreen.health import http_probe
from bluegreen.health.answer import shorten
from bluegreen.health.attempt import probe_once
from bluegreen.health.refusal import NOTHING_SWITCHED, refusal
from bluegreen.health.target import Target
from bluegreen.model import ProbeResult


@dataclass
class Captured:
    """What was taken from answers, by name. It may be a token, so it is never quoted."""

    values: dict[str, str] = field(default_factory=dict)

    @property
    def placeholders(self) -> dict[str, str]:
        return {f"captured.{name}": value for name, value in self.values.items()}

    def take(self, wanted: Mapping[str, str], body: bytes) -> str | None:
        """Keep the fields at the dotted paths of ``wanted``; what is not there, in words."""
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return "the body is not JSON, of which a field is wanted"
        for name, path in wanted.items():
            found = http_probe.field(document, path)
            if not isinstance(found, str | int | float) or isinstance(found, bool):
                return f"{path} is no text and no number, or is not there"
            self.values[name] = str(found)
        return None

    def mask(self, text: str) -> str:
        secrets = {name: Secret(value) for name, value in self.values.items()}
        [masked] = redact([text], secrets)
        return masked


async def pass_smoke(
    target: Target, steps: Sequence[SmokeStep], *, on_result: Callable[[ProbeResult], None]
) -> None:
    """Return once every step has passed, in their order. Raises GateError at the first that fails.

    A step of a service that this release was not started with is left out, as its probes are.
    """
    captured = Captured()
    mine = [step for step in steps if step.service in target.services]
    for number, step in enumerate(mine, 1):
        result = await _pass_step(target, step, captured)
        on_result(result)
        if not result.passed:
            raise await refusal(
                target,
                f"step {number} of {len(mine)} of the smoke scenario failed: "
                f"{result.service} {result.probe}: {result.answer}",
                keys=target.view.keys(step.service)[:1],
                outcome=NOTHING_SWITCHED,
            )


async def _pass_step(target: Target, step: SmokeStep, captured: Captured) -> ProbeResult:
    values = {**target.values[step.service], **captured.placeholders}
    wanted = step.http.capture if step.http is not None else {}
    result = await probe_once(
        replace(target, values={**target.values, step.service: values}),
        step,
        mask=captured.mask,
        take=(lambda body: captured.take(wanted, body)) if wanted else None,
    )
    return replace(result, answer=shorten(captured.mask(result.answer)))
