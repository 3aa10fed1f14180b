"""The daemon itself: its version, its store, nginx as it sees it, and those it notifies."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from bluegreen import __version__
from bluegreen.api.metrics.families import Families, counter, gauge, histogram, single
from bluegreen.operations.acceptance import InForce
from bluegreen.store import Store


def daemon_families(
    in_force: InForce, *, apps: int, nginx: bool, store: bool, failed: int, strangers: int
) -> Families:
    """``failed`` attempts to authenticate; ``strangers``: deliveries for apps that are not here."""
    build = gauge("build_info", "What serves here", "version", "python")
    build.add_metric([__version__, platform.python_version()], 1)
    unknown = counter("webhook_deliveries_unknown", "Deliveries for apps that there are not")
    refused = counter("failed_authentications", "Requests over TCP without a valid token")
    return [
        build,
        single(gauge("apps", "How many apps are configured"), apps),
        single(
            gauge("configuration_problems", "Problems for which files were not taken up"),
            len(in_force.problems),
        ),
        single(gauge("warnings", "What status warns of"), len(in_force.warnings)),
        single(gauge("nginx_answers", "Whether nginx answers, so that traffic can move"), nginx),
        single(gauge("store_answers", "Whether the store answers"), store),
        single(refused, failed),
        single(unknown, strangers),
    ]


def store_families(store: Store, size: int) -> Families:
    """``size`` of its files in bytes."""
    return [
        single(gauge("store_bytes", "The size of the store with its log"), size),
        histogram(
            "store_commit_seconds", "How long changes of the store took to be on disk",
            of=[((), store.timings.commits)],
        ),
        histogram(
            "store_read_seconds", "How long questions to the store took",
            of=[((), store.timings.reads)],
        ),
    ]  # fmt: skip


def notification_families(receivers: Sequence[Mapping[str, Any]]) -> Families:
    """Of each receiver, by the name that its file gives it."""
    told = counter(
        "notifications", "Messages that a receiver took, or that were given up", "receiver",
        "outcome",
    )  # fmt: skip
    waiting = gauge("notifications_waiting", "Messages that wait to be told", "receiver")
    failing = gauge(
        "receiver_failing_since_timestamp_seconds", "Since when a receiver takes nothing",
        "receiver",
    )  # fmt: skip
    for one in receivers:
        label = one["receiver"]
        told.add_metric([label, "delivered"], one["delivered"])
        told.add_metric([label, "dropped"], one["dropped"])
        waiting.add_metric([label], one["waiting"])
        if one["failing_since"] is not None:
            failing.add_metric([label], one["failing_since"])
    return [told, waiting, failing]
