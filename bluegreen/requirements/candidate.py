"""The release that is about to be built, as far as it is known before it is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.layout import AppLayout
from bluegreen.model import Slot
from bluegreen.remedies import Remedies
from bluegreen.supervisors.interface import JobRunner


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One version on its way into one slot."""

    settings: AppSettings
    layout: AppLayout
    slot: Slot
    version: str
    tree: Path  # where it will be, or what it uses again
    operation: int  # 0: a plan of one
    logs: Path
    jobs: JobRunner
    remedies: Remedies

    @property
    def app(self) -> str:
        return self.settings.name
