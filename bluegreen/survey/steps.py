"""What is to be done with a new app file, as commands in their order."""

from __future__ import annotations

from pathlib import Path

from bluegreen.layout import Layout
from bluegreen.survey.nouns import Survey


def next_steps(name: str, file: Path, survey: Survey, layout: Layout) -> list[str]:
    """A line each; from the file to its first deploy and, where units were found, past them."""
    is_whole = layout.root == Path(layout.root.anchor)
    bluegreen = "bluegreen" if is_whole else f"bluegreen --root {layout.root}"
    steps = [f"read and edit {file}"]
    if survey.shared:
        shared = layout.app(name).shared
        steps.append(
            f"have {', '.join(survey.shared)} in {shared} too (a bind mount), as both use it"
            if survey.units
            else f"copy {', '.join(survey.shared)} into {shared}"
        )
    if file.parent != layout.app_files:
        steps.append(f"move it to {layout.app_files / f'{name}.toml'}")
    steps.append(f"{bluegreen} check")
    if is_whole and survey.units:
        steps.append("sudo bluegreen apply")
    steps.append(f"{bluegreen} reload")
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
