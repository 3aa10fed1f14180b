"""Whether a slot is well: probes, the gate before traffic, the watch after it."""

from __future__ import annotations

from bluegreen.health.attempt import probe_once
from bluegreen.health.gate import pass_gate
from bluegreen.health.ownership import listening
from bluegreen.health.target import ServiceView, Target
from bluegreen.health.watch import keep_watch

__all__ = [
    "ServiceView",
    "Target",
    "keep_watch",
    "listening",
    "pass_gate",
    "probe_once",
]
