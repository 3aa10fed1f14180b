"""How the files that nginx and systemd read are rendered: every value in them is checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

WRITTEN_BY = "Written by bluegreen; changes here are overwritten."


def environment(directory: Path, checked: Callable[[object], object]) -> Environment:
    """Of the templates in ``directory``; ``checked`` gives each value, or raises an error."""
    return Environment(
        loader=FileSystemLoader(directory),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=False, enabled_extensions=()),
        finalize=checked,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
