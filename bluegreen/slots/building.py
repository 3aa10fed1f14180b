"""Running one build step, and telling an operator why it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.environment import build_environment
from bluegreen.config.placeholders import expand_script, slot_values
from bluegreen.config.secrets import redact
from bluegreen.config.settings import AppSettings, BuildStep
from bluegreen.errors import BuildError
from bluegreen.layout import AppLayout
from bluegreen.log_tail import tail
from bluegreen.model import Job, JobResult, Release, Slot
from bluegreen.sources.disk_space import says_full, shortage
from bluegreen.supervisors.interface import JobRunner

SHOWN_LINES = 15
LONGEST_LINE = 500  # characters
NOT_KEPT = "see to what it says, then plan again"  # of no operation, so its output is gone


class DiskFullError(BuildError):
    """A build step ran out of disk."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """One release being built in one tree; ``operation`` 0: of none, only to be looked at."""

    settings: AppSettings
    layout: AppLayout
    release: Release
    tree: Path
    slot: Slot
    operation: int
    logs: Path
    bytes_needed: int

    async def run(self, step: BuildStep, jobs: JobRunner) -> None:
        """Run ``step`` by ``/bin/sh -c`` in the tree. Raises BuildError and ConfigError.

        Values are quoted as the shell needs it, whatever they hold.
        """
        environment = await asyncio.to_thread(
            build_environment, self.settings, self.layout, self.slot, step,
            version=self.release.version, tree=self.tree,
        )  # fmt: skip
        values = slot_values(
            self.settings, self.layout, self.slot,
            version=self.release.version, tree=self.tree, service=None,
        )  # fmt: skip
        script = expand_script(step.run, values)
        job = Job(
            app=self.settings.name,
            name=f"{self.settings.name}-{self.operation}-{self.slot.value}-build-{step.name}",
            argv=environment.command(("/bin/sh", "-c", script)),
            cwd=self.tree,
            env=environment.variables,
            timeout=step.timeout,
            log_file=self.logs / f"build-{step.name}.log",
        )
        result = await jobs.run(job)
        if not result.ok:
            lines = await asyncio.to_thread(last_lines, job.log_file, job.env)
            raise self._error(step, result, lines)

    def _error(self, step: BuildStep, result: JobResult, lines: list[str]) -> BuildError:
        name, detail = self.settings.name, list(lines)
        if result.exit_status == 128 + 9 or "SIGKILL" in result.ending:
            detail.append(
                "SIGKILL that nobody here sent is mostly the kernel's, out of memory: "
                "journalctl -k | grep -i oom"
            )
        full = says_full(lines)
        if full:
            detail.append(shortage(self.tree, self.bytes_needed))
        kind = DiskFullError if full else BuildError
        kept = f"the whole output: bluegreen logs {name} {self.operation} --phase build"
        return kind(
            f"{name}: build step {step.name} of {self.release.label} failed: {result.ending}",
            detail=detail,
            remedy=("free some space on the disk; " if full else "")
            + (kept if self.operation else NOT_KEPT),
        )


def last_lines(log: Path, environment: Mapping[str, str]) -> list[str]:
    """The last lines of a log, fit for a terminal and without the secrets of ``environment``.

    Blocking; empty when there is no log.
    """
    shown = [line for line in tail(log) if line.strip()][-SHOWN_LINES:]
    return [line[:LONGEST_LINE] for line in redact(shown, environment)]
