"""What is to be done with a new app file, as commands in their order."""

from __future__ import annotations

from pathlib import Path

from bluegreen.layout import Layout
from bluegreen.survey.nouns import Survey


def next_steps(name: str, file: Path, survey: Survey, layout: Layout) -> list[str]:
    """A line each; from the file to its first deploy and, where units were found, past them."""
    bluegreen = layout.remedies.bluegreen
    steps = [f"read and edit {file}"]
    if file.parent != layout.app_files:
        steps.append(f"move it to {layout.app_files / f'{name}.toml'}")
    steps.append(f"{bluegreen} check")
    steps.append(layout.remedies.take_up)
    if survey.shared:
        shared = layout.app(name).shared
        what = ", ".join(survey.shared)
        steps.append(
            f"mount {what} in {shared}, under the same names: both use them for a while"
            if survey.units
            else f"copy {what} into {shared}"
        )
    if survey.site is not None:
        steps += survey.site.edits
        steps.append("sudo nginx -t && sudo systemctl reload nginx")
    steps.append(f"{bluegreen} deploy {name} VERSION")
    if survey.units:
        steps += [
            f"sudo systemctl disable --now {' '.join(survey.units)}",
            f"take each `replaces` out of {file.name} again",
        ]
    return steps
