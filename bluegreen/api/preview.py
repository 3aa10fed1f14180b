"""Previews: the only answers that say a key."""

from __future__ import annotations

from bluegreen.api.documents.traffic import PreviewIssued
from bluegreen.operations.previewing import Issued
from bluegreen.traffic.previews import HEADER


def preview_view(app: str, issued: Issued) -> PreviewIssued:
    """How to see the idle slot; see docs/api.md."""
    shown = issued.preview
    return {
        "app": app,
        "slot": shown.slot,
        "version": issued.version,
        "until": shown.until,
        "header": {HEADER: shown.key},
        "path": issued.path,
        "link": None if issued.site is None else f"{issued.site}{issued.path}",
        "own": None
        if issued.own_site is None
        else {
            "site": issued.own_site,
            "link": f"{issued.own_site}{issued.path}",
            "allow": list(issued.allow),
        },
    }
