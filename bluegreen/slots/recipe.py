"""What a tree was built with, as one digest: with other settings it is built again."""

from __future__ import annotations

import hashlib
import json

from bluegreen.config.environment import build_environment
from bluegreen.config.placeholders import slot_values
from bluegreen.config.settings import AppSettings
from bluegreen.layout import AppLayout
from bluegreen.model import Slot


def recipe_digest(settings: AppSettings, layout: AppLayout, slot: Slot, version: str) -> str:
    """A SHA-256 over the build steps with their environments, the slot's addresses, what is shared.

    The tree's own path is left out: it differs from build to build. Of the environments' values
    only digests go in, and of what a launcher adds only where it is from. Reads secret files: call
    it in a thread. Raises ConfigError.
    """
    tree = layout.trees / "TREE"
    steps = []
    for step in settings.build:
        environment = build_environment(settings, layout, slot, step, version=version, tree=tree)
        digests = {
            name: hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()
            for name, value in environment.variables.items()
        }
        steps.append([step.name, step.run, digests, *environment.launcher])
    values = slot_values(settings, layout, slot, version=version, tree=tree, service=None)
    parts: list[object] = [steps, values, settings.app.shared]
    if settings.assets:  # kept with the tree
        parts.append(settings.assets)
    return hashlib.sha256(
        json.dumps(parts, sort_keys=True).encode(errors="surrogateescape")
    ).hexdigest()
